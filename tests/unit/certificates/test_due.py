"""Years of certificates in moments: none expires, and no limit of an authority is met."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamd.certificates import attempts
from streamd.certificates.attempts import DAY_S, HOUR_S, WEEK_S, Try
from streamd.certificates.due import due, known_of, order_at
from streamd.certificates.lifetime import Window
from streamd.certificates.record import Installed, Record
from streamd.certificates.spec import AcmeSpec, CertificateSpec, wanted_identity

YEAR_S = 365 * DAY_S
START = 1_800_000_000.0
SITE = CertificateSpec("site", ("live.example.com", "cdn.example.com"), AcmeSpec("https://ca/dir"))


@dataclass
class World:
    """An authority that is away now and then, and a streamd that is killed now and then.

    `outages` are pairs of Unix times; `killed` and `refused` are chances of each try.
    """

    lifetime_s: float
    outages: Sequence[tuple[float, float]] = ()
    killed: float = 0.0
    refused: float = 0.0
    seed: int = 0
    now: float = START
    record: Record = field(default_factory=Record)
    tries: list[Try] = field(default_factory=list)
    served: list[tuple[float, float]] = field(default_factory=list)

    def live(self, until: float) -> None:
        """Let time pass."""
        chance = random.Random(self.seed)
        while True:
            self.record = known_of(SITE, self.record)
            next_ = due(SITE, self.record, self.record.attempts.tries, self.now)
            if next_.at > until:
                return
            self.now = max(self.now, next_.at)
            assert next_.what == "order"
            self._try(chance)

    def _try(self, chance: random.Random) -> None:
        before = self.record.attempts
        begun = attempts.begun(before, SITE.domains, self.now, jitter=chance.random())
        self.record = replace(self.record, attempts=begun)
        if chance.random() < self.killed:  # whether the authority saw it is not known
            self.tries.append(replace(begun.tries[-1], outcome="refused"))
            self.now += 1
            return
        away = any(start <= self.now < end for start, end in self.outages)
        if away or chance.random() < self.refused:
            known = attempts.failed(begun, "no", self.now, reached=not away, jitter=chance.random())
            self.record = replace(self.record, attempts=known)
        else:
            self._issue()
        self.tries.append(self.record.attempts.tries[-1])

    def _issue(self) -> None:
        installed = Installed(
            "authority",
            wanted_identity(SITE),
            f"{len(self.served):x}",
            "CA",
            SITE.domains,
            self.now - HOUR_S,
            self.now - HOUR_S + self.lifetime_s,
        )
        self.served.append((self.now, installed.not_after))
        known = attempts.issued(self.record.attempts)
        self.record = replace(self.record, installed=installed, attempts=known)

    def gaps(self) -> list[float]:
        """Return for how long nothing valid was served, each time, after the first."""
        ends = [end for _, end in self.served]
        begins = [begin for begin, _ in self.served[1:]]
        found = [begin - end for end, begin in zip(ends, begins, strict=False) if begin > end]
        return found + [self.now - ends[-1]] * (self.now > ends[-1])


def most_in(moments: Sequence[float], window_s: float) -> int:
    """Return the most moments that any window holds."""
    ordered, most, first = sorted(moments), 0, 0
    for last, moment in enumerate(ordered):
        while moment - ordered[first] >= window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def assert_within_limits(tries: Sequence[Try]) -> None:
    """Hold what was tried against Let's Encrypt's own limits."""
    failed = [each.at for each in tries if each.outcome == "refused"]
    got = [each.at for each in tries if each.outcome == "issued"]
    assert most_in(failed, HOUR_S) <= 5
    assert most_in(got, WEEK_S) <= 5
    assert most_in([each.at for each in tries], 3 * HOUR_S) <= 300


@pytest.mark.parametrize("days", [90, 45, 6])
def test_years_pass_without_an_expiry(days: int) -> None:
    world = World(days * DAY_S)
    world.live(START + 5 * YEAR_S)
    assert world.gaps() == []
    assert_within_limits(world.tries)
    share = 1 / 2 if days < 10 else 2 / 3
    assert len(world.served) == pytest.approx(5 * YEAR_S / (share * days * DAY_S), rel=0.06)


@pytest.mark.parametrize(("days", "longest_days"), [(90, 7.0), (45, 7.0), (6, 2.7)])
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_no_outage_that_can_be_outlived_leads_to_an_expiry(
    days: int, longest_days: float, data: st.DataObject
) -> None:
    begins = data.draw(st.lists(st.floats(0, 3 * YEAR_S), min_size=1, max_size=8))
    lasts = data.draw(st.floats(HOUR_S, longest_days * DAY_S))
    outages: list[tuple[float, float]] = []
    for begin in sorted(begins):
        # One that follows at once is the same outage; half a lifetime apart they are two.
        if not outages or START + begin > outages[-1][1] + days * DAY_S / 2:
            outages.append((START + begin, START + begin + lasts))
    world = World(days * DAY_S, outages, seed=data.draw(st.integers(0, 1000)))
    world.live(START + 4 * YEAR_S)
    assert [gap for gap in world.gaps() if world.served[0][0] < outages[0][0]] == []
    assert_within_limits(world.tries)


@given(
    killed=st.floats(0, 0.9),
    refused=st.floats(0, 0.9),
    days=st.sampled_from([6, 45, 90]),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=60, deadline=None)
def test_neither_kills_nor_refusals_meet_a_limit(
    killed: float, refused: float, days: int, seed: int
) -> None:
    world = World(days * DAY_S, killed=killed, refused=refused, seed=seed)
    world.live(START + YEAR_S / 2)
    assert_within_limits(world.tries)


def test_a_streamd_that_is_killed_at_every_try_asks_four_times_in_the_first_hour() -> None:
    world = World(90 * DAY_S, killed=1.0)
    world.live(START + DAY_S)
    assert most_in([each.at for each in world.tries], HOUR_S) == 4
    assert len(world.tries) <= 8


def test_another_domain_waits_for_nothing_but_the_limits() -> None:
    world = World(90 * DAY_S, refused=1.0)
    world.live(START + DAY_S)
    wider = replace(SITE, domains=(*SITE.domains, "third.example.com"))
    known = known_of(wider, world.record)
    assert (known.attempts.failures, known.attempts.last_error) == (0, None)
    assert due(wider, known, known.attempts.tries, world.now + 1).at <= world.now + 1

    hasty = World(90 * DAY_S, refused=1.0)
    hasty.live(START + HOUR_S)
    known = known_of(wider, hasty.record)
    assert due(wider, known, known.attempts.tries, hasty.now + 1).at > hasty.now + 1


def test_another_authority_knows_nothing_of_what_was_tried() -> None:
    world = World(90 * DAY_S, refused=1.0)
    world.live(START + HOUR_S)
    elsewhere = replace(SITE, acme=AcmeSpec("https://other/dir"))
    known = known_of(elsewhere, world.record)
    assert known.attempts.tries == ()
    assert due(elsewhere, known, (), world.now).at <= world.now


def test_a_certificate_for_other_names_or_of_another_key_is_replaced_at_once() -> None:
    world = World(90 * DAY_S)
    world.live(START + 1)
    assert order_at(SITE, world.record) > START + 50 * DAY_S
    for changed in (
        replace(SITE, domains=("live.example.com",)),
        replace(SITE, key_kind="rsa"),
        replace(SITE, acme=AcmeSpec("https://ca/dir", profile="shortlived")),
    ):
        assert order_at(changed, world.record) == 0.0
    same = replace(SITE, domains=SITE.domains[::-1], acme=AcmeSpec("https://ca/dir", email="a@b.c"))
    assert order_at(same, world.record) > START + 50 * DAY_S


def test_the_authority_is_asked_when_to_renew_and_its_answer_is_kept_to() -> None:
    world = World(90 * DAY_S)
    world.live(START + 1)
    assert world.record.installed is not None
    named = replace(world.record.installed, ari="aki.serial")
    record = replace(world.record, installed=named)
    assert due(SITE, record, (), world.now).what == "ask"
    soon = Window(world.now + DAY_S, world.now + 2 * DAY_S)
    told = replace(record, window=soon, ask_at=world.now + 9 * DAY_S)
    next_ = due(SITE, told, (), world.now)
    assert next_.what == "order"
    assert soon.start <= next_.at <= soon.end


def test_a_clock_that_was_wrong_holds_nothing_up() -> None:
    world = World(90 * DAY_S, refused=1.0, now=START + 30 * YEAR_S)
    world.live(START + 30 * YEAR_S + DAY_S)
    known = known_of(SITE, world.record)
    assert due(SITE, known, known.attempts.tries, START).at <= START
