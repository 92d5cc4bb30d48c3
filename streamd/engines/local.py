"""What every engine does alike: the files, the ports and the HLS directory of one server."""

import asyncio
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from streamd.desired import ServerSpec
from streamd.engines import ports
from streamd.engines.base import OpenPort, RenderedServer, ServerSecrets
from streamd.engines.commands import executable, run
from streamd.engines.hls_files import remove_expired
from streamd.engines.rendered import checked_copy, make_directories, write_files
from streamd.errors import EngineError
from streamd.redact import Redactor

CHECK_TIMEOUT_S = 10.0


class LocalServer(ABC):
    """A server of this machine, with its files in a directory of its own.

    Args:
        spec: the server.
        directory: its own directory; HLS is served from `www` in it.
        secrets: shared with it.

    Attributes:
        title: what operators call the program.
        advice: what to do when its binary is missing.
    """

    title: str
    advice: str

    def __init__(self, spec: ServerSpec, directory: Path, secrets: ServerSecrets) -> None:
        self._spec = spec
        self._directory = directory
        self.www = directory / "www"
        self._secrets = secrets
        self._redact = Redactor((secrets.hook_path, secrets.api_password))

    @abstractmethod
    def render(self) -> RenderedServer:
        """See `MediaEngine`."""

    @abstractmethod
    def _open_ports(self) -> Sequence[OpenPort]:
        """Return every port that the server opens for somebody."""

    def _hidden_ports(self) -> Sequence[OpenPort]:
        """Return further ports that it takes up, which nobody is to use."""
        return ()

    @abstractmethod
    def _check_argv(self, config: Path) -> Sequence[str]:
        """Return the command by which the binary checks a configuration file."""

    @abstractmethod
    def _complaint(self, output: str) -> str:
        """Return what the binary says is wrong, out of all that its check printed."""

    async def write(self) -> None:
        """See `MediaEngine`."""
        await asyncio.to_thread(write_files, self.render())

    async def test(self) -> None:
        """See `MediaEngine`."""
        rendered = self.render()
        await self.version()
        make_directories(rendered)
        (text,) = rendered.files.values()
        with checked_copy(text) as path:
            status, output = await run(self._check_argv(path), CHECK_TIMEOUT_S)
        if status != 0:
            told = self._redact(self._complaint(output))
            raise EngineError(
                f"{self.title} refuses its configuration: {told}; change the field of this "
                "server that it is about, or report this as a bug of streamd"
            )

    async def version(self) -> str:
        """See `MediaEngine`."""
        binary = executable(self._spec.binary, self.advice)
        _, output = await run((binary, "-v"), CHECK_TIMEOUT_S)
        match = re.search(r"(?<![\d.])\d+\.\d+\.\d+", output)
        if match is None:
            raise EngineError(
                f"{binary} does not tell its version; is it {self.title}? Name another in `binary`"
            )
        return match[0]

    def ports(self) -> Sequence[OpenPort]:
        """See `MediaEngine`."""
        return (*self._open_ports(), *self._hidden_ports())

    async def check_ports(self, *, except_for: frozenset[int] = frozenset()) -> None:
        """See `MediaEngine`."""
        await asyncio.to_thread(ports.check_free, self.ports(), except_for)

    async def probe(self) -> Mapping[str, bool]:
        """See `MediaEngine`."""
        opened = self._open_ports()
        served = await asyncio.gather(*map(ports.is_served, opened))
        return {port.field: answer for port, answer in zip(opened, served, strict=True)}

    async def tidy(self) -> None:
        """See `MediaEngine`."""
        window_s, now = self._spec.hls_window_s, time.time()
        await asyncio.to_thread(remove_expired, self.www, window_s=window_s, now=now)
