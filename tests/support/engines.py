"""A media server as an engine starts it, with somebody who answers its hooks."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import web

from streamd.desired import EngineName, ServerSpec
from streamd.engines.base import HookRequest, LiveStream, MediaEngine, ServerSecrets
from streamd.engines.select import make_engine
from streamd.errors import EngineError
from tests.support.ports import free_ports
from tests.support.waiting import wait_until

STOP_TIMEOUT_S = 10
SECRETS = ServerSecrets(hook_path="hookpath0123456789", api_password="apipassword0123456789")

Decide = Callable[[HookRequest], bool | Awaitable[bool]]


def server_spec(engine: EngineName, binary: Path | str, **changed: Any) -> ServerSpec:
    """Return a server of either engine on free ports, with every port that the engine has."""
    rtmp, http, srt, webrtc, api, hooks = free_ports(6)
    is_srs = engine == "srs"
    spec = ServerSpec(
        name="main",
        engine=engine,
        binary=str(binary),
        host="localhost",
        rtmp=rtmp,
        http=http,
        srt=srt if is_srs else None,
        webrtc=webrtc if is_srs else None,
        api=api,
        hls_fragment_s=1.0,
        hls_window_s=6.0,
        webrtc_candidate="127.0.0.1" if is_srs else None,
        hooks=f"127.0.0.1:{hooks}",
        apps=() if is_srs else ("live", "lot/west"),
    )
    return replace(spec, **changed)


@dataclass
class RunningServer:
    """A media server that runs, and everything that it asked and told.

    Publishing needs `?secret=right`, unless a test puts another `decide`.
    """

    engine: MediaEngine
    spec: ServerSpec
    directory: Path
    log_path: Path
    process: asyncio.subprocess.Process | None = None
    hooks: list[HookRequest] = field(default_factory=list)
    decide: Decide = lambda hook: hook.secrets == ("right",)

    def url(self, stream: str, secret: str = "right") -> str:
        """Return where a stream is published by RTMP."""
        return f"rtmp://127.0.0.1:{self.spec.rtmp}/{stream}?secret={secret}"

    async def start(self) -> None:
        """Start it from files written anew, and wait until it answers."""
        await self.engine.write()
        with self.log_path.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.engine.render().argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": "/usr/bin:/bin"},
            )
        await wait_until(self._answers, what=f"{self.spec.engine} to answer")

    async def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.returncode is None, self.log()
        try:
            await self.engine.streams()
        except EngineError:
            return False
        return True

    async def stop(self) -> int:
        """Send SIGTERM, and return the exit status."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                return await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
            raise

    def log(self) -> str:
        """Return what the server said."""
        return self.log_path.read_text(errors="replace")

    async def live(self, stream: str) -> LiveStream | None:
        """Return a stream that is published now."""
        return {found.name: found for found in (await self.engine.streams()).live}.get(stream)

    async def wait_live(self, stream: str) -> LiveStream:
        """Wait until a stream is published, also where a busy machine makes its server slow."""

        async def live() -> LiveStream | None:
            with contextlib.suppress(EngineError):
                return await self.live(stream)
            return None

        found = await wait_until(live, what=f"{stream} to go live")
        assert found is not None
        return found

    async def wait_gone(self, stream: str) -> None:
        """Wait until a stream is not published any more."""

        async def is_gone() -> bool:
            with contextlib.suppress(EngineError):
                return await self.live(stream) is None
            return False

        await wait_until(is_gone, what=f"{stream} to end")

    def hooks_of(self, action: str, stream: str) -> list[HookRequest]:
        """Return the hooks of one kind about one stream, in the order they came."""
        return [
            hook
            for hook in self.hooks
            if hook.action == action and f"{hook.app}/{hook.stream}" == stream
        ]

    async def wait_hook(self, action: str, stream: str) -> HookRequest:
        """Wait for a hook, and return the first."""
        found = await wait_until(
            lambda: self.hooks_of(action, stream), what=f"a hook {action} of {stream}"
        )
        return found[0]


@contextlib.asynccontextmanager
async def running_server(
    tmp_path: Path, engine: EngineName, binary: Path | str, **changed: Any
) -> AsyncIterator[RunningServer]:
    """Run a media server in a directory of its own until the block ends."""
    spec = server_spec(engine, binary, **changed)
    directory = tmp_path / "servers" / spec.name
    driver = make_engine(spec, directory=directory, secrets=SECRETS)
    running = RunningServer(driver, spec, directory, tmp_path / f"{spec.name}.log")
    async with _answering(running):
        try:
            await driver.test()
            await driver.check_ports()
            await running.start()
            yield running
        finally:
            if running.process is not None:
                await running.stop()
            await driver.close()


@contextlib.asynccontextmanager
async def _answering(running: RunningServer) -> AsyncIterator[None]:
    async def handle(request: web.Request) -> web.Response:
        assert request.path == f"/{SECRETS.hook_path}/{running.spec.name}"
        hook = running.engine.parse_hook(await request.read(), request.content_type)
        running.hooks.append(hook)
        allowed = True
        if hook.action == "publish":
            decided = running.decide(hook)
            allowed = await decided if inspect.isawaitable(decided) else decided
            if not allowed:
                await running.engine.discard(hook)
        answer = running.engine.answer(allow=allowed)
        return web.Response(
            status=answer.status, text=answer.body, content_type=answer.content_type
        )

    application = web.Application()
    application.router.add_post("/{path:.*}", handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    host, _, port = running.spec.hooks.rpartition(":")
    await web.TCPSite(runner, host, int(port)).start()
    try:
        yield
    finally:
        await runner.cleanup()
