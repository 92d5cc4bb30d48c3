"""Who may publish: the rules one by one, and the laws that hold for all of them."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd import names
from streamd.auth.decide import (
    SECRETS_TRIED,
    SEPARATORS_TRIED,
    Allowed,
    AuthIndex,
    Decision,
    Refused,
    authorised,
    decide_publish,
)
from streamd.config.models import Daemon
from streamd.desired import Desired, KeySpec, StreamRule
from streamd.engines.base import HookRequest
from streamd.observed import Publisher

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
STUDIO, CAMERA, OTHER = "studio-secret-1", "cameraSecret7", "otherSecret99"


def sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def key(
    name: str, secret: str, start: datetime | None = None, end: datetime | None = None
) -> KeySpec:
    return KeySpec(name, sha256(secret), start, end)


def desired(*rules: StreamRule, keys: tuple[KeySpec, ...] | None = None) -> Desired:
    if keys is None:
        keys = (key("studio", STUDIO), key("camera", CAMERA))
    return Desired(
        "ffmpeg",
        Daemon(),
        {},
        {k.name: k for k in keys},
        {rule.pattern: rule for rule in rules},
        {},
    )


def decided(asked: HookRequest, shall: Desired, now: datetime) -> Decision:
    return decide_publish(asked, AuthIndex(shall), now)


def must_go(live: Publisher, shall: Desired, now: datetime) -> str | None:
    return authorised(live, AuthIndex(shall), now)


def rule(pattern: str, *keys: str, in_name: bool = False) -> StreamRule:
    return StreamRule(pattern, frozenset(keys), in_name)


def anybody(pattern: str) -> StreamRule:
    return StreamRule(pattern, None)


def request(name: str, *secrets: str) -> HookRequest:
    app, _, stream = name.rpartition("/")
    return HookRequest("publish", app, stream, secrets, "c1", "192.0.2.1")


def publisher(decision: Decision) -> Publisher:
    assert isinstance(decision, Allowed), decision
    return Publisher(
        "main",
        decision.stream,
        decision.published_as,
        "c1",
        decision.key,
        decision.key_sha256,
    )


def reason(decision: Decision) -> str:
    assert isinstance(decision, Refused), decision
    return decision.reason


def test_the_right_key_lets_in_and_is_named() -> None:
    rules = desired(rule("live/a", "studio", "camera"))
    assert decided(request("live/a", CAMERA), rules, NOW) == Allowed(
        "live/a", "live/a", "camera", sha256(CAMERA)
    )


def test_one_of_several_sent_secrets_is_enough() -> None:
    rules = desired(rule("live/a", "studio"))
    allowed = decided(request("live/a", "", "wrong", STUDIO), rules, NOW)
    assert isinstance(allowed, Allowed)


def test_no_more_secrets_are_tried_than_a_device_would_send() -> None:
    rules = desired(rule("live/a", "studio"))
    wrong = tuple(f"wrong{number}" for number in range(SECRETS_TRIED))
    assert isinstance(decided(request("live/a", *wrong[1:], STUDIO), rules, NOW), Allowed)
    assert isinstance(decided(request("live/a", *wrong, STUDIO), rules, NOW), Refused)


@pytest.mark.parametrize(
    ("name", "secrets", "refused"),
    [
        ("live/a", (), ("no_key", "live/a", "live/a")),
        ("live/a", ("",), ("no_key", "live/a", "live/a")),
        ("live/a", (OTHER,), ("wrong_key", "live/a", "live/a")),
        ("live/a", (CAMERA,), ("wrong_key", "live/a", "live/a")),
        ("rooms/anna", (OTHER,), ("wrong_key", "rooms/a***", "rooms/*")),
        (f"lot/cam7-{OTHER}", (), ("wrong_key", "lot/cam7***", "lot/cam7")),
        (f"lot/cam7-{CAMERA}", (), ("expired_key", "lot/cam7***", "lot/cam7")),
        ("live/unknown-stream", (STUDIO,), ("unknown_stream", "live/unk***", None)),
        ("hidden/unknown-stream", (STUDIO,), ("unknown_stream", "h***/unk***", None)),
        ("live/\ud800", (STUDIO,), ("illegal_name", "live/***", None)),
        ("live/../a", (STUDIO,), ("illegal_name", "l***/***", None)),
        ("live/\x1b[2J" + "a" * 12, (STUDIO,), ("illegal_name", "live/??2***", None)),
        ("live/" + "a" * 200, (STUDIO,), ("illegal_name", "live/aaa***", None)),
    ],
)
def test_a_refusal_says_why_and_shows_what_is_no_secret(
    name: str, secrets: tuple[str, ...], refused: tuple[str, str, str | None]
) -> None:
    rules = desired(
        *(rule("live/a", "studio"), rule("rooms/*", "studio")),
        rule("lot/cam7", "camera", in_name=True),
        keys=(key("studio", STUDIO), key("camera", CAMERA, end=NOW)),
    )
    decision = decided(request(name, *secrets), rules, NOW)
    assert isinstance(decision, Refused)
    assert (decision.kind, decision.shown, decision.pattern) == refused


def test_who_still_publishes_behind_a_fallback_that_is_gone_is_told_where_to() -> None:
    shall = desired(rule("live/show", "studio"), rule("lot/cam", "studio"), anybody("rooms/*"))
    refused = decided(request("in/show", "hidden"), shall, NOW)
    assert isinstance(refused, Refused)
    assert (refused.shown, refused.pattern) == ("in/show", "live/show")
    assert refused.reason.endswith("publish to app live, stream show instead")
    other = decided(request("in/lot/cam", "hidden"), shall, NOW)
    assert reason(other).endswith("publish to app lot, stream cam instead")
    assert "add it under" in reason(decided(request("in/rooms/a"), shall, NOW))


def test_half_a_surrogate_pair_as_a_secret_is_merely_wrong() -> None:
    rules = desired(rule("live/a", "studio"))
    assert "no key" in reason(decided(request("live/a", "\ud800"), rules, NOW))


def test_a_key_counts_from_its_start_until_right_before_its_end() -> None:
    rules = desired(rule("live/a", "k"), keys=(key("k", STUDIO, NOW, NOW + HOUR),))

    def at(now: datetime) -> Decision:
        return decided(request("live/a", STUDIO), rules, now)

    assert "valid from 2026-06-01 12:00:00+00:00" in reason(at(NOW - timedelta(microseconds=1)))
    assert isinstance(at(NOW), Allowed)
    assert isinstance(at(NOW + HOUR - timedelta(microseconds=1)), Allowed)
    assert "key k expired at 2026-06-01 13:00:00+00:00" in reason(at(NOW + HOUR))


def test_of_two_keys_with_one_secret_the_valid_one_lets_in() -> None:
    rules = desired(
        rule("live/a", "a", "b"), keys=(key("a", STUDIO, end=NOW), key("b", STUDIO, start=NOW))
    )
    allowed = decided(request("live/a", STUDIO), rules, NOW)
    assert isinstance(allowed, Allowed)
    assert allowed.key == "b"


def test_the_most_specific_rule_decides_and_no_other_is_asked() -> None:
    rules = desired(
        anybody("*/*"), rule("live/*", "studio"), rule("live/ro*", "camera"), anybody("live/room")
    )
    assert decided(request("else/where"), rules, NOW) == Allowed("else/where", "else/where")
    assert decided(request("live/room"), rules, NOW) == Allowed("live/room", "live/room")
    assert isinstance(decided(request("live/x", STUDIO), rules, NOW), Allowed)
    assert isinstance(decided(request("live/rover", CAMERA), rules, NOW), Allowed)
    assert "live/ro*" in reason(decided(request("live/rover", STUDIO), rules, NOW))


@pytest.mark.parametrize("separator", ["-", "_", ".", ""])
def test_a_key_behind_the_name_lets_onto_the_stream_of_the_file(separator: str) -> None:
    rules = desired(rule("lot/cam7", "camera", in_name=True), anybody("*/*"))
    published = f"lot/cam7{separator}{CAMERA}"
    assert decided(request(published), rules, NOW) == Allowed(
        "lot/cam7", published, "camera", sha256(CAMERA)
    )


def test_a_stream_with_a_key_behind_its_name_takes_it_the_usual_way_too() -> None:
    rules = desired(rule("lot/cam7", "camera", in_name=True))
    allowed = decided(request("lot/cam7", CAMERA), rules, NOW)
    assert allowed == Allowed("lot/cam7", "lot/cam7", "camera", sha256(CAMERA))


def test_a_wrong_key_behind_the_name_is_told_without_it() -> None:
    rules = desired(rule("lot/cam7", "camera", in_name=True))
    refused = decided(request(f"lot/cam7-{OTHER}"), rules, NOW)
    assert isinstance(refused, Refused)
    assert "what follows lot/cam7 in it is no key" in refused.reason
    assert refused.shown == "lot/cam7***"


def test_an_expired_key_behind_the_name_is_not_read_as_a_name_that_anybody_may_take() -> None:
    rules = desired(
        rule("lot/cam7", "old", in_name=True), anybody("lot/*"), keys=(key("old", OTHER, end=NOW),)
    )
    assert "expired" in reason(decided(request(f"lot/cam7-{OTHER}"), rules, NOW))


def test_only_a_rule_that_says_so_takes_a_key_behind_the_name() -> None:
    rules = desired(rule("lot/cam7", "camera"), rule("park/*", "camera"))
    assert isinstance(decided(request(f"lot/cam7-{CAMERA}"), rules, NOW), Refused)
    assert isinstance(decided(request(f"park/cam7-{CAMERA}"), rules, NOW), Refused)


def test_a_wildcard_rule_finds_its_key_behind_a_separator() -> None:
    rules = desired(rule("lot/*", "studio", "camera", in_name=True))
    for name, secret in (("lot/a", CAMERA), ("lot/a-b", CAMERA), ("lot/a.b", STUDIO)):
        allowed = decided(request(f"{name}_{secret}"), rules, NOW)
        assert isinstance(allowed, Allowed)
        assert allowed.stream == name
    assert isinstance(decided(request(f"lot/a{CAMERA}"), rules, NOW), Refused)


def test_a_wildcard_rule_lets_nobody_onto_the_stream_of_another_rule() -> None:
    rules = desired(rule("lot/*", "studio", in_name=True), rule("lot/cam7", "camera"))
    assert isinstance(decided(request(f"lot/cam7-{STUDIO}"), rules, NOW), Refused)
    assert isinstance(decided(request(f"lot/cam8-{STUDIO}"), rules, NOW), Allowed)


def test_a_wildcard_rule_tries_a_bounded_number_of_separators() -> None:
    def of(separators: int) -> Decision:
        secret = "x" + "-x" * (separators - 1)
        rules = desired(rule("lot/*", "k", in_name=True), keys=(key("k", secret),))
        return decided(request(f"lot/a-{secret}"), rules, NOW)

    assert isinstance(of(SEPARATORS_TRIED), Allowed)
    assert isinstance(of(SEPARATORS_TRIED + 1), Refused)


def test_a_name_of_the_file_is_never_read_as_name_and_key() -> None:
    rules = desired(rule("lot/cam7", "camera", in_name=True), rule(f"lot/cam7-{CAMERA}", "studio"))
    assert "asks for a key" in reason(decided(request(f"lot/cam7-{CAMERA}"), rules, NOW))


LET_IN = publisher(decided(request("live/a", STUDIO), desired(rule("live/a", "studio")), NOW))


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (desired(rule("live/a", "studio")), None),
        (desired(rule("live/a", "studio", "camera")), None),
        (desired(anybody("live/a")), None),
        (desired(rule("live/*", "studio")), None),
        (desired(rule("live/a", "new"), keys=(key("new", STUDIO),)), None),
        (desired(), "no stream of the file matches it any more"),
        (desired(rule("live/a", "camera")), "key studio is no key of stream live/a any more"),
        (desired(rule("live/a", "studio"), keys=()), "key studio has another secret now"),
        (
            desired(rule("live/a", "studio"), keys=(key("studio", OTHER),)),
            "key studio has another secret now",
        ),
        (
            desired(rule("live/a", "studio"), keys=(key("studio", STUDIO, end=NOW),)),
            "key studio expired at 2026-06-01 12:00:00+00:00",
        ),
        (
            desired(rule("live/a", "studio"), keys=(key("studio", STUDIO, start=NOW + HOUR),)),
            "key studio is valid from 2026-06-01 13:00:00+00:00 on",
        ),
    ],
)
def test_a_live_publisher_stays_while_its_secret_is_good(
    after: Desired, expected: str | None
) -> None:
    assert must_go(LET_IN, after, NOW) == expected


def test_who_came_in_without_a_key_stays_only_while_none_is_asked_for() -> None:
    came_in = publisher(decided(request("live/a"), desired(anybody("live/a")), NOW))
    assert must_go(came_in, desired(anybody("*/*")), NOW) is None
    assert "came in without one" in (must_go(came_in, desired(rule("live/a", "s")), NOW) or "")


def test_who_has_the_key_in_the_name_stays_only_while_that_is_taken() -> None:
    before = desired(rule("lot/cam7", "camera", in_name=True))
    came_in = publisher(decided(request(f"lot/cam7-{CAMERA}"), before, NOW))
    assert must_go(came_in, before, NOW) is None
    after = must_go(came_in, desired(rule("lot/cam7", "camera")), NOW)
    assert after == "stream lot/cam7 takes no key in the name any more"


@pytest.mark.parametrize(
    ("name", "known_as", "goes"),
    [
        ("live/a", "live/a", True),
        ("open/any-name-at-all", "open/any-name-at-all", False),
        (f"lot/cam7-{OTHER}", "lot/cam***", True),
        (f"lot/cam7-{OTHER}x", "lot/cam***", True),
        ("else/where-it-is", "e***/wh***", True),
    ],
)
def test_whom_no_hook_let_in_is_told_of_without_what_may_be_a_secret(
    name: str, known_as: str, goes: bool
) -> None:
    shall = desired(
        rule("live/a", "studio"),
        rule("lot/*", "camera", in_name=True),
        anybody("open/*"),
    )
    assert AuthIndex(shall).known_as(name) == known_as
    listed = Publisher("main", known_as, name, "c1")
    assert (must_go(listed, shall, NOW) is not None) is goes


def test_a_masked_name_is_not_judged_by() -> None:
    shall = desired(anybody("lot/*"), rule("lot/*-*", "camera", in_name=True))
    name = f"lot/cam7-{OTHER}"
    masked = AuthIndex(shall).known_as(name)
    assert AuthIndex(shall).rule_for(masked) != AuthIndex(shall).rule_for(name)
    assert must_go(Publisher("main", masked, name, "c1"), shall, NOW) is not None


def test_the_next_change_is_the_next_start_or_end_of_a_key() -> None:
    rules = desired(
        keys=(
            key("a", STUDIO, NOW, NOW + 3 * HOUR),
            key("b", CAMERA, NOW + HOUR, None),
            key("c", OTHER),
        )
    )
    assert AuthIndex(rules).next_change(NOW - HOUR) == NOW
    assert AuthIndex(rules).next_change(NOW) == NOW + HOUR
    assert AuthIndex(rules).next_change(NOW + HOUR) == NOW + 3 * HOUR
    assert AuthIndex(rules).next_change(NOW + 3 * HOUR) is None


# Laws. Few letters and short texts, so that names, patterns and secrets collide often.

SECRETS = ("aabbaabb", "bbaabbaa", "ab-ab-ab-ab", "b_a.b-a_b", "abababab")
SEGMENTS = st.text("ab-", min_size=1, max_size=3).filter(lambda text: text[0] != "-")
NAMES = st.builds("{}/{}".format, st.sampled_from(["a", "b"]), SEGMENTS)
PATTERNS = st.one_of(
    NAMES,
    st.builds("{}/{}".format, st.sampled_from(["a", "b", "*"]), st.text("ab*-", max_size=3)).filter(
        names.is_pattern
    ),
)
MOMENTS = st.one_of(st.none(), st.integers(-2, 2).map(lambda hours: NOW + hours * HOUR))
KEY_NAMES = ("k1", "k2", "k3", "k4")


@st.composite
def desireds(draw: st.DrawFn) -> Desired:
    keys = tuple(
        key(name, draw(st.sampled_from(SECRETS)), draw(MOMENTS), draw(MOMENTS))
        for name in KEY_NAMES
    )
    rules = draw(
        st.lists(
            st.builds(
                StreamRule,
                PATTERNS,
                st.one_of(st.none(), st.frozensets(st.sampled_from((*KEY_NAMES, "unknown")))),
                st.booleans(),
            ),
            max_size=6,
        )
    )
    return desired(*rules, keys=keys)


@st.composite
def requests(draw: st.DrawFn) -> HookRequest:
    name = draw(NAMES)
    if draw(st.booleans()):
        name += draw(st.sampled_from(["", "-", "_", "."])) + draw(st.sampled_from(SECRETS))
    sent = draw(st.lists(st.sampled_from(SECRETS), max_size=2))
    return request(name, *sent)


def naive_rule(rules: Mapping[str, StreamRule], stream: str) -> StreamRule | None:
    matching = [r for r in rules.values() if names.matches(r.pattern, stream)]
    return max(matching, key=lambda r: names.specificity(r.pattern), default=None)


def naive_readings(asked: HookRequest, shall: Desired) -> list[tuple[str, StreamRule, set[str]]]:
    """Every way to read the request, what decides first in front."""
    whole = f"{asked.app}/{asked.stream}"
    deciding = naive_rule(shall.rules, whole)
    as_it_stands = [] if deciding is None else [(whole, deciding, set(asked.secrets))]
    if deciding is not None and deciding.pattern == whole:
        return as_it_stands
    split = []
    for length in range(len(asked.stream) - 1, 0, -1):
        stream, rest = f"{asked.app}/{asked.stream[:length]}", asked.stream[length:]
        found = naive_rule(shall.rules, stream)
        if found is None or not found.key_in_name or found.keys is None:
            continue
        if found.pattern == stream:
            split.append((stream, found, {rest, rest[1:] if rest[0] in "-_." else rest}))
        elif rest[0] in "-_." and sum(map(rest.count, "-_.")) <= SEPARATORS_TRIED:
            split.append((stream, found, {rest[1:]}))
    return split + as_it_stands


def naive_stream(asked: HookRequest, shall: Desired) -> str | None:
    """Return the stream that is let in, None for a refusal."""
    known_but_not_now = False
    for stream, deciding, secrets in naive_readings(asked, shall):
        is_whole = stream == f"{asked.app}/{asked.stream}"
        if is_whole and known_but_not_now:
            return None
        if deciding.keys is None:
            return stream
        keys = [shall.keys[k] for k in deciding.keys if k in shall.keys]
        good = [k for k in keys if k.sha256 in map(sha256, secrets)]
        if any(k.valid_at(NOW) for k in good):
            return stream
        known_but_not_now = known_but_not_now or bool(good)
    return None


@given(requests(), desireds())
def test_the_index_decides_as_reading_every_rule_would(asked: HookRequest, shall: Desired) -> None:
    decision = decided(asked, shall, NOW)
    assert (decision.stream if isinstance(decision, Allowed) else None) == naive_stream(
        asked, shall
    )


@given(requests(), desireds())
def test_a_key_that_lets_in_is_one_of_the_rule_within_its_window(
    asked: HookRequest, shall: Desired
) -> None:
    decision = decided(asked, shall, NOW)
    if isinstance(decision, Allowed) and decision.key is not None:
        deciding = naive_rule(shall.rules, decision.stream)
        assert deciding is not None
        assert decision.key in (deciding.keys or ())
        assert shall.keys[decision.key].valid_at(NOW)
        assert shall.keys[decision.key].sha256 == decision.key_sha256


@given(requests(), desireds())
def test_whom_decide_lets_in_authorised_lets_stay(asked: HookRequest, shall: Desired) -> None:
    decision = decided(asked, shall, NOW)
    if isinstance(decision, Allowed):
        assert must_go(publisher(decision), shall, NOW) is None


@given(requests(), desireds(), desireds())
def test_who_may_stay_with_its_key_would_be_let_in_again(
    asked: HookRequest, before: Desired, after: Desired
) -> None:
    decision = decided(replace(asked, secrets=asked.secrets[:1]), before, NOW)
    if isinstance(decision, Allowed) and decision.stream == decision.published_as:
        stays = must_go(publisher(decision), after, NOW) is None
        deciding = naive_rule(after.rules, decision.stream)
        if deciding is not None and deciding.pattern == decision.stream:
            again = decided(replace(asked, secrets=asked.secrets[:1]), after, NOW)
            assert isinstance(again, Allowed) or not stays


@given(requests(), desireds())
def test_a_refusal_holds_no_secret(asked: HookRequest, shall: Desired) -> None:
    decision = decided(asked, shall, NOW)
    if isinstance(decision, Refused):
        for text in (repr(decision), decision.reason, decision.shown):
            assert not any(secret in text for secret in SECRETS)


@given(requests(), desireds())
def test_what_is_shown_of_a_decision_holds_no_secret_that_was_sent(
    asked: HookRequest, shall: Desired
) -> None:
    shown = repr(decided(asked, shall, NOW))
    assert not any(sha256(secret) in shown for secret in SECRETS)


@given(desireds(), st.integers(-5, 5))
def test_nothing_changes_before_the_next_change(shall: Desired, hours: int) -> None:
    now = NOW + hours * HOUR
    upcoming = AuthIndex(shall).next_change(now)
    assert upcoming is None or upcoming > now
    last = upcoming or now + 10 * HOUR
    moments = [now + (last - now) * part / 10 for part in range(10)]
    for k in shall.keys.values():
        assert len({k.valid_at(moment) for moment in moments}) == 1


def test_a_decision_among_ten_thousand_rules_looks_at_few_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shall = desired(
        *(rule(f"live/cam{number}", "studio") for number in range(10_000)),
        *(rule(f"room{number}/*", "studio") for number in range(10_000)),
    )
    index = AuthIndex(shall)
    looked_at: list[str] = []
    matches = names.matches

    def counting(pattern: str, stream: str) -> bool:
        looked_at.append(pattern)
        return matches(pattern, stream)

    monkeypatch.setattr(names, "matches", counting)
    assert isinstance(decide_publish(request("live/cam77", STUDIO), index, NOW), Allowed)
    assert isinstance(decide_publish(request("room9999/x", STUDIO), index, NOW), Allowed)
    assert isinstance(decide_publish(request("none/x", STUDIO), index, NOW), Refused)
    assert len(looked_at) <= 3


def test_a_name_made_to_match_slowly_does_not() -> None:
    rules = desired(anybody("live/*a*a*a*a*a*a*a*b"))
    # Trying every way to share the letters out would outlast the test run.
    assert isinstance(decided(request("live/" + "a" * 190), rules, NOW), Refused)


# Streams that streamd publishes itself.

OWN = "own-secret-of-streamd"
SHOWN = desired(
    StreamRule("live/show", frozenset(), internal=True, ingest="in/show"),
    StreamRule("in/show", frozenset({"studio"}), ingest_of="live/show"),
    StreamRule("lot/lobby", frozenset(), internal=True),
    rule("lot/*", "camera", in_name=True),
    anybody("*/*"),
)


def from_here(name: str, *secrets: str, address: str = "127.0.0.1") -> HookRequest:
    return replace(request(name, *secrets), address=address)


def decided_with_own(asked: HookRequest, shall: Desired = SHOWN) -> Decision:
    return decide_publish(asked, AuthIndex(shall, OWN), NOW)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("name", ["live/show", "lot/lobby"])
def test_streamds_own_secret_from_this_machine_lets_onto_its_streams(
    name: str, address: str
) -> None:
    assert decided_with_own(from_here(name, OWN, address=address)) == Allowed(
        name, name, internal=True
    )


@pytest.mark.parametrize(
    ("address", "secrets"),
    [
        ("192.0.2.1", (OWN,)),
        ("::ffff:192.0.2.1", (OWN,)),
        ("127.0.0.1.example.com", (OWN,)),
        ("", (OWN,)),
        ("127.0.0.1", ()),
        ("127.0.0.1", ("",)),
        ("127.0.0.1", (STUDIO,)),
        ("127.0.0.1", (OWN[:-1],)),
        ("127.0.0.1", (sha256(OWN),)),
        ("127.0.0.1", (*("wrong" for _ in range(SECRETS_TRIED)), OWN)),
    ],
)
def test_nobody_else_publishes_them(address: str, secrets: tuple[str, ...]) -> None:
    refused = decided_with_own(from_here("live/show", *secrets, address=address))
    assert isinstance(refused, Refused)
    assert (refused.kind, refused.shown, refused.pattern) == ("internal", "live/show", "live/show")


def test_without_a_secret_of_its_own_not_even_streamd_publishes_them() -> None:
    for secret in (OWN, "", sha256("")):
        assert isinstance(decided(from_here("live/show", secret), SHOWN, NOW), Refused)


def test_who_comes_to_the_name_that_people_watch_is_told_where_to_publish() -> None:
    assert reason(decided_with_own(request("live/show", STUDIO))) == (
        "stream live/show has a fallback, and streamd publishes it; publish to app in, stream "
        "show instead (`streamd urls` prints the address)"
    )
    assert reason(decided_with_own(request("lot/lobby", CAMERA))) == (
        "streamd itself publishes stream lot/lobby; publish under another name"
    )


def test_at_the_ingest_the_keys_of_the_stream_decide() -> None:
    assert decided_with_own(request("in/show", STUDIO)) == Allowed(
        "in/show", "in/show", "studio", sha256(STUDIO)
    )
    refused = decided_with_own(request("in/show", CAMERA))
    assert isinstance(refused, Refused)
    assert (refused.kind, refused.pattern) == ("wrong_key", "in/show")


@pytest.mark.parametrize("name", ["in/show", "lot/cam7"])
def test_streamds_own_secret_is_no_key_of_what_others_publish(name: str) -> None:
    assert isinstance(decided_with_own(from_here(name, OWN)), Refused)


def test_streamd_on_a_stream_that_anybody_may_publish_is_anybody() -> None:
    assert decided_with_own(from_here("open/x", OWN)) == Allowed("open/x", "open/x")


def test_a_key_behind_the_name_lets_nobody_onto_a_stream_of_streamds_own() -> None:
    for separator in ("", "-", "_", "."):
        decision = decided_with_own(request(f"lot/lobby{separator}{CAMERA}"))
        assert isinstance(decision, Refused) or decision.stream != "lot/lobby"


def came_in(name: str, *, internal: bool, key_sha256: str | None = None) -> Publisher:
    return Publisher("main", name, name, "c1", None, key_sha256, internal=internal)


@pytest.mark.parametrize(
    ("live", "after", "expected"),
    [
        (came_in("live/show", internal=True), SHOWN, None),
        (
            came_in("live/show", internal=True),
            desired(rule("live/show", "studio")),
            "stream live/show is not published by streamd any more",
        ),
        (
            came_in("live/show", internal=True),
            desired(anybody("*/*")),
            "stream live/show is not published by streamd any more",
        ),
        (
            came_in("live/show", internal=True),
            desired(),
            "no stream of the file matches it any more",
        ),
        (
            came_in("live/show", internal=False),
            SHOWN,
            "stream live/show has a fallback, and streamd publishes it; publish to app in, stream "
            "show instead (`streamd urls` prints the address)",
        ),
        (
            came_in("lot/lobby", internal=False, key_sha256=sha256(CAMERA)),
            SHOWN,
            "streamd itself publishes stream lot/lobby; publish under another name",
        ),
        (came_in("in/show", internal=False, key_sha256=sha256(STUDIO)), SHOWN, None),
        (
            came_in("in/show", internal=False, key_sha256=sha256(STUDIO)),
            desired(rule("live/show", "studio")),
            "no stream of the file matches it any more",
        ),
    ],
)
def test_who_is_on_a_stream_of_streamds_own_stays_just_when_it_is_streamd(
    live: Publisher, after: Desired, expected: str | None
) -> None:
    assert must_go(live, after, NOW) == expected


@st.composite
def with_own_streams(draw: st.DrawFn) -> Desired:
    """Rules of which some, for one stream each, are streamd's own."""
    shall = draw(desireds())
    own = draw(st.lists(NAMES, max_size=3, unique=True))
    made = {name: StreamRule(name, frozenset(), internal=True) for name in own}
    return replace(shall, rules={**shall.rules, **made})


@given(requests(), with_own_streams(), st.booleans(), st.booleans())
def test_streamd_alone_is_let_onto_its_own_streams_and_as_itself_onto_no_other(
    asked: HookRequest, shall: Desired, is_here: bool, knows: bool
) -> None:
    asked = replace(
        asked,
        address="127.0.0.1" if is_here else "192.0.2.1",
        secrets=(*asked.secrets, OWN) if knows else asked.secrets,
    )
    decision = decided_with_own(asked, shall)
    deciding = shall.rules.get(f"{asked.app}/{asked.stream}")
    if deciding is not None and deciding.internal:
        assert isinstance(decision, Allowed) == (is_here and knows)
    if isinstance(decision, Allowed):
        onto = naive_rule(shall.rules, decision.stream)
        assert onto is not None
        assert decision.internal == onto.internal
        assert must_go(replace(publisher(decision), internal=decision.internal), shall, NOW) is None
    else:
        assert OWN not in repr(decision)
