"""Let media servers serve the recordings that shall be served, and no others.

    STATE/servers/NAME/www/recordings  ->  ../served
    STATE/servers/NAME/served/RULE/...     links to the files of finished recordings

A rule's archive makes and removes the links of its recordings; a server follows them. What is
looked at here lies in the state directory alone, so that a mount that hangs with recordings on it
holds up nobody here.
"""

import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

import structlog

from streamd.recording_places import SERVED_UNDER, served_root

log = structlog.get_logger()


def serve_recordings(servers_directory: Path, rules: Mapping[str, Collection[str]]) -> None:
    """Let each server serve these rules, and take from all what they serve beside that. Blocks.

    A server that cannot be prepared is logged, and the others are.

    Args:
        servers_directory: below which each server keeps its files.
        rules: by server.
    """
    try:
        present = {path.name for path in servers_directory.iterdir() if path.is_dir()}
    except FileNotFoundError:
        present = set()
    for server in sorted(present | rules.keys()):
        wanted = rules.get(server, ())
        root = Path(served_root(str(servers_directory), server))
        try:
            for path in _directories(root):
                if path.name not in wanted:
                    shutil.rmtree(path)
                    log.info("recordings.not_served", server=server, rule=path.name)
            if wanted:
                _prepare(servers_directory / server / "www" / SERVED_UNDER, root)
        except OSError as error:
            log.error(
                "recordings.not_servable",
                server=server,
                path=str(error.filename),
                error=error.strerror,
            )


def withhold(servers_directory: Path, server: str, rule: str) -> None:
    """Take a rule's recordings from a server, until their archive links them again. Blocks."""
    path = Path(served_root(str(servers_directory), server), rule)
    shutil.rmtree(path, ignore_errors=True)


def _directories(root: Path) -> list[Path]:
    try:
        return [path for path in root.iterdir() if path.is_dir() and not path.is_symlink()]
    except FileNotFoundError:
        return []


def _prepare(link: Path, root: Path) -> None:
    for directory in (root, link.parent):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if link.is_symlink() and link.resolve() == root.resolve():
        return
    made = link.with_name(f".{link.name}.new")
    made.unlink(missing_ok=True)
    made.symlink_to(os.path.relpath(root, link.parent))
    try:
        made.replace(link)
    finally:
        made.unlink(missing_ok=True)
