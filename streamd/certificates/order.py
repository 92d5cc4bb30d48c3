"""`python -m streamd.certificates.order NAME`: one order, read as JSON from standard input.

It installs what it obtains, so that nothing is lost when nobody waits for it any more, and says in
one line of JSON what came of it. Its argument tells people which certificate it is about.
"""

import json
import sys
import time
import uuid
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from streamd.callbacks import outbox
from streamd.callbacks.events import on_certificate_renewed
from streamd.certificates import attempts, pem
from streamd.certificates.answers import AnswerError, Answers, DnsAnswers, FileAnswers
from streamd.certificates.authority import Authority, RefusedError
from streamd.certificates.hosts import own_addresses, resolve
from streamd.certificates.spec import (
    WELL_KNOWN,
    AcmeSpec,
    CertificateSpec,
    DnsChallenge,
    ListenChallenge,
    OrderSpec,
    order_from_json,
    wanted_identity,
)
from streamd.certificates.store import Store
from streamd.certificates.words import Refusal, Surroundings, explain

_MOST_TOLD = 3
"""Of many names that are refused, so many are told of."""


def main() -> int:
    """Carry the order out, and return the exit status."""
    try:
        order = order_from_json(sys.stdin.read())
    except ValueError as error:
        sys.stderr.write(f"cannot read what to order from standard input: {error}\n")
        return 1
    assert order.certificate.acme is not None  # noqa: S101 - for mypy: read as an order
    store = Store(Path(order.directory))
    try:
        act = _ask if order.ask_only else _obtain
        told = act(order, order.certificate.acme, store)
    except RefusedError as error:
        told = _refused(error, order.certificate.acme)
    told["set_aside"] = [f"{path}: {reason}" for path, reason in store.set_aside]
    sys.stdout.write(json.dumps(told))
    return 0


def _ask(order: OrderSpec, acme: AcmeSpec, store: Store) -> dict[str, Any]:
    """Ask the authority when the present certificate is to be renewed."""
    present = store.record(order.certificate.name).installed
    if present is None or present.ari is None:
        return {"window": None, "ask_again_s": None}
    window, ask_again_s = Authority(acme, store).window(present.ari)
    return {"window": window and asdict(window), "ask_again_s": ask_again_s}


def _obtain(order: OrderSpec, acme: AcmeSpec, store: Store) -> dict[str, Any]:
    """Obtain a certificate for the key that is there already, and install it."""
    wanted = order.certificate
    key = _present_key(store, wanted)
    request = pem.signing_request(key, wanted.domains)
    answers = _answers(acme, store)
    chain = Authority(acme, store).obtain(request, answers)
    try:
        pair = pem.checked_pair(chain, key)
    except pem.PairError as error:
        raise RefusedError(
            Refusal("unreachable", f"what it sent cannot be served: {error}"), reached=True
        ) from error
    present = pem.installed(pair, "authority", wanted_identity(wanted))
    record = store.record(wanted.name)
    known = attempts.issued(record.attempts)
    store.install(
        wanted.name, pair, present, replace(record, attempts=known, window=None, ask_at=0.0)
    )
    event = on_certificate_renewed(
        str(uuid.uuid5(uuid.NAMESPACE_URL, f"{acme.directory}#{present.serial}")),
        time.time(),
        certificate=wanted.name,
        domains=wanted.domains,
        not_after=present.not_after,
    )
    outbox.drop(Path(order.outbox), [event])
    return {"serial": present.serial}


def _present_key(store: Store, wanted: CertificateSpec) -> str:
    """Return the key that is served, or a new one where that cannot be certified.

    It is kept, so that whoever reads chain and key while they are replaced has two that match.
    """
    present, installed = store.pair(wanted.name), store.record(wanted.name).installed
    try:
        if present is not None and installed is not None and installed.source != "own":
            key = pem.checked_pair(*present).key
            if pem.kind_of(key) == wanted.key_kind:
                return key
    except pem.PairError:
        pass
    return pem.make_key(wanted.key_kind)


def _answers(acme: AcmeSpec, store: Store) -> Answers:
    challenge = acme.challenge
    if isinstance(challenge, DnsChallenge):
        try:
            return DnsAnswers(challenge)
        except AnswerError as error:
            raise RefusedError(Refusal("dns-update", str(error)), reached=False) from error
    if isinstance(challenge, ListenChallenge):
        return FileAnswers(store.challenges)
    return FileAnswers(Path(challenge.directory, WELL_KNOWN))


def _refused(error: RefusedError, acme: AcmeSpec) -> dict[str, Any]:
    own = own_addresses()
    told = [
        explain(
            refusal,
            Surroundings(
                acme.answered_by,
                resolve(refusal.name) if refusal.name else (),
                own,
                error.profiles,
            ),
        )
        for refusal in error.refusals[:_MOST_TOLD]
    ]
    waits = [each.retry_after_s for each in error.refusals if each.retry_after_s is not None]
    return {
        "error": "; ".join(dict.fromkeys(told)),
        "reached": error.reached,
        "retry_after_s": max(waits, default=None),
    }


if __name__ == "__main__":
    sys.exit(main())
