"""What a media file holds, whether it can be sent as it is, and what is sent of it. Pure.

A media server and its players take H.264 in 8-bit 4:2:0 and AAC; everything else is made that.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

SILENT_RATE, SILENT_CHANNELS = 48_000, 2
"""Of sound that is made anew, where there is nothing that it has to be like."""

BLACK = (1280, 720)
"""The picture of a file with sound alone, where none is given."""

STILL_FPS = 25.0
STILL_S = 10.0
"""How long a picture is shown that stands where a video would."""

# What one machine can encode while it plays; more is made smaller.
LONG_SIDE, SHORT_SIDE = 1920, 1080
_FASTEST_FPS = 60.0
_STANDARD_FPS = (24_000 / 1001, 24.0, 25.0, 30_000 / 1001, 30.0, 50.0, 60_000 / 1001, 60.0)
_FPS_TOLERANCE = 0.01
_SQUARE_TOLERANCE = 0.02

# Demuxers that give every packet a timestamp that FLV can hold.
_COPYABLE_FORMATS = frozenset(("mov", "mpegts", "matroska", "flv"))
_COPYABLE_AUDIO_FORMATS = _COPYABLE_FORMATS | {"aac"}
_PROFILES = {
    "Constrained Baseline": "baseline",
    "Baseline": "baseline",
    "Main": "main",
    "High": "high",
    "Constrained High": "high",
    "Progressive High": "high",
}
_PIXEL_FORMATS = ("yuv420p", "yuvj420p")
_AAC_PROFILES = ("LC", "HE-AAC", "HE-AACv2", "")


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """The picture of a file.

    Attributes:
        codec: FFmpeg's name, as `h264`.
        width, height: pixels as they are coded.
        fps: frames a second on average; 0 where that is not known.
        profile, pixel_format: FFmpeg's names; empty where not known.
        has_b_frames: decoding order is another than the order of showing.
        interlaced: it says that frames are of two fields.
        rotation: degrees that it has to be turned clockwise to be shown: 0, 90, 180 or 270.
        pixel_aspect: width of one pixel by its height.
        colour_matrix: FFmpeg's name; empty where the file does not say.
        index: of the stream in the file.
    """

    codec: str
    width: int
    height: int
    fps: float = 0.0
    profile: str = ""
    pixel_format: str = "yuv420p"
    has_b_frames: bool = False
    interlaced: bool = False
    rotation: int = 0
    pixel_aspect: float = 1.0
    colour_matrix: str = ""
    index: int = 0

    @property
    def x264_profile(self) -> Literal["baseline", "main", "high"]:
        """What libx264 calls its profile, or the one that is next to it."""
        profile = _PROFILES.get(self.profile, "high")
        return "baseline" if profile == "baseline" else "main" if profile == "main" else "high"

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height as it is shown: turned, and in square pixels."""
        width = round(self.width * self.pixel_aspect) if self.has_odd_pixels else self.width
        return (self.height, width) if self.rotation in (90, 270) else (width, self.height)

    @property
    def has_odd_pixels(self) -> bool:
        """Tell whether its pixels are visibly not square."""
        return abs(self.pixel_aspect - 1) > _SQUARE_TOLERANCE


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """The sound of a file.

    Attributes:
        codec: FFmpeg's name, as `aac`.
        sample_rate: Hz, as it is heard.
        channels: how many.
        profile: FFmpeg's name; empty where not known.
        index: of the stream in the file.
    """

    codec: str
    sample_rate: int
    channels: int
    profile: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """A file that can be played.

    Attributes:
        path: absolute, links followed.
        format: FFmpeg's demuxer that reads it, by one name.
        duration_s: seconds; 0 where that is not known, as of pictures.
        video: what is seen: the first video, or where there is none a still picture (cover art
            too).
        audio: what is heard: the first sound.
        picture: `video` is a still picture.
    """

    path: str
    format: str
    duration_s: float
    video: VideoFacts | None
    audio: AudioFacts | None
    picture: bool = False


@dataclass(frozen=True, slots=True)
class Handling:
    """How a file is sent.

    Attributes:
        mode: `copy` where no coded picture or sound is changed, otherwise `transcode`.
        reason: why, in words for an operator.
        copies_video, copies_audio: what stays as it is although the other is transcoded.
    """

    mode: Literal["copy", "transcode"]
    reason: str
    copies_video: bool
    copies_audio: bool


def handling(facts: MediaFacts, like: MediaFacts | None = None) -> Handling:
    """Decide what of a file is copied.

    Args:
        facts: of the file.
        like: what else is sent in the same stream, as `as_sent` says it, which players must not
            notice a difference to: size, rate within 1%, profile, sample rate and channels. Where
            it has no sound, any will do; where it has and the file has none, there is silence.
    """
    video = next(_video_faults(facts, None if like is None else like.video), None)
    audio = next(_audio_faults(facts, None if like is None else like.audio), None)
    silence = "it has no sound, and other files have" if _lacks_sound(facts, like) else None
    faults = [fault for fault in (video, audio, silence) if fault is not None]
    return Handling(
        mode="transcode" if faults else "copy",
        reason=", and ".join(faults) or "it is H.264 with AAC or without sound",
        copies_video=video is None,
        copies_audio=facts.audio is not None and audio is None,
    )


def as_sent(
    facts: MediaFacts, like: MediaFacts | None = None, picture: MediaFacts | None = None
) -> MediaFacts:
    """Return what is sent of a file: the `like` of those that follow it.

    Args:
        facts: of the file.
        like: as of `handling`.
        picture: of what is shown where the file has sound alone.
    """
    how = handling(facts, like)
    audio = facts.audio
    if not how.copies_audio:
        audio = like.audio if like is not None else None
        if audio is None and facts.audio is not None:
            audio = AudioFacts("aac", SILENT_RATE, SILENT_CHANNELS, "LC")
    return replace(
        facts,
        video=facts.video if how.copies_video else _video_sent(facts, like, picture),
        audio=audio,
        picture=False,
    )


def lent_sound(first: MediaFacts, sounding: MediaFacts | None) -> MediaFacts | None:
    """Return what the first file of a playlist has to be like; None for as it is.

    Whoever begins with a stream that has no sound takes none later either, so that a first file
    without sound gets silence where another one has sound.

    Args:
        first: the file that is played first.
        sounding: another one that has sound; None where none has.
    """
    if first.audio is not None or sounding is None:
        return None
    return replace(as_sent(first), audio=as_sent(sounding).audio)


def with_sound(sent: MediaFacts) -> MediaFacts:
    """Return what is sent with silence where it has no sound."""
    silence = AudioFacts("aac", SILENT_RATE, SILENT_CHANNELS, "LC")
    return replace(sent, audio=sent.audio or silence)


def _lacks_sound(facts: MediaFacts, like: MediaFacts | None) -> bool:
    return facts.audio is None and like is not None and like.audio is not None


def _video_faults(facts: MediaFacts, like: VideoFacts | None) -> Iterator[str]:
    video = facts.video
    if video is None:
        yield "it has no picture"
    elif facts.picture:
        yield "it is a still picture" if facts.audio is None else "it has a still picture alone"
    else:
        yield from _faults_for_players(video, facts.format)
        if like is not None:
            yield from _video_differences(video, like)


def _faults_for_players(video: VideoFacts, container: str) -> Iterator[str]:
    if video.codec != "h264":
        yield f"its video is {video.codec}, not H.264"
    if video.pixel_format not in _PIXEL_FORMATS:
        yield f"its pixels are {video.pixel_format or 'unknown'}, not yuv420p"
    if video.profile not in _PROFILES:
        yield f"its H.264 profile is {video.profile or 'unknown'}"
    if video.interlaced:
        yield "its video is interlaced"
    if video.rotation:
        yield f"its video has to be turned by {video.rotation} degrees"
    if video.has_odd_pixels:
        yield "its pixels are not square"
    if container not in _COPYABLE_FORMATS:
        yield f"its container is {container}"


def _video_differences(video: VideoFacts, like: VideoFacts) -> Iterator[str]:
    if (video.width, video.height) != (like.width, like.height):
        yield f"its size is {video.width}x{video.height}, not {like.width}x{like.height}"
    if like.fps and abs(video.fps - like.fps) > _FPS_TOLERANCE * like.fps:
        yield f"its rate is {video.fps:g} frames a second, not {like.fps:g}"
    if video.x264_profile != like.x264_profile:
        yield f"its H.264 profile is {video.profile}, not {like.profile}"


def _audio_faults(facts: MediaFacts, like: AudioFacts | None) -> Iterator[str]:
    audio = facts.audio
    if audio is None:
        return
    if audio.codec != "aac":
        yield f"its sound is {audio.codec}, not AAC"
    elif audio.profile not in _AAC_PROFILES:
        yield f"its sound is AAC {audio.profile}, not LC or HE"
    elif facts.format not in _COPYABLE_AUDIO_FORMATS:
        yield f"its container is {facts.format}"
    if like is None:
        return
    if audio.sample_rate != like.sample_rate:
        yield f"its sound has {audio.sample_rate} Hz, not {like.sample_rate}"
    if audio.channels != like.channels:
        yield f"its sound has {audio.channels} channels, not {like.channels}"


def _video_sent(
    facts: MediaFacts, like: MediaFacts | None, picture: MediaFacts | None
) -> VideoFacts:
    own_fps = STILL_FPS if facts.video is None or facts.picture else facts.video.fps
    if like is not None and like.video is not None:
        fps = like.video.fps or standard_fps(own_fps)
        profile = like.video.x264_profile.capitalize()
        return VideoFacts("h264", like.video.width, like.video.height, fps, profile)
    shown = facts.video or (picture.video if picture is not None else None)
    width, height = BLACK if shown is None else _bounded(*shown.shown_size)
    return VideoFacts("h264", width, height, standard_fps(own_fps), "High")


def _bounded(width: int, height: int) -> tuple[int, int]:
    """Return a size of the same shape that fits into 1080p, in even numbers."""
    long, short = max(width, height), min(width, height)
    scale = min(1.0, LONG_SIDE / long, SHORT_SIDE / short)
    fitted = [max(2, int(side * scale) // 2 * 2) for side in (width, height)]
    return fitted[0], fitted[1]


def standard_fps(fps: float) -> float:
    """Return the usual rate within 1% of one that was measured, or itself; 25 for none.

    60 is the most.
    """
    if fps <= 0:
        return STILL_FPS
    near = min(_STANDARD_FPS, key=lambda standard: abs(standard - fps))
    if abs(near - fps) <= _FPS_TOLERANCE * near / 2:
        return near
    return min(fps, _FASTEST_FPS)
