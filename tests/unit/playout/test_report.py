from hypothesis import given
from hypothesis import strategies as st

from streamd.ffmpeg.track import Playing, parse_report
from streamd.playout.air import State
from streamd.playout.report import datagram

texts = st.none() | st.text(max_size=3000)


def test_a_report_is_read_as_it_was_meant() -> None:
    state = State("/srv/a.mp4", "transcode, its video is hevc", {"/srv/b": "/srv/b is empty"})
    sent = datagram(out_ms=1500, sent_bytes=99, at=1, state=state, error="no server")
    report = parse_report(sent)
    assert (report.out_time_us, report.total_bytes) == (1_500_000, 99)
    assert report.playing == Playing(
        input=1,
        item="/srv/a.mp4",
        mode="transcode, its video is hevc",
        skipped=("/srv/b is empty",),
        error="no server",
    )


def test_that_the_server_takes_nothing_is_read_as_well() -> None:
    sent = datagram(
        out_ms=0, sent_bytes=0, at=0, state=State(), error="it hangs up", publishes=False
    )
    assert parse_report(sent).playing == Playing(0, error="it hangs up", publishes=False)


def test_with_nothing_on_air_it_says_so() -> None:
    report = parse_report(datagram(out_ms=0, sent_bytes=0, at=-1, state=State(), error=None))
    assert report.playing == Playing()


@given(texts, texts, st.lists(st.text(max_size=3000), max_size=20), texts)
def test_whatever_is_said_fits_and_stays_in_its_line(
    item: str | None, mode: str | None, skipped: list[str], error: str | None
) -> None:
    state = State(item, mode, {str(number): why for number, why in enumerate(skipped)})
    sent = datagram(out_ms=7, sent_bytes=8, at=0, state=state, error=error)
    assert len(sent) <= 2048
    lines = sent.decode().splitlines()
    assert lines[-1] == "progress=continue"
    names = [line.partition("=")[0] for line in lines]
    assert names.count("input") == 1
    assert set(names) <= {
        "out_time_us",
        "total_size",
        "input",
        "item",
        "mode",
        "skipped",
        "error",
        "progress",
    }
    report = parse_report(sent)
    assert report.playing is not None
    assert report.playing.input == 0
