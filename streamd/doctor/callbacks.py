"""What came of trying the callbacks. Pure."""

from typing import Literal

from streamd.doctor.finding import Finding, error, ok, warning

_RULE = (
    'answer HTTP 200 with {"code": 0} to what is welcome, on_test too, and another code to refuse'
)


def judge(
    name: str, address: str, kind: Literal["yes", "no", "fault", "none"], said: str
) -> Finding:
    """Judge the answer to an event `on_test`.

    Args:
        name: of the callback.
        address: what can be shown of where it is.
        kind: `streamd.callbacks.post.Reply.kind`.
        said: `streamd.callbacks.post.Reply.text`.
    """
    where = f"callbacks.{name}"
    if kind == "yes":
        return ok(where, f"{address} answers on_test with a yes ({said})")
    if kind == "no":
        return ok(where, f"{address} answers on_test, with a no ({said})")
    if kind == "fault":
        return warning(
            where, f"{address} answers on_test with neither a yes nor a no: {said}", _RULE
        )
    do = "correct `url`, or let this machine's firewall pass it; otherwise that server is down"
    return error(where, f"{address} cannot be reached: {said}", do)
