"""Who publishes, over hooks, listings, ends of servers and restarts of streamd."""

import time
from pathlib import Path

import pytest

from streamd.auth.sessions import Sessions
from streamd.engines.base import LiveStream
from streamd.observe import LISTING_GRACE_S, Listing
from streamd.observed import Publisher
from streamd.publishers import LEFT_KEPT_S, Publishers


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "sessions.jsonl"


@pytest.fixture
def publishers(journal: Path) -> Publishers:
    return Publishers(Sessions(journal))


def one(client_id: str, stream: str = "live/a", server: str = "main") -> Publisher:
    return Publisher(server, stream, stream, client_id, key="studio")


def listing(asked_in_s: float, *client_ids: str) -> dict[str, Listing]:
    streams = [LiveStream("live/a", client_id, 1, 100, 0) for client_id in client_ids]
    return {"main": Listing(time.monotonic() + asked_in_s, streams)}


def present(publishers: Publishers, listings: dict[str, Listing], in_s: float = 0.0) -> set[str]:
    found = publishers.present(listings, time.monotonic() + in_s)
    return {publisher.client_id for publisher in found.values()}


def test_one_who_was_let_in_is_present_at_once(publishers: Publishers) -> None:
    publishers.admitted(one("c1"))
    assert present(publishers, {}) == {"c1"}


def test_one_who_does_not_show_in_a_later_listing_is_forgotten(publishers: Publishers) -> None:
    publishers.admitted(one("c1"))
    assert present(publishers, listing(LISTING_GRACE_S + 1)) == set()
    assert present(publishers, {}) == set()


def test_one_who_left_is_gone_though_an_old_listing_has_it(publishers: Publishers) -> None:
    publishers.admitted(one("c1"))
    publishers.gone("main", "c1")
    assert present(publishers, listing(-1, "c1")) == set()
    assert present(publishers, listing(LEFT_KEPT_S, "c1"), LEFT_KEPT_S + 1) == {"c1"}


def test_one_who_comes_back_under_the_same_id_is_present(publishers: Publishers) -> None:
    publishers.admitted(one("c1"))
    publishers.gone("main", "c1")
    publishers.admitted(one("c1"))
    assert present(publishers, {}) == {"c1"}


def test_the_end_of_a_server_ends_those_on_it_alone(publishers: Publishers) -> None:
    publishers.admitted(one("c1"))
    publishers.admitted(one("c2", "live/b", "other"))
    publishers.server_ended("main")
    assert present(publishers, {}) == {"c2"}


def test_whoever_was_let_in_last_and_has_not_left_publishes_a_stream(
    publishers: Publishers,
) -> None:
    assert publishers.of("live/a") is None
    publishers.admitted(one("c1"))
    publishers.admitted(one("c2"))
    publishers.admitted(one("c3", "live/b"))
    assert publishers.of("live/a") == one("c2")
    publishers.gone("main", "c2")
    assert publishers.of("live/a") == one("c1")
    publishers.gone("main", "c1")
    assert publishers.of("live/a") is None


def test_a_streamd_that_comes_after_knows_who_was_let_in_with_which_key(
    publishers: Publishers, journal: Path
) -> None:
    publishers.admitted(one("c1"))
    publishers.admitted(one("c2", "live/b"))
    publishers.gone("main", "c2")
    after = Publishers(Sessions(journal))
    after.remember()
    assert after.present({}, time.monotonic()) == {"live/a": one("c1")}


def test_a_streamd_that_comes_after_forgets_those_on_servers_that_ended(
    publishers: Publishers, journal: Path
) -> None:
    publishers.admitted(one("c1"))
    publishers.admitted(one("c2", "live/b", "other"))
    after = Publishers(Sessions(journal))
    after.remember()
    after.keep_servers({"other"})
    assert present(after, {}) == {"c2"}


def test_one_remembered_has_to_be_in_the_first_listing(
    publishers: Publishers, journal: Path
) -> None:
    publishers.admitted(one("c1"))
    after = Publishers(Sessions(journal))
    after.remember()
    assert present(after, listing(0.0)) == set()
