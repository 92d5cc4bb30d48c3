"""What the commands that need no daemon print and exit with."""

import errno
import json
import re
import socket
from inspect import signature
from pathlib import Path
from pkgutil import resolve_name

import pytest

from streamd.cli import COMMANDS, Command, build_parser, main
from streamd.commands.plan import CHANGES
from streamd.config.load import load
from streamd.config.models import Config
from streamd.version import __version__
from streamd.whole_file import write_whole

GOOD = """\
version: 1
ffmpeg: /bin/true
servers:
  main: {engine: srs, binary: /bin/true, host: live.example.com, listen: {rtmp: 1935, api: 1985}}
keys:
  studio: {secret: correct-horse-battery}
streams:
  show: {keys: [studio]}
targets:
  out: {stream: show, url: "rtmp://cdn.example.com/app", key: TARGETKEY}
"""
BAD = "version: 1\nstreams:\n  show: {keys: [nobody]}\n  a b: {keys: any}\n"


class Cli:
    """Runs commands in one directory."""

    def __init__(self, directory: Path, output: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self.config = directory / "config.yaml"
        self._output = output

    def __call__(self, command: str, *arguments: str) -> tuple[int, str, str]:
        """Return exit status, stdout and stderr."""
        places = [f"--{name}-dir={self.directory / name}" for name in ("state", "runtime", "log")]
        status = main([command, f"--config={self.config}", *places, *arguments])
        printed = self._output.readouterr()
        return status, printed.out, printed.err

    def applied(self) -> None:
        """Leave what a daemon that applied the file leaves."""
        (self.directory / "state").mkdir(exist_ok=True)
        data = load(self.config, environment={}, credentials_directory=None).data
        write_whole(self.directory / "state/last-good.json", json.dumps(data))


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    made = Cli(tmp_path, capsys)
    made.config.write_text(GOOD)
    return made


def test_a_good_file_is_ok(cli: Cli) -> None:
    assert cli("check") == (0, f"{cli.config}: ok\n", "")
    status, out, _ = cli("check", "--json")
    assert (status, json.loads(out)) == (0, {"ok": True, "errors": [], "warnings": []})


def test_a_bad_file_says_every_problem_and_where(cli: Cli) -> None:
    cli.config.write_text(BAD)
    status, out, err = cli("check")
    assert (status, out) == (1, "")
    assert f"{cli.config}:3:" in err
    assert "nobody" in err
    assert f"{cli.config}:4:" in err
    status, out, _ = cli("check", "--json")
    told = json.loads(out)
    assert (status, told["ok"]) == (1, False)
    assert {error["line"] for error in told["errors"]} == {3, 4}


def test_another_file_than_the_configured_one_can_be_checked(cli: Cli, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(BAD)
    assert cli("check", str(other))[0] == 1
    assert cli("check", str(cli.config))[0] == 0


def test_a_file_that_is_not_there_is_an_error(cli: Cli) -> None:
    cli.config.unlink()
    status, out, err = cli("check")
    assert (status, out) == (1, "")
    assert str(cli.config) in err


def test_strict_takes_warnings_for_errors(cli: Cli) -> None:
    cli.config.write_text(GOOD.replace("[studio]", "[studio, studio]"))
    status, out, err = cli("check")
    assert (status, out) == (0, f"{cli.config}: ok\n"), err
    assert "warning" in err
    assert cli("check", "--strict")[:2] == (1, "")
    told = json.loads(cli("check", "--strict", "--json")[1])
    assert (told["ok"], told["errors"], len(told["warnings"])) == (False, [], 1)


def test_a_plan_before_anything_was_applied_makes_everything(cli: Cli) -> None:
    status, out, _ = cli("plan")
    assert status == CHANGES
    assert "+ target out: create" in out
    assert out.endswith("nothing was ever applied: 4 changes\n")
    assert "TARGETKEY" not in out
    assert "correct-horse" not in out


def test_a_plan_compares_with_what_was_applied_last(cli: Cli) -> None:
    cli.applied()
    status, out, _ = cli("plan")
    assert (status, out) == (
        0,
        "no streamd runs; compared with what was applied last: nothing to do\n",
    )
    cli.config.write_text(GOOD.replace("TARGETKEY", "OTHERKEY"))
    status, out, _ = cli("plan")
    assert status == CHANGES
    assert out.startswith("~ target out: update (url or key)")
    assert "KEY" not in out


def test_a_plan_beside_the_socket_of_a_killed_daemon_is_made_without_it(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.applied()
    directory = cli.directory / "runtime"
    directory.mkdir()
    monkeypatch.chdir(directory)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as left:
        left.bind("streamd.sock")
    status, out, _ = cli("plan", "--runtime-dir=/proc/self/cwd")
    assert (status, out) == (
        0,
        "no streamd runs; compared with what was applied last: nothing to do\n",
    )
    status, _, err = cli("status", "--runtime-dir=/proc/self/cwd")
    assert status == 1
    assert "no streamd answers" in err


def test_a_daemon_that_may_not_be_asked_is_not_taken_for_none(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", forbid)
    monkeypatch.chdir(cli.directory)
    status, out, err = cli("plan", "--runtime-dir=/proc/self/cwd")
    assert (status, out) == (1, "")
    assert "Permission denied" in err


def test_a_plan_for_scripts_is_json_and_nothing_else(cli: Cli) -> None:
    cli.applied()
    status, out, _ = cli("plan", "--json")
    assert (status, json.loads(out)) == (0, {"changes": [], "refused": None})
    cli.config.write_text(GOOD.replace("show", "stage"))
    status, out, _ = cli("plan", "--json")
    kinds = {(change["kind"], change["action"]) for change in json.loads(out)["changes"]}
    assert status == CHANGES
    assert kinds == {("stream", "create"), ("stream", "remove"), ("target", "update")}


def test_a_plan_of_a_bad_file_is_an_error_and_not_a_change(cli: Cli) -> None:
    cli.config.write_text(BAD)
    status, out, err = cli("plan")
    assert (status, out) == (1, "")
    assert "nobody" in err


@pytest.mark.parametrize("command", ["status", "reload"])
def test_what_needs_a_daemon_says_that_none_runs(cli: Cli, command: str) -> None:
    status, out, err = cli(command)
    assert (status, out) == (1, "")
    assert "no streamd answers" in err


@pytest.mark.parametrize("command", ["status", "reload", "plan", "urls", "recordings", "doctor"])
def test_what_fails_is_json_too_where_that_is_asked_for(
    cli: Cli, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMD_SUPERVISOR", "both")
    status, out, err = cli(command, "--json")
    told = json.loads(out)
    assert (status, told["ok"], err) == (1, False, "")
    assert [error.keys() for error in told["errors"]] == [{"message"}]
    assert "STREAMD_SUPERVISOR" in told["errors"][0]["message"]


@pytest.mark.parametrize("command", ["plan", "urls"])
def test_what_is_wrong_with_the_file_is_json_as_check_prints_it(cli: Cli, command: str) -> None:
    cli.config.write_text(BAD)
    checked = json.loads(cli("check", "--json")[1])
    status, out, err = cli(command, "--json")
    assert (status, json.loads(out), err) == (1, {"ok": False, "errors": checked["errors"]}, "")
    assert {error["line"] for error in checked["errors"]} == {3, 4}


@pytest.mark.parametrize("wait", ["soon", "-1s", "5"])
def test_a_wait_that_is_none_is_refused_before_anything_is_asked(cli: Cli, wait: str) -> None:
    status, _, err = cli("reload", f"--wait={wait}")
    assert status == 1
    assert f"--wait: {wait!r}" in err


def test_urls_are_printed_without_secrets_unless_asked_for(cli: Cli) -> None:
    status, out, _ = cli("urls")
    assert status == 0
    assert "rtmp://live.example.com/live/show" in out
    assert "correct-horse" not in out
    assert "secret=correct-horse-battery" in cli("urls", "--show-secrets")[1]
    assert "live/show" in cli("urls", "--json")[1]
    assert json.loads(cli("urls", "show", "--json")[1])


def test_urls_of_a_stream_that_cannot_be_are_an_error(cli: Cli) -> None:
    status, out, err = cli("urls", "no such thing")
    assert (status, out) == (1, "")
    assert err


def test_a_new_key_is_made_with_and_without_a_file(cli: Cli) -> None:
    status, out, _ = cli("keygen", "show")
    secret = re.match(r"secret: ([0-9a-f]{32})\n", out)
    assert status == 0
    assert secret is not None
    assert f"rtmp://live.example.com/live/show?secret={secret[1]}" in out
    cli.config.unlink()
    status, out, _ = cli("keygen")
    assert status == 0
    assert '"livestream": {keys: [' in out


def test_the_schema_is_printed_for_editors(cli: Cli) -> None:
    cli.config.unlink()
    status, out, _ = cli("schema")
    assert status == 0
    assert set(json.loads(out)["properties"]) == set(Config.model_fields)


def test_the_version_is_printed(cli: Cli) -> None:
    assert cli("version") == (0, f"streamd {__version__}\n", "")


def test_a_log_that_is_not_there_is_an_error(cli: Cli) -> None:
    (cli.directory / "log").mkdir()
    (cli.directory / "log/server.main.log").write_text("started\n")
    status, out, err = cli("logs", "nobody")
    assert (status, out) == (1, "")
    assert f"{cli.directory / 'log'}: no log of 'nobody'; there are: main" in err


@pytest.mark.parametrize("flags", [(), ("--follow",)])
def test_before_anything_was_started_it_is_said_where_logs_would_be(
    cli: Cli, flags: tuple[str, ...]
) -> None:
    status, out, err = cli("logs", "main", *flags)
    assert (status, out) == (1, "")
    assert str(cli.directory / "log") in err
    assert "nothing has been started yet" in err


def test_a_wrong_variable_stops_every_command(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMD_SUPERVISOR", "both")
    status, _, err = cli("version")
    assert status == 1
    assert "STREAMD_SUPERVISOR" in err


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["check", "--js"], ["run", "--on-stop=x"]])
def test_a_wrong_command_line_exits_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: streamd" in capsys.readouterr().err


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for command in build_parser().commands:
        with pytest.raises(SystemExit) as stopped:
            main([command, "--help"])
        assert stopped.value.code == 0
        assert f"usage: streamd {command}" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_is_there(command: Command) -> None:
    assert list(signature(resolve_name(f"streamd.commands.{command.handler}")).parameters)


def test_recordings_are_listed_without_a_daemon(cli: Cli, tmp_path: Path) -> None:
    cli.config.write_text(GOOD + "recordings: {archive: {streams: ['*']}}\n")
    assert cli("recordings") == (0, "no recordings\n", "")
    status, printed, _ = cli("recordings", "--json")
    assert (status, json.loads(printed)) == (0, {"recordings": []})
    cli.applied()
    cli.config.write_text(BAD)
    assert cli("recordings")[:2] == (0, "no recordings\n")
