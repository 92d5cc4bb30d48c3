"""The archive of a rule that is gone: what it goes on doing, and how that is written down. Pure."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from streamd.archive.storage_address import web_address
from streamd.desired import RecordingSpec, StorageSpec
from streamd.jobs import ArchiveJob


def retired(job: ArchiveJob) -> ArchiveJob:
    """Return what is left to do for an archive whose rule is gone.

    Nobody comes back to what it recorded, and no server serves it.
    """
    rule, storage = job.recording, job.storage
    url_base = rule.url_base
    if rule.served_by is not None:
        url_base = "" if storage is None else web_address(storage.url, dict(storage.options))
    return replace(
        job,
        recording=replace(
            rule, streams=(), resume_s=0.0, served_by=None, url_base=url_base.rstrip("/")
        ),
    )


def with_storage_of(job: ArchiveJob, storages: Mapping[str, StorageSpec]) -> ArchiveJob:
    """Return a job with what a file says by now of its storage, such as a new key.

    Where the name stands for another place by now, or for none, the job keeps what it had.
    """
    if job.storage is None:
        return job
    found = storages.get(job.storage.name, job.storage)
    return replace(job, storage=found) if found.url == job.storage.url else job


def to_json(job: ArchiveJob) -> str:
    """Write a job down. It may hold the secrets of a storage."""
    return json.dumps(asdict(job))


def from_json(text: str) -> ArchiveJob:
    """Read what `to_json` wrote, in this release or a later one.

    Raises:
        ValueError: the text is none.
    """
    try:
        data = json.loads(text)
        rule, storage = _known(RecordingSpec, data["recording"]), data["storage"]
        rule["streams"] = tuple(rule["streams"])
        if storage is not None:
            storage = _known(StorageSpec, storage)
            storage["options"] = tuple((str(name), str(each)) for name, each in storage["options"])
        return ArchiveJob(
            process=str(data["process"]),
            recording=RecordingSpec(**rule),
            storage=None if storage is None else StorageSpec(**storage),
            ffmpeg=str(data["ffmpeg"]),
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not an archive: {type(error).__name__} {error}") from error


def _known(kind: type[Any], data: dict[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in kind.__dataclass_fields__ if name in data}
