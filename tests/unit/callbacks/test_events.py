"""The JSON that callbacks get: Oryx's, and what streamd adds to it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.callbacks import events
from streamd.callbacks.events import Event, as_json, body, from_json

ID = "b8ffdd76-e1a9-43c8-b238-4649aef76d77"
AT = 1795397400.1234
CLIENT = events.client_fields(
    client_id="8r8140r7", ip="192.0.2.9", protocol="rtmp", server="main", key="studio"
)


def sent(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(body(event, opaque="mytoken", node="edge-1"))
    return found


def common(action: str) -> dict[str, str]:
    """Return the common fields as Oryx sends them."""
    return {
        "request_id": ID,
        "action": action,
        "opaque": "mytoken",
        "vhost": "__defaultVhost__",
        "app": "live",
        "stream": "livestream",
    }


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            events.on_publish(ID, "live/livestream", AT, param="?secret=8f76", client=CLIENT),
            common("on_publish") | {"param": "?secret=8f76"},
        ),
        (
            events.on_unpublish(ID, "live/livestream", AT, seconds=1.5, client=CLIENT),
            common("on_unpublish"),
        ),
        (
            events.on_record_begin(ID, "live/livestream", AT, uuid="824b96f9"),
            common("on_record_begin") | {"uuid": "824b96f9"},
        ),
        (
            events.on_record_end(
                ID,
                "live/livestream",
                AT,
                uuid="824b96f9",
                artifact_code=0,
                artifact_path="/data/record/824b96f9/index.mp4",
                artifact_url="http://h/index.mp4",
            ),
            common("on_record_end")
            | {
                "uuid": "824b96f9",
                "artifact_code": 0,
                "artifact_path": "/data/record/824b96f9/index.mp4",
                "artifact_url": "http://h/index.mp4",
            },
        ),
    ],
    ids=lambda value: value.action if isinstance(value, Event) else "",
)
def test_a_server_that_was_written_for_oryx_finds_all_that_it_knows(
    event: Event, expected: dict[str, object]
) -> None:
    told = sent(event)
    assert told | expected == told
    assert list(told)[:6] == list(common(""))


def test_everything_else_is_streamds_own() -> None:
    told = sent(events.on_unpublish(ID, "live/livestream", AT, seconds=1.23456, client=CLIENT))
    assert told == common("on_unpublish") | {
        "client_id": "8r8140r7",
        "ip": "192.0.2.9",
        "protocol": "rtmp",
        "server": "main",
        "key": "studio",
        "seconds": 1.235,
        "at": "2026-11-23T01:30:00.123Z",
        "node": "edge-1",
    }


def test_the_app_is_all_before_the_last_slash() -> None:
    told = sent(events.on_play(ID, "lot/west/cam7", AT, client={}))
    assert (told["app"], told["stream"]) == ("lot/west", "cam7")


def test_what_is_about_no_stream_has_empty_ones() -> None:
    told = sent(
        events.on_certificate_renewed(ID, AT, certificate="site", domains=("a", "b"), not_after=AT)
    )
    assert (told["app"], told["stream"]) == ("", "")
    assert (told["certificate"], told["domains"]) == ("site", ["a", "b"])
    assert told["not_after"] == "2026-11-23T01:30:00.123Z"


def test_a_target_is_told_with_its_reason() -> None:
    told = sent(
        events.on_target_error(
            ID, "live/a", AT, target="youtube", address="rtmp://a/live2", backup=False, error="gone"
        )
    )
    assert (told["target"], told["address"], told["error"]) == ("youtube", "rtmp://a/live2", "gone")


def test_what_a_publisher_sent_is_not_shown() -> None:
    event = events.on_publish(ID, "live/a", AT, param="?secret=hush", client={})
    assert "hush" not in repr(event)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(
    st.text(),
    st.sampled_from(events.ACTIONS),
    st.text(),
    st.floats(0, 4e9),
    st.dictionaries(st.text(), JSON, max_size=4),
    st.none() | st.lists(st.text()).map(tuple),
)
def test_an_event_comes_back_as_it_was_kept(
    request_id: str,
    action: str,
    stream: str,
    at: float,
    fields: dict[str, object],
    to: tuple[str, ...] | None,
) -> None:
    event = Event(request_id, action, stream, at, fields, to)
    assert from_json(as_json(event)) == event


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "0", "nonsense", '{"request_id": 1}', "\x00",
     '{"request_id": "a", "action": "b", "stream": "c", "at": "d", "fields": {}, "to": null}',
     '{"request_id": "a", "action": "b", "stream": "c", "at": 1, "fields": [], "to": null}',
     '{"request_id": "a", "action": "b", "stream": "c", "at": 1, "fields": {}, "to": [1]}'],
)  # fmt: skip
def test_anything_else_is_no_event(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(text)


@given(st.text(st.characters(codec=None)))
def test_whatever_a_stream_is_called_the_body_is_json(name: str) -> None:
    told = sent(Event(ID, "on_play", f"live/{name}", AT))
    assert set(common("")) <= set(told)
