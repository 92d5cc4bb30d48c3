"""Makes sure that a certificate has files which servers can read, whatever there is so far."""

import time
import uuid
from dataclasses import replace
from pathlib import Path

from streamd.callbacks import outbox as callbacks
from streamd.callbacks.events import on_certificate_renewed
from streamd.certificates import own_files, pem
from streamd.certificates.record import Record
from streamd.certificates.spec import CertificateSpec
from streamd.certificates.store import Store

_NO_NAME = "localhost"


def serve(store: Store, spec: CertificateSpec, outbox: Path) -> tuple[Record, str | None]:
    """Bring the files of a certificate up to date. Blocks, and raises nothing.

    Own files are installed when they are others than those that are served, and can be served. Of
    what an authority issued nothing is touched; where there is nothing, or only something that
    cannot be read, a self-signed certificate takes its place.

    Args:
        store: where it is.
        spec: of it.
        outbox: that events are dropped into.

    Returns:
        What is known of it, and what is wrong now; None for nothing.
    """
    try:
        record = _repaired(store, spec)
        if spec.acme is not None:
            return record, None
        return _with_own(store, spec, record, outbox)
    except OSError as error:
        path = error.filename or store.directory
        told = f"{path} cannot be written: {error.strerror}; make room, or fix its permissions"
        return Record(), told


def _repaired(store: Store, spec: CertificateSpec) -> Record:
    """Return the record of a certificate once it has files that go together."""
    record = store.record(spec.name)
    present = store.pair(spec.name)
    try:
        pair = None if present is None else pem.checked_pair(*present)
    except pem.PairError:
        pair = None
    if pair is not None and _is_ours(record) and pem.kind_of(pair.key) != spec.key_kind:
        pair = None  # somebody serves it now who takes other keys
    if pair is None:
        key = pem.make_key(spec.key_kind)
        made = pem.self_signed(key, spec.domains or (_NO_NAME,), time.time())
        store.install(spec.name, made, pem.installed(made, "self-signed"), record)
        return store.record(spec.name)
    if record.installed is not None:
        return record
    # What was known of it is lost, and can be read in it: all but what it was ordered for.
    is_own_work = pem.read(pair.fullchain).self_signed
    found = pem.installed(pair, "self-signed" if is_own_work else "authority")
    known = replace(record, installed=found)
    store.write_record(spec.name, known)
    return known


def _is_ours(record: Record) -> bool:
    """Tell whether nobody vouches for what is served, so that nothing is lost with it."""
    return record.installed is None or record.installed.source == "self-signed"


def _with_own(
    store: Store, spec: CertificateSpec, record: Record, outbox: Path
) -> tuple[Record, str | None]:
    try:
        pair = own_files.read_pair(spec)
    except pem.PairError as error:
        return record, f"{error}; what was there before is served on"
    found = pem.installed(pair, "own")
    if record.installed == found and store.pair(spec.name) == (pair.fullchain, pair.key):
        return record, None
    store.install(spec.name, pair, found, record)
    event = on_certificate_renewed(
        str(uuid.uuid5(uuid.NAMESPACE_URL, f"{spec.name}#{found.serial}")),
        time.time(),
        certificate=spec.name,
        domains=found.domains,
        not_after=found.not_after,
    )
    callbacks.drop(outbox, [event])
    return store.record(spec.name), None
