"""Saving the file, in every way that editors and tools save."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.media import publisher
from tests.support.receiver import receiver
from tests.support.streamd import SECRET, Streamd, streamd
from tests.support.waiting import wait_until_sync


@pytest.fixture
def daemon() -> Iterator[Streamd]:
    """What is tested here does not depend on the engine; the embedded one is always there."""
    with streamd("nginx-rtmp") as made:
        yield made


def base(daemon: Streamd, *targets: str) -> str:
    listed = "".join(
        f"  {name}: {{stream: show, url: 'rtmp://127.0.0.1:9/app', key: k-{name}}}\n"
        for name in targets
    )
    return f"""{daemon.head()}
keys: {{studio: {{secret: {SECRET}}}}}
streams: {{show: {{keys: [studio]}}}}
targets:
{listed or "  {}"}
"""


def names(daemon: Streamd) -> set[str]:
    return set(daemon.status()["targets"])


def has(daemon: Streamd, *targets: str) -> None:
    """Wait until exactly these targets exist."""
    wait_until_sync(lambda: names(daemon) == set(targets), what=f"the targets {targets}")


def config_state(daemon: Streamd) -> str:
    return str(daemon.status()["config"]["state"])


def test_a_save_of_the_same_meaning_does_nothing(daemon: Streamd, tmp_path: Path) -> None:
    daemon.write(base(daemon, "a"))
    daemon.start()
    before = daemon.status()["config"]
    pids = daemon.pids()
    daemon.write("# a comment\n" + base(daemon, "a").replace("keys: {studio", "keys:  {studio"))
    assert "nothing to do" in daemon.cli("reload", check=True).stdout
    after = daemon.status()["config"]
    assert (after["hash"], after["applied_at"]) == (before["hash"], before["applied_at"])
    assert daemon.pids() == pids


def test_a_broken_save_touches_nothing_and_is_shown_everywhere_until_it_is_good(
    daemon: Streamd, tmp_path: Path
) -> None:
    daemon.write(base(daemon, "a"))
    daemon.start()
    server = daemon.pids()["servers.main"]
    with publisher(daemon.url("live/show")) as encoder:
        wait_until_sync(lambda: daemon.state("streams", "live/show") == "live")
        broken = base(daemon, "a").replace("keys: [studio]", "keyz: [studio]")
        daemon.write(broken)
        wait_until_sync(lambda: config_state(daemon) == "rejected")
        (error, *_) = daemon.status()["config"]["errors"]
        assert error["line"] == broken[: broken.index("keyz")].count("\n") + 1
        assert "keys" in error["message"]
        assert "config.rejected" in daemon.log
        checked = daemon.cli("check")
        assert checked.returncode == 1
        assert f"{daemon.config}:{error['line']}:" in checked.stderr
        reload = daemon.cli("reload")
        assert reload.returncode == 1
        assert f":{error['line']}:" in reload.stderr
        assert encoder.alive()
        assert daemon.pids()["servers.main"] == server
        daemon.write(base(daemon, "a"))
        wait_until_sync(lambda: config_state(daemon) == "applied")
        assert daemon.status()["config"]["errors"] == []


def in_place(daemon: Streamd, text: str) -> None:
    daemon.config.write_text(text)


def by_rename(daemon: Streamd, text: str) -> None:
    daemon.write(text)


def with_backup(daemon: Streamd, text: str) -> None:
    daemon.config.rename(daemon.config.with_name("config.yaml~"))
    daemon.config.write_text(text)


def in_pieces(daemon: Streamd, text: str) -> None:
    """Write as a slow tool does, with the file open all the time."""
    half = text.index("targets:") + 12
    script = (
        "import sys, time\n"
        "with open(sys.argv[1], 'w') as file:\n"
        "    for piece in sys.argv[2:]:\n"
        "        file.write(piece)\n"
        "        file.flush()\n"
        "        time.sleep(0.7)\n"
    )
    subprocess.run(
        ["python3", "-c", script, str(daemon.config), text[:half], text[half:]], check=True
    )


def deleted_first(daemon: Streamd, text: str) -> None:
    daemon.config.unlink()
    wait_until_sync(lambda: config_state(daemon) == "rejected")
    daemon.config.write_text(text)


def by_link(daemon: Streamd, text: str) -> None:
    """Swap a link, as Kubernetes and configuration managers do."""
    target = daemon.directory / f"version-{time.monotonic_ns()}.yaml"
    target.write_text(text)
    link = daemon.directory / "new-link"
    link.symlink_to(target)
    link.replace(daemon.config)


@pytest.mark.parametrize(
    "save", [in_place, by_rename, with_backup, in_pieces, deleted_first, by_link]
)
def test_every_way_of_saving_ends_in_the_last_content(daemon: Streamd, save: object) -> None:
    assert callable(save)
    daemon.write(base(daemon, "a", "b"))
    daemon.start()
    save(daemon, base(daemon, "a", "c", "d"))
    has(daemon, "a", "c", "d")
    save(daemon, base(daemon, "e"))
    has(daemon, "e")


def test_two_saves_within_a_moment_end_in_the_second(daemon: Streamd) -> None:
    daemon.write(base(daemon, "a"))
    daemon.start()
    for number in range(10):
        daemon.write(base(daemon, f"x{number}"))
        daemon.write(base(daemon, f"y{number}"))
        has(daemon, f"y{number}")


def test_secret_files_and_includes_are_watched(daemon: Streamd) -> None:
    secret = daemon.directory / "studio.key"
    secret.write_text(SECRET + "\n")
    (daemon.directory / "conf.d").mkdir()
    daemon.write(
        daemon.head()
        + """
include: ["conf.d/*.yaml"]
keys: {studio: {secret: "${file:studio.key}"}}
streams: {show: {keys: [studio]}}
"""
    )
    daemon.start()
    with publisher(daemon.url("live/show")) as encoder:
        wait_until_sync(lambda: daemon.state("streams", "live/show") == "live")
        target = "targets: {more: {stream: show, url: 'rtmp://127.0.0.1:9/app/k'}}\n"
        (daemon.directory / "conf.d" / "more.yaml").write_text(target)
        has(daemon, "more")
        assert encoder.alive()
        secret.write_text("a-rotated-secret-of-the-studio\n")
        wait_until_sync(lambda: not encoder.alive(), what="the old secret's publisher to go")


def test_the_guard_keeps_what_is_live_until_forced(daemon: Streamd, tmp_path: Path) -> None:
    with receiver(tmp_path, "in") as platform:
        text = base(daemon, *"abcdef").replace("127.0.0.1:9/app", f"127.0.0.1:{platform.port}/in")
        daemon.write(text)
        daemon.start()
        with publisher(daemon.url("live/show")):
            for name in "abcdef":
                daemon.wait_for_state("targets", name, "live")
            pids = daemon.pids()
            few = base(daemon, "a").replace("127.0.0.1:9/app", f"127.0.0.1:{platform.port}/in")
            daemon.write(few)
            wait_until_sync(lambda: config_state(daemon) == "rejected")
            assert "--force" in daemon.status()["config"]["errors"][0]["message"]
            assert daemon.pids() == pids
            assert daemon.cli("plan").returncode == 2
            assert daemon.cli("reload").returncode == 1
            forced = daemon.cli("reload", "--force", "--wait", check=True).stdout
            assert "- target b: remove; 1 live target" in forced
            assert set(daemon.pids()) == {"servers.main", "targets.a"}


def test_manual_waits_for_the_command(daemon: Streamd) -> None:
    manual = daemon.head(daemon=", apply: manual")
    daemon.write(base(daemon, "a").replace(daemon.head(), manual))
    daemon.start()
    daemon.write(base(daemon, "a", "b").replace(daemon.head(), manual))
    wait_until_sync(lambda: config_state(daemon) == "pending")
    assert names(daemon) == {"a"}
    daemon.cli("reload", check=True)
    assert names(daemon) == {"a", "b"}


def test_plan_says_what_a_save_would_do(daemon: Streamd) -> None:
    daemon.write(base(daemon, "a"))
    daemon.start()
    assert daemon.cli("plan").returncode == 0
    other = daemon.directory / "other.yaml"
    other.write_text(base(daemon, "b").replace("host: 127.0.0.1", "host: live.example.com"))
    planned = daemon.cli("plan", str(other))
    assert planned.returncode == 2
    assert planned.stdout.splitlines()[:3] == [
        "~ server main: update (host); touches nothing live",
        "- target a: remove; touches nothing live",
        "+ target b: create; touches nothing live",
    ]
    assert names(daemon) == {"a"}


def test_a_boot_with_a_bad_file_goes_on_air_with_the_last_good_one(daemon: Streamd) -> None:
    daemon.write(base(daemon, "a"))
    daemon.start()
    daemon.stop()
    daemon.write("version: 1\nstreams: [")
    daemon.start()
    assert config_state(daemon) == "fallback"
    assert names(daemon) == {"a"}
    assert daemon.status()["config"]["errors"]
    daemon.stop()
    assert daemon.start("--no-fallback", ready=False).process is not None
    assert daemon.process is not None
    assert daemon.process.wait(30) == 78
    mode = (daemon.directory / "state" / "last-good.json").stat().st_mode
    assert mode & 0o077 == 0


def test_sighup_reloads(daemon: Streamd) -> None:
    daemon.write(base(daemon, "a").replace("version: 1", "version: 1"))
    daemon.start()
    assert daemon.process is not None
    daemon.write(base(daemon, "b"))
    os.kill(daemon.process.pid, 1)
    has(daemon, "b")
