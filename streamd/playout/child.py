"""An FFmpeg that writes FLV to us, or a file, and dies with us."""

import asyncio
import contextlib
import os
import re
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Self

from streamd.playout.flv import FlvReader
from streamd.playout.tags import Tag
from streamd.stderr_log import Say
from streamd.supervision.spawn import die_with_parent

_READ_BYTES = 65_536
_KEPT_LINES = 20
_LONGEST_LINE = 2000
_LINES_A_RUN = 40

_LEVEL = re.compile(r"\[(warning|error|fatal|panic)\] ?")
_PLACE = re.compile(r"^\[[^]]* @ 0x[0-9a-f]+\] ")


class ChildError(Exception):
    """A program cannot be started."""


class Child:
    """A process, from `async with` to its end.

    Args:
        argv: the program and its arguments.
        name: what it is called in the log.
        say: where its own lines go.
        redact: masks secrets in them.
        stdin: text that it reads.
        nice: how much lower its priority is than ours.

    Attributes:
        lines: the last lines of its log, redacted.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        name: str,
        say: Say,
        redact: Callable[[str], str] = str,
        stdin: str = "",
        nice: int = 0,
    ) -> None:
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._argv = argv
        self._name = name
        self._say = say
        self._redact = redact
        self._stdin = stdin
        self._nice = nice
        self._said = 0
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None

    async def start(self) -> Self:
        """Start it.

        Raises:
            ChildError: it cannot be started.
        """
        parent, nice = os.getpid(), self._nice

        def before_exec() -> None:
            die_with_parent(parent)
            if nice:
                os.nice(nice)

        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.PIPE if self._stdin else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                preexec_fn=before_exec,
                start_new_session=True,
            )
        except OSError as error:
            raise ChildError(f"{self._argv[0]} cannot be run: {error.strerror}") from error
        self._listening = asyncio.create_task(self._listen(), name=f"log of {self._name}")
        if self._process.stdin is not None:
            self._process.stdin.write(self._stdin.encode())
            self._process.stdin.close()
        return self

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.end()

    async def tags(self) -> AsyncIterator[Tag]:
        """Yield what it writes, as it comes, until it ends.

        It is held back while nobody takes what it wrote.

        Raises:
            FlvError: it writes something else.
        """
        assert self._process is not None  # noqa: S101 - for mypy: started
        assert self._process.stdout is not None  # noqa: S101 - for mypy: a pipe
        reader = FlvReader()
        while data := await self._process.stdout.read(_READ_BYTES):
            for tag in reader.feed(data):
                yield tag

    async def wait(self) -> int:
        """Wait until it has ended and its log is read, and return its exit status."""
        assert self._process is not None  # noqa: S101 - for mypy: started
        status = await self._process.wait()
        if self._listening is not None:
            await self._listening
        return status

    @property
    def has_ended(self) -> bool:
        """Tell whether it has ended; what it wrote last may be unread."""
        return self._process is not None and self._process.returncode is not None

    @property
    def last_words(self) -> str:
        """The last thing that it said, without where in FFmpeg it was said."""
        return self.lines[-1] if self.lines else "FFmpeg says nothing"

    async def end(self) -> None:
        """Kill it, if it runs. More than once is harmless."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if process.stdout is not None:
            await process.stdout.read()  # its end is not seen behind what is unread
        await self.wait()

    async def _listen(self) -> None:
        assert self._process is not None  # noqa: S101 - for mypy: started
        assert self._process.stderr is not None  # noqa: S101 - for mypy: a pipe
        rest = b""
        while data := await self._process.stderr.read(_READ_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._take(line)
            rest = rest[:_LONGEST_LINE]
        if rest:
            self._take(rest)

    def _take(self, line: bytes) -> None:
        text = self._redact(line[:_LONGEST_LINE].decode(errors="replace")).strip()
        if not text:
            return
        level = _LEVEL.search(text)
        text = _LEVEL.sub("", _PLACE.sub("", text))
        self.lines.append(text)
        self._said += 1
        if self._said <= _LINES_A_RUN:
            grave = level is None or level[1] != "warning"
            self._say("error" if grave else "warning", f"{self._name}: {text}")
        elif self._said == _LINES_A_RUN + 1:
            self._say("warning", f"{self._name}: says more, which is left out")
