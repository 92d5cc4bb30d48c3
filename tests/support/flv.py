"""FLV: written for programs to read, and what they write, as a viewer of it would find it."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from streamd.playout.flv import FlvReader
from streamd.playout.tags import AUDIO, VIDEO, Tag
from tests.support.media import ffmpeg_path

_TIMEOUT_S = 60


def write_header(*, audio: bool = True, video: bool = True) -> bytes:
    """Return what stands before the first tag of a file."""
    flags = (4 if audio else 0) | (1 if video else 0)
    return b"FLV\x01" + bytes((flags,)) + (9).to_bytes(4) + bytes(4)


def write_tag(tag: Tag) -> bytes:
    """Return a tag as it stands in a file; of its time the low 32 bits."""
    timestamp = (tag.timestamp_ms % (1 << 32)).to_bytes(4)
    size = len(tag.body)
    head = bytes((tag.kind,)) + size.to_bytes(3) + timestamp[1:] + timestamp[:1] + bytes(3)
    return head + tag.body + (len(head) + size).to_bytes(4)


@dataclass(frozen=True)
class Flv:
    """FLV that was written.

    Attributes:
        data: all of it.
        status: exit status of the program that wrote it.
        log: what that said.
    """

    data: bytes
    status: int = 0
    log: str = ""

    def tags(self, kind: int) -> list[Tag]:
        """Return its tags of a kind, headers left out."""
        tags = FlvReader().feed(self.data)
        return [tag for tag in tags if tag.kind == kind and not tag.is_header]

    def headers(self, kind: int) -> list[Tag]:
        """Return its decoder headers of a kind."""
        return [tag for tag in FlvReader().feed(self.data) if tag.kind == kind and tag.is_header]

    def times(self, kind: int) -> list[int]:
        """Return the timestamps of a kind, milliseconds."""
        return [tag.timestamp_ms for tag in self.tags(kind)]

    def end_ms(self) -> int:
        """Return its last timestamp."""
        return max(self.times(VIDEO)[-1:] + self.times(AUDIO)[-1:], default=0)

    def stream(self, kind: str) -> dict[str, Any] | None:
        """Return what ffprobe says of its video or audio; None when it has none."""
        return next((each for each in self._streams if each["codec_type"] == kind), None)

    @cached_property
    def _streams(self) -> list[dict[str, Any]]:
        argv = ("ffprobe", "-v", "error", "-show_streams", "-of", "json", "-")
        result = subprocess.run(
            argv, input=self.data, capture_output=True, timeout=_TIMEOUT_S, check=True
        )
        streams: list[dict[str, Any]] = json.loads(result.stdout)["streams"]
        return streams

    def faults(self) -> str:
        """Decode everything, and return what the decoders complain of."""
        return self._decoded("-f", "null", "-").stderr.decode()

    def samples(self) -> bytes:
        """Return its sound, decoded: 16 bits each."""
        return self._decoded("-f", "s16le", "-").stdout

    def pixels(self, crop: str = "iw:ih:0:0", *, skip: int = 0) -> tuple[int, int, int]:
        """Return red, green and blue, on average, of a part of a frame.

        Args:
            crop: `WIDTH:HEIGHT:X:Y`.
            skip: frames before it.
        """
        picked = f"select=gte(n\\,{skip}),crop={crop},format=rgb24,scale=1:1:flags=area"
        raw = ("-frames:v", "1", "-pix_fmt", "rgb24", "-f", "rawvideo", "-")
        red, green, blue = self._decoded("-vf", picked, *raw).stdout
        return red, green, blue

    def _decoded(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        argv = (ffmpeg_path(), "-v", "error", "-i", "pipe:0", *arguments)
        return subprocess.run(
            argv, input=self.data, capture_output=True, timeout=_TIMEOUT_S, check=True
        )


def written(argv: Sequence[str]) -> Flv:
    """Run a program to its end, and return what it wrote to stdout."""
    result = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=False
    )
    return Flv(result.stdout, result.returncode, result.stderr.decode(errors="replace"))
