"""Checks of the operator's own certificates: can they be read and served? Reads the files."""

from collections.abc import Iterator
from pathlib import Path

from streamd.certificates.looking import LookError, judge_own
from streamd.config.defaults import Machine
from streamd.config.models import Config
from streamd.config.source import Source
from streamd.desire_certificates import certificate_spec, engines_with
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
    own = [
        spec
        for name, certificate in config.certificates.items()
        for spec in [certificate_spec(name, certificate, engines_with(name, config, machine))]
        if spec.certificate_file is not None and spec.key_file is not None
    ]
    try:
        seen = judge_own(own)
    except LookError as error:
        yield source.warning(("certificates",), f"cannot be looked at: {error}")
        return
    for name, wrong in seen.errors.items():
        field = "key_file" if name in seen.unfit_keys else "certificate_file"
        yield source.error(("certificates", name, field), wrong)
    for name, doubts in seen.doubts.items():
        for doubt in doubts:
            yield source.warning(("certificates", name, "certificate_file"), doubt)
