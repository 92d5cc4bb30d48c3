"""nginx with its RTMP module: what a machine without SRS runs.

Measured on nginx 1.22 with libnginx-mod-rtmp 1.2.2: a publisher is in the statistics 3 ms after
on_publish is answered; publish_done comes 7 ms after a publisher was killed; a publisher that is
dropped by the control page is gone within 5 ms, and its players are closed 30 ms later. Whoever
asks to play what nobody publishes is turned away, except in the apps that wait
(`ServerSpec.waiting_apps`), where it is listed; HLS is answered with 404 and leaves no trace.
"""

import time
from pathlib import Path

from streamd import names
from streamd.desired import ServerSpec
from streamd.engines import nginx_rtmp_log
from streamd.engines.base import (
    HookAnswer,
    HookRequest,
    LiveStream,
    OpenPort,
    RenderedServer,
    ServerSecrets,
    Streams,
)
from streamd.engines.local import LocalServer
from streamd.engines.nginx_rtmp_api import NginxRtmpApi
from streamd.engines.nginx_rtmp_config import render_config
from streamd.engines.nginx_rtmp_hooks import answer_nginx_rtmp, parse_nginx_rtmp_hook
from streamd.engines.rates import Rates
from streamd.errors import EngineError


class NginxRtmpEngine(LocalServer):
    """Drives one nginx.

    Args:
        spec: the server.
        directory: its own directory.
        secrets: shared with it.
        module: the RTMP module; need not exist before `test`.
        open_files: the soft limit on open files that nginx will run with.
    """

    name: str = "nginx-rtmp"
    counter_s = 0.1
    title = "nginx"
    advice = "install it (Debian and Ubuntu: apt install libnginx-mod-rtmp)"

    def __init__(
        self,
        spec: ServerSpec,
        directory: Path,
        secrets: ServerSecrets,
        *,
        module: Path,
        open_files: int,
    ) -> None:
        super().__init__(spec, directory, secrets)
        self._module = module
        self._open_files = open_files
        self._api = NginxRtmpApi(spec.api, secrets.api_password)
        self._rates = Rates()

    def render(self) -> RenderedServer:
        """See `MediaEngine`."""
        config = self._directory / "nginx.conf"
        text = render_config(
            self._spec, self._directory, self._secrets, self._module, self._open_files
        )
        return RenderedServer(
            files={config: text},
            directories=(
                self._directory,
                self._directory / "tmp",
                self.www,
                *(self.www / app for app in self._spec.apps),
            ),
            argv=self._argv(config),
            names_in_log=nginx_rtmp_log.STREAM_NAMES,
        )

    def _argv(self, config: Path) -> tuple[str, ...]:
        # -e: otherwise nginx opens its compiled-in log before it reads its configuration.
        return (self._spec.binary, "-p", str(self._directory), "-e", "stderr", "-c", str(config))

    def input_url(self, stream: str) -> str:
        """See `MediaEngine`. RTMP does not decode names, so they are left as they are."""
        return f"rtmp://127.0.0.1:{self._spec.rtmp}/{stream}"

    def parse_hook(self, body: bytes, content_type: str) -> HookRequest:
        """See `MediaEngine`."""
        if content_type != "application/x-www-form-urlencoded":
            raise ValueError("not a form")
        return parse_nginx_rtmp_hook(body)

    def answer(self, *, allow: bool) -> HookAnswer:
        """See `MediaEngine`."""
        return answer_nginx_rtmp(allow=allow)

    async def discard(self, request: HookRequest) -> None:
        """See `MediaEngine`. nginx does nothing for a publisher before it has the answer."""

    async def test(self) -> None:
        """See `MediaEngine`. nginx checks names and values."""
        if not self._module.is_file():
            await self.version()
            raise EngineError(f"the RTMP module of nginx is not at {self._module}; {self.advice}")
        await super().test()

    async def reload(self) -> None:
        """Refuse: a reload in a single process leaves nginx deaf to every new connection.

        Raises:
            EngineError: always. Everything about this engine takes a restart.
        """
        raise EngineError("nginx-rtmp cannot take a new configuration while it runs; restart it")

    async def streams(self) -> Streams:
        """See `MediaEngine`."""
        now = time.monotonic()
        statistics = await self._api.statistics()
        self._rates.keep(item.client_id for item in statistics.published)
        live = [
            LiveStream(
                name=f"{item.app}/{item.name}",
                client_id=item.client_id,
                bytes_in=item.bytes_in,
                kbps=self._rates.update(item.client_id, item.bytes_in, now),
                viewers=len(item.players),
                video=item.video,
                audio=item.audio,
                players=item.players,
            )
            for item in statistics.published
        ]
        return Streams(live, statistics.waited)

    async def until_media(self, stream: str) -> None:
        """See `MediaEngine`."""

    async def kick(self, stream: str, client_id: str) -> None:
        """See `MediaEngine`."""
        app, name = names.split(stream)
        await self._api.disconnect(app, name, client_id)

    async def close(self) -> None:
        """See `MediaEngine`."""
        await self._api.close()

    def _open_ports(self) -> list[OpenPort]:
        spec = self._spec
        opened = [OpenPort("api", spec.api, "http", "127.0.0.1")]
        if spec.rtmp:
            opened.append(OpenPort("rtmp", spec.rtmp, "rtmp"))
        if spec.http:
            opened.append(OpenPort("http", spec.http, "http"))
        if spec.https:
            opened.append(OpenPort("https", spec.https, "https"))
        return opened

    def _check_argv(self, config: Path) -> tuple[str, ...]:
        return (*self._argv(config), "-t", "-q")

    def _complaint(self, output: str) -> str:
        return nginx_rtmp_log.complaint(output)
