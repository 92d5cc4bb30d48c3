"""Tell whether an FFmpeg encodes more slowly than its input comes. Pure."""

from streamd.ffmpeg.track import Track
from streamd.flow import Flow

SLOW_FOR_S = 10.0
"""A publisher's hiccup slows the output for shorter than this, a machine that cannot keep up
for as long as it lasts."""


def falls_behind(track: Track | None, flow: Flow | None, now: float) -> bool:
    """Tell whether encoding falls behind its input, all times monotonic.

    A publisher who sends too little is not the encoder's fault: while nothing comes in, and for
    a while after a silence, the answer is no.

    Args:
        track: what the FFmpeg reported; None when it has not.
        flow: its input; None while unknown, which is never behind.
        now: the time.
    """
    if track is None or track.slow_since is None or flow is None:
        return False
    return flow.goes_on(now) and now - max(track.slow_since, flow.resumed_at) >= SLOW_FOR_S
