"""Makes sure that a certificate has files which servers can read, whatever there is so far."""

import time
import uuid
from dataclasses import replace
from pathlib import Path

from streamd.callbacks import outbox as callbacks
from streamd.callbacks.events import on_certificate_renewed
from streamd.certificates import own_files, pem
from streamd.certificates.attempts import issued
from streamd.certificates.record import Installed, Record, Source
from streamd.certificates.spec import CertificateSpec
from streamd.certificates.store import Store
from streamd.certificates.trouble import told

_NO_NAME = "localhost"


def serve(store: Store, spec: CertificateSpec, outbox: Path) -> tuple[Record | None, str | None]:
    """Bring the files of a certificate up to date. Blocks, and raises nothing.

    Own files are installed when they are others than those that are served, and can be served. Of
    what an authority issued nothing is touched; where there is nothing, or only something that
    cannot be read, a self-signed certificate takes its place.

    Args:
        store: where it is.
        spec: of it.
        outbox: that events are dropped into.

    Returns:
        What is known of it, None where that cannot be read; and what is wrong, None for nothing.
    """
    try:
        record = _repaired(store, spec, outbox)
        if spec.acme is not None:
            return record, None
        return _with_own(store, spec, record, outbox)
    except OSError as error:
        return None, told(error, store.directory)


def _repaired(store: Store, spec: CertificateSpec, outbox: Path) -> Record:
    """Return the record of a certificate once it has files that go together."""
    store.make_room(spec.name)
    record = store.record(spec.name)
    present, damage = store.pair(spec.name), None
    try:
        pair = None if present is None else pem.checked_pair(*present)
    except pem.PairError as error:
        pair, damage = None, str(error)
    key = None
    if pair is not None:
        record, installed = _as_served(store, spec, record, pair, outbox)
        has_names = not spec.domains or set(installed.domains) == set(spec.domains)
        has_kind = pem.kind_of(pair.key) == spec.key_kind
        # Nobody vouches for a self-signed one, so that nothing is lost with it.
        if installed.source != "self-signed" or (has_names and has_kind):
            return record
        key = pair.key if has_kind else None
    made = pem.self_signed(
        key or pem.make_key(spec.key_kind), spec.domains or (_NO_NAME,), time.time()
    )
    if damage is not None:
        store.put_pair_aside(spec.name, f"{damage}; what is served now is self-signed")
    store.install(spec.name, made, pem.installed(made, "self-signed"), record)
    return store.record(spec.name)


def _as_served(
    store: Store, spec: CertificateSpec, record: Record, pair: pem.Pair, outbox: Path
) -> tuple[Record, Installed]:
    """Return the record of what is served, and what that is, even where nobody wrote it down.

    Either that was lost, or the order that has just installed it was killed. Then it is what was
    last ordered; or it is not known what it was ordered for, and it will be ordered again.
    """
    found = pem.read(pair.fullchain)
    if record.installed is not None and record.installed.serial == found.serial:
        return record, record.installed
    source: Source = "self-signed" if found.self_signed else "authority"
    wanted = record.wanted if source == "authority" else ""
    installed = pem.installed(pair, source, wanted)
    attempts = record.attempts
    if spec.acme is not None and attempts.tries and attempts.tries[-1].outcome == "asked":
        attempts = issued(attempts)
        note_renewed(outbox, spec.acme.directory, spec, installed)
    known = replace(record, installed=installed, attempts=attempts, window=None, ask_at=0.0)
    store.write_record(spec.name, known)
    return known, installed


def note_renewed(outbox: Path, origin: str, spec: CertificateSpec, installed: Installed) -> None:
    """Let everybody who asked for it know that another certificate is served. Raises OSError.

    Args:
        outbox: that the event is dropped into.
        origin: where the certificate comes from; with its serial it is the event's identity.
        spec: of the certificate.
        installed: what is served.
    """
    event = on_certificate_renewed(
        str(uuid.uuid5(uuid.NAMESPACE_URL, f"{origin}#{installed.serial}")),
        time.time(),
        certificate=spec.name,
        domains=installed.domains,
        not_after=installed.not_after,
    )
    callbacks.drop(outbox, [event])


def _with_own(
    store: Store, spec: CertificateSpec, record: Record, outbox: Path
) -> tuple[Record, str | None]:
    try:
        pair = own_files.read_pair(spec)
    except pem.PairError as error:
        return record, f"{error}; what was there before is served on"
    found, before = pem.installed(pair, "own"), record.installed
    is_over = found.not_after <= time.time()
    if is_over and before is not None and before.source == "own" and before.serial != found.serial:
        return record, (
            f"{spec.certificate_file} has expired; take another one; what was there before is "
            "served on"
        )
    if record.installed == found and store.pair(spec.name) == (pair.fullchain, pair.key):
        return record, None
    store.install(spec.name, pair, found, record)
    note_renewed(outbox, spec.name, spec, found)
    return store.record(spec.name), None
