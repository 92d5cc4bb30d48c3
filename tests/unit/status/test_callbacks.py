"""What is said of callbacks, in every form."""

from dataclasses import replace
from datetime import timedelta

from streamd.callbacks.facts import CallbackFacts
from streamd.desired import CallbackSpec
from streamd.status.callbacks import callback_statuses
from streamd.status.metrics import exposition, sample
from streamd.status.page import page
from streamd.status.report import remember, report, status_of
from streamd.status.snapshot import Memory, Snapshot
from streamd.status.text import status_text
from tests.support.snapshots import DESIRED, MONOTONIC, NOW, SERVES, SERVING, snapshot

BILLING = CallbackSpec(
    "billing", "https://user:pass@app.example.com/hook/T0KEN",
    frozenset({"on_unpublish", "on_publish"}), "0paque", 5.0, "refuse", "S1gning-secret-S1gning",
)  # fmt: skip
FAILING = CallbackFacts(
    pending=3,
    sent=7,
    failures=5,
    refused=2,
    dropped=1,
    is_failing=True,
    last_success=NOW - timedelta(minutes=1),
    last_error="HTTP 503",
    retry_at=MONOTONIC + 8,
)


def of(facts: CallbackFacts | None, **more: object) -> Snapshot:
    desired = replace(DESIRED, callbacks={"billing": BILLING})
    callbacks = {} if facts is None else {"billing": facts}
    return snapshot(desired=desired, callbacks=callbacks, **more)  # type: ignore[arg-type] # by name


def test_one_that_fails_says_why_and_when_it_is_tried_again() -> None:
    memory = Memory(since={"callback:billing": ("failing", NOW - timedelta(seconds=9))})
    status = callback_statuses(of(FAILING, memory=memory))["billing"]
    assert status.state == "failing"
    assert status.since == NOW - timedelta(seconds=9)
    assert status.address == "https://app.example.com"
    assert status.events == ("on_publish", "on_unpublish")
    assert (status.pending, status.sent, status.failures) == (3, 7, 5)
    assert (status.refused, status.dropped, status.last_error) == (2, 1, "HTTP 503")
    assert status.retry_at == NOW + timedelta(seconds=8)


def test_the_states() -> None:
    assert callback_statuses(of(None))["billing"].state == "idle"
    assert callback_statuses(of(CallbackFacts()))["billing"].state == "idle"
    answered = CallbackFacts(sent=1, last_success=NOW)
    assert callback_statuses(of(answered))["billing"].state == "ok"
    assert remember(of(answered)).since["callback:billing"] == ("ok", NOW)


def test_nothing_secret_is_told_anywhere() -> None:
    moment = of(FAILING)
    told = [
        str(report(moment)),
        page(status_of(moment)),
        status_text(report(moment)),
        exposition(sample(moment)).decode(),
        repr(moment),
    ]
    for secret in ("T0KEN", "user:pass", "0paque", "S1gning"):
        assert all(secret not in text for text in told)


def test_a_callback_that_fails_leaves_the_machine_converged() -> None:
    desired = replace(DESIRED, callbacks={"billing": BILLING})
    machine = snapshot(SERVING, servers=SERVES, desired=desired, callbacks={"billing": FAILING})
    assert report(machine)["converged"] is True


def test_the_table_and_the_page_name_what_is_wrong() -> None:
    text = status_text(report(of(FAILING)))
    assert "CALLBACKS" in text
    assert "HTTP 503" in text
    shown = page(status_of(of(FAILING)))
    assert "Callbacks" in shown
    assert "1 failing" in shown
    assert "again in 8 s" in shown
    assert "Callbacks" not in page(status_of(snapshot()))


def test_dashboards_see_what_waits_and_what_was_lost() -> None:
    lines = exposition(sample(of(FAILING))).decode().splitlines()
    for line in (
        'streamd_callback_up{callback="billing"} 0.0',
        'streamd_callback_pending{callback="billing"} 3.0',
        'streamd_callback_sent_total{callback="billing"} 7.0',
        'streamd_callback_failures_total{callback="billing"} 5.0',
        'streamd_callback_dropped_total{callback="billing"} 1.0',
    ):
        assert line in lines
    (stamp,) = [line for line in lines if line.startswith("streamd_callback_last_success")]
    assert float(stamp.split()[-1]) == (NOW - timedelta(minutes=1)).timestamp()
