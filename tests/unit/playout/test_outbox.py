from hypothesis import given
from hypothesis import strategies as st

from streamd.playout.outbox import MOST_KEPT_BYTES, MOST_WAITING_BYTES, Outbox
from streamd.playout.tags import DATA, VIDEO, Tag
from tests.unit.playout.values import ENCODER, INTER, KEY, audio, video

GROUP = [video(40, KEY), audio(45), video(80), audio(90)]


def test_nothing_waits_while_nobody_is_connected() -> None:
    outbox = Outbox()
    outbox.put(GROUP)
    assert outbox.take() == []
    assert outbox.has_something


def test_a_connection_begins_with_the_headers_and_the_last_pictures() -> None:
    outbox = Outbox()
    outbox.put([video(0, KEY), *GROUP])
    outbox.connect([ENCODER])
    assert outbox.take() == [Tag(VIDEO, 40, ENCODER.body), *GROUP]
    assert not outbox.has_something


def test_it_goes_on_in_order() -> None:
    outbox = Outbox()
    outbox.put(GROUP)
    outbox.connect([])
    outbox.put([video(120), video(160, KEY)])
    assert outbox.take() == [*GROUP, video(120), video(160, KEY)]


def test_what_waited_for_a_connection_that_ended_is_dropped() -> None:
    outbox = Outbox()
    outbox.connect([])
    outbox.put(GROUP)
    outbox.disconnect()
    assert outbox.take() == []


def test_without_a_keyframe_pictures_wait_for_one() -> None:
    outbox = Outbox()
    outbox.put([video(0)])
    outbox.connect([])
    outbox.put([video(40), audio(50), ENCODER, video(80, KEY), video(120)])
    assert outbox.take() == [audio(50), ENCODER, video(80, KEY), video(120)]


def test_sound_alone_is_kept_for_a_moment() -> None:
    outbox = Outbox()
    outbox.put([audio(at) for at in range(0, 10_000, 20)])
    outbox.connect([])
    assert [tag.timestamp_ms for tag in outbox.take()] == list(range(8000, 10_000, 20))


def test_a_group_that_is_too_large_is_not_kept() -> None:
    outbox = Outbox()
    outbox.put([video(0, KEY), video(40, INTER + bytes(MOST_KEPT_BYTES))])
    outbox.connect([])
    assert outbox.take() == []


def test_a_server_that_takes_nothing_is_noticed() -> None:
    outbox = Outbox()
    outbox.connect([])
    outbox.put([video(0, KEY), video(40, INTER + bytes(MOST_WAITING_BYTES))])
    assert outbox.is_stuck
    outbox.disconnect()
    assert not outbox.is_stuck


def test_what_is_forgotten_is_not_sent_to_the_next_one() -> None:
    outbox = Outbox()
    outbox.put(GROUP)
    outbox.forget()
    assert not outbox.has_something


@given(
    st.lists(
        st.sampled_from(
            [
                video(0, KEY + bytes(400_000)),
                video(0, INTER + bytes(900_000)),
                audio(0),
                Tag(DATA, 0, b"x"),
                ENCODER,
            ]
        ),
        max_size=60,
    )
)
def test_what_is_kept_is_bounded_and_begins_with_a_keyframe(tags: list[Tag]) -> None:
    outbox = Outbox()
    outbox.put(tags)
    outbox.connect([])
    kept = outbox.take()
    assert sum(len(tag.body) for tag in kept) <= MOST_KEPT_BYTES
    pictures = [tag for tag in kept if tag.kind == VIDEO]
    assert not pictures or pictures[0].is_keyframe
