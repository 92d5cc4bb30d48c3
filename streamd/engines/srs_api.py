"""The HTTP API of SRS, as far as streamd uses it."""

import asyncio
import time
from base64 import b64encode
from typing import Any

import aiohttp

from streamd.engines.srs_config import API_USER
from streamd.errors import EngineError

REQUEST_TIMEOUT_S = 5.0
RELOAD_TIMEOUT_S = 10.0

_PAGE = 500
_NOT_FOUND = 2049  # ERROR_RTMP_CLIENT_NOT_FOUND
_RELOADED = 90
_KEPT_OLD = {10: "it could not read the file", 20: "it refused the file"}
_POLL_S = 0.1
_IS_IT_SRS = "make sure that `binary` is SRS 6"


class SrsApi:
    """Talks to one SRS. Everything raises EngineError when SRS does not do it.

    Args:
        host, port: where the API is.
        password: of `API_USER`.
    """

    def __init__(self, host: str, port: int, password: str) -> None:
        self._base = f"http://{host}:{port}/api/v1/"
        token = b64encode(f"{API_USER}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}"}
        self._session: aiohttp.ClientSession | None = None

    async def streams(self) -> list[dict[str, Any]]:
        """Return every stream that SRS has heard of; see `publish.active`."""
        return await self._all("streams")

    async def clients(self) -> list[dict[str, Any]]:
        """Return every connection that publishes or plays."""
        return await self._all("clients")

    async def disconnect(self, client_id: str) -> None:
        """Close a connection; one that is gone is no error."""
        code = (await self._ask("DELETE", f"clients/{client_id}")).get("code")
        if code not in (0, _NOT_FOUND):
            raise EngineError(
                f"SRS did not disconnect client {client_id}: code {code}; it is tried again"
            )

    async def reload(self) -> None:
        """Make SRS read its file again, and wait until it has."""
        before = await self._reload_state()
        await self._raw("reload")
        deadline = time.monotonic() + RELOAD_TIMEOUT_S
        state = before
        while state.get("rid") == before.get("rid"):
            if time.monotonic() > deadline:
                raise EngineError(
                    f"SRS did not reload within {RELOAD_TIMEOUT_S:.0f} s; it is tried again, and "
                    "if it stays so, restart it when an interruption is allowed"
                )
            await asyncio.sleep(_POLL_S)
            try:
                state = await self._reload_state()
            except EngineError as error:
                raise EngineError(f"while it reloaded, {error}") from error
        outcome, told = state.get("state"), state.get("msg")
        if outcome in _KEPT_OLD:
            raise EngineError(
                f"SRS keeps its old configuration, {_KEPT_OLD[outcome]}: {told}; change the "
                "settings of this server that you changed last"
            )
        if outcome != _RELOADED:
            raise EngineError(
                f"SRS failed in the middle of a reload and exits: {told}; it is started again"
            )

    async def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _reload_state(self) -> dict[str, Any]:
        state = (await self._raw("reload-fetch")).get("data")
        if not isinstance(state, dict):
            raise EngineError(f"SRS does not say how its reload went; {_IS_IT_SRS}")
        return state

    async def _raw(self, rpc: str) -> dict[str, Any]:
        answer = await self._ask("GET", "raw", {"rpc": rpc})
        if answer.get("code") != 0:
            raise EngineError(
                f"SRS refuses the call {rpc}: code {answer.get('code')}; {_IS_IT_SRS}"
            )
        return answer

    async def _all(self, kind: str) -> list[dict[str, Any]]:
        # The list can move between pages; what is then seen twice counts once.
        found: dict[str, dict[str, Any]] = {}
        start = 0
        while True:
            answer = await self._ask("GET", f"{kind}/", {"start": start, "count": _PAGE})
            page = answer.get(kind)
            if not isinstance(page, list):
                raise EngineError(
                    f"SRS does not list its {kind}: code {answer.get('code')}; {_IS_IT_SRS}"
                )
            found.update({item["id"]: item for item in page})
            if len(page) < _PAGE:
                return list(found.values())
            start += _PAGE

    async def _ask(
        self, method: str, path: str, query: dict[str, str | int] | None = None
    ) -> dict[str, Any]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=self._headers, timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
            )
        try:
            async with self._session.request(method, self._base + path, params=query) as response:
                if response.status == 401:
                    raise EngineError(
                        "another SRS answers at the API's port and refuses the password; stop it, "
                        "or choose another port in `listen`"
                    )
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise EngineError(
                f"SRS does not answer at {self._base}: {_told(error)}; if it goes on, see the "
                "server's log (`streamd logs`)"
            ) from error
        if not isinstance(answer, dict):
            raise EngineError(
                f"what answers at {self._base} is not SRS; stop it, or choose another port in "
                "`listen`"
            )
        return answer


def _told(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"timed out after {REQUEST_TIMEOUT_S:.0f} s"
    return str(error) or type(error).__name__
