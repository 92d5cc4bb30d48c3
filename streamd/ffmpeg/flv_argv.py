"""How FFmpeg is told to make FLV of a file: to a pipe as it is played, or as a fitted slate. Pure.

Options are FFmpeg's own, of releases from 5.0 on: https://ffmpeg.org/ffmpeg-all.html. What is
pulled from elsewhere is in `streamd.ffmpeg.pull`.
"""

from dataclasses import dataclass, replace
from itertools import count

from streamd.ffmpeg.file_input import file_input
from streamd.ffmpeg.fitting import audio_encoder, rate, video_encoder, video_filter
from streamd.ffmpeg.media import (
    STILL_S,
    AudioFacts,
    Handling,
    MediaFacts,
    VideoFacts,
    as_sent,
    with_sound,
)
from streamd.playout.formats import AudioFormat, VideoFormat

QUIET = ("-nostdin", "-hide_banner", "-loglevel", "level+warning", "-nostats")
"""How every argv begins: with a log of what goes wrong, by its level."""

FLV = ("-flvflags", "no_duration_filesize+no_sequence_end", "-f", "flv")

LONGEST_SLATE_S = 60.0
"""A slate is cut to this: it is made before it is seen, and kept."""

# Not 0, as encoders number theirs: so one decoder header can hold those of both.
_SLATE_PARAMETER_SETS = 7

# Sound and picture are put in order over this much of them.
_INTERLEAVE_US = "1000000"

# Gaps become silence and what overlaps is cut, so that sound stays with the picture.
_AUDIO_FILTER = "aresample=async=1:first_pts=0"

_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


@dataclass(frozen=True, slots=True)
class _Track:
    """One track of the output.

    Attributes:
        source: arguments of an input of its own; empty: the file.
        index: of the stream in its input.
        arguments: what is made of it.
        endless: it lasts as long as the other.
    """

    source: tuple[str, ...]
    index: int
    arguments: tuple[str, ...]
    endless: bool = False


def file_argv(
    ffmpeg: str,
    facts: MediaFacts,
    handling: Handling,
    like: MediaFacts | None = None,
    picture: MediaFacts | None = None,
) -> tuple[str, ...]:
    """Return the argv that writes a file as FLV to stdout, as fast as that is read.

    Timestamps begin at about 0. A picture is shown for 10 s, one that goes with sound as long as
    that lasts.

    Args:
        ffmpeg: the binary.
        facts: of the file.
        handling: of it, with the same `like`.
        like: what it has to be like, as `as_sent` returned it of what was sent before; None of
            the first file.
        picture: of what is shown where the file has sound alone; None: black.
    """
    sent = as_sent(facts, like, picture)
    video, audio = _video(facts, handling, sent, picture), _audio(facts, handling, sent)
    return (
        *(ffmpeg, *QUIET, *_mapped(facts, (video, audio))),
        *_end(video, audio),
        *("-max_interleave_delta", _INTERLEAVE_US),
        *(*FLV, "pipe:1"),
    )


def slate_argv(
    ffmpeg: str,
    facts: MediaFacts,
    video: VideoFormat | None,
    audio: AudioFormat | None,
    fps: float | None,
    output: str,
) -> tuple[str, ...]:
    """Return the argv that writes a file as an FLV that fits to a stream and can be looped.

    Its sound is as long as its picture, 60 s at most, 10 s of a still picture. It can be read
    while it is written. It fails where the output exists.

    Args:
        ffmpeg: the binary.
        facts: of the file.
        video: of the stream that it stands in for; None: as of the file.
        audio: likewise; None: no sound where `video` is given, otherwise as of the file, or
            silence: who begins with a stream that has no sound takes none later either.
        fps: of the stream, where that is known better than `video` says it.
        output: path of the FLV.
    """
    like = _like(facts, video, audio, fps)
    sent = as_sent(facts, like)
    if like is None:
        sent = with_sound(sent)
    elif audio is None:
        sent = replace(sent, audio=None)
    duration = min(facts.duration_s or STILL_S, LONGEST_SLATE_S)
    anew = Handling("transcode", "it is a slate", copies_video=False, copies_audio=False)
    tracks = (
        _video(facts, anew, sent, None, slate=True),
        _audio(facts, anew, sent, ending=",apad"),
    )
    return (
        *(ffmpeg, *QUIET, "-n", *_mapped(facts, tracks), "-t", f"{duration:.3f}"),
        *("-flush_packets", "1", *FLV, f"file:{output}"),
    )


def _like(
    facts: MediaFacts, video: VideoFormat | None, audio: AudioFormat | None, fps: float | None
) -> MediaFacts | None:
    if video is None and audio is None:
        return None
    picture = None
    if video is not None:
        profile = (video.x264_profile or "high").capitalize()
        picture = VideoFacts("h264", video.width, video.height, fps or video.fps or 0.0, profile)
    sound = AudioFacts("aac", audio.sample_rate, audio.channels, "LC") if audio else None
    return replace(facts, video=picture, audio=sound)


def _video(
    facts: MediaFacts,
    handling: Handling,
    sent: MediaFacts,
    picture: MediaFacts | None,
    *,
    slate: bool = False,
) -> _Track | None:
    if sent.video is None:
        return None
    numbered = _SLATE_PARAMETER_SETS if slate else 0
    shown = facts if facts.video is not None else picture
    if shown is None or shown.video is None:
        size, fps = f"{sent.video.width}x{sent.video.height}", rate(sent.video.fps)
        black = ("-f", "lavfi", "-i", f"color=black:size={size}:rate={fps}")
        encoder = video_encoder(sent.video, at_once=True, parameter_sets=numbered)
        arguments = ("-pix_fmt", "yuv420p", *encoder)
        return _Track(black, 0, arguments, endless=True)
    if handling.copies_video:
        return _Track((), shown.video.index, ("-c:v", "copy"))
    still = shown.picture
    # A slate's picture stays when it is shorter than the sound.
    ending = ",tpad=stop=-1:stop_mode=clone" if slate and not still else ""
    filtered = video_filter(shown.video, sent.video, still=still) + ending
    return _Track(
        () if shown is facts else file_input(shown),
        shown.video.index,
        (
            *("-vf", filtered),
            *video_encoder(sent.video, at_once=still, parameter_sets=numbered),
        ),
        endless=still,
    )


def _audio(
    facts: MediaFacts, handling: Handling, sent: MediaFacts, ending: str = ""
) -> _Track | None:
    if sent.audio is None:
        return None
    if facts.audio is None:
        layout = _LAYOUTS.get(sent.audio.channels, "stereo")
        silence = f"anullsrc=sample_rate={sent.audio.sample_rate}:channel_layout={layout}"
        return _Track(("-f", "lavfi", "-i", silence), 0, audio_encoder(sent.audio), endless=True)
    if handling.copies_audio:
        return _Track((), facts.audio.index, ("-c:a", "copy"))
    filtered = ("-af", f"{_AUDIO_FILTER}{ending}")
    return _Track((), facts.audio.index, (*filtered, *audio_encoder(sent.audio)))


def _mapped(facts: MediaFacts, tracks: tuple[_Track | None, ...]) -> tuple[str, ...]:
    """Return the inputs, and what is taken of which."""
    present = [track for track in tracks if track is not None]
    numbers = count(1)
    outputs: list[str] = []
    for track in present:
        number = next(numbers) if track.source else 0
        outputs += ("-map", f"{number}:{track.index}", *track.arguments)
    return (*file_input(facts), *(text for track in present for text in track.source), *outputs)


def _end(video: _Track | None, audio: _Track | None) -> tuple[str, ...]:
    """Return where the output ends, when that is not where the file does."""
    tracks = [track for track in (video, audio) if track is not None]
    if all(track.endless for track in tracks):
        return ("-t", f"{STILL_S:g}")
    return ("-shortest",) if any(track.endless for track in tracks) else ()
