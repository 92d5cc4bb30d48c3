"""A storage elsewhere, through `opendal`: files are written, looked at and deleted.

Measured on opendal 0.47: importing it takes 20 MB, a file in parts of 8 MiB as much again, whatever
its size. Nothing of it is imported before something is uploaded.
"""

import asyncio
import base64
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from streamd.archive.storage_address import SHOWN_OPTIONS, directory_of, place_of
from streamd.archive.storage_words import explain

if TYPE_CHECKING:
    from collections.abc import Mapping

PART_BYTES = 8 << 20
_READ_BYTES = 1 << 20

CALL_TIMEOUT_S, IO_TIMEOUT_S = 60.0, 120.0
"""A part has to arrive within the second: 0.6 Mb/s at the least."""

_TRIES = 3


class StorageError(Exception):
    """A storage did not do what it was asked. The message says why and what to do."""


class Storage:
    """One storage. Everything raises StorageError.

    Args:
        url, options: as the file has them.
    """

    def __init__(self, url: str, options: "Mapping[str, str]") -> None:
        import opendal  # noqa: PLC0415 - takes memory that only uploads need
        from opendal import exceptions, layers  # noqa: PLC0415

        self._secrets = [text for name, text in options.items() if name not in SHOWN_OPTIONS]
        self._failures = tuple(
            each
            for each in vars(exceptions).values()
            if isinstance(each, type) and issubclass(each, Exception)
        )
        directory = directory_of(url)
        # With its links followed once and for all, as `opendal` does.
        self._directory = directory and os.path.realpath(directory)
        place = place_of(url, options)
        try:
            operator = opendal.AsyncOperator(place.scheme, **place.options)
        except self._failures as error:
            raise self._failed(error) from error
        retry = layers.RetryLayer(max_times=_TRIES, jitter=True)
        timeout = layers.TimeoutLayer(timeout=CALL_TIMEOUT_S, io_timeout=IO_TIMEOUT_S)
        self._operator = operator.layer(timeout).layer(retry)

    async def put(self, path: Path, key: str, sent: Callable[[int], None]) -> None:
        """Write a file and make sure that it arrived.

        Its size has to be the same there, and its checksum: the one that the service tells, where
        it tells one that can be known here, otherwise that of what is read back.

        Args:
            path: of the file.
            key: what it is called there.
            sent: told how many bytes more are on their way.

        Raises:
            OSError: the file cannot be read.
        """
        await asyncio.to_thread(self._refuse_itself, path, key)
        try:
            with path.open("rb") as file:
                sums = await self._write(file, key, sent)
            await self._verify(key, sums)
        except self._failures as error:
            raise self._failed(error) from error

    def _refuse_itself(self, path: Path, key: str) -> None:
        """Refuse to write a file over itself, whatever links and mounts lead there.

        It would be cut to nothing, and then deleted as one that has arrived.
        """
        if self._directory is None:
            return
        there = Path(self._directory, key)
        if there.exists() and there.samefile(path):
            raise StorageError(
                f"{there} is the recording itself; give the storage a directory that is not the "
                "rule's"
            )

    async def put_text(self, text: str, key: str) -> None:
        """Write a short text."""
        try:
            await self._operator.write(key, text.encode())
        except self._failures as error:
            raise self._failed(error) from error

    async def delete(self, key: str) -> None:
        """Delete what is there; what is not is no error."""
        try:
            await self._operator.delete(key)
        except self._failures as error:
            raise self._failed(error) from error

    async def _write(self, file: BinaryIO, key: str, sent: Callable[[int], None]) -> "Sums":
        sums = Sums()
        writer = await self._operator.open(key, "wb", chunk=PART_BYTES, concurrent=1)
        while data := await asyncio.to_thread(file.read, _READ_BYTES):
            await writer.write(data)
            sums.add(data)
            sent(len(data))
        await writer.close()  # which makes it appear there, and so only where all of it was sent
        return sums

    async def _verify(self, key: str, sums: "Sums") -> None:
        found = await self._operator.stat(key)
        if found.content_length != sums.bytes:
            raise StorageError(
                f"{key} has {found.content_length} bytes there, and {sums.bytes} here; it is sent "
                "again"
            )
        if sums.is_known_by(found.etag or "", found.content_md5 or ""):
            return
        back = hashlib.sha256()
        reader = await self._operator.open(key, "rb")
        while data := await reader.read(_READ_BYTES):
            back.update(data)
        await reader.close()
        if back.hexdigest() != sums.sha256.hexdigest():
            raise StorageError(f"{key} is not there what it is here; it is sent again")

    def _failed(self, error: Exception) -> StorageError:
        return StorageError(explain(type(error).__name__, str(error), self._secrets))


class Sums:
    """Checksums of a file as services tell them.

    Args:
        part_bytes: of the parts that it is sent in.
    """

    def __init__(self, part_bytes: int = PART_BYTES) -> None:
        self._of_part = part_bytes
        self.bytes = 0
        self.sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._part = hashlib.md5(usedforsecurity=False)
        self._part_bytes = 0
        self._parts: list[bytes] = []

    def add(self, data: bytes) -> None:
        """Take in what comes next."""
        self.bytes += len(data)
        self.sha256.update(data)
        self._md5.update(data)
        while data:
            room = self._of_part - self._part_bytes
            taken, data = data[:room], data[room:]
            self._part.update(taken)
            self._part_bytes += len(taken)
            if self._part_bytes == self._of_part:
                self._end_part()

    def is_known_by(self, etag: str, content_md5: str) -> bool:
        """Tell whether a service tells a checksum, and it is this file's.

        S3's ETag is the MD5 of what came in one piece, and for parts the MD5 of their MD5s and how
        many they are, unless it is encrypted with a key of the customer's.
        """
        whole = self._md5
        parts = [*self._parts, *([self._part.digest()] if self._part_bytes else [])]
        joined = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
        known = {whole.hexdigest(), f"{joined}-{len(parts)}"}
        return (
            etag.strip('"').lower() in known
            or content_md5 == base64.b64encode(whole.digest()).decode()
        )

    def _end_part(self) -> None:
        self._parts.append(self._part.digest())
        self._part = hashlib.md5(usedforsecurity=False)
        self._part_bytes = 0
