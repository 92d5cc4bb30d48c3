"""Let media servers serve the recordings that shall be served, and no others.

    STATE/servers/NAME/www/recordings/RULE  ->  ../../served/RULE
    STATE/servers/NAME/served/RULE/...          links to the files of finished recordings

A rule's archive makes and removes the links of its recordings; a server follows them. What is
looked at here lies in the state directory alone, so that a mount that hangs with recordings on it
holds up nobody here.
"""

import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

import structlog

from streamd.recordings.places import SERVED_UNDER, served_directory, served_root

log = structlog.get_logger()


def serve_recordings(servers_directory: Path, rules: Mapping[str, Collection[str]]) -> None:
    """Let each server serve these rules, and take from all what they serve beside that. Blocks.

    A server that cannot be prepared is logged, and the others are.

    Args:
        servers_directory: below which each server keeps its files.
        rules: by server.
    """
    for server in sorted(_names(servers_directory) | rules.keys()):
        wanted = frozenset(rules.get(server, ()))
        root = Path(served_root(str(servers_directory), server))
        try:
            for rule in sorted(_names(root) - wanted):
                withhold(servers_directory, server, rule)
                shutil.rmtree(root / rule)
                log.info("recordings.not_served", server=server, rule=rule)
            for rule in sorted(wanted):
                restore(servers_directory, server, rule)
        except OSError as error:
            log.error(
                "recordings.not_servable",
                server=server,
                path=str(error.filename),
                error=error.strerror,
            )


def withhold(servers_directory: Path, server: str, rule: str) -> None:
    """Take a rule's recordings from a server. Blocks.

    Raises:
        OSError: what is in the place of the link cannot be removed.
    """
    _link(servers_directory, server, rule).unlink(missing_ok=True)


def restore(servers_directory: Path, server: str, rule: str) -> None:
    """Let a server serve a rule's recordings. Blocks.

    Raises:
        OSError: the link cannot be made.
    """
    link = _link(servers_directory, server, rule)
    directory = Path(served_directory(str(servers_directory), server, rule))
    for each in (directory, link.parent):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(os.path.relpath(directory, link.parent))


def _link(servers_directory: Path, server: str, rule: str) -> Path:
    return servers_directory / server / "www" / SERVED_UNDER / rule


def _names(directory: Path) -> set[str]:
    try:
        return {path.name for path in directory.iterdir() if path.is_dir()}
    except FileNotFoundError:
        return set()
