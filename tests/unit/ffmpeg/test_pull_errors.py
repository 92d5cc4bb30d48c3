import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.ffmpeg.pull_errors import pull_end, pull_trouble


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "[tcp @ 0x1] [error] Failed to resolve hostname cam.lan: Name or service not known",
            "the name cam.lan does not resolve; check the address, and DNS on this machine",
        ),
        (
            "[tcp @ 0x1] [error] Connection to tcp://10.0.0.9:554?timeout=5000000 failed: "
            "Connection refused",
            "10.0.0.9:554 refuses the connection; nothing listens there, or a firewall is in the "
            "way",
        ),
        (
            "[tcp @ 0x1] [error] Connection to tcp://10.0.0.9:554?timeout=1 failed: No route to "
            "host",
            "no connection to 10.0.0.9:554: No route to host",
        ),
        (
            "[rtsp @ 0x1] [error] method DESCRIBE failed: 404 Not Found",
            "it has no stream at this address (404); check the path",
        ),
        (
            "[rtsp @ 0x1] [error] method SETUP failed: 461 Unsupported transport",
            "it does not send over this transport; try the other one",
        ),
        (
            "[rtsp @ 0x1] [error] method PLAY failed: 503 Service Unavailable",
            "it answers 503 Service Unavailable",
        ),
        ("[http @ 0x1] [warning] HTTP error 502 Bad Gateway", "it answers 502 Bad Gateway"),
        ("[error] pipe:0: Connection timed out", "it does not answer, or sends nothing any more"),
        (
            "[error] pipe:0: Invalid data found when processing input",
            "it sends nothing that can be read; check the address",
        ),
        ("[rtmp @ 0x1] [error] Server error: Stream gone", "it says: Stream gone"),
        ("[error] Something new", "[error] Something new"),
    ],
)
def test_what_a_log_says_is_worded(line: str, words: str) -> None:
    assert pull_trouble([line]) == words


def test_what_tells_most_counts() -> None:
    log = (
        "[rtsp @ 0x1] [error] method DESCRIBE failed: 401 Unauthorized",
        "[concat @ 0x1] [error] Impossible to open 'rtsp://user:pw@10.0.0.9/x'",
        "[error] pipe:0: Invalid data found when processing input",
    )
    assert (pull_trouble(log) or "").startswith("it refuses name and password")


def test_no_part_of_a_password_is_taken_for_the_host() -> None:
    line = "[error] Connection to rtmp://user:p@ss@10.0.0.9:1935 failed: Connection refused"
    assert (pull_trouble([line]) or "").startswith("10.0.0.9:1935 refuses the connection")


def test_a_log_that_says_nothing_tells_nothing() -> None:
    assert pull_trouble(()) is None
    assert pull_trouble(("", "  ")) is None


def test_addresses_are_shown_without_their_secrets() -> None:
    said = pull_trouble(["strange: rtsp://user:s3cret@10.0.0.9/x?token=s3cret"])
    assert said == "strange: rtsp://***@10.0.0.9/x?token=***"


@given(st.lists(st.text()))
def test_no_log_breaks_it(log: list[str]) -> None:
    said = pull_trouble(log)
    assert said is None or len(said) < 500


def test_a_pull_that_is_over_without_trouble_says_so() -> None:
    assert pull_end((), 0).startswith("it came to its end; ")
    assert pull_end(("[error] 404 Not Found",), 0) == pull_trouble(("404 Not Found",))
    assert pull_end((), -9) == "its FFmpeg ended with status -9"
