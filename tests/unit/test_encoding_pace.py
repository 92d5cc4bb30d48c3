from dataclasses import replace

import pytest

from streamd.encoding_pace import falls_behind
from streamd.ffmpeg.track import Report, Track, advance
from streamd.flow import Advance, Flow

NOW = 100.0
SLOW = Track(out_time_us=50_000_000, slow_since=85.0, speed=0.8)
FLOWING = Flow(1000, listed_at=100.0, still_since=100.0, advances=(Advance(99.0, 100.0),))


def test_what_has_been_slow_for_long_while_its_input_went_on_falls_behind() -> None:
    assert falls_behind(SLOW, FLOWING, NOW)


@pytest.mark.parametrize(
    ("track", "flow"),
    [
        (None, FLOWING),
        (replace(SLOW, slow_since=None), FLOWING),
        (replace(SLOW, slow_since=95.0), FLOWING),
        (SLOW, None),
        (SLOW, replace(FLOWING, advances=(Advance(80.0, 81.0),))),
        (SLOW, replace(FLOWING, resumed_at=95.0)),
    ],
    ids=["unheard", "keeps up", "slow lately", "input unknown", "input silent", "input resumed"],
)
def test_anything_else_does_not(track: Track | None, flow: Flow | None) -> None:
    assert not falls_behind(track, flow, NOW)


@pytest.mark.parametrize(("speed", "behind"), [(1.0, False), (0.98, False), (0.9, True)])
def test_a_steady_speed_is_told_after_15_s(speed: float, behind: bool) -> None:
    track = Track()
    for second in range(20):
        come_to = round((3 + second * speed) * 1e6)  # begins with what the server had kept
        track = advance(track, Report(come_to, 0), float(second))
    flow = replace(FLOWING, advances=(Advance(17.0, 18.0),))
    assert track.speed == pytest.approx(speed)
    assert falls_behind(track, flow, 19.0) is behind


def test_one_hiccup_is_not_falling_behind() -> None:
    track = Track()
    told = []
    for second in range(40):
        lag = 1.5 if second >= 20 else 0.0
        track = advance(track, Report(round((1 + second - lag) * 1e6), 0), float(second))
        flow = replace(FLOWING, advances=(Advance(second - 1.0, second),))
        told.append(falls_behind(track, flow, float(second)))
    assert not any(told)
    assert track.speed == pytest.approx(1.0)
