"""`python -m streamd.certificates.order NAME`: one order, read as JSON from standard input.

It installs what it obtains, so that nothing is lost when nobody waits for it any more, and says in
one line of JSON what came of it. Its argument tells people which certificate it is about.
"""

import json
import random
import sys
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from streamd.certificates import attempts, pem
from streamd.certificates.answers import AnswerError, Answers, FileAnswers
from streamd.certificates.authority import Authority
from streamd.certificates.hosts import own_addresses, resolve
from streamd.certificates.refusals import RefusedError
from streamd.certificates.serving import note_renewed
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
from streamd.certificates.trouble import told
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
        done = act(order, order.certificate.acme, store)
    except RefusedError as error:
        done = _refused(error, order.certificate.acme)
    except OSError as error:
        done = {"error": told(error, store.directory)}
    done["set_aside"] = [(str(path), reason) for path, reason in store.set_aside]
    sys.stdout.write(json.dumps(done))
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
    chain = Authority(acme, store).obtain(request, answers, partial(_note_asked, store, wanted))
    try:
        pair = pem.checked_pair(chain, key)
    except pem.PairError as error:
        told = Refusal("unreachable", f"what it sent cannot be served: {error}")
        raise RefusedError(told, failure="unknown") from error
    present = pem.installed(pair, "authority", wanted_identity(wanted))
    record = store.record(wanted.name)
    known = attempts.issued(record.attempts)
    store.install(
        wanted.name, pair, present, replace(record, attempts=known, window=None, ask_at=0.0)
    )
    note_renewed(Path(order.outbox), acme.directory, wanted, present)
    return {"serial": present.serial}


def _note_asked(store: Store, wanted: CertificateSpec) -> None:
    """Write down that the authority will have issued, whatever becomes of this process."""
    record = store.record(wanted.name)
    known = attempts.asked(record.attempts, time.time(), jitter=random.random())  # noqa: S311 - spreads tries
    store.write_record(wanted.name, replace(record, attempts=known))


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
        # Not before it is needed: it takes a third as long to import as all the rest.
        from streamd.certificates.dns_answers import DnsAnswers  # noqa: PLC0415

        try:
            return DnsAnswers(challenge)
        except AnswerError as error:
            raise RefusedError(Refusal("dns-update", str(error)), failure="unreachable") from error
    if isinstance(challenge, ListenChallenge):
        return FileAnswers(store.challenges, is_private=True)
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
        "failure": error.failure,
        "retry_after_s": max(waits, default=None),
    }


if __name__ == "__main__":
    sys.exit(main())
