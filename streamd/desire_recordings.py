"""From the recordings and storages of the file to what shall exist. Pure."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from streamd import names
from streamd.archive.storage_address import web_address
from streamd.config.addresses import join_address
from streamd.config.recording_models import Recording, Storage, Upload, storage_of
from streamd.desired import RecordingSpec, ServerSpec, StorageSpec
from streamd.recordings.places import SERVED_UNDER


def recording_spec(
    name: str,
    recording: Recording,
    storages: Mapping[str, Storage],
    servers: Iterable[ServerSpec],
    state_directory: Path | None,
) -> RecordingSpec:
    """Fill in every default of a rule of recordings.

    Args:
        name: of the rule.
        recording: as the file has it.
        storages: that it may be uploaded to.
        servers: of which the first with an `http` port serves what is served.
        state_directory: streamd's own; None in a check that knows of none.
    """
    keep, upload = recording.keep, recording.upload
    server = _serving(servers) if recording.serve else None
    url_base = recording.url or ""
    if not url_base and server is not None:
        scheme, port = ("https", server.https) if server.https else ("http", server.http)
        place = join_address(server.host.strip("[]"), port or 0)
        url_base = f"{scheme}://{place}/{SERVED_UNDER}/{name}"
    storage = storages.get(storage_of(recording) or "")
    # What does not stay here cannot be fetched here.
    if storage is not None and not recording.url and (not url_base or not recording.keep_local):
        url_base = web_address(storage.url, storage.plain_options())
    directory = recording.directory or Path(state_directory or "/", "recordings")
    return RecordingSpec(
        name,
        streams=tuple(map(names.full_name, recording.streams)),
        directory=str(directory),
        path=recording.name,
        format=recording.format,
        split_s=recording.split.total_seconds() if recording.split else None,
        resume_s=recording.resume.total_seconds(),
        keep_for_s=keep.for_.total_seconds() if keep.for_ else None,
        keep_bytes=keep.size,
        free_share=keep.free if isinstance(keep.free, float) else 0.0,
        free_bytes=0 if isinstance(keep.free, float) else keep.free,
        storage=storage_of(recording),
        upload_when=upload.when if isinstance(upload, Upload) else "finished",
        keep_local=recording.keep_local,
        served_by=server.name if server is not None else None,
        url_base=url_base.rstrip("/"),
    )


def _serving(servers: Iterable[ServerSpec]) -> ServerSpec | None:
    return next((server for server in servers if server.http), None)


def storage_spec(name: str, storage: Storage) -> StorageSpec:
    """Return a storage with its options as text."""
    return StorageSpec(name, storage.url, tuple(sorted(storage.plain_options().items())))
