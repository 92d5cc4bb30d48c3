"""Certificates on disk: pairs that are replaced as one, and what is known of them.

    DIRECTORY/NAME/fullchain.pem, privkey.pem    links through `current`; servers read these
    DIRECTORY/NAME/current -> versions/ID        replaced by one rename, so that both change at once
    DIRECTORY/NAME/versions/ID/                  a pair; the one before is kept too
    DIRECTORY/NAME/record.json                   what was tried, and what is served
    DIRECTORY/accounts/                          accounts at authorities
    DIRECTORY/challenges/                        answers to an authority, while it asks

Names of certificates are those of the file, so that `accounts` and `challenges` could be one: both
lie below a name that no certificate can have.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from streamd.certificates.record import Installed, Record, from_json, to_json
from streamd.certificates.spec import FULLCHAIN, KEY, certificate_paths
from streamd.whole_file import sync, write_whole

_CURRENT, _VERSIONS, _RECORD = "current", "versions", "record.json"
_OWN = ".authorities"
_ANSWERS_KEPT_S = 86_400.0
_PRIVATE_FILE, _PRIVATE_DIRECTORY = 0o600, 0o700
_OPEN_TO_OTHERS = 0o077


class _PemPair(Protocol):
    """A chain and its key as PEM (`streamd.certificates.pem.Pair`)."""

    @property
    def fullchain(self) -> str: ...
    @property
    def key(self) -> str: ...


class Store:
    """The certificates of one directory. Every method blocks, and raises OSError.

    Args:
        directory: of all certificates.

    Attributes:
        set_aside: files that could not be read and were renamed, since this was last emptied.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.set_aside: list[tuple[Path, str]] = []

    @property
    def accounts(self) -> Path:
        """Where accounts at authorities are kept."""
        return self.directory / _OWN / "accounts"

    @property
    def challenges(self) -> Path:
        """Where answers to an authority are while it asks."""
        return self.directory / _OWN / "challenges"

    def prepare(self) -> list[Path]:
        """Make the directories, and close to other users what was open to them.

        Returns:
            What was open, and is not any more.
        """
        own = self.directory / _OWN
        for path in (self.directory, own, self.accounts, self.challenges):
            path.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        opened = []
        for root, directories, files in os.walk(self.directory):
            for path in (Path(root), *(Path(root, name) for name in files)):
                if path.is_symlink() or not path.lstat().st_mode & _OPEN_TO_OTHERS:
                    continue
                path.chmod(_PRIVATE_DIRECTORY if path.is_dir() else _PRIVATE_FILE)
                opened.append(path)
            directories.sort()
        self._forget_answers()
        return opened

    def records_of_others(self, names: Collection[str]) -> list[Record]:
        """Return what is known of certificates that the file does not have any more."""
        others = sorted(
            path.parent.name
            for path in self.directory.glob(f"[!.]*/{_RECORD}")
            if path.parent.name not in names
        )
        return [self.record(name) for name in others]

    def _forget_answers(self) -> None:
        """Take away the answers of orders that were killed."""
        for path in self.challenges.iterdir():
            with contextlib.suppress(FileNotFoundError):  # an order has just taken it back
                if time.time() - path.stat().st_mtime > _ANSWERS_KEPT_S:
                    path.unlink()

    def record(self, name: str) -> Record:
        """Return what is known of a certificate; nothing where that is damaged."""
        path = self.directory / name / _RECORD
        try:
            return from_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Record()
        except ValueError as error:
            self.put_aside(path, str(error))
            return Record()

    def stamps(self, name: str) -> tuple[object, ...]:
        """Return what changes whenever a file of a certificate does."""
        paths = [*map(Path, certificate_paths(str(self.directory), name))]
        return tuple(map(stamp_of, [*paths, self.directory / name / _RECORD]))

    def look_at(self, name: str) -> Record:
        """Return what is known of a certificate, and leave what is damaged where it is."""
        try:
            return from_json((self.directory / name / _RECORD).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return Record()

    def write_record(self, name: str, record: Record) -> None:
        """Keep what is known of a certificate."""
        directory = self.directory / name
        directory.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        write_whole(directory / _RECORD, to_json(record))

    def pair(self, name: str) -> tuple[str, str] | None:
        """Return the chain and the key that are served; None where one is missing."""
        chain, key = certificate_paths(str(self.directory), name)
        try:  # what is no text is found to be no PEM either
            return Path(chain).read_text("utf-8", "replace"), Path(key).read_text(
                "utf-8", "replace"
            )
        except FileNotFoundError:
            return None

    def install(self, name: str, pair: _PemPair, installed: Installed, record: Record) -> None:
        """Serve a pair from now on.

        Args:
            name: of the certificate.
            pair: to serve.
            installed: what it is.
            record: what is known beside; kept with `installed` in it.
        """
        directory = self.directory / name
        versions = directory / _VERSIONS
        for path in (directory, versions):
            path.mkdir(mode=_PRIVATE_DIRECTORY, exist_ok=True)
        before = _target(directory / _CURRENT)
        version = versions / f"{time.time_ns():020d}-{installed.serial[-16:]}"
        version.mkdir(mode=_PRIVATE_DIRECTORY)
        write_whole(version / FULLCHAIN, pair.fullchain)
        write_whole(version / KEY, pair.key)
        sync(version)
        _link(directory / _CURRENT, f"{_VERSIONS}/{version.name}")
        for file in (FULLCHAIN, KEY):
            if not (directory / file).is_symlink():
                _link(directory / file, f"{_CURRENT}/{file}")
        sync(directory)
        self.write_record(name, replace(record, installed=installed))
        for old in versions.iterdir():  # not by age, which is that of a clock
            if old.name not in (before, version.name):
                shutil.rmtree(old, ignore_errors=True)

    def put_aside(self, path: Path, reason: str) -> None:
        """Rename a file that cannot be read, so that a new one can take its place."""
        aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
        path.rename(aside)
        self.set_aside.append((aside, reason))

    def put_pair_aside(self, name: str, reason: str) -> None:
        """Rename the version that is served and cannot be used, out of reach of what is pruned."""
        version = (self.directory / name / _CURRENT).resolve()
        aside = self.directory / name / f"{version.name}.damaged-{time.time_ns()}"
        version.rename(aside)
        self.set_aside.append((aside, reason))


def _target(link: Path) -> str:
    """Return the name of what a link leads to; "" for no link."""
    try:
        return link.readlink().name
    except OSError:
        return ""


def stamp_of(path: Path) -> tuple[int, int, int] | None:
    """Return what changes whenever a file does; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _link(path: Path, target: str) -> None:
    """Make a link lead somewhere, at once and without a moment in which there is none."""
    made = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        made.unlink()
    made.symlink_to(target)
    made.replace(path)
