"""Years of certificates in moments: none expires, and no limit of an authority is met."""

import heapq
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamd.certificates import attempts, record
from streamd.certificates.attempts import DAY_S, HOUR_S, WEEK_S, Failure
from streamd.certificates.due import due, known_of, order_at, try_now
from streamd.certificates.lifetime import MOST_ASK_S, Window, ask_again_s
from streamd.certificates.record import Installed, Record
from streamd.certificates.spec import (
    AcmeSpec,
    CertificateSpec,
    WebrootChallenge,
    wanted_identity,
)

YEAR_S = 365 * DAY_S
START = 1_800_000_000.0
SITE = CertificateSpec("site", ("live.example.com", "cdn.example.com"), AcmeSpec("https://ca/dir"))
LONGEST_TRY_S = 300.0

Trouble = Literal["away", "ill", "refusing", "slow"]
"""An authority that cannot be reached; answers with faults; finds no name to be ours; issues, and
does not hand over."""


@dataclass(frozen=True)
class Outage:
    begin: float
    end: float
    trouble: Trouble


@dataclass
class Authority:
    """Let's Encrypt, as far as it counts: limits are those that it documents."""

    failed: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    issued: dict[frozenset[str], list[float]] = field(default_factory=lambda: defaultdict(list))
    first_of_a_domain: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    orders: list[float] = field(default_factory=list)

    def refuse(self, names: Sequence[str], at: float) -> None:
        for name in names:
            self.failed[name].append(at)

    def issue(self, names: Sequence[str], at: float) -> None:
        moments = self.issued[frozenset(names)]
        if not moments:
            for domain in {".".join(name.split(".")[-2:]) for name in names}:
                self.first_of_a_domain[domain].append(at)
        moments.append(at)

    def assert_within_limits(self) -> None:
        assert max((most_in(each, HOUR_S) for each in self.failed.values()), default=0) <= 5
        assert max((most_in(each, WEEK_S) for each in self.issued.values()), default=0) <= 5
        domains = self.first_of_a_domain.values()
        assert max((most_in(each, WEEK_S) for each in domains), default=0) <= 50
        assert most_in(self.orders, 3 * HOUR_S) <= 300


@dataclass
class World:
    """Certificates at an authority that has its troubles, kept by a streamd that is killed.

    Whatever streamd knows goes through its file between two tries, as though it were started anew.

    Attributes:
        lifetime_s: of each certificate.
        outages: of the authority.
        advises: share of the lifetime after which the authority wants renewals; None: it is silent.
        killed, refused: chances that a try is killed, at any moment of it, or refused.
        edited: chance that the operator changes something before a try.
    """

    lifetime_s: float
    specs: Mapping[str, CertificateSpec] = field(default_factory=lambda: {SITE.name: SITE})
    outages: Sequence[Outage] = ()
    advises: float | None = None
    killed: float = 0.0
    refused: float = 0.0
    edited: float = 0.0
    seed: int = 0
    now: float = START
    authority: Authority = field(default_factory=Authority)
    known: dict[str, Record] = field(default_factory=dict)
    served: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def live(self, until: float) -> None:
        """Let time pass."""
        chance = random.Random(self.seed)
        queue = [(self.now, name) for name in self.specs]
        while queue:
            at, name = heapq.heappop(queue)
            if at > until:
                continue
            self.now = max(self.now, at)
            spec = self._edited(chance, self.specs[name])
            known = known_of(spec, self.record(name))
            next_ = due(spec, known, self.tries(), self.now)
            if next_.at <= self.now:
                known = self._asked(spec, known) if next_.what == "ask" else known
                if next_.what == "order":
                    known = self._tried(chance, spec, known)
                self.known[name] = record.from_json(record.to_json(known))
                next_ = due(spec, known_of(spec, known), self.tries(), self.now)
            heapq.heappush(queue, (max(next_.at, self.now + 1), name))
        self.now = until

    def record(self, name: str = SITE.name) -> Record:
        """Return what streamd knows when it starts."""
        return self.known.get(name, Record())

    def tries(self) -> list[attempts.Try]:
        return [each for known in self.known.values() for each in known.attempts.tries]

    def gaps(self) -> list[float]:
        """Return for how long nothing valid was served, each time, after the first."""
        found = []
        for served in self.served.values():
            begins = [*(begin for begin, _ in served[1:]), self.now]
            ends = [end for _, end in served]
            found += [b - e for e, b in zip(ends, begins, strict=True) if b > e]
        return found

    def _edited(self, chance: random.Random, spec: CertificateSpec) -> CertificateSpec:
        assert spec.acme is not None
        if chance.random() >= self.edited:
            return spec
        webroot = WebrootChallenge(f"/var/www/{chance.randrange(9)}")
        return replace(spec, acme=replace(spec.acme, challenge=webroot))

    def _trouble(self) -> Trouble | None:
        found = (each.trouble for each in self.outages if each.begin <= self.now < each.end)
        return next(found, None)

    def _asked(self, spec: CertificateSpec, known: Record) -> Record:
        assert known.installed is not None
        assert self.advises is not None
        window = None
        if self._trouble() is None:
            begin = known.installed.not_before + self.advises * self.lifetime_s
            window = Window(begin, begin + self.lifetime_s / 45)
        return replace(
            known, window=window or known.window, ask_at=self.now + ask_again_s(MOST_ASK_S)
        )

    def _tried(self, chance: random.Random, spec: CertificateSpec, known: Record) -> Record:
        """Return what is known after a try, which may be killed at any moment of it."""
        kill_at = (
            chance.choice(["begun", "shown", "asked"]) if self._hits(chance, self.killed) else ""
        )
        new = try_now(spec, known, self.now)
        known = replace(known, attempts=attempts.begun(known.attempts, new, jitter=chance.random()))
        self.now += chance.uniform(1, LONGEST_TRY_S)
        trouble = self._trouble()
        if trouble == "away":
            return known if kill_at else self._failed(chance, known, "unreachable")
        self.authority.orders.append(self.now)
        if kill_at == "begun":
            return known
        if trouble == "ill":
            return self._failed(chance, known, "faulty")
        if trouble == "refusing" or kill_at == "shown" or self._hits(chance, self.refused):
            self.authority.refuse(spec.domains, self.now)
            return known if kill_at else self._failed(chance, known, "refused")
        asked = attempts.asked(known.attempts, self.now, jitter=chance.random())
        known = replace(known, attempts=asked)
        self.authority.issue(spec.domains, self.now)
        if kill_at:
            return known
        if trouble == "slow":
            return self._failed(chance, known, chance.choice(["unknown", "unreachable"]))
        return self._installed(spec, known)

    def _hits(self, chance: random.Random, share: float) -> bool:
        return chance.random() < share

    def _failed(self, chance: random.Random, known: Record, failure: Failure) -> Record:
        jitter = chance.random()
        failed = attempts.failed(known.attempts, "no", self.now, failure=failure, jitter=jitter)
        return replace(known, attempts=failed)

    def _installed(self, spec: CertificateSpec, known: Record) -> Record:
        served = self.served[spec.name]
        installed = Installed(
            "authority",
            wanted_identity(spec),
            f"{spec.name}{len(served):x}",
            "CA",
            spec.domains,
            self.now - HOUR_S,
            self.now - HOUR_S + self.lifetime_s,
            None if self.advises is None else "aki.serial",
        )
        served.append((self.now, installed.not_after))
        return replace(
            known,
            installed=installed,
            attempts=attempts.issued(known.attempts),
            window=None,
            ask_at=0.0,
        )


def most_in(moments: Sequence[float], window_s: float) -> int:
    """Return the most moments that any window holds."""
    ordered, most, first = sorted(moments), 0, 0
    for last, moment in enumerate(ordered):
        while moment - ordered[first] >= window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.mark.parametrize("days", [90, 45, 6])
def test_years_pass_without_an_expiry(days: int) -> None:
    world = World(days * DAY_S)
    world.live(START + 5 * YEAR_S)
    assert world.gaps() == []
    world.authority.assert_within_limits()
    share = 1 / 2 if days < 10 else 2 / 3
    assert len(world.served["site"]) == pytest.approx(5 * YEAR_S / (share * days * DAY_S), rel=0.06)


# Of six days, three are left when a renewal begins, and 1.2 where the authority advises the latest
# moment that is kept to. What it does not hand over after all counts as issued, five times a week.
@pytest.mark.parametrize(
    ("days", "advises", "trouble", "longest_days"),
    [
        *((days, None, "away", 7.0) for days in (90, 45)),
        *((days, None, "slow", 7.0) for days in (90, 45)),
        *((days, 1.0, trouble, 7.0) for days in (90, 45) for trouble in ("away", "ill", "slow")),
        *((days, 1.0, "refusing", 7.0) for days in (90, 45)),
        *((6, None, trouble, 2.7) for trouble in ("away", "ill")),
        (6, None, "refusing", 2.2),
        (6, None, "slow", 1.0),
        (6, 0.5, "away", 2.5),
        (6, 1.0, "away", 1.0),
    ],
)
@given(data=st.data())
@settings(max_examples=6)
def test_no_outage_that_can_be_outlived_leads_to_an_expiry(
    days: int, advises: float | None, trouble: Trouble, longest_days: float, data: st.DataObject
) -> None:
    begins = data.draw(st.lists(st.floats(DAY_S, YEAR_S), min_size=1, max_size=8))
    lasts = data.draw(st.floats(HOUR_S, longest_days * DAY_S))
    outages: list[Outage] = []
    for begin in sorted(begins):
        # One that follows at once is the same outage; a lifetime apart they are two.
        if not outages or START + begin > outages[-1].end + days * DAY_S:
            outages.append(Outage(START + begin, START + begin + lasts, trouble))
    seed = data.draw(st.integers(0, 1000))
    world = World(days * DAY_S, outages=outages, advises=advises, seed=seed)
    world.live(START + YEAR_S + 90 * DAY_S)
    assert world.gaps() == []
    world.authority.assert_within_limits()


@given(
    killed=st.floats(0, 0.9),
    refused=st.floats(0, 0.9),
    edited=st.sampled_from([0.0, 0.3, 1.0]),
    days=st.sampled_from([6, 45, 90]),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=30)
def test_neither_kills_nor_refusals_nor_a_busy_operator_meet_a_limit(
    killed: float, refused: float, edited: float, days: int, seed: int
) -> None:
    world = World(days * DAY_S, killed=killed, refused=refused, edited=edited, seed=seed)
    world.live(START + 90 * DAY_S)
    world.authority.assert_within_limits()


@pytest.mark.parametrize(("days", "share"), [(90, 0.5), (45, 0.5), (6, 0.1)])
def test_kills_now_and_then_lead_to_no_expiry(days: int, share: float) -> None:
    for seed in range(5):
        world = World(days * DAY_S, killed=share, seed=seed)
        world.live(START + YEAR_S)
        assert world.gaps() == []
        world.authority.assert_within_limits()


def test_many_certificates_of_one_domain_are_obtained_over_weeks_and_all_renewed() -> None:
    specs = {
        f"c{n}": replace(SITE, name=f"c{n}", domains=(f"c{n}.example.com",)) for n in range(70)
    }
    world = World(6 * DAY_S, specs)
    world.live(START + 30 * DAY_S)
    assert set(world.served) == specs.keys()
    assert world.gaps() == []
    world.authority.assert_within_limits()


def test_a_streamd_that_is_killed_at_every_try_asks_four_times_in_the_first_hour() -> None:
    world = World(90 * DAY_S, killed=1.0)
    world.live(START + DAY_S)
    assert most_in(world.authority.orders, HOUR_S) <= 4
    assert len(world.authority.orders) <= 8


def test_another_domain_waits_for_nothing_but_the_limits() -> None:
    world = World(90 * DAY_S, refused=1.0)
    world.live(START + DAY_S)
    wider = replace(SITE, domains=(*SITE.domains, "third.example.com"))
    known = known_of(wider, world.record())
    assert (known.attempts.failures, known.attempts.last_error) == (0, None)
    assert due(wider, known, known.attempts.tries, world.now + 1).at <= world.now + 1

    hasty = World(90 * DAY_S, refused=1.0, edited=1.0)
    hasty.live(START + HOUR_S)
    known = known_of(wider, hasty.record())
    assert due(wider, known, known.attempts.tries, hasty.now + 1).at > hasty.now + 1


def test_whoever_changes_how_it_is_obtained_waits_for_nothing_either() -> None:
    world = World(90 * DAY_S, refused=1.0)
    world.live(START + DAY_S)
    assert due(SITE, world.record(), world.tries(), world.now).at > world.now
    moved = replace(SITE, acme=AcmeSpec("https://ca/dir", WebrootChallenge("/var/www")))
    known = known_of(moved, world.record())
    assert due(moved, known, known.attempts.tries, world.now).at <= world.now


def test_another_authority_does_not_count_what_was_tried_elsewhere_and_the_first_one_does() -> None:
    world = World(90 * DAY_S, refused=1.0, edited=1.0)
    world.live(START + HOUR_S / 2)
    elsewhere = replace(SITE, acme=AcmeSpec("https://other/dir"))
    known = known_of(elsewhere, world.record())
    assert due(elsewhere, known, known.attempts.tries, world.now).at <= world.now
    back = known_of(SITE, known)
    assert due(SITE, back, back.attempts.tries, world.now).at > world.now


def test_a_certificate_for_other_names_or_of_another_key_is_replaced_at_once() -> None:
    world = World(90 * DAY_S)
    world.live(START + HOUR_S)
    assert order_at(SITE, world.record()) > START + 50 * DAY_S
    for changed in (
        replace(SITE, domains=("live.example.com",)),
        replace(SITE, key_kind="rsa"),
        replace(SITE, acme=AcmeSpec("https://ca/dir", profile="shortlived")),
    ):
        assert order_at(changed, world.record()) == 0.0
    same = replace(SITE, domains=SITE.domains[::-1], acme=AcmeSpec("https://ca/dir", email="a@b.c"))
    assert order_at(same, world.record()) > START + 50 * DAY_S


def test_the_authority_is_asked_when_to_renew_and_its_answer_is_kept_to() -> None:
    world = World(90 * DAY_S)
    world.live(START + HOUR_S)
    known = world.record()
    assert known.installed is not None
    known = replace(known, installed=replace(known.installed, ari="aki.serial"))
    assert due(SITE, known, (), world.now).what == "ask"
    soon = Window(world.now + DAY_S, world.now + 2 * DAY_S)
    told = replace(known, window=soon, ask_at=world.now + 9 * DAY_S)
    next_ = due(SITE, told, (), world.now)
    assert next_.what == "order"
    assert soon.start <= next_.at <= soon.end


def test_an_authority_that_always_advises_to_renew_now_is_asked_no_more_than_it_allows() -> None:
    world = World(90 * DAY_S, advises=-1.0)
    world.live(START + 60 * DAY_S)
    world.authority.assert_within_limits()


def test_a_clock_that_was_wrong_holds_nothing_up() -> None:
    world = World(90 * DAY_S, refused=1.0, now=START + 30 * YEAR_S)
    world.live(START + 30 * YEAR_S + DAY_S)
    known = known_of(SITE, world.record())
    assert due(SITE, known, known.attempts.tries, START).at <= START
