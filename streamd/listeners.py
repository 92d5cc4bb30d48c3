"""The daemon's sockets: the hooks, FFmpegs' reports beside them, and the status."""

from collections.abc import Callable

import structlog

from streamd.auth.hooks_api import HookServer
from streamd.config.addresses import progress_address, split_address
from streamd.config.models import Daemon
from streamd.errors import StreamdError
from streamd.ffmpeg.progress import ProgressReceiver
from streamd.status.http_api import StatusServer

log = structlog.get_logger()


class Listeners:
    """Listens where a configuration says, and moves as one step that is done whole or not at all.

    Args:
        hooks: what the media servers ask.
        status: what people look at.
        on_progress: told of the receiver of FFmpegs' reports whenever that is another one; the
            one before it is closed afterwards.
    """

    def __init__(
        self,
        hooks: HookServer,
        status: StatusServer,
        on_progress: Callable[[ProgressReceiver], None],
    ) -> None:
        self._hooks = hooks
        self._status = status
        self._on_progress = on_progress
        self._progress: ProgressReceiver | None = None
        self._daemon: Daemon | None = None
        self._certificate: tuple[str, str] | None = None

    async def move(self, daemon: Daemon, certificate: tuple[str, str] | None = None) -> None:
        """Listen there, and no more where it listened before.

        `certificate` are the paths of the chain and the key that the status is served with.

        The first time an address of the status that cannot be had is only logged, because media
        goes first; `try_status` tries it again.

        Raises:
            StreamdError: an address cannot be had; every socket is as it was.
        """
        before, served = self._daemon, self._certificate
        self._certificate = certificate
        progress = self._receiver(daemon)
        try:
            await self._hooks.start(*split_address(daemon.hooks))
            if before is None:
                await self._try_status(daemon)
            elif (before.status, before.status_token, served) != (
                daemon.status,
                daemon.status_token,
                certificate,
            ):
                await self._start_status(daemon)
        except StreamdError:
            self._certificate = served
            if progress is not self._progress:
                progress.close()
            if before is not None:
                await self._hooks.start(*split_address(before.hooks))
            raise
        self._daemon = daemon
        self._take(progress)

    async def try_status(self) -> None:
        """Listen for the status where it should be listened and is not; a failure is logged.

        Where it is listened over HTTPS, another certificate is taken.
        """
        if self._daemon is not None and not self._status.port:
            await self._try_status(self._daemon)
        await self._status.renew_certificate()

    async def close(self) -> None:
        """Give every address up."""
        await self._hooks.stop()
        await self._status.stop()
        if self._progress is not None:
            self._progress.close()

    def _receiver(self, daemon: Daemon) -> ProgressReceiver:
        """Return an open receiver beside the hooks, the present one where that is there already."""
        address = progress_address(daemon.hooks)
        before = self._daemon
        if self._progress is not None and before and progress_address(before.hooks) == address:
            return self._progress
        receiver = ProgressReceiver(*split_address(address))
        receiver.open()
        return receiver

    def _take(self, progress: ProgressReceiver) -> None:
        before, self._progress = self._progress, progress
        if before is progress:
            return
        self._on_progress(progress)
        if before is not None:
            before.close()

    async def _try_status(self, daemon: Daemon) -> None:
        try:
            await self._start_status(daemon)
        except StreamdError as error:
            log.error("status.not_listening", error=str(error))

    async def _start_status(self, daemon: Daemon) -> None:
        token = daemon.status_token.get_secret_value() if daemon.status_token else None
        await self._status.start(daemon.status, token, self._certificate)
