"""What an operator is told to do about a file that cannot be used."""

import errno
import os
from pathlib import Path

import pytest

from streamd.certificates.trouble import told


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "No space left on device; make room"),
        (errno.EDQUOT, "Disk quota exceeded; make room"),
        (errno.EROFS, "Read-only file system; mount its filesystem for writing"),
        (errno.EACCES, "Permission denied; it is streamd's own: look for what forbids it"),
        (errno.EIO, "Input/output error; make room, or fix its permissions"),
    ],
)
def test_the_advice_fits_the_trouble(tmp_path: Path, number: int, advice: str) -> None:
    path = tmp_path / "site"
    path.mkdir()
    error = OSError(number, os.strerror(number), str(path))
    assert told(error, tmp_path).startswith(f"{path} cannot be used: {advice}")


def test_the_outermost_that_belongs_to_somebody_else_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "of site" / "record.json"
    path.parent.mkdir()
    path.write_text("{}")
    monkeypatch.setattr(os, "geteuid", lambda: 987_654_321)
    error = PermissionError(errno.EACCES, "Permission denied", str(path))
    said = told(error, path.parent)
    assert f"; {path.parent} belongs to " in said
    assert said.endswith(f", and streamd runs as 987654321: `chown -R 987654321 '{path.parent}'`")


def test_an_error_without_a_file_is_one_of_the_directory(tmp_path: Path) -> None:
    assert told(OSError("it is strange"), tmp_path).startswith(
        f"{tmp_path} cannot be used: it is strange; "
    )
