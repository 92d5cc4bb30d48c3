"""What nginx-rtmp asks and tells by on_publish and on_publish_done, and how it is answered."""

from typing import Literal
from urllib.parse import unquote

from streamd.engines.base import HookAnswer, HookRequest
from streamd.engines.hook_fields import secrets_of_query

_ACTIONS: dict[str, Literal["publish", "unpublish"]] = {
    "publish": "publish",
    "publish_done": "unpublish",
}


def parse_nginx_rtmp_hook(body: bytes) -> HookRequest:
    """Read one hook of nginx-rtmp.

    The first of several fields of one name is the server's; the client can only add later ones.

    Raises:
        ValueError: it is not one.
    """
    pairs = [
        (unquote(name), value)
        for name, _, value in (part.partition("=") for part in body.decode("ascii").split("&"))
    ]
    own: dict[str, str] = {}
    for name, value in pairs:
        own.setdefault(name, unquote(value))
    missing = [name for name in ("call", "app", "name", "addr", "clientid") if name not in own]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    action = _ACTIONS.get(own["call"])
    if action is None:
        raise ValueError("call is not one that nginx-rtmp is told to send")
    # A secret behind the app (rtmp://host/app?secret=...) is in the tcUrl alone.
    _, _, of_app = own.get("tcurl", "").partition("?")
    return HookRequest(
        action=action,
        app=own["app"],
        stream=own["name"],
        secrets=secrets_of_query(body.decode("ascii")) + secrets_of_query(of_app),
        client_id=own["clientid"],
        address=own["addr"],
        param="&".join(filter(None, (_arguments(body.decode("ascii")), of_app))),
    )


def _arguments(body: str) -> str:
    """Return what the client put behind the name: all that follows the server's last field."""
    _, _, behind = body.partition("&call=publish&")
    _, _, behind = behind.partition("&type=")
    _, _, arguments = behind.partition("&")
    return arguments


def answer_nginx_rtmp(*, allow: bool) -> HookAnswer:
    """Word a yes or no for nginx-rtmp, which takes any 2xx for a yes."""
    return HookAnswer(200 if allow else 403, "", "text/plain")
