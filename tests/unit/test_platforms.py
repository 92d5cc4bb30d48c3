import pytest

from streamd.platforms import PLATFORMS, compose


@pytest.mark.parametrize(
    ("platform", "url", "key", "expected"),
    [
        ("youtube", None, "KEY", "rtmps://a.rtmps.youtube.com:443/live2/KEY"),
        (
            "facebook",
            None,
            "FB-1?s_bl=1&s_sw=0",
            "rtmps://live-api-s.facebook.com:443/rtmp/FB-1?s_bl=1&s_sw=0",
        ),
        (
            "bilibili",
            None,
            "?streamname=live_1&key=K",
            "rtmp://live-push.bilivideo.com/live-bvc/?streamname=live_1&key=K",
        ),
        ("youtube", "rtmp://backup/live2", "KEY", "rtmp://backup/live2/KEY"),
        ("custom", "rtmp://h/app/", "KEY", "rtmp://h/app/KEY"),
        ("custom", "rtmp://h/app/KEY?x=y", None, "rtmp://h/app/KEY?x=y"),
        ("custom", "srt://h:9000", "#!::r=live/x", "srt://h:9000?streamid=#!::r=live/x"),
        ("custom", "srt://h:9000?latency=1", "a&b c", "srt://h:9000?latency=1&streamid=a%26b%20c"),
        ("custom", "srt://h:9000", "{app}/{stream}", "srt://h:9000?streamid={app}/{stream}"),
    ],
)
def test_an_address_is_put_together(
    platform: str, url: str | None, key: str | None, expected: str
) -> None:
    assert compose(platform, url, key) == expected


@pytest.mark.parametrize("platform", [name for name, p in PLATFORMS.items() if p.server is None])
def test_a_platform_without_a_server_of_its_own_needs_one(platform: str) -> None:
    with pytest.raises(ValueError, match=f"{platform} gives each account its own server"):
        compose(platform, None, "KEY")
