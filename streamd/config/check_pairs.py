"""Checks of the operator's own certificates: can they be read and served? Reads the files."""

from collections.abc import Iterator
from pathlib import Path

from streamd.config.models import Config
from streamd.config.source import Source
from streamd.desire import Machine, desire
from streamd.errors import Problem


def own_files(config: Config) -> frozenset[Path]:
    """Return the files of own certificates and their keys, which are watched."""
    return frozenset(
        path
        for certificate in config.certificates.values()
        for path in (certificate.certificate_file, certificate.key_file)
        if path is not None and certificate.acme is None
    )


def check_pairs(config: Config, source: Source, *, machine: Machine) -> Iterator[Problem]:
    """Yield what is wrong with own certificates: errors where they cannot be served at all."""
    if not own_files(config):
        return
    # Not before it is needed: `cryptography` takes memory.
    from streamd.certificates import own_files as files  # noqa: PLC0415
    from streamd.certificates.pem import PairError  # noqa: PLC0415

    for name, spec in desire(config, machine).certificates.items():
        if spec.certificate_file is None or spec.key_file is None:
            continue
        where = ("certificates", name, "certificate_file")
        try:
            pair = files.read_pair(spec)
        except PairError as error:
            yield source.error(where, str(error))
        else:
            yield from (source.warning(where, doubt) for doubt in files.doubts(spec, pair))
