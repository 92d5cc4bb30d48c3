"""Segments, recordings and what an archive is told, for tests, without files."""

from streamd.archive.assign import Piece
from streamd.archive.layout import Spooled
from streamd.archive.mpegts import CLOCK_HZ, Media
from streamd.archive.recording import Recording, Segment
from streamd.archive.spec import ArchiveSpec
from streamd.archive.tracks import AudioTrack, Format, VideoTrack
from streamd.supervision.protocol import spawned

STREAM = "live/cam"
NOW = 1_795_397_400.0
FORMAT = Format(("h264", "aac"), VideoTrack("h264", 160, 120, 1, 8), AudioTrack("aac", 44_100, 1))
WIDER = Format(("h264", "aac"), VideoTrack("h264", 320, 240, 1, 8), AudioTrack("aac", 44_100, 1))
SPEC = ArchiveSpec(
    rule="archive",
    directory="/rec",
    name="{app}/{stream}/{uuid}",
    format="both",
    split_s=3600.0,
    resume_s=30.0,
    keep_for_s=None,
    keep_bytes=10**12,
    free_share=0.05,
    free_bytes=0,
    ffmpeg="/usr/bin/ffmpeg",
    ffprobe="/usr/bin/ffprobe",
    outbox="/var/outbox",
    status="/run/archive/archive.json",
    url_base="https://cdn/recordings",
)


def run_of(started_at: float, pid: int = 1) -> str:
    return spawned(pid, round(started_at * 1000) * 10**6)


def piece(
    number: int,
    *,
    run_at: float = NOW,
    seconds: float = 6.0,
    start_s: float | None = None,
    size: int = 100_000,
    modified_at: float | None = None,
    growing: bool = False,
    format_: Format | None = FORMAT,
) -> Piece:
    """Return a segment of a run that began at a time; without more, one of many like it."""
    begin_s = 6.0 * number if start_s is None else start_s
    media = None
    if format_ is not None and not growing:
        start = round((begin_s + 1.4) * CLOCK_HZ) % 2**33
        media = Media(start, round(seconds * CLOCK_HZ), format_)
    return Piece(
        spooled=Spooled(STREAM, run_of(run_at), number),
        bytes=size,
        modified_at=run_at + begin_s + seconds if modified_at is None else modified_at,
        growing=growing,
        media=media,
    )


def segment(number: int, **changes: float) -> Segment:
    """Return what is listed of `piece(number, ...)`."""
    made = piece(number, **changes)  # type: ignore[arg-type] # its own fields
    assert made.media is not None
    return Segment(
        made.spooled.file, made.media.start, made.media.ticks, made.bytes, made.modified_at
    )


def recording(*numbers: int, uuid: str = "u1", run_at: float = NOW) -> Recording:
    """Return a recording that has segments of one run."""
    made = Recording(uuid, "archive", STREAM, f"/rec/{uuid}", run_at)
    for number in numbers:
        made = made.with_segment(segment(number, run_at=run_at), FORMAT)
    return made
