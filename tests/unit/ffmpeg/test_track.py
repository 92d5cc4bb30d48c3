import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.ffmpeg.progress import pid_of
from streamd.ffmpeg.track import Playing, Report, Track, advance, parse_report

REPORT = b"""\
frame=31
fps=15.42
stream_0_0_q=-1.0
bitrate= 302.6kbits/s
total_size=77303
out_time_us=2044000
out_time_ms=2044000
out_time=00:00:02.044000
dup_frames=0
drop_frames=0
speed=1.02x
progress=continue
"""


def test_a_report_is_read() -> None:
    assert parse_report(REPORT) == Report(out_time_us=2_044_000, total_bytes=77_303)


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"total_size=N/A\nout_time_us=N/A\nprogress=continue\n",
        b"es=0\nspeed=1.01x\nprogress=end\n",
        b"out_time_us=",
    ],
)
def test_what_is_not_known_yet_is_none(datagram: bytes) -> None:
    assert parse_report(datagram) == Report(None, None)


@given(st.binary())
def test_no_datagram_does_harm(datagram: bytes) -> None:
    parse_report(datagram)


def test_a_first_report_without_media_is_no_advance() -> None:
    track = advance(Track(), Report(0, 481), now=10.0)
    assert (track.advanced_at, track.reported_at, track.bytes) == (None, 10.0, 481)


def test_media_is_an_advance() -> None:
    track = advance(Track(), Report(1_021_000, 36_433), now=10.0)
    assert (track.out_time_us, track.advanced_at) == (1_021_000, 10.0)


@pytest.mark.parametrize("out_time_us", [1_021_000, 900_000, None])
def test_reports_go_on_while_media_stands_still(out_time_us: int | None) -> None:
    track = advance(Track(), Report(1_021_000, 36_433), now=10.0)
    track = advance(track, Report(out_time_us, 36_433), now=11.0)
    assert (track.out_time_us, track.advanced_at, track.reported_at) == (1_021_000, 10.0, 11.0)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    track = Track()
    for second in range(20):
        rate = 1000 if second < 10 else 2000  # bytes a second
        track = advance(track, Report(second, track.bytes + rate), now=float(second))
    assert track.kbps == pytest.approx(16.0)
    assert len(track.rate_from) < 10


def test_the_rate_is_unknown_after_one_report() -> None:
    assert advance(Track(), Report(1, 1000), now=0.0).kbps is None


def test_the_rate_falls_to_nothing_when_nothing_is_sent() -> None:
    track = Track()
    for second in range(20):
        track = advance(track, Report(second, min(second, 5) * 1000), now=float(second))
    assert track.kbps == 0.0


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(0, 100)), st.one_of(st.none(), st.integers(0, 100))
        )
    )
)
def test_a_track_never_goes_back(reports: list[tuple[int | None, int | None]]) -> None:
    track = Track()
    for now, (out_time_us, total_bytes) in enumerate(reports):
        after = advance(track, Report(out_time_us, total_bytes), now=float(now))
        assert after.bytes >= track.bytes
        assert (after.out_time_us or 0) >= (track.out_time_us or 0)
        assert (after.advanced_at == now) == (after.out_time_us != track.out_time_us)
        assert after.kbps is None or after.kbps >= 0
        track = after


@pytest.mark.parametrize(
    ("address", "pid"),
    [
        ("127.64.0.1", 1),
        ("127.64.3.7", 775),
        ("127.127.255.255", 4_194_303),
        ("127.0.0.1", None),
        ("127.64.0.0", None),
        ("127.128.0.0", None),
        ("10.64.0.1", None),
    ],
)
def test_a_sender_names_its_pid(address: str, pid: int | None) -> None:
    assert pid_of(address) == pid


def test_a_playout_says_what_it_plays_and_what_is_wrong() -> None:
    said = parse_report(
        b"out_time_us=5\ntotal_size=7\ninput=1\nitem=/srv/a=b.mp4\nmode=copy\n"
        b"skipped=/srv/x.mp4: is empty\nskipped=/srv/y.mp4: is no media file\n"
        b"error=the camera does not answer\nprogress=continue\n"
    )
    skipped = ("/srv/x.mp4: is empty", "/srv/y.mp4: is no media file")
    error = "the camera does not answer"
    assert said == Report(5, 7, Playing(1, "/srv/a=b.mp4", "copy", skipped, error))


def test_a_playout_with_nothing_on_air_says_so() -> None:
    assert parse_report(b"out_time_us=0\ninput=-1\nitem=\n").playing == Playing()


def test_a_playout_that_nobody_takes_anything_from_says_so() -> None:
    said = parse_report(b"out_time_us=0\ninput=0\nerror=busy\npublishes=no\n")
    assert said.playing == Playing(0, error="busy", publishes=False)


def test_what_a_playout_said_last_counts() -> None:
    track = advance(Track(), parse_report(b"out_time_us=1\ninput=0\n"), 1.0)
    track = advance(track, parse_report(b"out_time_us=2\ninput=1\n"), 2.0)
    assert track.playing == Playing(input=1)


def test_the_speed_is_that_of_the_last_seconds() -> None:
    track, come_to = Track(), 0.0
    for second in range(40):
        come_to += 1.0 if second < 20 else 0.8
        track = advance(track, Report(round(come_to * 1e6), None), now=float(second))
        if second == 19:
            assert track.speed == pytest.approx(1.0)
            assert track.slow_since is None
    assert track.speed == pytest.approx(0.8)
    assert track.slow_since == 20.0


def test_the_speed_is_unknown_before_there_is_media_and_soon_after() -> None:
    track = Track()
    for second in range(20):
        track = advance(track, Report(0, None), now=float(second))
        assert track.speed is None
    for second in range(20, 24):
        track = advance(track, Report(second * 1_000_000, None), now=float(second))
        assert track.speed is None
    assert advance(track, Report(24_000_000, None), now=24.0).speed == pytest.approx(1.0)


def test_the_speed_falls_to_nothing_when_media_stands_still() -> None:
    track = Track()
    for second in range(20):
        track = advance(track, Report(min(second, 8) * 1_000_000, None), now=float(second))
    assert track.speed == 0.0
    assert track.slow_since == 9.0
