"""What one input has sent since it began, and where others may begin with it. Pure."""

from streamd.playout.formats import video_format
from streamd.playout.tags import AUDIO, DATA, VIDEO, Tag

SOUND_ALONE_S = 1.5
"""An input that has sent sound for as long and no picture has none."""

LATE_S = 0.3
"""Live media that comes later than this after its own pace is what has piled up somewhere."""

_PILE_S = 1.0
_RESTART_MS = 1000
_METADATA = b"\x02\x00\x0aonMetaData"

_FPS_FRAMES = 30
_BELIEVED_FPS = (0.45, 1.1)  # as a part of what the header says: cameras slow down in the dark


class Run:
    """One run. Times of tags are the input's own.

    Attributes:
        video_header, audio_header, metadata: the last of each.
        awaits_keyframe: pictures cannot be decoded before the next one.
    """

    def __init__(self) -> None:
        self.video_header: Tag | None = None
        self.audio_header: Tag | None = None
        self.metadata: Tag | None = None
        self.awaits_keyframe = True
        self._has_video = False
        self._sound_since: float | None = None
        self._paced_from: tuple[int, float] | None = None
        self._lateness = Lateness()
        self._rate = _Rate()

    def hear(self, tag: Tag, now: float) -> bool:
        """Take note of a tag, and tell whether a decoder can begin with it."""
        if tag.is_header:
            self._take_header(tag)
            return False
        if tag.kind == DATA:
            if tag.body.startswith(_METADATA):
                self.metadata = tag
            return False
        self._lateness.hear(tag, now)
        if tag.kind == VIDEO:
            self._has_video = True
            self._rate.hear(tag)
            enters = tag.is_keyframe
        else:
            if self._sound_since is None:
                self._sound_since = now
            enters = not self._has_video and now - self._sound_since >= SOUND_ALONE_S
        if self._paced_from is None and (enters or not self._has_video):
            self._paced_from = (tag.timestamp_ms, now)
        return enters

    def _take_header(self, tag: Tag) -> None:
        if tag.kind == AUDIO:
            self.audio_header = tag
            return
        self._has_video = True
        if self.video_header is None or self.video_header.body != tag.body:
            self.awaits_keyframe = True
            self._rate = _Rate()
        self.video_header = tag
        self._lateness = Lateness()

    @property
    def is_late(self) -> bool:
        """Tell whether what came last had piled up before."""
        return self._lateness.is_late

    @property
    def fps(self) -> float | None:
        """Frames a second, as its header says where that is about true; None: not known yet."""
        return self._rate.fps(self.video_header)

    @property
    def is_known(self) -> bool:
        """Tell whether all is known of it that something else can be made like."""
        return not self._has_video or self.fps is not None

    def due(self, tag: Tag) -> float | None:
        """Return when a tag is due by the run's own pace; None before it has any."""
        if self._paced_from is None:
            return None
        begun_ms, begun = self._paced_from
        return begun + (tag.timestamp_ms - begun_ms) / 1000


class Lateness:
    """Finds out whether live media has piled up, as after a freeze of its sender or its way.

    What has piled up comes faster than it was made: each tag is less late than the one before,
    compared with the most punctual one. A sender that simply was paused stays late by the same
    amount, and after a second that is its new pace.
    """

    def __init__(self) -> None:
        self.is_late = False
        self._least: float | None = None
        self._last_ms = 0
        self._late_since: float | None = None

    def hear(self, tag: Tag, now: float) -> None:
        """Take note of a picture or a piece of sound."""
        delay = now - tag.timestamp_ms / 1000
        restarted = tag.timestamp_ms < self._last_ms - _RESTART_MS
        if self._least is None or restarted or delay < self._least:
            self._least = delay
        self._last_ms = tag.timestamp_ms
        if delay - self._least <= LATE_S:
            self._late_since = None
        elif self._late_since is None:
            self._late_since = now
        elif now - self._late_since > _PILE_S:
            self._least, self._late_since = delay, None
        self.is_late = self._late_since is not None


class _Rate:
    """Measures frames a second."""

    def __init__(self) -> None:
        self._times: list[int] = []

    def hear(self, picture: Tag) -> None:
        if len(self._times) < _FPS_FRAMES:
            self._times.append(picture.timestamp_ms)

    def fps(self, header: Tag | None) -> float | None:
        if len(self._times) < _FPS_FRAMES or self._times[-1] <= self._times[0]:
            return None
        measured = 1000 * (len(self._times) - 1) / (self._times[-1] - self._times[0])
        said = video_format(header) if header is not None else None
        if said is None or said.fps is None:
            return measured
        least, most = _BELIEVED_FPS
        return said.fps if least * said.fps <= measured <= most * said.fps else measured
