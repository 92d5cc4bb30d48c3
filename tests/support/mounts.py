"""File systems for tests, as root: one that is small, and one whose server never answers."""

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def small_disk(directory: Path, size: str) -> Iterator[Path]:
    """Mount a tmpfs of a size (`64k`, `20m`) on a directory; skips where that is not allowed."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        pytest.skip(f"NOT TESTED: mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


@contextlib.contextmanager
def hanging_mount(directory: Path) -> Iterator[Path]:
    """Mount a FUSE on a directory that nobody serves: whoever looks into it waits.

    Everybody who waits gets an error at the end. Skips where mounting is not allowed.
    """
    try:
        descriptor = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        pytest.skip(f"NOT TESTED: mounting is not allowed here: /dev/fuse: {error.strerror}")
    options = f"fd={descriptor},rootmode=40000,user_id=0,group_id=0"
    place = os.fsencode(directory)
    if _libc.mount(b"hanging", place, b"fuse", 0, options.encode()) != 0:
        os.close(descriptor)
        pytest.skip(f"NOT TESTED: mounting is not allowed here: {os.strerror(ctypes.get_errno())}")
    try:
        yield directory
    finally:
        os.close(descriptor)
        _libc.umount2(place, _DETACH)
