"""The doctor's findings as people, scripts and shells read them. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict

from streamd.doctor.finding import Finding, Level, Report, listed

_WORST_FIRST: tuple[Level, ...] = ("error", "warning", "unknown")


def exit_status(report: Report) -> int:
    """Return 1 when something is wrong; warnings and what could not be looked at are 0."""
    return int(any(found.level == "error" for found in _findings(report)))


def report_json(report: Report) -> dict[str, object]:
    """Return the findings as plain dicts and lists, each with the check that made it."""
    return {
        "ok": exit_status(report) == 0,
        "findings": [
            {"check": check, **asdict(found)} for check, findings in report.items()
            for found in findings
        ],
    }  # fmt: skip


def report_text(report: Report) -> str:
    """Return a line for each finding, by check, and at the end what to do, errors last."""
    lines = []
    for check, findings in report.items():
        if findings:
            lines.append(check)
            lines += [f"  {each.level:<8} {each.where}: {each.what}" for each in findings]
    return "\n".join((*lines, *_to_do(report), "", _summary(report)))


def _to_do(report: Report) -> Iterator[str]:
    """Yield what to do, once each, the most pressing last, where it is still on the screen."""
    places: defaultdict[tuple[Level, str], dict[str, None]] = defaultdict(dict)
    for each in _findings(report):
        if each.do:
            places[each.level, each.do][each.where] = None
    if places:
        yield from ("", "to do")
    for wanted in reversed(_WORST_FIRST):
        for (level, do), where in places.items():
            if level == wanted:
                yield f"  {level:<8} {listed([*where])}: {do}"


def _summary(report: Report) -> str:
    counts = Counter(found.level for found in _findings(report))
    words = {"error": "wrong", "warning": "to be looked after", "unknown": "not known"}
    told = [f"{counts[level]} {words[level]}" for level in _WORST_FIRST if counts[level]]
    return ", ".join(told) or "all fine"


def _findings(report: Report) -> Iterator[Finding]:
    for findings in report.values():
        yield from findings
