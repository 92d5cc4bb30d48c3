"""Take the snapshot that the status tells from out of the daemon's parts."""

import platform
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from streamd.auth.admission import Admission
from streamd.callbacks.facts import CallbackFacts
from streamd.certificates.facts import CertificateFacts
from streamd.configuration import Configuration
from streamd.reconcile import Reconciler
from streamd.status.snapshot import ArchiveFacts, Memory, ServerFacts, Snapshot
from streamd.version import __version__


def gather(
    configuration: Configuration,
    reconciler: Reconciler,
    admission: Admission,
    memory: Memory,
    callbacks: Mapping[str, CallbackFacts],
    certificates: Mapping[str, CertificateFacts],
) -> Snapshot:
    """Return the present moment.

    Args:
        configuration: what is applied, and what became of the file.
        reconciler: what exists, and what its servers and FFmpegs told last.
        admission: who was refused.
        memory: of the report before.
        callbacks: what became of the requests to each.
        certificates: how each is.
    """
    desired = configuration.applied.desired if configuration.applied else None
    now = time.monotonic()
    listings = reconciler.listings
    return Snapshot(
        version=__version__,
        node=platform.node(),
        desired=desired,
        observed=reconciler.observed,
        config=configuration.state,
        converged=reconciler.converged and configuration.state.state == "applied",
        now=datetime.now(UTC),
        monotonic=now,
        live={name: listing.streams for name, listing in listings.latest.items()},
        tracks=reconciler.progress.tracks if reconciler.progress is not None else {},
        servers={
            name: ServerFacts(
                listings.versions.get(name),
                listings.ports.get(name, {}),
                listings.errors.get(name),
            )
            for name in (desired.servers if desired else ())
        },
        behind=reconciler.behind(),
        refusals=admission.refusals,
        refused=admission.refused,
        memory=memory,
        callbacks=callbacks,
        certificates=certificates,
        leaving=reconciler.leaving.reports,
        archives={
            rule: ArchiveFacts(heard.report, is_silent=heard.is_silent(now))
            for rule, heard in reconciler.archives.heard.items()
        },
    )
