"""How often an authority is asked."""

from dataclasses import replace

import pytest

from streamd.certificates import attempts
from streamd.certificates.attempts import Attempts, Failure, Outcome, Try

NOW = 1_800_000_000.0
NAMES, CA = ("a.example.com",), "https://ca/dir"


def a_try(at: float, outcome: Outcome = "open", *names: str, renews: bool = False) -> Try:
    return Try(at, names or NAMES, CA, renews, outcome)


def failing(times: int, failure: Failure, *, retry_after_s: float | None = None) -> Attempts:
    known, now = Attempts(), NOW
    for _ in range(times):
        now = max(now, known.next_at)
        known = attempts.begun(known, a_try(now), jitter=0.0)
        known = attempts.failed(
            known, "no", now, failure=failure, retry_after_s=retry_after_s, jitter=0.0
        )
    return replace(known, next_at=known.next_at - now)


@pytest.mark.parametrize(
    ("times", "wait_s"), [(1, 60), (2, 300), (3, 1800), (4, 7200), (5, 43_200), (9, 43_200)]
)
def test_refusals_are_waited_out_longer_and_longer(times: int, wait_s: float) -> None:
    assert failing(times, "refused").next_at == wait_s


@pytest.mark.parametrize("failure", ["unreachable", "faulty"])
def test_an_authority_that_is_away_or_ill_is_tried_more_often(failure: Failure) -> None:
    waits = [failing(n, failure).next_at for n in (1, 2, 3, 4, 20)]
    assert waits == [30, 120, 600, 1800, 1800]


def test_a_try_of_which_nobody_knows_the_end_stays_as_it_was_written_down() -> None:
    begun = attempts.begun(Attempts(), a_try(NOW), jitter=0.0)
    killed = attempts.failed(begun, "killed", NOW + 5, failure="unknown", jitter=0.0)
    assert killed == replace(begun, last_error="killed")
    asked = attempts.asked(begun, NOW + 5, jitter=0.0)
    for failure in ("unknown", "unreachable"):
        lost = attempts.failed(asked, "lost", NOW + 9, failure=failure, jitter=0.0)
        assert lost == replace(asked, last_error="lost")
    refused = attempts.failed(asked, "no", NOW + 9, failure="refused", jitter=0.0)
    assert [each.outcome for each in refused.tries] == ["refused"]


def test_certificates_that_did_not_arrive_are_asked_for_at_great_distances() -> None:
    known, waits = Attempts(), []
    for n in range(3):
        begun = attempts.begun(known, a_try(NOW + n), jitter=0.0)
        known = attempts.asked(begun, NOW + n, jitter=0.0)
        waits.append(known.next_at - NOW - n)
    assert waits == [7200, 43_200, 43_200]


def test_what_the_authority_asks_for_is_waited() -> None:
    assert failing(1, "refused", retry_after_s=5000).next_at == 5000
    assert failing(5, "refused", retry_after_s=5).next_at == 43_200


def test_a_success_forgets_the_failures_and_keeps_the_tries() -> None:
    known = attempts.begun(failing(3, "refused"), a_try(NOW + 9e3), jitter=0.5)
    done = attempts.issued(known)
    assert (done.failures, done.next_at, done.last_error) == (0, 0.0, None)
    assert [each.outcome for each in done.tries] == ["refused"] * 3 + ["issued"]


def test_tries_are_forgotten_when_they_count_for_nothing_any_more() -> None:
    old = (
        a_try(NOW - attempts.WEEK_S - attempts.HOUR_S, "issued"),
        a_try(NOW - attempts.DAY_S, "refused"),
        a_try(NOW - 60, "unreachable"),
        a_try(NOW - attempts.DAY_S, "asked"),
    )
    begun = attempts.begun(Attempts(tries=old), a_try(NOW), jitter=0)
    assert begun.tries == (old[-1], a_try(NOW))


@pytest.mark.parametrize(
    ("outcome", "count", "names", "waits"),
    [
        ("refused", 3, ["a.example.com"], False),
        ("refused", 4, ["a.example.com"], True),
        ("refused", 4, ["b.example.com"], False),
        ("refused", 4, ["a.example.com", "b.example.com"], True),
        ("unreachable", 50, ["a.example.com"], False),
        ("issued", 4, ["a.example.com"], True),
        ("issued", 4, ["a.example.com", "b.example.com"], False),
        ("issued", 40, ["b.example.com"], True),
        ("issued", 40, ["b.example.org"], False),
        ("open", 4, ["a.example.com"], True),
        ("asked", 4, ["a.example.com"], True),
        ("asked", 4, ["a.example.com", "b.example.com"], False),
        ("asked", 40, ["*.example.com"], True),
        ("refused", 250, ["b.example.org"], True),
    ],
)
def test_each_limit_counts_what_the_authority_counts(
    outcome: Outcome, count: int, names: list[str], waits: bool
) -> None:
    tries = [a_try(NOW - 60 - n, outcome) for n in range(count)]
    assert (attempts.earliest(Attempts(), tries, a_try(NOW, "open", *names)) > NOW) is waits
    elsewhere = replace(a_try(NOW, "open", *names), authority="https://other/dir")
    assert attempts.earliest(Attempts(), tries, elsewhere) <= NOW


def test_renewals_neither_fill_the_limit_of_a_domain_nor_wait_for_it() -> None:
    first = [a_try(NOW - 60, "issued", f"c{n}.example.com") for n in range(40)]
    assert attempts.earliest(Attempts(), first, a_try(NOW)) > NOW
    assert attempts.earliest(Attempts(), first, a_try(NOW, renews=True)) <= NOW
    again = [replace(each, renews=True) for each in first]
    assert attempts.earliest(Attempts(), again, a_try(NOW)) <= NOW


def test_a_limit_that_is_met_is_free_again_when_its_oldest_try_is_old_enough() -> None:
    tries = [a_try(NOW - 3000 + n, "refused") for n in range(4)]
    free_at = attempts.earliest(Attempts(), tries, a_try(NOW))
    assert NOW - 3000 + attempts.HOUR_S < free_at < NOW - 3000 + 1.2 * attempts.HOUR_S
