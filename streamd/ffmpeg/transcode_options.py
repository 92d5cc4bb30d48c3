"""How a rendition is encoded: the options of each encoder, and the filters before it. Pure.

Options are FFmpeg's own: https://ffmpeg.org/ffmpeg-all.html, "Codec Options" and each encoder's.
"""

import math
import re
from collections.abc import Iterable

from streamd.config.models import NOT_ENCODED
from streamd.desired import AudioSpec, OverlaySpec, VideoSpec
from streamd.ffmpeg.fitting import rate

VAAPI_DEVICE = "/dev/dri/renderD128"
"""The graphics card that VA-API encodes on: the first one."""

_ENCODERS = {"h264": "libx264"}  # every other codec is called as its encoder is

# Encoders add keyframes of their own when none was forced for so many frames; this is to be never,
# or renditions of different frame rates would have keyframes at different places.
_FASTEST_FPS = 120
_LONGEST_GOP = 600

# The publisher's own clock, milliseconds. By default frames are put on the grid of the frame rate
# that the stream claims, and one that claims 25 and has 50 loses every other frame.
_TIME_BASE = "1:1000"

_OPAQUE = "yuv420p"  # what every player decodes
_OF_HARDWARE = "nv12"

_CORNERS = {
    "top-left": ("{margin}", "{margin}"),
    "top-right": ("W-w-{margin}", "{margin}"),
    "bottom-left": ("{margin}", "H-h-{margin}"),
    "bottom-right": ("W-w-{margin}", "H-h-{margin}"),
}
_SPECIAL = re.compile(r"[^A-Za-z0-9/._-]")


def encoder_of(codec: str) -> str | None:
    """Return the name of FFmpeg's encoder for a codec of the file; None for copy and none."""
    return None if codec in NOT_ENCODED else _ENCODERS.get(codec, codec)


def device_arguments(codecs: Iterable[str]) -> tuple[str, ...]:
    """Return what has to be opened, before anything else, for encoders of these codecs."""
    if "h264_vaapi" not in codecs:
        return ()
    return ("-init_hw_device", f"vaapi=gpu:{VAAPI_DEVICE}", "-filter_hw_device", "gpu")


def video_arguments(video: VideoSpec, *, follow_source: bool = False) -> tuple[str, ...]:
    """Return the options of an output that take its video from the first input, if it has any.

    The bit rate is held within any second. Keyframes stand at multiples of the interval, counted
    from the start, at whatever size and frame rate; a jump in the time stamps makes one more.

    Args:
        video: how it is encoded.
        follow_source: keyframes stand where the publisher's do instead, unless the frame rate is
            changed: FFmpeg loses them then.
    """
    if video.codec == "none":
        return ("-vn",)  # an output that nothing was found for takes whatever there is
    if video.codec == "copy":
        return ("-map", "0:v:0?", "-c:v", "copy")
    bits = str(video.bitrate)
    return (
        *("-map", "0:v:0?", "-vf", video_filters(video)),
        *(() if video.fps else ("-enc_time_base", _TIME_BASE)),
        *("-c:v", str(encoder_of(video.codec)), *_tuning(video)),
        *("-b:v", bits, "-maxrate:v", bits, "-bufsize:v", bits),
        *_keyframes(video, follow_source=follow_source),
    )


def audio_arguments(audio: AudioSpec) -> tuple[str, ...]:
    """Return the options of an output that take its sound from the first input, if it has any."""
    if audio.codec == "none":
        return ("-an",)
    if audio.codec == "copy":
        return ("-map", "0:a:0?", "-c:a", "copy")
    return (
        *("-map", "0:a:0?", "-c:a", audio.codec, "-b:a", str(audio.bitrate)),
        *(("-ar", str(audio.sample_rate)) if audio.sample_rate else ()),
        *(("-ac", str(audio.channels)) if audio.channels else ()),
        # Silence where the publisher lost some: a gap would move all that follows it.
        *("-af", "aresample=async=1"),
    )


def video_filters(video: VideoSpec) -> str:
    """Return the filter graph between decoder and encoder."""
    pixels = _OF_HARDWARE if video.codec in ("h264_vaapi", "h264_qsv") else _OPAQUE
    upload = ["hwupload"] if video.codec == "h264_vaapi" else []
    steps = [f"fps={rate(video.fps)}"] if video.fps else []
    steps += _scaled(video.width, video.height)
    if video.overlay is None:
        return ",".join((*steps, f"format={pixels}", *upload))
    x, y = (text.format(margin=video.overlay.margin) for text in _CORNERS[video.overlay.position])
    laid_over = ",".join((f"overlay=x={x}:y={y}", f"format={pixels}", *upload))
    return f"{','.join(steps)}[video];{_picture(video.overlay)}[over];[video][over]{laid_over}"


def _scaled(width: int | None, height: int | None) -> list[str]:
    """Return the steps to a size. Sides are even, because H.264 halves them for its colours."""
    if width and height:
        fitted = f"scale=w={width}:h={height}:force_original_aspect_ratio=decrease"
        return [f"{fitted}:force_divisible_by=2", f"pad=w={width}:h={height}:x=-1:y=-1"]
    if width or height:
        return [f"scale=w={width or -2}:h={height or -2}"]
    return ["scale=w=trunc(iw/2)*2:h=trunc(ih/2)*2"]


def _picture(overlay: OverlaySpec) -> str:
    picture = f"movie=filename={_quoted(_quoted(overlay.file))}"
    return f"{picture},scale=w={overlay.width}:h=-1" if overlay.width else picture


def _quoted(text: str) -> str:
    """Quote once: a graph's text is taken apart into filters, then a filter's into options."""
    return _SPECIAL.sub(lambda match: f"\\{match[0]}", text)


def _tuning(video: VideoSpec) -> tuple[str, ...]:
    profile = ("-profile:v", video.profile) if video.profile else ()
    preset = ("-preset", video.preset) if video.preset else ()
    match video.codec:
        case "h264":
            return (*(preset or ("-preset", "veryfast")), *profile, "-sc_threshold", "0")
        case "h264_nvenc":
            return (*preset, *profile, "-rc", "cbr", "-no-scenecut", "1", "-forced-idr", "1")
        case "h264_qsv":
            return (*preset, *profile, "-forced_idr", "1")
    # VA-API has no presets, and every keyframe that is forced is one to begin at.
    return ("-profile:v", "constrained_baseline") if video.profile == "baseline" else profile


def _keyframes(video: VideoSpec, *, follow_source: bool) -> tuple[str, ...]:
    if follow_source and video.fps is None:
        return ("-force_key_frames", "source", "-g", str(_LONGEST_GOP))
    every = f"{video.keyframe_interval_s:g}"
    grown = f"gt(floor(t/{every}),floor(prev_forced_t/{every}))"
    gop = math.ceil(video.keyframe_interval_s * (video.fps or _FASTEST_FPS)) + 1
    return ("-force_key_frames", f"expr:if(isnan(prev_forced_t),1,{grown})", "-g", str(gop))
