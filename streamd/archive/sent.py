"""Which files of a recording have arrived at a storage: kept while its upload goes on.

    ROOT/.spool/RULE/UUID.sent    a line that says where to, then a line for each file

Lines are only added, so that a kill costs the file that was on its way, and a long recording no
more to write down than a short one. Everything blocks, and raises OSError.
"""

import hashlib
from pathlib import Path

from streamd.archive import files

_ENDING = ".sent"


class Sent:
    """What has arrived of the recordings of one rule.

    Args:
        spool: directory of the rule.
        url, endpoint: of the storage; what was sent elsewhere counts for nothing.
    """

    def __init__(self, spool: Path, url: str, endpoint: str) -> None:
        self._spool = spool
        self._head = hashlib.sha256(f"{url} {endpoint}".encode()).hexdigest()

    def of(self, uuid: str) -> dict[str, int]:
        """Return the files of a recording that have arrived, with their sizes."""
        try:
            head, *lines = self._path(uuid).read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return {}
        if head != self._head:
            return {}
        found = {}
        for line in lines[:-1]:  # the last one was not written to its end
            file, comma, size = line.rpartition(",")
            if comma and size.isdecimal():
                found[file] = int(size)
        return found

    def add(self, uuid: str, file: str, size: int) -> None:
        """Note that a file has arrived."""
        path = self._path(uuid)
        if not self.of(uuid):
            files.write_whole(path, f"{self._head}\n")
        files.append(path, f"{file},{size}\n")

    def forget(self, uuid: str) -> None:
        """Forget a recording."""
        self._path(uuid).unlink(missing_ok=True)

    def _path(self, uuid: str) -> Path:
        return self._spool / f"{uuid}{_ENDING}"
