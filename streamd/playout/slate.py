"""The slate's file, fitted to what was on air before it: which one, and its making.

Fitted files lie in the cache directory, as `STREAM-DIGEST.flv`; `STREAM.json` beside them tells
what was on air last, so that the slate fits at once after a restart.
"""

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from streamd.ffmpeg.media import AudioFacts, MediaFacts, VideoFacts
from streamd.playout.formats import AudioFormat, VideoFormat, audio_format, video_format
from streamd.playout.tags import AUDIO, VIDEO, Tag
from streamd.whole_file import SHARED, write_whole

KEPT_FILES = 3
"""Fitted files of a stream that are kept: encoders come back with what they had before."""

_RECIPE = 2  # counted up when slates are made in another way
_LONGEST_STEM = 120
_FASTEST_FPS = 60.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What was on air.

    Attributes:
        video: its decoder header; None: no picture.
        audio: likewise of its sound.
        fps: frames a second, measured.
    """

    video: Tag | None = None
    audio: Tag | None = None
    fps: float | None = None

    @property
    def video_format(self) -> VideoFormat | None:
        """What its picture is; None where that is not known."""
        return video_format(self.video) if self.video is not None else None

    @property
    def audio_format(self) -> AudioFormat | None:
        """What its sound is; None where that is not known."""
        return audio_format(self.audio) if self.audio is not None else None

    @property
    def wanted(self) -> tuple[VideoFormat | None, AudioFormat | None, float | None]:
        """What a slate has to be like, as `slate_argv` takes it: its rate is a whole number."""
        rate = None if self.fps is None else min(max(1.0, round(self.fps)), _FASTEST_FPS)
        return self.video_format, self.audio_format, rate

    def is_same(self, other: "Shown") -> bool:
        """Tell whether decoders notice no difference, and a slate for one fits to the other."""
        headers = zip((self.video, self.audio), (other.video, other.audio), strict=True)
        return self.wanted == other.wanted and all(_text(a) == _text(b) for a, b in headers)

    def as_facts(self) -> MediaFacts | None:
        """Return the same as the `like` of a file that is played as a slate; None for any."""
        video, audio, rate = self.wanted
        if video is None:
            return None
        profile = (video.x264_profile or "high").capitalize()
        return MediaFacts(
            path="",
            format="flv",
            duration_s=0.0,
            video=VideoFacts("h264", video.width, video.height, rate or 0.0, profile),
            audio=AudioFacts("aac", audio.sample_rate, audio.channels, "LC") if audio else None,
        )


class SlateCache:
    """The files of one stream in the cache directory.

    Args:
        directory: made where it is missing.
        stream: `app/stream`.
    """

    def __init__(self, directory: str, stream: str) -> None:
        self._directory = Path(directory)
        digest = hashlib.sha256(stream.encode()).hexdigest()[:8]
        self._stem = f"{quote(stream, safe='')[:_LONGEST_STEM]}-{digest}"

    def path(self, file: str, shown: Shown) -> Path:
        """Return where a file lies when it is fitted.

        Raises:
            OSError: the file cannot be looked at.
        """
        facts = Path(file).stat()
        key = repr((_RECIPE, file, facts.st_size, facts.st_mtime_ns, shown.wanted))
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        return self._directory / f"{self._stem}-{digest}.flv"

    def part(self, path: Path) -> Path:
        """Make room to write a fitted file, and return where.

        Raises:
            OSError: the directory cannot be written.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._directory.glob(f"{self._stem}-*.part"):
            left.unlink(missing_ok=True)
        return path.with_suffix(".part")

    def keep(self, path: Path, shown: Shown) -> None:
        """Remember what is on air and the file that is fitted to it, and remove older files.

        Raises:
            OSError: it cannot be written.
        """
        kept = {
            "video": _text(shown.video),
            "audio": _text(shown.audio),
            "fps": shown.fps,
            "fitted": path.name,
        }
        write_whole(self._memory, json.dumps(kept), mode=SHARED, durable=False, alone=True)
        os.utime(path)
        fitted = self._directory.glob(f"{self._stem}-*.flv")
        newest_first = sorted(fitted, key=lambda each: each.stat().st_mtime_ns, reverse=True)
        for old in newest_first[KEPT_FILES:]:
            old.unlink(missing_ok=True)

    def remembered(self) -> tuple[Shown, Path | None]:
        """Return what was on air last and the slate of that time; nothing where that is lost."""
        try:
            kept = json.loads(self._memory.read_bytes())
            fps = kept["fps"]
            video, audio = _tag(VIDEO, kept["video"]), _tag(AUDIO, kept["audio"])
            shown = Shown(video, audio, None if fps is None else float(fps))
            fitted = self._directory / Path(kept["fitted"]).name
            return shown, fitted if fitted.is_file() else None
        except (OSError, ValueError, TypeError, KeyError):
            return Shown(), None

    @property
    def _memory(self) -> Path:
        return self._directory / f"{self._stem}.json"


def _text(header: Tag | None) -> str | None:
    return base64.b64encode(header.body).decode() if header is not None else None


def _tag(kind: int, text: str | None) -> Tag | None:
    return Tag(kind, 0, base64.b64decode(text)) if text is not None else None
