"""Can recordings be written there?"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamd.config.directories import directory_faults
from tests.support.mounts import hanging_mount, small_disk

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

_AS_NOBODY = """\
import os, sys
from pathlib import Path
from streamd.config.directories import directory_faults
os.setuid(65534)
print(directory_faults([Path(sys.argv[1])]))
"""


def test_a_directory_that_is_there_or_can_be_made_is_fine_and_stays_as_it_is(
    tmp_path: Path,
) -> None:
    assert directory_faults([tmp_path, tmp_path / "a/b"]) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_a_directory_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file/below"):
        fault = directory_faults([path])[path]
        assert "is not a directory" in fault.message
        assert not fault.passing


@as_root
def test_what_may_not_be_written_is_a_mistake() -> None:
    said = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, "/var/recordings"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "cannot be written by streamd's user; change its owner or mode" in said
    assert "passing=False" in said


@as_root
def test_a_disk_that_has_become_read_only_is_no_mistake(tmp_path: Path) -> None:
    with small_disk(tmp_path, "64k"):
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path)], check=True)
        fault = directory_faults([tmp_path / "rec"])[tmp_path / "rec"]
    assert fault.passing
    assert "is read-only for streamd; mount it for writing" in fault.message


@as_root
def test_a_full_disk_is_no_mistake(tmp_path: Path) -> None:
    with small_disk(tmp_path, "64k"):
        fill(tmp_path / "all")
        fault = directory_faults([tmp_path])[tmp_path]
        assert fault.passing
        assert "no space left on device; recording waits until it can" in fault.message
        os.truncate(tmp_path / "all", 0)
        assert directory_faults([tmp_path]) == {}


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        file.writelines(bytes(4096) for _ in range(1000))


@as_root
def test_a_mount_that_hangs_is_given_up(tmp_path: Path) -> None:
    good, mount = tmp_path / "good", tmp_path / "mount"
    mount.mkdir()
    with hanging_mount(mount):
        faults = directory_faults([mount / "a", mount, good], limit_s=0.2)
    assert faults.keys() == {mount / "a", mount}
    assert faults[mount].passing
    assert "did not answer for 0.2 s" in faults[mount].message
