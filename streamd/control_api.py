"""The Unix socket at which the CLI reaches the daemon, and the CLI's end of it.

JSON over HTTP, on a socket that only this user can open: it is not part of the network's side,
which stays read-only.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from streamd.changes.change import Change, Preview
from streamd.errors import ConfigError, ControlError, NoDaemonError, Problem, StreamdError

REQUEST_TIMEOUT_S = 120.0
_BODY_LIMIT = 64 * 1024

Answer = Mapping[str, Any]


class ControlServer:
    """Serves the commands `reload`, `plan` and `status` to the CLI.

    Args:
        socket: path of the Unix socket.
        reload: applies the file; `force` overrides the guard, `wait_s` waits until converged.
        plan: previews a file.
        status: gives the report of `streamd.status.report`.
    """

    def __init__(
        self,
        socket: Path,
        *,
        reload: Callable[[bool, float], Awaitable[Answer]],
        plan: Callable[[Path], Awaitable[Preview]],
        status: Callable[[], Answer],
    ) -> None:
        self._socket = socket
        self._reload = reload
        self._plan = plan
        self._status = status
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen. A socket that a killed daemon left behind is replaced."""
        app = web.Application(client_max_size=_BODY_LIMIT)
        app.router.add_post("/reload", self._on_reload)
        app.router.add_post("/plan", self._on_plan)
        app.router.add_get("/status", self._on_status)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        self._socket.unlink(missing_ok=True)
        await web.UnixSite(self._runner, str(self._socket)).start()
        self._socket.chmod(0o600)

    async def stop(self) -> None:
        """Stop listening and remove the socket."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            self._socket.unlink(missing_ok=True)

    async def _on_reload(self, request: web.Request) -> web.Response:
        asked = await request.json()
        try:
            answer = await self._reload(bool(asked.get("force")), float(asked.get("wait_s", 0)))
        except StreamdError as error:
            return _refusal(error)
        return web.json_response(answer)

    async def _on_plan(self, request: web.Request) -> web.Response:
        asked = await request.json()
        try:
            found = await self._plan(Path(asked["path"]))
        except StreamdError as error:
            return _refusal(error)
        return web.json_response({"changes": changes_json(found.changes), "refused": found.refused})

    async def _on_status(self, _request: web.Request) -> web.Response:
        return web.json_response(self._status())


def changes_json(found: Sequence[Change]) -> list[dict[str, Any]]:
    """Return changes as the `--json` forms of `plan` and `reload` print them."""
    return [
        {
            "kind": change.kind,
            "name": change.name,
            "action": change.action,
            "fields": list(change.fields),
            "touches": {
                "publishers": sorted(change.touches.publishers),
                "viewers": change.touches.viewers,
                "targets": sorted(change.touches.processes),
            },
            "notes": list(change.notes),
            "text": str(change),
        }
        for change in found
    ]


def _refusal(error: StreamdError) -> web.Response:
    problems = error.problems if isinstance(error, ConfigError) else ()
    body = {"error": str(error), "problems": [asdict(problem) for problem in problems]}
    return web.json_response(body, status=422)


async def ask(
    socket: Path, method: str, path: str, body: Answer | None = None
) -> Mapping[str, Any]:
    """Ask the running daemon.

    Args:
        socket: `Settings.control_socket`.
        method: GET or POST.
        path: `/status`, `/plan` or `/reload`.
        body: sent as JSON.

    Raises:
        ConfigError: the daemon refused a configuration.
        NoDaemonError: no daemon runs there.
        ControlError: it cannot be asked, or it answered with another error.
    """
    wait_s = float((body or {}).get("wait_s", 0.0))
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S + wait_s)
    try:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(socket)), timeout=timeout
            ) as session,
            session.request(method, f"http://streamd{path}", json=body) as response,
        ):
            answer: dict[str, Any] = json.loads(await response.text())
    except TimeoutError as error:
        raise ControlError(
            f"streamd did not answer within {timeout.total:g} s; see its log"
        ) from error
    except aiohttp.ClientConnectorError as error:
        if _is_refused(error.os_error):
            raise NoDaemonError(
                f"no streamd answers at {socket}; start it, or name its directory with "
                "--runtime-dir"
            ) from error
        raise ControlError(
            f"streamd cannot be reached at {socket}: {error.os_error.strerror}; run this as the "
            "user that it runs as"
        ) from error
    except (aiohttp.ClientError, OSError) as error:
        raise ControlError(f"streamd broke off its answer at {socket}; see its log") from error
    except ValueError as error:
        raise ControlError("streamd failed to answer; see its log") from error
    if response.status == 422:
        if answer["problems"]:
            raise ConfigError(Problem(**problem) for problem in answer["problems"])
        raise ControlError(answer["error"])
    return answer


def _is_refused(error: OSError) -> bool:
    """Tell whether nobody listens, also where a killed daemon left its socket."""
    # Without a number the path is too long for a socket, so that no daemon can listen there.
    absent = (FileNotFoundError, NotADirectoryError, ConnectionRefusedError)
    return isinstance(error, absent) or error.errno is None
