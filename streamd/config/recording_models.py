"""Recordings and the storages that they are uploaded to, as types: fields, defaults, meaning."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, SecretStr, Tag, field_validator

from streamd.archive.storage_address import SHOWN_OPTIONS
from streamd.config.fields import (
    AbsolutePath,
    Duration,
    Flag,
    HttpAddress,
    Name,
    OptionName,
    OptionValue,
    Percentage,
    Size,
    StorageAddress,
    StreamPattern,
)
from streamd.config.model import Model

DEFAULT_NAME = "{app}/{stream}/{date}/{time}-{uuid}"


def _kind_of_room(value: Any) -> str:
    return "(share)" if isinstance(value, float) or str(value).endswith("%") else "(size)"


Room = Annotated[
    Annotated[Size, Tag("(size)")] | Annotated[Percentage, Tag("(share)")],
    Discriminator(_kind_of_room),
]
"""Bytes, or a share of the disk (a float from 0 to 1)."""


class Keep(Model):
    """Which finished recordings are kept. Those that wait to be uploaded are never deleted."""

    for_: Duration | None = Field(
        None, alias="for", description="Delete a recording so long after its end; absent: never."
    )
    size: Size | None = Field(
        None, description="Delete the oldest while all of this rule take more; absent: no limit."
    )
    free: Room = Field(
        0.05,
        description="Delete the oldest while less than this of the disk is free; when that is not "
        "enough, recording pauses until there is room.",
    )


class Upload(Model):
    """Where recordings are uploaded to."""

    to: Name = Field(description="The storage's name.")
    when: Literal["segment", "finished"] = Field(
        "finished",
        description="Upload each recording once it is finished, or each segment as it comes too.",
    )


def _kind_of_upload(value: Any) -> str:
    # In parentheses, as no field of the file is called: it stands in the locations of errors.
    return "(name)" if isinstance(value, str) else "(mapping)"


class Recording(Model):
    """What is recorded, where, and what becomes of it."""

    streams: tuple[StreamPattern, ...] = Field(
        description="Streams or patterns; each is recorded while it is live."
    )
    directory: AbsolutePath | None = Field(
        None,
        description="Where recordings are kept; by default `recordings` in the state directory. "
        "`{app}`, `{stream}`, `{date}`, `{time}` and `{uuid}` stand for those of the recording.",
    )
    name: str = Field(
        DEFAULT_NAME,
        description="The directory of each recording below `directory`, with the same tokens.",
    )
    format: Literal["mp4", "hls", "both"] = Field(
        "mp4", description="`mp4` is one file; `hls` a playlist with its segments."
    )
    split: Duration | None = Field(
        None, description="The longest one recording; the next goes on without a gap."
    )
    resume: Duration = Field(
        timedelta(seconds=30),
        description="A publisher that is back within this time continues the same recording.",
    )
    keep: Keep = Field(default_factory=lambda: Keep.model_validate({}), description="Retention.")
    upload: (
        Annotated[
            Annotated[Name, Tag("(name)")] | Annotated[Upload, Tag("(mapping)")],
            Discriminator(_kind_of_upload),
        ]
        | None
    ) = Field(None, description="The name of a storage, or a mapping with more.")
    keep_local: Flag = Field(
        True, description="`false` deletes a recording here once it is uploaded."
    )
    serve: Flag = Field(
        False,
        description="Serve finished recordings at http://HOST:HTTP/recordings/RULE/... of the "
        "first server that has an `http` port. Whoever knows an address can fetch it.",
    )
    url: HttpAddress | None = Field(
        None,
        description="What the address of a recording in callbacks begins with, such as that of a "
        "CDN; its path is added. By default where it is served, or the storage's.",
    )


def storage_of(recording: Recording) -> str | None:
    """Return the name of the storage that a rule uploads to, None for none."""
    return recording.upload.to if isinstance(recording.upload, Upload) else recording.upload


class Storage(Model):
    """A place elsewhere that recordings are uploaded to."""

    url: StorageAddress = Field(
        description="s3://, cos://, oss://, obs://, gcs://, azblob:// or b2:// with "
        "BUCKET/PREFIX, webdav://HOST/PREFIX, or fs:///DIRECTORY."
    )
    options: dict[OptionName, OptionValue] = Field(
        default_factory=dict,
        description="What the service asks for, such as `endpoint`, `region`, `access_key_id` and "
        "`secret_access_key` of s3.",
    )

    @field_validator("options")
    @classmethod
    def _keep_secrets(cls, options: dict[str, str | SecretStr]) -> dict[str, str | SecretStr]:
        return {
            name: SecretStr(value)
            if isinstance(value, str) and name not in SHOWN_OPTIONS
            else value
            for name, value in options.items()
        }

    def plain_options(self) -> dict[str, str]:
        """Return the options as text, secrets too."""
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in self.options.items()
        }
