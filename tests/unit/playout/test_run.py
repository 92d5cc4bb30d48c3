import pytest

from streamd.playout.run import SOUND_ALONE_S, Run
from streamd.playout.tags import DATA, Tag
from tests.unit.playout.values import ENCODER, KEY, SLATE, audio, video


def test_a_decoder_begins_with_a_keyframe() -> None:
    run = Run()
    assert not run.hear(ENCODER, 0.0)
    assert not run.hear(video(0), 0.0)
    assert not run.hear(audio(0), 0.0)
    assert run.hear(video(40, KEY), 0.04)


def test_sound_alone_is_enough_after_a_while() -> None:
    run = Run()
    heard = [run.hear(audio(at), at / 1000) for at in range(0, 3000, 100)]
    assert heard.index(True) == SOUND_ALONE_S * 10


def test_sound_is_not_alone_where_there_is_a_picture() -> None:
    run = Run()
    run.hear(ENCODER, 0.0)
    assert not any(run.hear(audio(at), at / 1000) for at in range(0, 3000, 100))


def test_another_header_waits_for_a_keyframe() -> None:
    run = Run()
    run.hear(ENCODER, 0.0)
    run.awaits_keyframe = False
    awaits = []
    for header in (ENCODER, SLATE):
        run.hear(header, 1.0)
        awaits.append(run.awaits_keyframe)
    assert awaits == [False, True]
    assert run.video_header is SLATE


def test_metadata_is_kept_and_other_data_is_not() -> None:
    run = Run()
    about = Tag(DATA, 0, b"\x02\x00\x0aonMetaData\x05")
    run.hear(about, 0.0)
    run.hear(Tag(DATA, 5, b"\x02\x00\x06onText\x05"), 0.0)
    assert run.metadata is about


def test_what_has_piled_up_is_late() -> None:
    run = Run()
    for at in range(0, 2000, 40):
        run.hear(video(at), at / 1000)
    late = []
    for at in range(2000, 7000, 40):  # a freeze of 5 s: all of it comes at once
        run.hear(video(at), max(7.0, at / 1000))
        late.append(run.is_late)
    assert late[0]
    assert not late[-1]
    assert late.index(False) == pytest.approx(4700 / 40, abs=2)


def test_who_was_paused_is_not_late_for_ever() -> None:
    run = Run()
    for at in range(0, 2000, 40):
        run.hear(video(at), at / 1000)
    run.hear(video(2000), 7.0)
    assert run.is_late
    for at in range(2040, 4000, 40):
        run.hear(video(at), 5.0 + at / 1000)
    assert not run.is_late


def test_a_new_publish_is_not_late() -> None:
    run = Run()
    run.hear(ENCODER, 0.0)
    run.hear(video(0, KEY), 0.0)
    run.hear(ENCODER, 60.0)
    run.hear(video(40, KEY), 60.0)
    assert not run.is_late


def test_the_rate_is_measured() -> None:
    run = Run()
    run.hear(ENCODER, 0.0)
    assert not run.is_known
    for number in range(31):
        run.hear(video(round(number * 1000 / 29.97)), number / 30)
    assert run.fps == pytest.approx(29.97, abs=0.05)
    assert run.is_known


def test_the_rate_of_the_header_is_believed_where_it_is_about_true() -> None:
    run = Run()
    run.hear(ENCODER, 0.0)  # says 15
    for number in range(31):
        run.hear(video(number * 66), number / 15)
    assert run.fps == 15.0


def test_sound_alone_is_known_at_once() -> None:
    run = Run()
    run.hear(audio(0), 0.0)
    assert run.is_known


def test_a_run_is_due_by_its_own_pace() -> None:
    run = Run()
    assert run.due(video(0)) is None
    run.hear(video(1000, KEY), 50.0)
    assert run.due(video(3000)) == 52.0
