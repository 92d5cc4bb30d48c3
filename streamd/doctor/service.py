"""The daemon, supervisord and what they say of themselves. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from streamd.doctor.finding import AS_ROOT, Finding, error, ok, split_advice, unknown, warning
from streamd.ffmpeg.track import SLOW_SPEED

_SECTIONS = (
    "servers",
    "streams",
    "targets",
    "transcodes",
    "recordings",
    "certificates",
    "storages",
    "callbacks",
)
_BAD = frozenset({"backoff", "blocked", "degraded", "error", "expired", "failing", "stalled"})
_DOUBTFUL = frozenset({"paused", "refused"})
_START = "systemctl start streamd (or `streamd run`)"


@dataclass(frozen=True, slots=True)
class Service:
    """The daemon, as far as it can be seen.

    Attributes:
        socket: where it is asked.
        pid: None when none runs, 0 when it runs where its pid cannot be seen.
        uid: whom it runs as.
        status: its `/status`; None when it did not tell.
        failure: why it could not be asked; None when it could, or none runs.
        forbidden: it could not be asked for want of permission.
    """

    socket: str
    pid: int | None = None
    uid: int = 0
    status: Mapping[str, Any] | None = None
    failure: str | None = None
    forbidden: bool = False


def judge_service(service: Service, version: str, processes: int | None) -> Iterator[Finding]:
    """Yield what is said of the daemon and of supervisord.

    Args:
        service: the daemon.
        version: of the streamd that looks.
        processes: how many media processes run; None when no supervisord answers.
    """
    if service.forbidden:
        yield unknown("streamd", f"cannot be asked: {service.failure}", AS_ROOT)
        return
    if service.failure is not None:
        yield error("streamd", *split_advice(service.failure))
    elif service.pid is None and processes:
        yield error(
            "streamd",
            f"does not run, and its media does ({processes} processes): publishers are refused",
            _START,
        )
    elif service.pid is None:
        yield warning("streamd", f"does not run: nobody listens at {service.socket}", _START)
    if service.pid is None:
        return
    if processes is None:
        yield error("supervisord", "does not answer", "systemctl status streamd-supervisord")
    else:
        yield ok("supervisord", f"runs {processes} processes")
    if service.status is not None:
        yield from _status(service.status, service.pid, version)


def _status(status: Mapping[str, Any], pid: int, version: str) -> Iterator[Finding]:
    running = f"{status['version']} runs (pid {pid})"
    if status["version"] != version:
        yield warning("streamd", f"{running}, and {version} is installed", "restart streamd")
    elif status["converged"]:
        yield ok("streamd", f"{running}, and all is as the file says")
    else:
        yield warning(
            "streamd", f"{running}; not everything is as the file says yet", "see `streamd status`"
        )
    yield from _config(status["config"])
    for section in _SECTIONS:
        yield from _section(section, status.get(section) or {})


def _config(config: Mapping[str, Any]) -> Iterator[Finding]:
    path, state = config["path"], config["state"]
    if state == "applied":
        yield ok(path, "is applied")
    elif state == "pending":
        yield warning(path, "waits to be applied (daemon.apply: manual)", "`streamd reload`")
    else:
        what = {"fallback": "cannot be used, and the last good configuration is on air"}.get(
            state, "cannot be used; what was applied before it goes on"
        )
        reasons = "".join(f"; {each['message'].partition('; ')[0]}" for each in config["errors"])
        yield error(path, f"{state}: {what}{reasons}", "correct it: `streamd check`")


def _section(section: str, entries: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    if entries:
        counts = Counter(str(entry.get("state")) for entry in entries.values())
        told = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))
        yield ok(section, told)
    for name, entry in sorted(entries.items()):
        where, state = f"{section}.{name}", entry.get("state")
        reason = f": {entry['last_error']}" if entry.get("last_error") else ""
        if state in _BAD:
            yield error(where, f"is {state}{reason}", _advice(section, name))
        elif state in _DOUBTFUL:
            yield warning(where, f"is {state}{reason}", _advice(section, name))
        speed = entry.get("speed")
        if speed is not None and 0 < speed < SLOW_SPEED:
            yield error(
                where,
                f"is encoded at {speed:.2f} times real time, and falls behind",
                "lower the size or the number of transcodes, or choose a faster preset or encoder",
            )


def _advice(section: str, name: str) -> str:
    if section == "streams":
        return "correct what the encoder sends, or the stream's keys"
    logged = section in ("servers", "targets", "transcodes")
    return f"`streamd logs {name}`" if logged else "see `streamd status`"
