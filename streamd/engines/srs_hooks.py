"""What SRS asks and tells by http_hooks, and how it wants to be answered."""

import json
from typing import Any, Literal

from streamd.engines.base import HookAnswer, HookRequest
from streamd.engines.hook_fields import secrets_of_query

_ACTIONS: dict[str, Literal["publish", "unpublish"]] = {
    "on_publish": "publish",
    "on_unpublish": "unpublish",
}


def parse_srs_hook(body: bytes) -> HookRequest:
    """Read one hook of SRS.

    Raises:
        ValueError: it is not one.
    """
    try:
        hook = json.loads(body)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(hook, dict):
        raise ValueError("not a JSON object")
    action = _ACTIONS.get(_text(hook, "action"))
    if action is None:
        raise ValueError("action is not one that SRS is told to send")
    stream, param = _text(hook, "stream"), _text(hook, "param")
    return HookRequest(
        action=action,
        app=_text(hook, "app"),
        stream=stream,
        secrets=secrets_of_query(param),
        client_id=_text(hook, "client_id"),
        address=_text(hook, "ip").removeprefix("::ffff:"),
        protocol=_protocol(_text(hook, "tcUrl"), param),
        objection=_objection(stream),
        param=param,
    )


def answer_srs(*, allow: bool) -> HookAnswer:
    """Word a yes or no for SRS, which takes only the code 0 for a yes."""
    return HookAnswer(200, '{"code":0}' if allow else '{"code":1}')


def _text(hook: dict[str, Any], field: str) -> str:
    value = hook.get(field)
    if not isinstance(value, str):
        raise ValueError(f"{field} is not a text")
    return value


def _protocol(tc_url: str, param: str) -> str:
    # WHIP has no tcUrl; the older JSON API has any that the client likes, and adds this.
    if not tc_url or param.endswith("upstream=rtc"):
        return "webrtc"
    return "srt" if tc_url.startswith("srt://") else "rtmp"


def _objection(stream: str) -> str | None:
    # SRS takes what follows the last dot for an extension, and publishes `cam.1` as `cam`.
    if "." in stream:
        return "SRS cannot carry a stream with a dot in its name; use a dash"
    return None
