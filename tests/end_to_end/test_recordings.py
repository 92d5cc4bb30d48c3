"""Recordings, as those see them who asked for one in the file."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from streamd.playout.flv import FlvReader
from streamd.playout.rtmp import RtmpError, open_publish
from tests.support.app import App
from tests.support.browser import chromium, chromium_path
from tests.support.media import clip, decoded_frames, ffmpeg_path, publisher
from tests.support.mounts import hanging_mount, small_disk
from tests.support.object_store import SECRET as STORE_SECRET
from tests.support.object_store import object_store
from tests.support.streamd import SECRET, Streamd
from tests.support.waiting import wait_until_sync

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

STREAMS = f"""\
keys:
  studio: {{secret: {SECRET}}}
streams:
  show: {{keys: [studio]}}
  other: {{keys: [studio]}}
"""
FRAMES_PER_S = 15
ENTRY = "archive@live/show"
FINISHED_S = 60.0


def rule(directory: Path, **fields: str) -> str:
    """Return the section of recordings."""
    written = "".join(f", {name}: {text}" for name, text in fields.items())
    return f"recordings:\n  archive: {{streams: ['*'], directory: {directory}{written}}}\n"


def telling(app: App) -> str:
    """Return the section of callbacks with one that is told of recordings."""
    return f"callbacks:\n  app: {{url: '{app.url}', events: [on_record_begin, on_record_end]}}\n"


def recordings(directory: Path) -> list[dict[str, Any]]:
    """Return what stands with each recording, the earliest first."""
    found = []
    for path in directory.rglob("recording.json"):
        with contextlib.suppress(FileNotFoundError):  # moved or deleted since it was listed
            found.append(json.loads(path.read_text()))
    return sorted(found, key=lambda each: str(each["started_at"]))


def finished(daemon: Streamd, count: int = 1) -> list[dict[str, Any]]:
    """Wait until the status lists so many finished recordings, and return all, newest first."""

    def listed() -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = daemon.status()["recorded"]
        return entries if len(entries) >= count else []

    return wait_until_sync(listed, FINISHED_S, f"{count} finished recordings; {daemon.log}")


def recorder(daemon: Streamd) -> int:
    """Return the pid of the recorder of the show, 0 while none runs."""
    entry = daemon.status()["recordings"].get(ENTRY, {})
    return int(entry.get("pid", 0))


def wait_recorded(daemon: Streamd, seconds: float) -> dict[str, Any]:
    """Wait until so much of the show was recorded."""

    def grown() -> dict[str, Any]:
        entry: dict[str, Any] = daemon.status()["recordings"].get(ENTRY, {})
        is_grown = entry.get("state") == "recording" and entry["seconds"] >= seconds
        return entry if is_grown else {}

    return wait_until_sync(grown, FINISHED_S, f"{seconds} s of recording; {daemon.log}")


def get(url: str, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


def test_a_published_stream_is_recorded_finished_told_listed_and_served(
    daemon: Streamd, hook: App, tmp_path: Path
) -> None:
    text = telling(hook) + rule(tmp_path / "rec", serve="true", resume="1s")
    daemon.write(daemon.head() + STREAMS + text)
    daemon.start()
    assert daemon.state("recordings", "archive") == "waiting"
    with publisher(daemon.url("live/show")):
        entry = wait_recorded(daemon, 7)
        assert entry["path"].startswith(str(tmp_path / "rec/live/show"))
        assert entry["last_error"] is None
        begun = hook.wait_told("on_record_begin")
        assert (begun["uuid"], begun["app"], begun["stream"]) == (entry["uuid"], "live", "show")
        assert daemon.status()["recorded"] == []
        served = f"http://127.0.0.1:{daemon.http}/recordings/archive"
        below = Path(entry["path"]).relative_to(tmp_path / "rec")
        assert get(f"{served}/{below}/index.mp4")[0] == 404

    (done,) = finished(daemon)
    assert done["uuid"] == entry["uuid"]
    assert 7 <= done["seconds"] < 60
    assert done["url"] == f"{served}/{below}/index.mp4"
    assert_served(done)
    assert decoded_frames(done["url"], frames=10_000) >= 6.5 * FRAMES_PER_S

    ended = hook.wait_told("on_record_end")
    assert (ended["uuid"], ended["artifact_code"]) == (entry["uuid"], 0)
    assert ended["artifact_path"] == f"{done['path']}/index.mp4"
    assert ended["artifact_url"] == done["url"]
    assert hook.actions() == ["on_record_begin", "on_record_end"]

    wait_until_sync(lambda: daemon.state("recordings", "archive") == "waiting")
    assert_on_page(daemon, done)
    assert_listed(daemon, done)

    daemon.write(daemon.head() + STREAMS + rule(tmp_path / "rec", resume="1s"))
    wait_until_sync(lambda: get(done["url"])[0] == 404, what="the recording not to be served")
    assert Path(done["path"], "index.mp4").exists()


def assert_served(done: dict[str, Any]) -> None:
    """A recording is served, whole and in parts, and what stands with it is not."""
    content = Path(done["path"], "index.mp4").read_bytes()
    assert get(done["url"]) == (200, content)
    assert get(done["url"], Range="bytes=10-19") == (206, content[10:20])
    assert get(done["url"].replace("index.mp4", "recording.json"))[0] == 404


def assert_on_page(daemon: Streamd, done: dict[str, Any]) -> None:
    """The status page plays a recording, from the server and from nowhere else."""
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.status_port}/") as answer:
        policy, page = answer.headers["Content-Security-Policy"], answer.read().decode()
    assert f"media-src http://127.0.0.1:{daemon.http};" in policy
    assert f'<video controls preload="none" src="{done["url"]}">' in page


def assert_listed(daemon: Streamd, done: dict[str, Any]) -> None:
    """The commands tell of a recording, the only one."""
    listed = json.loads(daemon.cli("recordings", "--json", check=True).stdout)["recordings"]
    assert [(each["uuid"], each["state"]) for each in listed] == [(done["uuid"], "finished")]
    assert done["uuid"] in daemon.cli("recordings", check=True).stdout
    assert "finished in" in daemon.cli("logs", "archive", check=True).stdout


@pytest.mark.skipif(chromium_path() is None, reason="needs Chromium (Debian: chromium)")
def test_a_recording_is_played_on_the_status_page_while_that_renews_itself(
    daemon: Streamd, tmp_path: Path
) -> None:
    daemon.write(daemon.head() + STREAMS + rule(tmp_path, serve="true", resume="1s"))
    daemon.start()
    with publisher(daemon.url("live/show")):
        wait_recorded(daemon, 12)
    finished(daemon)
    with chromium() as browser, browser.tab(f"http://127.0.0.1:{daemon.status_port}/") as page:
        wait_until_sync(lambda: page.run("!!document.querySelector('video')"))
        page.run("window.shown = document.querySelector('main')")
        page.run("window.video = document.querySelector('video')")
        page.run("document.querySelector('details').open = true")
        page.run("video.muted = true; video.play()")
        wait_until_sync(lambda: page.run("video.currentTime > 3"), what="3 s to be played")
        assert page.run("shown !== document.querySelector('main')"), "the page was not renewed"
        assert page.run("video === document.querySelector('video') && !video.paused")
        page.run("video.currentTime = video.duration - 1")  # which takes a Range request
        wait_until_sync(lambda: page.run("video.ended"), what="the end")
        page.run("document.querySelector('details').open = false")
        wait_until_sync(lambda: page.run("video !== document.querySelector('video')"))


NAUGHTY = ["..", "a/../../b", "..\0a", "x" * 300, "caf\u00e9"]


def test_a_name_that_no_file_should_have_is_neither_published_nor_recorded(
    daemon: Streamd, tmp_path: Path
) -> None:
    place = rule(Path(f"'{tmp_path}/rec/{{app}}'"), name="'{stream}/{uuid}'")
    daemon.write(daemon.head() + "streams: {'live/*': {keys: any}}\n" + place)
    daemon.start()
    tags = FlvReader().feed(flv_clip(tmp_path).read_bytes())

    async def publish(name: str) -> str:
        """Publish until the server ends it, and return why."""
        try:
            async with await open_publish(daemon.url(f"live/{name}", None), timeout_s=20) as sent:
                for tag in tags:
                    await sent.send(tag)
                async with asyncio.timeout(20):
                    return await sent.wait_closed()
        except RtmpError as error:
            return str(error)

    async def publish_all() -> list[str]:
        return await asyncio.gather(*map(publish, NAUGHTY))

    with publisher(daemon.url("live/show")):
        wait_recorded(daemon, 1)
        assert all(asyncio.run(publish_all()))
        entries = daemon.status()["recordings"]
        assert [name for name in entries if "@" in name] == [ENTRY]
        assert [*daemon.status()["streams"]] == ["live/show"]
        wait_recorded(daemon, entries[ENTRY]["seconds"] + 1)
    found = {path.name.partition("!2")[0] for path in (tmp_path / "rec/.spool").rglob("*.ts")}
    assert found <= {"live!show"}
    assert {path.name for path in tmp_path.iterdir()} == {"rec", "clip.flv"}
    assert {path.name for path in (tmp_path / "rec").iterdir()} == {".spool", "live"}


def flv_clip(directory: Path) -> Path:
    """Return the clip as FLV."""
    path = directory / "clip.flv"
    argv = (ffmpeg_path(), "-v", "error", "-i", str(clip()), "-c", "copy", str(path))
    subprocess.run(argv, check=True)
    return path


def test_an_edit_restarts_only_what_it_must(daemon: Streamd, tmp_path: Path) -> None:
    def save(**fields: str) -> None:
        daemon.write(daemon.head() + STREAMS + rule(tmp_path / "rec", resume="1s", **fields))

    def archive() -> int:
        return next((p for p, c in daemon.processes().items() if "streamd.archive" in c), 0)

    save()
    daemon.start()
    with publisher(daemon.url("live/show")), publisher(daemon.url("live/other")):
        wait_recorded(daemon, 1)
        wait_until_sync(lambda: "recordings.archive@live/other" in daemon.pids())
        before, first = daemon.pids(), archive()
        save(keep="{for: 30d}", split="1h")
        wait_until_sync(lambda: archive() not in (0, first), what="another archive")
        second = archive()
        wait_recorded(daemon, 7)
        assert daemon.pids() == before
        daemon.write(
            daemon.head()
            + STREAMS
            + rule(tmp_path / "rec", resume="1s", keep="{for: 30d}", split="1h").replace(
                "'*'", "show"
            )
        )
        wait_until_sync(lambda: "recordings.archive@live/other" not in daemon.pids())
        assert archive() == second
        assert daemon.pids() == {n: p for n, p in before.items() if "live/other" not in n}
        daemon.write(daemon.head() + STREAMS)
        wait_until_sync(lambda: not daemon.status()["recordings"])
        wait_until_sync(lambda: not archive(), FINISHED_S, "the archive to end")
        assert daemon.pids() == {"servers.main": before["servers.main"]}


def archives(daemon: Streamd) -> int:
    """Count the archives that run."""
    return sum("streamd.archive" in command for command in daemon.processes().values())


def test_what_is_recorded_by_a_rule_that_is_removed_is_finished_and_told(
    daemon: Streamd, hook: App, tmp_path: Path
) -> None:
    without = daemon.head() + STREAMS + telling(hook)
    daemon.write(without + rule(tmp_path / "rec", resume="1s"))
    daemon.start()
    with publisher(daemon.url("live/show")):
        entry = wait_recorded(daemon, 7)
        server = daemon.pids()["servers.main"]
        daemon.write(without)
        ended = hook.wait_told("on_record_end")
        assert (ended["uuid"], ended["artifact_code"]) == (entry["uuid"], 0)
        assert decoded_frames(ended["artifact_path"], frames=10_000) >= 6.5 * FRAMES_PER_S
        wait_until_sync(lambda: not archives(daemon), FINISHED_S, "the archive to end")
        assert daemon.pids() == {"servers.main": server}
    assert recordings(tmp_path)[0]["state"] == "finished"


@pytest.mark.parametrize("victim", ["archive", "all media", "everything"])
def test_what_a_removed_rule_has_recorded_is_finished_whatever_ends_meanwhile(
    daemon: Streamd, hook: App, tmp_path: Path, victim: str
) -> None:
    without = daemon.head() + STREAMS + telling(hook)
    daemon.write(without + rule(tmp_path / "rec", resume="1h", serve="true"))
    daemon.start()
    with publisher(daemon.url("live/show")):
        entry = wait_recorded(daemon, 7)
        daemon.write(without)
        wait_until_sync(lambda: "archive.leaving" in daemon.log, what="the archive to leave")
        if victim == "all media":
            daemon.stop()
            daemon.start()
        else:
            if victim == "everything":
                daemon.kill()
            kill_archives(daemon)
            if victim == "everything":
                daemon.start()
        ended = hook.wait_told("on_record_end")
    assert (ended["uuid"], ended["artifact_code"]) == (entry["uuid"], 0)
    assert ended["artifact_url"] == ""  # no server serves it any more
    wait_until_sync(lambda: not archives(daemon), FINISHED_S, "the archive to end")
    assert hook.actions().count("on_record_end") == 1


def kill_archives(daemon: Streamd) -> None:
    for pid, command in daemon.processes().items():
        if "streamd.archive" in command:
            os.kill(pid, signal.SIGKILL)


def test_a_rule_that_gets_another_directory_finishes_in_the_one_before(
    daemon: Streamd, hook: App, tmp_path: Path
) -> None:
    def save(directory: str) -> None:
        section = rule(tmp_path / directory, resume="1s")
        daemon.write(daemon.head() + STREAMS + telling(hook) + section)

    save("before")
    daemon.start()
    with publisher(daemon.url("live/show")):
        first = wait_recorded(daemon, 7)
        save("after")
        ended = hook.wait_told("on_record_end")
        assert (ended["uuid"], ended["artifact_code"]) == (first["uuid"], 0)
        second = wait_recorded(daemon, 1)
        assert second["path"].startswith(str(tmp_path / "after"))
        wait_until_sync(lambda: archives(daemon) == 1, FINISHED_S, "one archive to stay")
    wait_until_sync(
        lambda: [each["state"] for each in recordings(tmp_path)] == ["finished"] * 2, FINISHED_S
    )


VICTIMS = ["recorder", "archive", "server", "supervisord", "streamd", "all"]


@pytest.mark.parametrize("victim", VICTIMS)
def test_whatever_is_killed_there_is_one_recording_and_it_is_told_once(
    daemon: Streamd, hook: App, tmp_path: Path, victim: str
) -> None:
    # Long enough for who has to come back on a busy machine: the encoder, or the recorder alone.
    resume = "20s" if victim in ("server", "supervisord", "all") else "8s"
    text = telling(hook) + rule(tmp_path / "rec", resume=resume)
    daemon.write(daemon.head() + STREAMS + text)
    daemon.start()
    with publisher(daemon.url("live/show")) as encoder:
        first = wait_recorded(daemon, 4)
        killed_at = kill(daemon, victim)
        if victim in ("streamd", "all"):
            daemon.kill()
            daemon.start()
        if victim in ("server", "supervisord", "all"):
            wait_until_sync(lambda: not encoder.alive(), what="the encoder to lose its server")
            daemon.wait_for_state("servers", "main", "running")
        goes_on = contextlib.nullcontext(encoder)
        with goes_on if encoder.alive() else publisher(daemon.url("live/show")):
            later = wait_recorded(daemon, first["seconds"] + 4)
    assert later["uuid"] == first["uuid"]
    (done,) = finished(daemon)
    assert done["uuid"] == first["uuid"]
    hook.wait_told("on_record_end")
    assert [(each["action"], each["uuid"]) for each in hook.received] == [
        ("on_record_begin", first["uuid"]),
        ("on_record_end", first["uuid"]),
    ]

    (kept,) = recordings(tmp_path / "rec")
    assert kept["state"] == "finished"
    runs = kept["runs"]
    if victim not in ("streamd", "archive"):
        assert len(runs) == 2
        assert killed_at - unix(runs[0]["ended_at"]) <= 1.0
    else:
        assert len(runs) == 1
    recorded_s = sum(run["seconds"] for run in runs)
    assert abs(done["seconds"] - recorded_s) <= 1.0
    # Whoever comes to nginx-rtmp in mid-stream has sound until the next keyframe, within a second.
    pictures_s = recorded_s - 1.0 * len(runs)
    frames = decoded_frames(f"{done['path']}/index.mp4", frames=10_000)
    assert frames >= (pictures_s - 1.0) * FRAMES_PER_S
    assert not [*(tmp_path / "rec/.spool").rglob("*.ts")]


def kill(daemon: Streamd, victim: str) -> float:
    """End processes as a power cut would, and return when that was (Unix time)."""
    status = daemon.status()
    pids = {
        "recorder": status["recordings"][ENTRY]["pid"],
        "server": status["servers"]["main"]["pid"],
        "supervisord": daemon.supervisord(),
        "archive": next(p for p, c in daemon.processes().items() if "streamd.archive" in c),
        "streamd": daemon.process.pid if daemon.process else None,
    }
    victims = [*pids.values()] if victim == "all" else [pids[victim]]
    at = time.time()
    for pid in victims:
        if pid:
            os.kill(pid, signal.SIGKILL)
    return at


def unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@as_root
def test_a_full_disk_stops_recordings_and_nothing_else(daemon: Streamd, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, "20m"):
        daemon.write(daemon.head() + STREAMS + rule(disk, keep="{free: 30%}"))
        daemon.start()
        with publisher(daemon.url("live/show")) as encoder:
            wait_recorded(daemon, 1)
            (disk / "filler").write_bytes(bytes(15 << 20))
            daemon.wait_for_state("recordings", ENTRY, "paused")
            wait_until_sync(lambda: recorder(daemon) == 0, what="the recorder to end")
            entry = daemon.status()["recordings"][ENTRY]
            assert "too little of the disk is free" in entry["last_error"]
            assert daemon.state("streams", "live/show") == "live"
            server = daemon.pids()["servers.main"]
            (disk / "filler").unlink()
            wait_recorded(daemon, entry["seconds"] + 1)
            assert encoder.alive()
            assert daemon.pids()["servers.main"] == server


@as_root
def test_a_mount_that_hangs_holds_up_nothing(daemon: Streamd, tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    mount.mkdir()
    with hanging_mount(mount):
        text = STREAMS + rule(mount, serve="true")
        daemon.write(daemon.head() + text)
        checked = daemon.cli("check")
        assert checked.returncode == 0
        assert "did not answer for 3 s; if it is a mount" in checked.stderr
        daemon.start()
        with publisher(daemon.url("live/show")):
            daemon.wait_for_state("streams", "live/show", "live")
            daemon.wait_for_state("recordings", ENTRY, "error")
            entry = daemon.status()["recordings"][ENTRY]
            assert "does not answer" in entry["last_error"]
            assert recorder(daemon) == 0
            edited = text.replace("other:", "third:")
            daemon.write(daemon.head() + edited)
            wait_until_sync(lambda: "live/third" in daemon.status()["streams"])
            assert decoded_frames(daemon.url("live/show", None)) == FRAMES_PER_S
        assert daemon.stop() == 0


@pytest.mark.parametrize("engine", ["nginx-rtmp"], indirect=True)
def test_a_recording_is_uploaded_once_the_keys_are_right_and_stays_there_alone(
    daemon: Streamd, hook: App, tmp_path: Path
) -> None:
    with object_store(tmp_path) as store:

        def save(secret: str) -> None:
            options = store.options | {"secret_access_key": secret}
            storage = (
                f"storages:\n  cloud: {{url: '{store.url}', options: {json.dumps(options)}}}\n"
            )
            recorded = rule(tmp_path / "rec", resume="1s", upload="cloud", keep_local="false")
            text = telling(hook) + storage + recorded
            daemon.write(daemon.head() + STREAMS + text)

        save("wrong-secret-that-nobody-may-see")
        daemon.start()
        with publisher(daemon.url("live/show")):
            path = wait_recorded(daemon, 3)["path"]
        daemon.wait_for_state("storages", "cloud", "error", FINISHED_S)
        assert "SignatureDoesNotMatch" in daemon.status()["storages"]["cloud"]["last_error"]
        assert daemon.state("recordings", ENTRY) == "uploading"
        found = daemon.cli("doctor", check=False).stdout
        assert "storages.cloud: SignatureDoesNotMatch" in found
        save(STORE_SECRET)
        wait_until_sync(
            lambda: [each["local"] for each in daemon.status()["recorded"]] == [False], FINISHED_S
        )
        (done,) = daemon.status()["recorded"]
        assert done["uploaded"]
        below = Path(path).relative_to(tmp_path / "rec")
        assert done["url"] == f"{store.options['endpoint']}/bucket/rec/{below}/index.mp4"
        data = store.files()[f"{below}/index.mp4"]
        copy = tmp_path / "copy.mp4"
        copy.write_bytes(data)
        assert decoded_frames(str(copy), frames=10_000) >= 2.5 * FRAMES_PER_S
        assert hook.wait_told("on_record_end")["artifact_url"] == done["url"]
        wait_until_sync(lambda: not Path(path).exists(), what="nothing to stay here")
        for text in (daemon.log, json.dumps(daemon.status()), found):
            assert "wrong-secret" not in text
            assert STORE_SECRET not in text
