import subprocess

from hypothesis import given
from hypothesis import strategies as st

from streamd.playout.formats import AudioFormat, audio_format
from streamd.playout.silence import Silence
from tests.support.flv import write_header, write_tag
from tests.support.media import ffmpeg_path


def test_silence_goes_as_far_as_the_picture() -> None:
    silence = Silence(sample_rate=48_000, channels=2)
    first = silence.until(500)
    assert [tag.is_header for tag in first] == [True, False]
    assert audio_format(first[0]) == AudioFormat(48_000, 2)
    assert [tag.timestamp_ms for tag in first] == [500, 500]
    assert [tag.timestamp_ms for tag in silence.until(545)] == [521, 542]
    assert silence.until(560) == []


def test_silence_does_not_drift() -> None:
    silence = Silence(sample_rate=44_100, channels=1)
    tags = [tag for at in range(0, 3_600_000, 40) for tag in silence.until(at)]
    frames = [tag for tag in tags if not tag.is_header]
    assert abs(len(frames) - 3_600 * 44_100 / 1024) <= 2
    assert 3_600_000 - 40 - 24 < frames[-1].timestamp_ms <= 3_600_000


@given(st.lists(st.integers(0, 5_000), min_size=1))
def test_silence_never_goes_back_nor_ahead_of_the_picture(steps: list[int]) -> None:
    silence, at, last = Silence(), 0, 0
    for step in steps:
        at += step
        for tag in silence.until(at):
            assert last <= tag.timestamp_ms <= at
            last = tag.timestamp_ms


def test_a_picture_that_goes_back_gets_no_sound_twice() -> None:
    silence = Silence()
    silence.until(1_000)
    assert silence.until(200) == []


def test_a_leap_is_not_filled() -> None:
    silence = Silence()
    silence.until(0)
    assert [tag.timestamp_ms for tag in silence.until(60_000)] == [60_000]


def test_decoders_hear_nothing() -> None:
    for channels in (1, 2):
        silence = Silence(sample_rate=44_100, channels=channels)
        flv = write_header() + b"".join(
            write_tag(tag) for at in range(0, 2_000, 40) for tag in silence.until(at)
        )
        pcm = subprocess.run(
            (ffmpeg_path(), "-v", "error", "-xerror", "-i", "pipe:0", "-f", "s16le", "pipe:1"),
            input=flv,
            capture_output=True,
            check=True,
            timeout=60,
        )
        assert pcm.stderr == b""
        assert not any(pcm.stdout)
        assert len(pcm.stdout) > 1.9 * 44_100 * 2 * channels
