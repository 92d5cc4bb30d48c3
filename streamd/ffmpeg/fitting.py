"""How FFmpeg is told to make H.264 and AAC that every player of a live stream takes. Pure."""

from collections.abc import Iterator
from fractions import Fraction

from streamd.ffmpeg.media import LONG_SIDE, SHORT_SIDE, AudioFacts, VideoFacts

GOP_S = 2

# Most bits a second by the pixels of a picture, at 30 frames a second or fewer.
_VIDEO_KBPS = (
    (640 * 360, 800),
    (854 * 480, 1400),
    (1280 * 720, 2800),
    (1920 * 1080, 5000),
    (2560 * 1440, 9000),
)
_LARGEST_KBPS = 16_000
_FAST_FPS = 31.0
_FAST_FACTOR = 1.5

_AUDIO_KBPS_PER_CHANNEL = 64

_BT709 = (
    *("-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709"),
    *("-color_range", "tv"),
)

# What has no colours of its own to name is taken for what its size was usual with.
_HD_HEIGHT = 720


def video_kbps(width: int, height: int, fps: float) -> int:
    """Return the most that a picture of a size and rate is given, kilobits a second."""
    fitting = (kbps for pixels, kbps in _VIDEO_KBPS if width * height <= pixels)
    kbps = next(fitting, _LARGEST_KBPS)
    return round(kbps * _FAST_FACTOR) if fps > _FAST_FPS else kbps


def rate(fps: float) -> str:
    """Return a frame rate as FFmpeg takes it without loss: `25`, `30000/1001`."""
    for divisor in (1, 1001):
        above = round(fps * divisor)
        if divisor == 1001:
            above = round(above / 1000) * 1000
        if above and abs(fps - above / divisor) < 1e-4 * fps:
            return str(above) if divisor == 1 else f"{above}/{divisor}"
    return str(Fraction(fps).limit_denominator(1000))


def video_filter(video: VideoFacts, sent: VideoFacts, *, still: bool) -> str:
    """Return the filter that makes one picture the size, shape, rate and colours of another.

    Nothing of it is cut off: what is missing of the shape is black. FFmpeg turns it by itself.

    Args:
        video: what there is.
        sent: what it becomes.
        still: it is one picture, which is shown without end.
    """
    shape = _shape(video, sent)
    return ",".join((*shape, _endless(sent)) if still else (*_steady(video, sent), *shape))


def _steady(video: VideoFacts, sent: VideoFacts) -> Iterator[str]:
    if video.interlaced:
        yield "yadif=deint=interlaced"
    yield f"fps={rate(sent.fps)}"


def _shape(video: VideoFacts, sent: VideoFacts) -> Iterator[str]:
    size = f"{sent.width}:{sent.height}"
    matrix = "auto"
    if not video.colour_matrix:
        matrix = "bt709" if video.height >= _HD_HEIGHT else "bt601"
    if video.has_odd_pixels:
        yield "scale=trunc(iw*sar/2)*2:ih"
    yield (
        f"scale={size}:force_original_aspect_ratio=decrease:force_divisible_by=2"
        f":in_color_matrix={matrix}:out_color_matrix=bt709:out_range=tv"
    )
    yield "format=yuv420p"
    yield f"pad={size}:(ow-iw)/2:(oh-ih)/2"
    yield "setsar=1"


def _endless(sent: VideoFacts) -> str:
    """Repeat the one picture that was decoded and shaped, numbered anew."""
    fps = rate(sent.fps)
    return f"loop=loop=-1:size=1,settb={1 / Fraction(fps)},setpts=N,fps={fps}"


def video_encoder(
    sent: VideoFacts, *, at_once: bool = False, parameter_sets: int = 0
) -> tuple[str, ...]:
    """Return the arguments that encode a picture as H.264.

    A keyframe every 2 s, and none between, and no B-frames: so a stream can be joined and left
    anywhere, and WebRTC can carry it.

    Args:
        sent: what it becomes.
        at_once: without looking ahead, so that it can end with the sound that it goes with.
        parameter_sets: what H.264's SPS and PPS are numbered, 0 to 31.
    """
    kbps = video_kbps(sent.width, sent.height, sent.fps)
    gop = str(round(sent.fps * GOP_S))
    return (
        *("-c:v", "libx264", "-preset", "veryfast", "-profile:v", sent.x264_profile),
        *(("-tune", "zerolatency") if at_once else ()),
        *(("-x264-params", f"sps-id={parameter_sets}") if parameter_sets else ()),
        *("-crf", "21", "-maxrate", f"{kbps}k", "-bufsize", f"{2 * kbps}k"),
        *("-g", gop, "-keyint_min", gop, "-sc_threshold", "0", "-bf", "0"),
        *_BT709,
    )


def live_video_encoder() -> tuple[str, ...]:
    """Return the arguments that encode a picture of unknown size and rate at once.

    As `video_encoder`; it becomes 1080p where it is larger.
    """
    kbps = video_kbps(LONG_SIDE, SHORT_SIDE, 0.0)
    size = f"min(iw,{LONG_SIDE}):min(ih,{SHORT_SIDE})"
    return (
        "-vf",
        f"yadif=deint=interlaced,scale='{size}':force_original_aspect_ratio=decrease"
        ":force_divisible_by=2:out_range=tv,format=yuv420p,setsar=1",
        *("-fps_mode", "vfr"),
        *("-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-tune", "zerolatency"),
        *("-crf", "23", "-maxrate", f"{kbps}k", "-bufsize", f"{kbps}k"),
        *("-force_key_frames", f"expr:gte(t,n_forced*{GOP_S})", "-sc_threshold", "0", "-bf", "0"),
    )


def audio_encoder(sent: AudioFacts) -> tuple[str, ...]:
    """Return the arguments that encode sound as AAC LC, 64 kb/s a channel."""
    return (
        *("-c:a", "aac", "-b:a", f"{_AUDIO_KBPS_PER_CHANNEL * sent.channels}k"),
        *("-ar", str(sent.sample_rate), "-ac", str(sent.channels)),
    )
