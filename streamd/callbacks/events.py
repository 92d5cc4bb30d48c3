"""What callbacks are told, as values and as JSON. Pure, and light enough for every process.

The common fields `request_id`, `action`, `opaque`, `vhost`, `app` and `stream`, and those of
on_publish, on_unpublish, on_record_begin and on_record_end, are Oryx's (its FAQ, "HTTP Callback"),
so that a server which was written for Oryx can stay as it is. Every other field is streamd's own
and is only ever added to.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from streamd import names

Action = Literal[
    "on_publish",
    "on_unpublish",
    "on_record_begin",
    "on_record_end",
    "on_play",
    "on_stop",
    "on_target_live",
    "on_target_error",
    "on_certificate_renewed",
]
"""What a callback can be told."""

ACTIONS: tuple[Action, ...] = get_args(Action)

TEST_ACTION = "on_test"
"""What `streamd doctor` sends; it tells of nothing that happened."""

VHOST = "__defaultVhost__"
"""SRS's name for its only virtual host, which Oryx's callbacks carry."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        request_id: a UUID; stays the same however often the event is sent.
        action: what happened.
        stream: `app/stream` as the file names it; "" where the event is about no stream.
        at: when, Unix time.
        fields: further fields of the body. Those of on_publish hold what the publisher sent, its
            secret included.
        to: names of the only callbacks that are told; None: all who asked for the action.
    """

    request_id: str
    action: str
    stream: str
    at: float
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    to: tuple[str, ...] | None = None


def body(event: Event, *, opaque: str, node: str) -> bytes:
    """Return the JSON that is sent.

    Args:
        event: what happened.
        opaque: the callback's token.
        node: what this machine is called.
    """
    app, name = names.split(event.stream)
    told = {
        "request_id": event.request_id,
        "action": event.action,
        "opaque": opaque,
        "vhost": VHOST,
        "app": app,
        "stream": name,
        **event.fields,
        "at": timestamp(event.at),
        "node": node,
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def timestamp(at: float) -> str:
    """Write a Unix time as in the body: `2026-11-23T01:30:00.123Z`."""
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")


def as_json(event: Event) -> str:
    """Return an event as it is kept until it is sent."""
    return json.dumps(
        {
            "request_id": event.request_id,
            "action": event.action,
            "stream": event.stream,
            "at": event.at,
            "fields": dict(event.fields),
            "to": event.to,
        }
    )


def from_json(text: str | bytes) -> Event:
    """Read what `as_json` wrote.

    Raises:
        ValueError: it is something else.
    """
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("not an event")
    request_id, action, stream = (found.get(name) for name in ("request_id", "action", "stream"))
    at, fields, to = found.get("at"), found.get("fields"), found.get("to")
    if (
        not isinstance(request_id, str)
        or not isinstance(action, str)
        or not isinstance(stream, str)
        or not isinstance(at, int | float)
        or not isinstance(fields, dict)
        or not (to is None or (isinstance(to, list) and all(isinstance(each, str) for each in to)))
    ):
        raise ValueError("not an event")
    return Event(request_id, action, stream, float(at), fields, None if to is None else tuple(to))


def on_publish(
    request_id: str, stream: str, at: float, *, param: str, client: Mapping[str, Any]
) -> Event:
    """Return the question whether somebody may publish.

    Args:
        request_id: of the event.
        stream: `app/stream` as the file names it.
        at: Unix time.
        param: what the publisher put behind the stream's name, `?secret=...`; "" for nothing.
        client: who it is, as `client_fields` tells.
    """
    return Event(request_id, "on_publish", stream, at, {"param": param, **client})


def on_unpublish(
    request_id: str, stream: str, at: float, *, seconds: float, client: Mapping[str, Any]
) -> Event:
    """Return that a publisher has left, after so many seconds."""
    return Event(request_id, "on_unpublish", stream, at, {**client, "seconds": round(seconds, 3)})


def on_record_begin(
    request_id: str, stream: str, at: float, *, uuid: str, more: Mapping[str, Any] | None = None
) -> Event:
    """Return that a recording began; `more` are further fields."""
    return Event(request_id, "on_record_begin", stream, at, {"uuid": uuid, **(more or {})})


def on_record_end(  # noqa: PLR0913 - the fields of the body
    request_id: str,
    stream: str,
    at: float,
    *,
    uuid: str,
    artifact_code: int,
    artifact_path: str,
    artifact_url: str,
    more: Mapping[str, Any] | None = None,
) -> Event:
    """Return that a recording is finished.

    Args:
        request_id: of the event; keep it with the recording, so that a repetition is known as one.
        stream: `app/stream` as the file names it.
        at: Unix time.
        uuid: of the recording.
        artifact_code: 0, or what is wrong with the artifact.
        artifact_path: where it is on this machine.
        artifact_url: where it can be fetched; "" when nowhere.
        more: further fields.
    """
    fields = {
        "uuid": uuid,
        "artifact_code": artifact_code,
        "artifact_path": artifact_path,
        "artifact_url": artifact_url,
        **(more or {}),
    }
    return Event(request_id, "on_record_end", stream, at, fields)


def on_play(request_id: str, stream: str, at: float, *, client: Mapping[str, Any]) -> Event:
    """Return that somebody watches a stream."""
    return Event(request_id, "on_play", stream, at, dict(client))


def on_stop(
    request_id: str, stream: str, at: float, *, seconds: float, client: Mapping[str, Any]
) -> Event:
    """Return that somebody watches no more, after so many seconds."""
    return Event(request_id, "on_stop", stream, at, {**client, "seconds": round(seconds, 3)})


def on_target_live(
    request_id: str, stream: str, at: float, *, target: str, address: str, backup: bool
) -> Event:
    """Return that media arrives at a target; `address` is without its key."""
    fields = {"target": target, "address": address, "backup": backup}
    return Event(request_id, "on_target_live", stream, at, fields)


def on_target_error(  # noqa: PLR0913 - the fields of the body
    request_id: str, stream: str, at: float, *, target: str, address: str, backup: bool, error: str
) -> Event:
    """Return that media does not arrive at a target any more, or never did."""
    fields = {"target": target, "address": address, "backup": backup, "error": error}
    return Event(request_id, "on_target_error", stream, at, fields)


def on_certificate_renewed(
    request_id: str, at: float, *, certificate: str, domains: tuple[str, ...], not_after: float
) -> Event:
    """Return that a certificate was renewed; times are Unix times."""
    fields = {
        "certificate": certificate,
        "domains": list(domains),
        "not_after": timestamp(not_after),
    }
    return Event(request_id, "on_certificate_renewed", "", at, fields)


def on_test(request_id: str, at: float) -> Event:
    """Return what says only that somebody tries whether the callback can be reached."""
    return Event(request_id, TEST_ACTION, "", at)


def client_fields(
    *, client_id: str, ip: str, protocol: str, server: str, key: str | None = None
) -> dict[str, Any]:
    """Return the fields that tell of a client: `client_id` is the media server's own."""
    told = {"client_id": client_id, "ip": ip, "protocol": protocol, "server": server}
    return told if key is None else {**told, "key": key}
