"""Looks at certificates: their names in the DNS, where authorities are answered, what is served."""

import asyncio
import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

from streamd.certificates.hosts import own_addresses, resolve
from streamd.certificates.spec import CertificateSpec, ListenChallenge
from streamd.certificates.store import Store
from streamd.desire_certificates import certificates_directory
from streamd.doctor import files, probes
from streamd.doctor.certificates import Domain, judge_domain, judge_port, judge_served
from streamd.doctor.context import Context
from streamd.doctor.dns import allowed_authorities
from streamd.doctor.finding import AS_ROOT, Finding, unknown

NAMES_TIMEOUT_S = 15.0


async def check_certificates(context: Context) -> Iterable[Finding]:
    """Look at every certificate of the file. Asks no authority."""
    specs = context.desired.certificates.values() if context.desired else ()
    found: list[Finding] = []
    store = Store(Path(certificates_directory(context.settings.state_dir)))
    for spec in specs:
        found += await _names(spec)
        port = judge_port(spec)
        found += [] if port is None else [port]
        try:
            found.append(await asyncio.to_thread(_kept, context, spec, store))
        except OSError as failure:
            told = f"cannot be looked at: {failure.strerror}"
            found.append(unknown(f"certificates.{spec.name}", told, AS_ROOT))
    return found


def _kept(context: Context, spec: CertificateSpec, store: Store) -> Finding:
    """Look at what there is of a certificate. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):  # before streamd has ever run with it
        way = probes.way_to(store.directory / spec.name)
        above = len(probes.way_to(store.directory.parent))
        found = files.judge_kept(way[above:], context.user)
        if found is not None:
            return found
    return judge_served(spec, store.look_at(spec.name), time.time())


async def _names(spec: CertificateSpec) -> list[Finding]:
    if spec.acme is None:
        return []
    asks_addresses = isinstance(spec.acme.challenge, ListenChallenge)
    try:
        async with asyncio.timeout(NAMES_TIMEOUT_S):
            domains = await asyncio.gather(
                *(asyncio.to_thread(_domain, name, asks_addresses) for name in spec.domains)
            )
    except TimeoutError:
        told = f"the name server does not answer within {NAMES_TIMEOUT_S:.0f} s"
        return [unknown(f"certificates.{spec.name}", told, "check /etc/resolv.conf")]
    own = own_addresses()
    return [finding for domain in domains for finding in judge_domain(spec, domain, own)]


def _domain(name: str, asks_addresses: bool) -> Domain:
    return Domain(name, resolve(name) if asks_addresses else (), allowed_authorities(name))
