"""Directories, secrets and room on disk: what is right about them. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from streamd.doctor.finding import Finding, error, ok, warning
from streamd.users import giving

LEAST_FREE = 100_000_000
LITTLE_FREE = 1_000_000_000
"""Bytes: with less than the first nothing can be relied on, with less than the other soon."""

LEAST_FILES = 1000

_READ, _WRITE, _ENTER = 4, 2, 1
_NOBODY = -1


@dataclass(frozen=True, slots=True)
class Node:
    """A file or directory: its owner, group and permission bits."""

    path: str
    uid: int
    gid: int
    mode: int
    is_directory: bool = False


@dataclass(frozen=True, slots=True)
class User:
    """Whom streamd runs as."""

    uid: int
    name: str
    groups: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Space:
    """What is free on a filesystem, in bytes and files; None: it does not count files."""

    device: int
    free: int
    total: int
    files_free: int | None = None
    read_only: bool = False


def judge_directory(name: str, node: Node, user: User) -> Finding:
    """Judge one of streamd's directories: `state`, `runtime` or `log`."""
    flag = f"--{name}-dir"
    if not node.is_directory:
        return error(node.path, "is no directory", f"remove it, or choose another with {flag}")
    if node.uid not in (user.uid, 0):
        return error(
            node.path,
            f"belongs to user {node.uid}, and streamd is run by {user.name}",
            f"chown it to {user.name}, or choose another with {flag}",
        )
    if not _may(node, user.uid, user.groups, _WRITE | _ENTER):
        return error(
            node.path, f"cannot be written by {user.name}", f"chown it to {user.name}; chmod 700 it"
        )
    if node.mode & 0o022:
        return error(node.path, f"others can write there (mode {node.mode:o})", "chmod 700 it")
    if name != "log" and node.mode & 0o077:
        return warning(node.path, f"others can look into it (mode {node.mode:o})", "chmod 700 it")
    return ok(node.path, f"{user.name} can write there, mode {node.mode:o}")


def judge_readable(way: Sequence[Node], user: User, own: str | None = None) -> Finding | None:
    """Judge whether streamd can read a file; None where it can.

    Args:
        way: the file, and before it every directory that leads to it.
        user: whom streamd runs as.
        own: the directory, as it is in `way`, below which everything is streamd's.
    """
    closed = _closed_to(way, user.uid, user.groups)
    if closed is None:
        return None
    what = f"cannot be read by {user.name}: {closed.path} is closed to it (mode {closed.mode:o})"
    if own is not None and PurePath(closed.path).is_relative_to(own):
        return error(way[-1].path, what, giving(closed.path, user.name))
    return error(
        way[-1].path,
        what,
        f"chgrp it to a group of {user.name} and let the group in (chmod g+r, g+x of a directory)",
    )


def judge_secret(way: Sequence[Node], what: str) -> Finding | None:
    """Judge whether a file that holds secrets is kept from others; None where it is.

    Args:
        way: as of `judge_readable`.
        what: what the file holds.
    """
    if _closed_to(way, _NOBODY, frozenset()) is not None:
        return None
    return warning(
        way[-1].path,
        f"every user of this machine can read it, and it holds {what} (mode {way[-1].mode:o})",
        "chmod o= it",
    )


def judge_kept(way: Sequence[Node], user: User) -> Finding | None:
    """Judge a directory that streamd makes and keeps files in; None where it is right.

    Args:
        way: the directory, and before it those of streamd's own that lead to it.
        user: whom streamd runs as.
    """
    path = way[-1].path
    if not way[-1].is_directory:
        return warning(path, "is no directory", "start streamd, which renames it and makes one")
    closed = closed_for_writing(way, user)
    if closed is None:
        return None
    return error(
        path,
        f"cannot be used by {user.name}: {closed.path} belongs to user {closed.uid} (mode "
        f"{closed.mode:o})",
        giving(closed.path, user.name),
    )


def closed_for_writing(way: Sequence[Node], user: User) -> Node | None:
    """Return what keeps a user from making files in a directory, the last of `way`; or None."""
    *before, directory = way
    for node in before:
        if not _may(node, user.uid, user.groups, _ENTER):
            return node
    return None if _may(directory, user.uid, user.groups, _WRITE | _ENTER) else directory


def _closed_to(way: Sequence[Node], uid: int, groups: Collection[int]) -> Node | None:
    """Return what keeps a user from reading the last of `way`, None where nothing does."""
    *directories, file = way
    for node in directories:
        if not _may(node, uid, groups, _ENTER):
            return node
    return None if _may(file, uid, groups, _READ) else file


def _may(node: Node, uid: int, groups: Collection[int], bits: int) -> bool:
    """Tell whether a user's permissions hold all of `bits`; access lists are not known here."""
    if uid == 0:
        return True
    if uid == node.uid:
        granted = node.mode >> 6
    elif node.gid in groups:
        granted = node.mode >> 3
    else:
        granted = node.mode
    return granted & bits == bits


def judge_space(directory: str, space: Space) -> Finding:
    """Judge what is free where a directory is."""
    free = f"{in_bytes(space.free)} of {in_bytes(space.total)} free"
    if space.read_only:
        return error(directory, "its filesystem is read-only", "mount it for writing; see dmesg")
    if space.free < LEAST_FREE:
        return error(directory, free, "make room: HLS, logs and the last good file need it")
    if space.files_free is not None and space.files_free < LEAST_FILES:
        return error(directory, f"room for {space.files_free} files only", "delete small files")
    if space.free < LITTLE_FREE:
        return warning(directory, free, "make room before it is full")
    return ok(directory, free)


def in_bytes(number: int) -> str:
    """Write a number of bytes for people, as `1.5 GB`."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 1e3:.0f} kB"
