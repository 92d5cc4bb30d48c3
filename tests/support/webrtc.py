"""Offers of WebRTC as a browser makes them: one Opus and one H.264 track, never connected."""

from typing import Literal

_H264 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"


def offer(direction: Literal["sendonly", "recvonly"]) -> str:
    """Return an SDP offer to publish or to play (RFC 9725, WHIP)."""
    return "\r\n".join(
        (
            "v=0",
            "o=- 1 1 IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            "a=group:BUNDLE audio video",
            "a=msid-semantic: WMS test",
            *_media("audio", 111, "opus/48000/2", "minptime=10;useinbandfec=1", direction),
            *_media("video", 106, "H264/90000", _H264, direction),
            "",
        )
    )


def _media(kind: str, payload: int, codec: str, fmtp: str, direction: str) -> tuple[str, ...]:
    fingerprint = ":".join(["AB"] * 32)
    source = (f"a=ssrc:{payload} cname:test", f"a=ssrc:{payload} msid:test {kind}")
    return (
        f"m={kind} 9 UDP/TLS/RTP/SAVPF {payload}",
        "c=IN IP4 0.0.0.0",
        "a=ice-ufrag:offr",
        "a=ice-pwd:offeredpassword0123456789",
        f"a=fingerprint:sha-256 {fingerprint}",
        "a=setup:actpass",
        f"a=mid:{kind}",
        f"a={direction}",
        "a=rtcp-mux",
        f"a=rtpmap:{payload} {codec}",
        f"a=fmtp:{payload} {fmtp}",
        *(source if direction == "sendonly" else ()),
    )
