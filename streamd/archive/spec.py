"""What one archive keeps: the value that streamd hands to it, as JSON through a pipe.

There is one archive for each rule of `recordings`. It works from what is on disk and knows of no
stream before its recorder has written something.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

Format = Literal["mp4", "hls", "both"]
When = Literal["segment", "finished"]

SPEC_FD = 3
"""The descriptor that an archive reads its spec from."""


@dataclass(frozen=True, slots=True)
class UploadSpec:
    """Where recordings are uploaded to.

    Attributes:
        storage: its name.
        url: its address, as `s3://bucket/prefix`.
        options: what the service asks for; some are secrets.
        when: once a recording is finished, or each segment as it comes too.
        keep_local: a recording stays here after it was uploaded.
    """

    storage: str
    url: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    when: When = "finished"
    keep_local: bool = True


@dataclass(frozen=True, slots=True)
class ArchiveSpec:
    """One archive.

    Attributes:
        rule: name of the rule.
        directory: absolute; where recordings are, with tokens (`streamd.archive.layout`).
        name: of each recording below it, with tokens.
        format: what a finished recording is.
        split_s: the longest one recording; None: none is too long.
        resume_s: a publisher back within this time continues the same recording.
        keep_for_s: recordings are deleted so long after their end; None: never.
        keep_bytes: the oldest are deleted while all of the rule take more; None: no limit.
        free_share, free_bytes: the oldest are deleted, and then recording pauses, while less of
            the file system is free than the greater of the two.
        ffmpeg, ffprobe: paths of the binaries.
        outbox: directory that events are dropped into (`streamd.callbacks.outbox`).
        status: path of the file that says how things are (`streamd.archive.report`).
        served: directory that finished recordings are linked into (`streamd.archive.links`), by
            their paths below the root; "" where they are not served.
        url_base: what the address of an artifact begins with; "" where it has none.
        upload: None where recordings stay here alone.
    """

    rule: str
    directory: str
    name: str
    format: Format
    split_s: float | None
    resume_s: float
    keep_for_s: float | None
    keep_bytes: int | None
    free_share: float
    free_bytes: int
    ffmpeg: str
    ffprobe: str
    outbox: str
    status: str
    served: str = ""
    url_base: str = ""
    upload: UploadSpec | None = None


def to_json(spec: ArchiveSpec) -> str:
    """Return a spec as JSON. It holds secrets."""
    return json.dumps(asdict(spec))


def from_json(text: str) -> ArchiveSpec:
    """Return the spec that `to_json` wrote.

    Raises:
        ValueError: the text is none.
    """
    try:
        data = json.loads(text)
        upload = data.pop("upload")
        return ArchiveSpec(**data, upload=None if upload is None else UploadSpec(**upload))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not an archive's spec: {type(error).__name__}") from error
