"""Port 80: answers authorities, and sends everybody else to HTTPS."""

from collections.abc import Collection
from pathlib import Path

import structlog
from aiohttp import web

from streamd.certificates.spec import TOKEN, WELL_KNOWN
from streamd.config.addresses import join_address
from streamd.engines.base import OpenPort
from streamd.engines.ports import explained

log = structlog.get_logger()

_HTTPS_PORT = 443
_SHUTDOWN_S = 1.0


class ChallengeListener:
    """Serves the answers of one directory at one address.

    Args:
        host, port: where.
        answers: the directory.

    Attributes:
        names: that people are sent on for; of others it knows nothing.
        https_port: where they are sent; None for nowhere.
    """

    def __init__(self, host: str, port: int, answers: Path) -> None:
        self._host = host
        self._port = port
        self._answers = answers
        self._runner: web.AppRunner | None = None
        self.names: Collection[str] = ()
        self.https_port: int | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be had.
        """
        app = web.Application()
        app.router.add_get(f"/{WELL_KNOWN}/{{token}}", self._answer)
        app.router.add_route("*", "/{path:.*}", self._redirect)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host or None, self._port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        log.info("certificates.listening", address=join_address(self._host, self._port))

    async def stop(self) -> None:
        """Listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def complaint(self, error: OSError) -> str:
        """Say for an operator why the address cannot be had."""
        port = OpenPort("challenge", self._port, "http", host=self._host)
        return f"authorities cannot be answered: {explained(error, port)}"

    async def _answer(self, request: web.Request) -> web.Response:
        token = request.match_info["token"]
        if not TOKEN.fullmatch(token):
            raise web.HTTPNotFound
        try:
            text = (self._answers / token).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            log.info("certificates.asked_in_vain", address=request.remote)
            raise web.HTTPNotFound from None
        return web.Response(text=text, content_type="application/octet-stream")

    async def _redirect(self, request: web.Request) -> web.Response:
        host = (request.url.host or "").lower()
        wild = f"*.{host.partition('.')[2]}"
        if self.https_port is None or not {host, wild} & set(self.names):
            raise web.HTTPNotFound
        port = "" if self.https_port == _HTTPS_PORT else f":{self.https_port}"
        # Not a permanent one: browsers would remember the port longer than the file has it.
        raise web.HTTPTemporaryRedirect(f"https://{host}{port}{request.raw_path}")
