import pytest

from streamd.playout.address import RtmpAddress


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rtmp://127.0.0.1/live/cam", ("127.0.0.1", 1935, "live", "cam")),
        ("rtmp://h:1936/in/lot/cam?secret=a/b:c@d", ("h", 1936, "in/lot", "cam?secret=a/b:c@d")),
        ("rtmp://[::1]:1936/live/cam", ("::1", 1936, "live", "cam")),
        ("rtmp://[::1]/live/cam", ("::1", 1935, "live", "cam")),
        ("rtmp://user@h/live/cam%20a", ("h", 1935, "live", "cam%20a")),
    ],
)
def test_an_address_is_taken_apart(url: str, expected: tuple[str, int, str, str]) -> None:
    address = RtmpAddress.parse(url)
    assert (address.host, address.port, address.app, address.stream) == expected


@pytest.mark.parametrize(
    "url",
    ["", "rtmp://h", "rtmp://h/live", "rtmp://h/live/", "rtmp:///live/cam", "http://h/live/cam"],
)
def test_what_names_no_stream_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not an address of the form"):
        RtmpAddress.parse(url)


@pytest.mark.parametrize("port", ["0", "65536", "x", "-1", "", "\N{SUPERSCRIPT TWO}"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(ValueError, match="port between 1 and 65535"):
        RtmpAddress.parse(f"rtmp://h:{port}/live/cam")


def test_a_refusal_does_not_show_the_address() -> None:
    with pytest.raises(ValueError, match="form") as refusal:
        RtmpAddress.parse("rtmp://h?secret=s3cret")
    assert "s3cret" not in str(refusal.value)


def test_the_app_has_an_address_of_its_own() -> None:
    assert RtmpAddress.parse("rtmp://[::1]/in/lot/cam?x=y").tc_url == "rtmp://[::1]:1935/in/lot"


def test_nothing_secret_is_shown() -> None:
    address = RtmpAddress.parse("rtmp://h/live/cam?secret=s3c%2Fret&plain")

    assert address.without_secrets("s3c%2Fret s3c/ret plain ?secret=other") == (
        "*** *** *** ?secret=***"
    )
    assert "s3c" not in repr(address)
