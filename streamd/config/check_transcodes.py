"""Checks of `transcodes`: what they read, what they become, and how. Pure."""

from collections.abc import Iterator

from streamd import names
from streamd.config.cycles import Feed
from streamd.config.data_path import DataPath
from streamd.config.known_streams import KnownStreams
from streamd.config.models import NOT_ENCODED, Config, TranscodeAudio, TranscodeVideo
from streamd.config.source import Source
from streamd.errors import Problem

_ENCODED_VIDEO = ("width", "height", "bitrate", "fps", "keyframe_interval", "preset", "profile",
                  "overlay")  # fmt: skip
_ENCODED_AUDIO = ("bitrate", "sample_rate", "channels")
_SHORTEST_GOP_S, _LONGEST_GOP_S = 0.5, 20.0


def check_transcodes(config: Config, source: Source, known: KnownStreams) -> Iterator[Problem]:
    """Yield what is wrong with the transcodes.

    Args:
        config: to check.
        source: where it stands.
        known: the streams that can be transcoded.
    """
    full = {names.full_name(name): name for name in config.streams}
    ingests = {
        names.ingest_name(names.full_name(name)): name
        for name, stream in config.streams.items()
        if stream.fallback is not None and stream.keys is not None
    }
    made: dict[str, str] = {}
    for name, transcode in config.transcodes.items():
        path: DataPath = ("transcodes", name)
        yield from known.unmatched((*path, "stream"), transcode.stream)
        becomes = names.full_name(transcode.to)
        if becomes in full:
            yield source.error(
                (*path, "to"),
                f"is streams.{full[becomes]}, which others publish; remove that, or choose "
                "another name",
            )
        if becomes in ingests:
            yield source.error(
                (*path, "to"),
                f"is where streams.{ingests[becomes]} is published, as it has a fallback; choose "
                "another name",
            )
        first = made.setdefault(becomes, name)
        if first != name:
            yield source.error(
                (*path, "to"), f"is made by transcodes.{first} already; choose another name"
            )
        yield from _video((*path, "video"), transcode.video, source)
        yield from _audio((*path, "audio"), transcode.audio, source)
        if transcode.video.codec == "none" and transcode.audio.codec == "none":
            yield source.error(path, "has neither video nor sound; keep one", at_name=True)
        if transcode.video.codec == "copy" and transcode.audio.codec == "copy":
            yield source.warning(
                path, "copies everything as it is; set `video` or `audio`", at_name=True
            )


def _video(path: DataPath, video: TranscodeVideo, source: Source) -> Iterator[Problem]:
    if video.codec in NOT_ENCODED:
        yield from _unused(path, video, _ENCODED_VIDEO, source)
        return
    if video.bitrate is None:
        yield source.error(
            path,
            "needs `bitrate` to encode; write for example 2500k",
            at_name=True,
            unless=((*path, "bitrate"), (*path, "codec")),
        )
    for name in ("width", "height"):
        pixels = getattr(video, name)
        if pixels is not None and pixels % 2:
            yield source.error((*path, name), f"is odd, which H.264 cannot be; write {pixels + 1}")
    if not _SHORTEST_GOP_S <= video.keyframe_interval.total_seconds() <= _LONGEST_GOP_S:
        yield source.error(
            (*path, "keyframe_interval"),
            f"is out of range; write {_SHORTEST_GOP_S:g}s to {_LONGEST_GOP_S:g}s",
        )


def _audio(path: DataPath, audio: TranscodeAudio, source: Source) -> Iterator[Problem]:
    if audio.codec in NOT_ENCODED:
        yield from _unused(path, audio, _ENCODED_AUDIO, source)


def _unused(
    path: DataPath,
    of: TranscodeVideo | TranscodeAudio,
    fields: tuple[str, ...],
    source: Source,
) -> Iterator[Problem]:
    for name in fields:
        if name in of.model_fields_set:
            yield source.error(
                (*path, name),
                f"has no meaning with `codec: {of.codec}`; remove it",
                unless=[(*path, "codec")],
            )


def transcode_feeds(config: Config) -> Iterator[Feed]:
    """Yield what each enabled transcode reads and becomes."""
    for name, transcode in config.transcodes.items():
        if transcode.enabled:
            yield Feed(
                ("transcodes", name, "to"),
                (names.full_name(transcode.stream),),
                names.full_name(transcode.to),
            )
