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
import errno
import os
import shutil
import stat
import time
from collections.abc import Collection, Iterator
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

_NONE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
"""There is no such file: something else may be in its place, or in that of what leads to it."""


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
        made_usable: files of this user that he could not use himself, likewise.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.set_aside: list[tuple[Path, str]] = []
        self.made_usable: list[Path] = []

    @property
    def accounts(self) -> Path:
        """Where accounts at authorities are kept."""
        return self.directory / _OWN / "accounts"

    @property
    def challenges(self) -> Path:
        """Where answers to an authority are while it asks."""
        return self.directory / _OWN / "challenges"

    def prepare(self) -> list[Path]:
        """Make the directories, and let this user alone use what is in them.

        What belongs to somebody else is left as it is: whoever needs it finds that out.

        Returns:
            What was open to others, and is not any more.
        """
        own = self.directory / _OWN
        for path in (self.directory, own, self.accounts, self.challenges):
            self._make(path, parents=True)
        closed = [*self._close(self.directory, _PRIVATE_DIRECTORY)]
        for root, directories, files in os.walk(self.directory):
            directories.sort()
            # Before they are entered.
            for name in directories:
                closed += self._close(Path(root, name), _PRIVATE_DIRECTORY)
            for name in files:
                closed += self._close(Path(root, name), _PRIVATE_FILE)
        self._forget_answers()
        return closed

    def _close(self, path: Path, mode: int) -> Iterator[Path]:
        """Give a file the permissions that it has to have; yield it where it was too open."""
        try:
            status = path.lstat()
        except FileNotFoundError:  # an order has just put another in its place
            return
        if stat.S_ISLNK(status.st_mode) or os.geteuid() not in (status.st_uid, 0):
            return
        is_open = bool(status.st_mode & _OPEN_TO_OTHERS)
        needed = mode if stat.S_ISDIR(status.st_mode) else stat.S_IRUSR
        is_usable = status.st_mode & needed == needed
        if is_open or not is_usable:
            path.chmod(mode)
        if is_open:
            yield path
        if not is_usable:
            self.made_usable.append(path)

    def make_room(self, name: str) -> None:
        """Make the directory of a certificate, in the place of what is none."""
        directory = self.directory / name
        self._make(directory)
        if not os.access(directory, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))

    def _make(self, path: Path, *, parents: bool = False) -> None:
        try:
            path.mkdir(mode=_PRIVATE_DIRECTORY, parents=parents, exist_ok=True)
        except FileExistsError:
            self.put_aside(path, "is no directory")
            path.mkdir(mode=_PRIVATE_DIRECTORY)

    def records_of_others(self, names: Collection[str]) -> list[Record]:
        """Return what is known of certificates that the file does not have any more."""
        others = sorted(
            path.parent.name
            for path in self.directory.glob(f"[!.]*/{_RECORD}")
            if path.parent.name not in names
        )
        found = []
        for name in others:
            with contextlib.suppress(OSError):  # whose certificate it was has been told
                found.append(self.record(name))
        return found

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
        except (ValueError, IsADirectoryError) as error:
            self.put_aside(path, "is a directory" if isinstance(error, OSError) else str(error))
            return Record()

    def pair_stamp(self, name: str) -> tuple[object, ...]:
        """Return what changes whenever the chain or the key of a certificate does."""
        return tuple(map(stamp_of, map(Path, certificate_paths(str(self.directory), name))))

    def record_stamp(self, name: str) -> object:
        """Return what changes whenever what is known of a certificate is written."""
        return stamp_of(self.directory / name / _RECORD)

    def look_at(self, name: str) -> Record:
        """Return what is known of a certificate, and leave what is damaged where it is."""
        try:
            return from_json((self.directory / name / _RECORD).read_text(encoding="utf-8"))
        except (*_NONE, ValueError):
            return Record()

    def write_record(self, name: str, record: Record) -> None:
        """Keep what is known of a certificate."""
        directory = self.directory / name
        self._make(directory, parents=True)
        write_whole(directory / _RECORD, to_json(record))

    def pair(self, name: str) -> tuple[str, str] | None:
        """Return the chain and the key that are served; None where one is missing."""
        chain, key = certificate_paths(str(self.directory), name)
        try:  # what is no text is found to be no PEM either
            return Path(chain).read_text("utf-8", "replace"), Path(key).read_text(
                "utf-8", "replace"
            )
        except _NONE:
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
            self._make(path)
        for file in (_CURRENT, FULLCHAIN, KEY):
            path = directory / file
            if path.is_dir() and not path.is_symlink():
                self.put_aside(path, "is a directory")
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
