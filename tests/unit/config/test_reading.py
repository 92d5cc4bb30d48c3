"""Why a file cannot be read, and what to do."""

import errno
import os
from pathlib import Path

import pytest

from streamd.config.reading import UnreadableError, read_file, reason


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.EACCES, "cannot be read; give streamd's user permission"),
        (errno.ENOENT, "does not exist; create it or correct the path"),
        (errno.EIO, "cannot be read: input/output error"),
    ],
)
def test_an_error_of_the_system_is_put_in_words(number: int, text: str) -> None:
    assert reason(OSError(number, "")) == text


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_file(path, 5) == b"12345"
    with pytest.raises(UnreadableError, match="is larger than"):
        read_file(path, 4)


def test_what_would_make_the_reader_wait_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path):
        with pytest.raises(UnreadableError):
            read_file(path, 10)


def test_refusing_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted only
    for _ in range(50):
        with pytest.raises(UnreadableError):
            read_file(tmp_path, 10)
    assert len(os.listdir("/proc/self/fd")) < before + 50  # noqa: PTH208 - counted only
