from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamd.playout.choice import FREEZE_S
from streamd.playout.headers import covers, parameter_sets
from streamd.playout.program import Program
from streamd.playout.run import SOUND_ALONE_S
from streamd.playout.tags import AUDIO, DATA, VIDEO, Tag
from tests.unit.playout.values import (
    ENCODER,
    ENCODER_PPS,
    ENCODER_SPS,
    METADATA,
    SLATE,
    SOUND_HEADER,
    header,
    picture,
)

OTHER_ENCODER = header(ENCODER_SPS, ENCODER_PPS + b"\x80")
STEP_MS = 20


@dataclass
class Source:
    """An input that makes 25 pictures and 50 pieces of sound a second while it is on."""

    at: int
    header: Tag
    gop: int = 25
    first_ms: int = 0
    pictures: int = 0
    begun: float | None = None

    def tags(self, now: float) -> Iterator[Tag]:
        if self.begun is None:
            self.begun, self.pictures = now, 0
            yield from (METADATA, self.header, SOUND_HEADER)
        at = self.first_ms + round((now - self.begun) * 1000)
        while self.first_ms + self.pictures * 40 <= at:
            mark = bytes((self.at, 0x65 if self.pictures % self.gop == 0 else 0x41))
            kind = b"\x17" if self.pictures % self.gop == 0 else b"\x27"
            body = kind + b"\1\0\0\0" + (2).to_bytes(4) + mark[::-1]
            yield Tag(VIDEO, self.first_ms + self.pictures * 40, body)
            self.pictures += 1
        yield Tag(AUDIO, at, b"\xaf\1" + bytes((self.at,)))


def source_of(tag: Tag) -> int:
    return tag.body[-1]


def simulated(
    program: Program, sources: list[Source], schedule: Sequence[tuple[int, ...]], slot_s: float
) -> list[Tag]:
    """Run sources by a schedule: who is on in each slot. The last one is on while it is wanted."""
    out: list[Tag] = []
    now = 0.0
    for on in schedule:
        for _ in range(round(slot_s * 1000 / STEP_MS)):
            now += STEP_MS / 1000
            for source in sources:
                is_slate = source is sources[-1]
                if program.choice.wanted(source.at, now) if is_slate else source.at in on:
                    if source.begun is None:
                        program.begin(source.at)
                    for tag in source.tags(now):
                        out += program.offer(source.at, tag, now)
                else:
                    source.begun = None
    return out


schedules = st.lists(
    st.sampled_from([(), (0,), (1,), (0, 1)]),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=40)
@given(schedules, st.integers(1, 60), st.sampled_from([0.3, 0.9, 1.7]))
def test_whatever_comes_and_goes_the_stream_goes_on(
    schedule: list[tuple[int, ...]], gop: int, slot_s: float
) -> None:
    sources = [
        Source(0, ENCODER, gop, first_ms=700_000),
        Source(1, OTHER_ENCODER, gop),
        Source(2, SLATE, 10),
    ]
    program = Program(("ingest", "pull", "slate"), 0.0)
    program.slate_header = SLATE
    out = simulated(program, sources, schedule, slot_s)
    _check_times(out)
    _check_pictures(out, sources)


def _check_times(out: list[Tag]) -> None:
    for kind in (AUDIO, VIDEO):
        times = [tag.timestamp_ms for tag in out if tag.kind == kind and not tag.is_header]
        assert all(0 <= after - before <= FREEZE_S * 1000 for before, after in pairwise(times))


def _check_pictures(out: list[Tag], sources: list[Source]) -> None:
    """A decoder can follow: headers first, and a change of input at a keyframe alone."""
    sent: Tag | None = None
    on_air: int | None = None
    for tag in out:
        if tag.kind != VIDEO:
            continue
        if tag.is_header:
            sent = tag
            continue
        assert sent is not None
        if tag.is_keyframe:
            on_air = source_of(tag)
            assert covers(sent, sources[on_air].header)
        assert source_of(tag) == on_air


def fallback() -> tuple[Program, Source, Source]:
    program = Program(("ingest", "slate"), 0.0)
    return program, Source(0, ENCODER), Source(1, SLATE)


def test_a_kill_and_a_return_show_the_slate_without_any_gap() -> None:
    program, encoder, slate = fallback()
    program.slate_header = SLATE
    schedule: Sequence[tuple[int, ...]] = [(0,)] * 4 + [()] * 4 + [(0,)] * 4
    out = simulated(program, [encoder, slate], schedule, 1.0)
    pictures = [tag for tag in out if tag.kind == VIDEO and not tag.is_header]
    shown = [source_of(tag) for tag in pictures]
    assert [after for before, after in pairwise(shown) if before != after] == [1, 0]
    steps = {b.timestamp_ms - a.timestamp_ms for a, b in pairwise(pictures)}
    assert max(steps) <= 40 + STEP_MS
    assert len([tag for tag in out if tag.kind == VIDEO and tag.is_header]) == 1


def test_the_first_header_holds_the_sets_of_encoder_and_slate() -> None:
    program, encoder, slate = fallback()
    program.slate_header = SLATE
    out = simulated(program, [encoder, slate], [(0,)], 1.0)
    (sent,) = [tag for tag in out if tag.kind == VIDEO and tag.is_header]
    assert covers(sent, ENCODER)
    assert covers(sent, SLATE)
    keyframe = next(tag for tag in out if tag.is_keyframe)
    assert keyframe.body[:5] == picture().body
    assert ENCODER_SPS in keyframe.body


def test_a_slate_that_is_fitted_later_is_added_at_a_keyframe() -> None:
    program, encoder, slate = fallback()
    out = simulated(program, [encoder, slate], [(0,)], 1.5)
    program.slate_header = SLATE
    for tag in encoder.tags(2.5):
        out += program.offer(0, tag, 2.5)
    headers = [tag for tag in out if tag.kind == VIDEO and tag.is_header]
    assert [len(parameter_sets(tag).sps) for tag in headers] == [1, 2]  # type: ignore[union-attr] # they are AVC
    at = out.index(headers[1])
    assert next(tag for tag in out[at + 1 :] if tag.kind == VIDEO).is_keyframe


def test_a_header_that_says_the_same_is_not_sent_again() -> None:
    program, encoder, slate = fallback()
    out = simulated(program, [encoder, slate], [(0,), (), (0,)], 0.5)
    assert len([tag for tag in out if tag.is_header]) == 2
    assert len([tag for tag in out if tag.kind == DATA]) == 1


def test_what_had_piled_up_does_not_go_on_air() -> None:
    program, encoder, slate = fallback()
    simulated(program, [encoder, slate], [(0,)] * 3, 1.0)
    # Frozen for 5 s, in which the slate takes over; then all of it comes at once.
    for number in range(250):
        now = 3.0 + number * STEP_MS / 1000
        if program.choice.wanted(1, now):
            for tag in slate.tags(now):
                program.offer(1, tag, now)
    assert program.choice.on_air == 1
    piled = [tag for tag in encoder.tags(8.0) if tag.kind == VIDEO]
    taken = [tag for tag in piled if program.offer(0, tag, 8.0)]
    assert len(piled) > 100
    assert not [tag for tag in taken if tag.timestamp_ms < 7000]


def test_the_end_of_an_encoder_is_not_the_end_of_the_stream() -> None:
    program, encoder, slate = fallback()
    simulated(program, [encoder, slate], [(0,)], 1.0)
    assert program.offer(0, Tag(VIDEO, 1040, bytes.fromhex("1702000000")), 1.04) == []
    assert program.choice.wanted(1, 1.04)


def test_sound_alone_goes_on_air_after_a_while() -> None:
    program = Program(("ingest",), 0.0)
    out: list[Tag] = program.offer(0, SOUND_HEADER, 0.0)
    for number in range(100):
        out += program.offer(0, Tag(AUDIO, number * 20, b"\xaf\1x"), number * 0.02)
    assert out[0] == SOUND_HEADER
    assert len(out) == 1 + 100 - SOUND_ALONE_S / 0.02


def test_a_new_connection_is_told_the_headers() -> None:
    program, encoder, slate = fallback()
    simulated(program, [encoder, slate], [(0,)], 1.0)
    assert [tag.body for tag in program.prelude()] == [
        METADATA.body,
        ENCODER.body,
        SOUND_HEADER.body,
    ]


def test_a_file_is_due_by_its_times_and_the_next_one_right_behind() -> None:
    program = Program(("files",), 0.0)
    first = Source(0, ENCODER)
    program.begin(0)
    tags = list(first.tags(0.0))
    begun = [program.due(0, tag, 10.0) for tag in tags]
    for tag in tags:
        program.offer(0, tag, 10.0)
    later = picture_at(4000)
    assert begun == [10.0] * len(tags)
    assert program.due(0, later, 10.5) == pytest.approx(14.0)
    program.offer(0, later, 14.0)
    program.begin(0)
    again = [tag for tag in Source(0, ENCODER).tags(0.0) if tag.is_keyframe]
    program.offer(0, ENCODER, 14.0)
    assert program.due(0, again[0], 14.0) == pytest.approx(14.1, abs=0.07)


def picture_at(at: int) -> Tag:
    return Tag(VIDEO, at, b"\x27\1\0\0\0")


def test_a_slate_is_due_at_once_where_something_else_has_ended() -> None:
    program, encoder, slate = fallback()
    simulated(program, [encoder, slate], [(0,)], 1.0)
    now = 1.1 + FREEZE_S
    program.offer(1, SLATE, now)
    keyframe = next(tag for tag in slate.tags(now) if tag.is_keyframe)
    assert program.due(1, keyframe, now) < now
    out = program.offer(1, keyframe, now)
    assert [tag.timestamp_ms for tag in out if tag.kind == VIDEO][-1] <= 1040
    assert program.due(1, picture_at(900), now) < now
    assert program.due(1, picture_at(2000), now) > now
