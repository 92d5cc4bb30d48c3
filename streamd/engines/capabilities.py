"""What each engine can do: the one table that checks and renderings go by."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from streamd.desired import EngineName

Capability = Literal["rtmp", "hls", "https", "http-flv", "srt", "webrtc"]

TITLES: Mapping[Capability, str] = {
    "rtmp": "RTMP",
    "hls": "HLS",
    "https": "HTTPS",
    "http-flv": "HTTP-FLV",
    "srt": "SRT",
    "webrtc": "WebRTC",
}
"""What operators call them. `rtmp`, `https`, `srt` and `webrtc` are the fields of `listen` too."""

CAPABILITIES: "Mapping[EngineName, frozenset[Capability]]" = {
    "srs": frozenset(TITLES),
    "nginx-rtmp": frozenset({"rtmp", "hls", "https"}),
}


def lacking(engine: "EngineName") -> Mapping[Capability, str]:
    """Return what an engine cannot do, with its title."""
    return {name: title for name, title in TITLES.items() if name not in CAPABILITIES[engine]}
