from streamd.playout.choice import BACKUP_AFTER_S, FREEZE_S, START_S, STEADY_S, Choice

FALLBACK = ("ingest", "slate")
PULLS = ("pull", "pull", "slate")


def deliver(choice: Choice, at: int, begin: float, end: float, *, key_every: float = 1.0) -> None:
    """Let an input deliver 10 pictures a second, the first of them a keyframe."""
    count = round((end - begin) * 10)
    every = round(key_every * 10)
    for number in range(count):
        choice.heard(at, begin + number / 10, enters=number % every == 0)


def test_the_first_picture_that_can_be_decoded_goes_on_air() -> None:
    choice = Choice(FALLBACK, 0.0)
    choice.heard(0, 0.1, enters=False)
    assert choice.on_air is None
    choice.heard(0, 0.2, enters=True)
    assert choice.on_air == 0


def test_an_input_that_is_silent_gives_way_to_the_slate() -> None:
    choice = Choice(FALLBACK, 0.0)
    deliver(choice, 0, 0.0, 5.0)
    assert not choice.wanted(1, 4.9 + FREEZE_S - 0.01)
    assert choice.next_look(5.0) <= 4.9 + FREEZE_S
    assert choice.wanted(1, 4.9 + FREEZE_S)
    choice.heard(1, 4.9 + FREEZE_S, enters=True)
    assert choice.on_air == 1


def test_an_input_that_ended_gives_way_at_once() -> None:
    choice = Choice(FALLBACK, 0.0)
    deliver(choice, 0, 0.0, 5.0)
    choice.ended(0)
    assert choice.wanted(1, 5.0)
    choice.heard(1, 5.0, enters=True)
    assert choice.on_air == 1


def test_the_encoder_takes_over_at_its_first_keyframe() -> None:
    choice = Choice(FALLBACK, 0.0)
    deliver(choice, 1, 2.0, 5.0)
    choice.heard(0, 5.0, enters=False)
    assert choice.on_air == 1
    choice.heard(0, 5.1, enters=True)
    assert choice.on_air == 0
    assert not choice.wanted(1, 5.1)


def test_what_is_less_preferred_does_not_take_over() -> None:
    choice = Choice(FALLBACK, 0.0)
    deliver(choice, 0, 0.0, 2.0)
    choice.heard(1, 2.0, enters=True)
    assert choice.on_air == 0


def test_an_input_that_froze_goes_on_when_nothing_took_its_place() -> None:
    choice = Choice(("ingest",), 0.0)
    deliver(choice, 0, 0.0, 2.0)
    assert not choice.has_media(9.0)
    choice.heard(0, 9.0, enters=False)
    assert choice.has_media(9.0)
    assert choice.on_air == 0


def test_the_slate_waits_a_moment_when_the_playout_begins() -> None:
    choice = Choice(FALLBACK, 10.0)
    assert not choice.wanted(1, 10.0)
    assert choice.next_look(10.0) <= 10.0 + START_S
    assert choice.wanted(1, 10.0 + START_S)
    assert choice.wanted(0, 10.0)


def test_the_second_pull_begins_when_the_first_has_failed_or_takes_long() -> None:
    choice = Choice(PULLS, 0.0)
    assert choice.wanted(0, 0.0)
    assert not choice.wanted(1, BACKUP_AFTER_S - 0.1)
    assert choice.wanted(1, BACKUP_AFTER_S)
    choice.ended(0)
    assert choice.wanted(1, 0.3)
    assert not choice.wanted(2, 0.3)


def test_a_pull_is_returned_to_once_it_is_steady() -> None:
    choice = Choice(PULLS, 0.0)
    choice.ended(0)
    deliver(choice, 1, 1.0, 11.0)
    assert choice.on_air == 1
    for tenth in range(100):
        now = 11.0 + tenth / 10
        choice.heard(1, now, enters=False)
        choice.heard(0, now, enters=tenth % 10 == 0)
        if choice.on_air == 0:
            break
    assert STEADY_S <= now - 11.0 <= STEADY_S + 1.0
    assert not choice.wanted(1, now)


def test_a_pull_that_comes_and_goes_is_not_returned_to() -> None:
    choice = Choice(PULLS, 0.0)
    choice.ended(0)
    choice.heard(1, 1.0, enters=True)
    for second in range(2, 20):
        choice.heard(1, second - 0.5, enters=False)
        choice.heard(1, second, enters=False)
        if second % 2:
            choice.heard(0, second, enters=True)
    assert choice.on_air == 1


def test_a_pull_takes_over_from_a_slate_at_once() -> None:
    choice = Choice(PULLS, 0.0)
    choice.heard(2, 2.0, enters=True)
    choice.heard(1, 2.5, enters=True)
    assert choice.on_air == 1


def test_files_that_are_held_back_are_not_silent() -> None:
    choice = Choice(("files", "slate"), 0.0)
    choice.heard(0, 0.0, enters=True)
    choice.hold(0.5, held=True)
    assert choice.has_media(60.0)
    assert not choice.wanted(1, 60.0)
    choice.hold(60.0, held=False)
    assert choice.has_media(60.9)
    assert not choice.has_media(61.1)
