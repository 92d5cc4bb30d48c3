"""How often an authority is asked."""

from dataclasses import replace

import pytest

from streamd.certificates import attempts
from streamd.certificates.attempts import Attempts, Outcome, Try

NOW = 1_800_000_000.0
NAMES = ("a.example.com",)


def failing(times: int, *, reached: bool, retry_after_s: float | None = None) -> Attempts:
    known, now = Attempts(), NOW
    for _ in range(times):
        now = max(now, known.next_at)
        known = attempts.begun(known, NAMES, now, jitter=0.0)
        known = attempts.failed(
            known, "no", now, reached=reached, retry_after_s=retry_after_s, jitter=0.0
        )
    return replace(known, next_at=known.next_at - now)


@pytest.mark.parametrize(
    ("times", "wait_s"), [(1, 60), (2, 300), (3, 1800), (4, 7200), (5, 43_200), (9, 43_200)]
)
def test_refusals_are_waited_out_longer_and_longer(times: int, wait_s: float) -> None:
    assert failing(times, reached=True).next_at == wait_s


def test_an_authority_that_is_away_is_tried_more_often() -> None:
    assert [failing(n, reached=False).next_at for n in (1, 2, 3, 4, 20)] == [
        30, 120, 600, 1800, 1800,
    ]  # fmt: skip


def test_what_the_authority_asks_for_is_waited() -> None:
    assert failing(1, reached=True, retry_after_s=5000).next_at == 5000
    assert failing(5, reached=True, retry_after_s=5).next_at == 43_200


def test_a_success_forgets_the_failures_and_keeps_the_tries() -> None:
    known = attempts.begun(failing(3, reached=True), NAMES, NOW + 9e3, jitter=0.5)
    done = attempts.issued(known)
    assert (done.failures, done.next_at, done.last_error) == (0, 0.0, None)
    assert [each.outcome for each in done.tries] == ["refused"] * 3 + ["issued"]


def test_tries_are_forgotten_after_a_week() -> None:
    old = Attempts(tries=(Try(NOW - attempts.WEEK_S - 1, NAMES, "issued"),))
    assert [each.at for each in attempts.begun(old, NAMES, NOW, jitter=0).tries] == [NOW]


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
    ],
)
def test_each_limit_counts_what_the_authority_counts(
    outcome: Outcome, count: int, names: list[str], waits: bool
) -> None:
    tries = [Try(NOW - 60 - n, NAMES, outcome) for n in range(count)]
    assert (attempts.earliest(Attempts(), tries, names, NOW) > NOW) is waits


def test_a_limit_that_is_met_is_free_again_when_its_oldest_try_is_old_enough() -> None:
    tries = [Try(NOW - 3000 + n, NAMES, "refused") for n in range(4)]
    assert attempts.earliest(Attempts(), tries, NAMES, NOW) == NOW - 3000 + attempts.HOUR_S
