"""The platforms that a target can name, in one table, and how an address is put together."""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class PlatformPreset:
    """What is known of a platform.

    `server` is its ingest address without the key, None where the platform gives each account
    its own. `key_hint` says where its users find the key.
    """

    title: str
    server: str | None
    key_hint: str


# Servers as the platforms' own help pages give them.
PLATFORMS: dict[str, PlatformPreset] = {
    "youtube": PlatformPreset(
        "YouTube", "rtmps://a.rtmps.youtube.com:443/live2", "YouTube Studio, Go live, Stream key"
    ),
    "twitch": PlatformPreset(
        "Twitch",
        "rtmps://ingest.global-contribute.live-video.net:443/app",
        "Creator Dashboard, Settings, Stream",
    ),
    "facebook": PlatformPreset(
        "Facebook", "rtmps://live-api-s.facebook.com:443/rtmp", "Live Producer, Streaming software"
    ),
    "bilibili": PlatformPreset(
        "Bilibili", "rtmp://live-push.bilivideo.com/live-bvc", "Live center, Start settings"
    ),
    "kuaishou": PlatformPreset("Kuaishou", None, "Live partner page; it gives server and key"),
    "wx": PlatformPreset("WeChat Channels", None, "Channels live page; it gives server and key"),
    "custom": PlatformPreset("Custom", None, "the receiver's operator"),
}

# The syntax of stream ids, which people leave as it is in addresses, and placeholders.
_PLAIN_IN_STREAM_ID = "/:#!,=@;{}"


def compose(platform: str, url: str | None, key: str | None) -> str:
    """Put a target's address together.

    Args:
        platform: a name in `PLATFORMS`.
        url: a pasted address (with its key) or a server; None takes the platform's own.
        key: the stream key, appended as the last part of the path; None when `url` has it.

    Raises:
        ValueError: the platform has no address of its own and none was given.
    """
    server = url or PLATFORMS[platform].server
    if server is None:
        raise ValueError(f"platform {platform} gives each account its own server; set `url`")
    if key is None:
        return server
    if server.startswith("srt://"):
        stream_id = quote(key, safe=_PLAIN_IN_STREAM_ID)
        return f"{server}{'&' if '?' in server else '?'}streamid={stream_id}"
    return f"{server.rstrip('/')}/{key}"
