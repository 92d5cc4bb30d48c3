"use strict";
// The page is whole without this: it only swaps the content for newer one in place.
const intervalMs = 2000;
const timeoutMs = 10000;
async function refresh() {
  const note = document.getElementById("connection");
  try {
    const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(timeoutMs) });
    if (!answer.ok) throw new Error(`streamd answered ${answer.status}`);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of ["main", "#recorded"]) {
      const shown = document.querySelector(part);
      // What somebody plays goes on.
      if (!shown.querySelector("details[open]")) shown.replaceWith(fresh.querySelector(part));
    }
    document.title = fresh.title;
    if (note.textContent) note.textContent = "";
  } catch (error) {
    const text = "No answer from streamd; what is shown is old. Trying again.";
    if (note.textContent !== text) note.textContent = text;
  }
}
async function run() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
    if (!document.hidden) await refresh();
  }
}
run();
