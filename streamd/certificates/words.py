"""Why an authority gave no certificate, in an operator's words. Pure.

The types of problems are those of RFC 8555, 6.7, and of the drafts and authorities beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_LONGEST_DETAIL = 300


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an authority (or the way to it) said.

    Attributes:
        kind: the end of the problem's type, as `rateLimited`; or `unreachable`, `untrusted`,
            `timeout`, `dns-update` for what did not come from it.
        detail: what it said itself.
        name: that it is about; "" for all.
        retry_after_s: how long it asked to wait; None for not.
    """

    kind: str
    detail: str
    name: str = ""
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What this machine knows of a name.

    Attributes:
        by: how the authority is answered: `listen`, `webroot` or `dns`.
        resolved: addresses that the name stands for, as seen from here.
        own: addresses of this machine.
        profiles: that the authority has; () where it says nothing of them.
    """

    by: str = "listen"
    resolved: Sequence[str] = ()
    own: Sequence[str] = ()
    profiles: Sequence[str] = ()


def explain(refusal: Refusal, surroundings: Surroundings) -> str:
    """Say what is wrong and what to do."""
    name, kind = refusal.name or "a name", refusal.kind
    told = _OWN_WORDS.get(kind)
    if told is not None:
        return told.format(detail=_short(refusal.detail))
    if kind in ("dns", "connection", "unauthorized", "incorrectResponse", "tls"):
        text = _not_shown(refusal, surroundings)
    elif kind == "caa":
        text = (
            f"a CAA record forbids this authority to issue for {name}; add the authority to the "
            "CAA records of the domain, or remove them"
        )
    elif kind == "rejectedIdentifier":
        text = f"the authority issues no certificate for {name}; remove it from `domains`"
    elif kind == "invalidProfile":
        known = ", ".join(surroundings.profiles)
        has = f"it has {known}" if known else "it has none"
        text = f"the authority does not know this `profile` ({has}); correct or remove it"
    elif kind == "rateLimited":
        text = "the authority has had too many requests for these names; nothing to do but wait"
    else:
        text = f"the authority refused ({kind})"
    return f"{text} (the authority says: {_short(refusal.detail)})"


_OWN_WORDS = {
    "unreachable": "the authority cannot be reached: {detail}; check this machine's network, and "
    "`acme.directory`",
    "untrusted": "the authority's own certificate is not trusted: {detail}; name who vouches for "
    "it in `acme.ca_file`, or check the machine's clock",
    "ca-file": "`acme.ca_file` cannot be used, {detail}; name a PEM file of who vouches for the "
    "authority",
    "timeout": "the authority did not finish in time: {detail}",
    "dns-update": "the name server does not take the answer: {detail}",
    "webroot": "the answer cannot be written where the web server would find it: {detail}",
    "serverInternal": "the authority has a fault of its own, which passes: {detail}",
    "externalAccountRequired": "the authority wants an account of its own; create one there and "
    "add `acme.eab` with its `kid` and `hmac_key` (it says: {detail})",
    "eab": "the authority does not know the account of `acme.eab`; correct its `kid` and "
    "`hmac_key` (it says: {detail})",
    "invalidContact": "the authority does not take `acme.email`; correct or remove it (it says: "
    "{detail})",
    "userActionRequired": "the authority wants somebody to agree to its terms: {detail}",
}


def _not_shown(refusal: Refusal, surroundings: Surroundings) -> str:
    """Say why it could not be shown that a name is ours."""
    name = refusal.name or "a name"
    if surroundings.by == "dns":
        return (
            f"the authority does not find the answer for {name} in the DNS; check that its zone is "
            "served by the name server of `rfc2136`, and raise `rfc2136.wait` where others serve "
            "it too"
        )
    resolved, own = ", ".join(surroundings.resolved), ", ".join(surroundings.own)
    if refusal.kind == "dns" or not resolved:
        return (
            f"the name {name} does not resolve; add an A or AAAA record that leads to this machine"
        )
    elsewhere = not set(surroundings.resolved) & set(surroundings.own)
    leads = f"{name} leads to {resolved}"
    if elsewhere:
        leads += f", and this machine has {own or 'no address that others reach'}"
    if refusal.kind == "connection":
        if elsewhere:
            return (
                f"nobody answers at port 80: {leads}; let its record lead here, or forward port 80 "
                "from there"
            )
        return (
            f"port 80 is closed to the authority: {leads}, which is this machine; let its firewall "
            "and the provider's pass TCP port 80"
        )
    if surroundings.by == "webroot":
        return (
            f"somebody else answered for {name}: {leads}; make sure that the web server there "
            "serves the files of `webroot`"
        )
    return f"somebody else answered for {name}: {leads}; let its record lead to this machine alone"


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _LONGEST_DETAIL else f"{plain[:_LONGEST_DETAIL]}..."
