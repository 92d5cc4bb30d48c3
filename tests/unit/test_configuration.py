"""A file's way into use, with a real file and a real FFmpeg."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamd.configuration import Accepted, Configuration
from streamd.errors import ConfigError, PlanRefusedError, PortTakenError, StreamdError
from tests.support.core import Core, core_in, running
from tests.support.waiting import wait_until

FILE = """\
version: 1
daemon: {max_stop: 50%}
servers:
  main: {engine: srs, binary: /bin/true, listen: {rtmp: 1935, api: 1985}}
streams:
  "*": {keys: any}
targets:
  out: {stream: a, url: "rtmp://cdn.example.com/app", key: TARGETKEY}
"""
MANY = FILE + "".join(
    f'  t{n}: {{stream: a, url: "rtmp://cdn.example.com/app", key: KEY{n}}}\n' for n in range(5)
)


class Daemon:
    """A configuration over a machine in memory."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.path = core.settings.config
        self.accepted: list[Accepted] = []
        self.refusal: StreamdError | None = None
        self.configuration = self.another()

    def another(self) -> Configuration:
        """Return the configuration of a streamd that starts on the same directories."""
        core = self.core
        return Configuration(
            self.path, core.settings.last_good, core.servers, core.reconciler, self._accept
        )

    async def _accept(self, accepted: Accepted) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.accepted.append(accepted)

    async def save(self, text: str, *, asked: bool = False, force: bool = False) -> list[str]:
        """Save the file, and return what was changed in words."""
        self.path.write_text(text)
        changed = await self.configuration.reload(asked=asked, force=force)
        return [str(change) for change in changed]

    async def live(self, text: str, *targets: str) -> None:
        """Bring a file on air, with somebody who publishes."""
        await self.save(text)
        await self.core.until_runs("server.main")
        self.core.publish()
        await self.core.until_runs(*targets)
        await self.core.settled()

    @property
    def state(self) -> str:
        return self.configuration.state.state


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with core_in(tmp_path) as core, running(core):
        yield Daemon(core)


async def test_a_good_file_is_applied_and_kept(daemon: Daemon) -> None:
    changed = await daemon.save(FILE)
    assert any(line.startswith("+ target out: create") for line in changed)
    assert daemon.state == "applied"
    assert json.loads(daemon.core.settings.last_good.read_text())["targets"]["out"]
    await daemon.core.until_runs("server.main")


async def test_the_same_again_changes_nothing(daemon: Daemon) -> None:
    await daemon.save(FILE)
    assert await daemon.save("# a remark\n" + FILE) == []
    assert len(daemon.accepted) == 1


async def test_a_bad_file_leaves_what_is_applied(daemon: Daemon) -> None:
    await daemon.save(FILE)
    with pytest.raises(ConfigError):
        await daemon.save(FILE.replace("stream: a", "stream: [a"))
    assert daemon.state == "rejected"
    assert daemon.configuration.state.errors
    assert daemon.core.reconciler.desired is daemon.accepted[0].desired
    assert await daemon.save(FILE) == []
    assert (daemon.state, daemon.configuration.state.errors) == ("applied", ())


async def test_a_file_that_its_server_refuses_is_not_applied(daemon: Daemon) -> None:
    await daemon.save(FILE)
    daemon.core.main.refused = "unknown directive"
    with pytest.raises(ConfigError, match=r"servers\.main: unknown directive"):
        await daemon.save(FILE.replace("rtmp: 1935", "rtmp: 1936"))
    assert daemon.core.main.made - daemon.core.main.closed == 1


async def test_a_file_that_was_refused_for_a_port_is_worth_a_try_once_that_is_free(
    daemon: Daemon,
) -> None:
    await daemon.save(FILE)
    assert not daemon.configuration.waited_for_port()
    daemon.core.main.busy = "TCP port 1936 is taken"
    with pytest.raises(ConfigError, match="taken"):
        await daemon.save(FILE.replace("rtmp: 1935", "rtmp: 1936"))
    assert not daemon.configuration.waited_for_port()
    daemon.core.main.busy = None
    assert daemon.configuration.waited_for_port()
    await daemon.configuration.reload()
    assert (daemon.state, daemon.configuration.waited_for_port()) == ("applied", False)


async def test_a_port_that_others_have_is_told_where_it_stands(daemon: Daemon) -> None:
    await daemon.save(FILE)
    daemon.core.main.busy = "TCP port 1936 is taken"
    with pytest.raises(ConfigError) as caught:
        await daemon.save(FILE.replace("rtmp: 1935", "rtmp: 1936"))
    assert str(caught.value) == (
        f"{daemon.path}:4:57: servers.main.listen.rtmp: TCP port 1936 is taken"
    )
    with pytest.raises(ConfigError) as caught:  # now with the usual ports
        await daemon.save(FILE.replace(", listen: {rtmp: 1935, api: 1985}", ""))
    assert str(caught.value) == (
        f"{daemon.path}:4:3: servers.main.listen.rtmp: TCP port 1936 is taken"
    )


@pytest.mark.parametrize(
    ("fields", "place"),
    [("status: '127.0.0.1:3999', ", ":2:18"), ("", ":2:1")],
    ids=["written", "by default"],
)
async def test_an_address_of_the_daemon_that_others_have_is_too(
    daemon: Daemon, fields: str, place: str
) -> None:
    await daemon.save(FILE)
    daemon.refusal = PortTakenError([(("daemon", "status"), "TCP port 1 is taken")], lambda: True)
    with pytest.raises(ConfigError) as caught:
        await daemon.save(FILE.replace("max_stop: 50%", f"{fields}max_stop: 40%"))
    assert str(caught.value) == f"{daemon.path}{place}: daemon.status: TCP port 1 is taken"
    assert daemon.configuration.waited_for_port()
    daemon.refusal = None
    await daemon.configuration.reload()
    assert daemon.state == "applied"


async def test_a_file_that_was_refused_for_something_else_waits_for_no_port(
    daemon: Daemon,
) -> None:
    daemon.core.main.refused = "unknown directive"
    with pytest.raises(ConfigError):
        await daemon.save(FILE)
    assert not daemon.configuration.waited_for_port()


async def test_a_save_that_cannot_be_carried_out_leaves_targets_alone(daemon: Daemon) -> None:
    await daemon.live(FILE, "target.out")
    daemon.refusal = StreamdError("the status endpoint's port is taken")
    with pytest.raises(StreamdError, match="taken"):
        await daemon.save(FILE.replace("max_stop: 50%", "hooks: '127.0.0.1:3999'"))
    await daemon.core.settled()
    assert daemon.state == "rejected"
    assert daemon.core.runner.starts("target.out") == 1
    assert daemon.core.runner.starts("server.main") == 1


async def test_a_full_disk_neither_ends_anything_nor_undoes_what_is_applied(
    daemon: Daemon,
) -> None:
    daemon.core.settings.last_good.mkdir()  # nothing can be written there
    await daemon.save(FILE)
    assert daemon.state == "applied"
    assert daemon.configuration.applied is daemon.accepted[0]
    assert await daemon.save(FILE) == []
    await daemon.core.until_runs("server.main")


async def test_a_manual_save_waits_until_somebody_asks(daemon: Daemon) -> None:
    manual = FILE.replace("max_stop: 50%", "apply: manual")
    await daemon.save(manual, asked=True)
    changed = manual.replace("TARGETKEY", "OTHERKEY")
    assert await daemon.save(changed) == []
    assert daemon.state == "pending"
    assert len(daemon.accepted) == 1
    assert await daemon.save(changed, asked=True)
    assert daemon.state == "applied"


async def test_a_save_that_would_stop_too_much_is_refused_unless_forced(daemon: Daemon) -> None:
    names = ["target.out", *(f"target.t{n}" for n in range(5))]
    await daemon.live(MANY, *names)
    daemon.path.write_text(FILE)
    preview = await daemon.configuration.preview(daemon.path)
    assert "would stop 5 of 7" in (preview.refused or "")
    with pytest.raises(PlanRefusedError, match="would stop 5 of 7"):
        await daemon.save(FILE)
    assert daemon.state == "rejected"
    assert all(map(daemon.core.runner.runs, names))
    await daemon.save(FILE, force=True)
    assert daemon.configuration.state.untouched == 2
    await wait_until(lambda: not daemon.core.runner.knows("target.t0"), 10)


async def test_a_save_cannot_lift_the_guard_for_itself(daemon: Daemon) -> None:
    await daemon.live(MANY, "target.out", *(f"target.t{n}" for n in range(5)))
    with pytest.raises(PlanRefusedError):
        await daemon.save(FILE.replace("50%", "100%"))


async def test_an_edit_that_changes_no_running_job_touches_nothing(daemon: Daemon) -> None:
    await daemon.live(FILE, "target.out")
    backup = FILE.replace("key: T", 'backup_url: "rtmp://two.example.com/app", key: T')
    (changed,) = await daemon.save(backup)
    assert changed.endswith("touches nothing live")
    await daemon.core.settled()
    assert daemon.configuration.state.untouched == 2
    assert daemon.core.runner.starts("target.out") == 1


async def test_a_start_says_what_was_changed_since_the_file_was_applied_last(
    daemon: Daemon,
) -> None:
    await daemon.save(FILE)
    assert await daemon.another().reload() == ()
    daemon.path.write_text(FILE.replace("TARGETKEY", "OTHERKEY"))
    (change,) = await daemon.another().reload()
    assert (change.kind, change.name, change.action) == ("target", "out", "update")


async def test_a_preview_touches_nothing(daemon: Daemon, tmp_path: Path) -> None:
    await daemon.save(FILE)
    other = tmp_path / "other.yaml"
    other.write_text(FILE.replace("TARGETKEY", "OTHERKEY"))
    preview = await daemon.configuration.preview(other)
    (change,) = preview.changes
    assert preview.refused is None
    assert (change.kind, change.name) == ("target", "out")
    assert len(daemon.accepted) == 1
    other.write_text("version: 2")
    with pytest.raises(ConfigError):
        await daemon.configuration.preview(other)
    assert daemon.state == "applied"


async def test_a_start_with_a_bad_file_goes_on_air_with_the_last_good_one(daemon: Daemon) -> None:
    await daemon.save(FILE)
    daemon.configuration = daemon.another()
    with pytest.raises(ConfigError):
        await daemon.save("version: 1\nnonsense: 1\n")
    await daemon.configuration.fall_back()
    assert daemon.state == "fallback"
    assert daemon.configuration.state.errors
    assert daemon.accepted[1].desired == daemon.accepted[0].desired
    assert "TARGETKEY" in daemon.accepted[1].secrets
    await daemon.save(FILE)
    assert daemon.state == "applied"


async def test_a_first_start_with_a_bad_file_has_nothing_to_go_on_air_with(
    daemon: Daemon,
) -> None:
    with pytest.raises(ConfigError):
        await daemon.save("nonsense: 1\n")
    with pytest.raises(ConfigError, match="nonsense"):
        await daemon.configuration.fall_back()


async def test_what_was_read_is_watched_also_when_it_is_bad(daemon: Daemon) -> None:
    more = daemon.path.parent / "more.yaml"
    more.write_text("targets: {}\n")
    await daemon.save("include: [more.yaml]\n" + FILE)
    assert daemon.configuration.watched[0] >= {daemon.path, more}
    more.write_text("targets: [\n")
    with pytest.raises(ConfigError):
        await daemon.configuration.reload()
    assert daemon.configuration.watched[0] >= {daemon.path, more}
