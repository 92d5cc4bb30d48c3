"""Where recordings go: whether streamd can write there, and whether there is room. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from streamd.archive.keep import Space, free_limit
from streamd.archive.layout import root_of
from streamd.desired import RecordingSpec
from streamd.doctor.files import LEAST_FILES, Node, User, closed_for_writing, in_bytes
from streamd.doctor.finding import AS_ROOT, Finding, error, ok, unknown, warning

_UNITS = "in both units, by `systemctl edit streamd streamd-supervisord`"


@dataclass(frozen=True, slots=True)
class Place:
    """A directory for recordings, as it was found.

    Attributes:
        way: the nearest directory that is there, and before it every one that leads to it.
        is_there: that one is the directory itself, which otherwise is made below it.
        space: of its file system.
        files_free: how many files there is room for; None: it does not count them.
        read_only: it is mounted so, or is so for the processes of streamd that run.
        hidden: the processes of streamd that run do not see it.
        writable: as the kernel says of streamd's own user; None where another one looked.
    """

    way: Sequence[Node]
    is_there: bool
    space: Space
    files_free: int | None = None
    read_only: bool = False
    hidden: bool = False
    writable: bool | None = None


def judge(
    spec: RecordingSpec, place: Place | OSError | None, user: User, *, limit_s: float
) -> Finding:
    """Judge where the recordings of a rule go.

    Args:
        spec: of the rule.
        place: as it was found, why it could not be looked at, or None: it did not answer.
        user: whom streamd runs as.
        limit_s: how long it was waited for.
    """
    where, directory = f"recordings.{spec.name}", root_of(spec.directory)
    if place is None:
        told = f"{directory} did not answer for {limit_s:g} s; nothing is recorded there"
        return error(where, told, "if it is a mount, look at the server behind it")
    if isinstance(place, PermissionError):
        return unknown(where, f"{directory} cannot be looked at by this user", AS_ROOT)
    if isinstance(place, OSError):
        told = f"{directory} cannot be looked at: {place.strerror or place}"
        return error(where, told, "look at the disk, or correct `directory`")
    return _unwritable(where, directory, place, user) or _room(where, directory, spec, place)


def _unwritable(where: str, directory: str, place: Place, user: User) -> Finding | None:
    nearest = place.way[-1]
    make = f"mkdir -p {directory} && chown {user.name}: {directory}"
    if not nearest.is_directory:
        told = f"{nearest.path} is no directory"
        return error(where, told, "correct `directory`, or remove what is there")
    if place.hidden:
        told = (
            f"streamd does not see {nearest.path}, as its units have it (ProtectHome, PrivateTmp)"
        )
        return error(
            where, told, f"choose another directory, or set BindPaths={directory} {_UNITS}"
        )
    if place.read_only:
        told = f"{nearest.path} is read-only for streamd"
        return error(
            where,
            told,
            f"mount it for writing; under systemd set ReadWritePaths={directory} {_UNITS}",
        )
    closed = closed_for_writing(place.way, user)
    if place.writable is False or (place.writable is None and closed is not None):
        at = closed or nearest
        told = f"{user.name} cannot write to {directory}: {at.path} is closed to it"
        return error(where, f"{told} (mode {at.mode:o})", make)
    if place.files_free is not None and place.files_free < LEAST_FILES:
        told = f"{directory}: room for {place.files_free} files only"
        return error(where, told, "delete small files there")
    return None


def _room(where: str, directory: str, spec: RecordingSpec, place: Place) -> Finding:
    space, limit = place.space, free_limit(spec, place.space)
    there = "can write there" if place.is_there else "can make it"
    free = f"{in_bytes(space.free)} of {in_bytes(space.total)} free, {in_bytes(limit)} have to be"
    if space.free >= limit:
        return ok(where, f"{directory}: streamd {there}; {free}")
    do = "make room, or lower `keep.free`"
    if not place.is_there:
        return error(where, f"{directory}: {free}, so nothing is recorded", do)
    after = "the oldest recordings are deleted, and without any nothing is recorded"
    return warning(where, f"{directory}: {free}; {after}", do)
