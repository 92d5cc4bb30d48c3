"""How FFmpeg and ffprobe are told to read a media file, and nothing but that file. Pure."""

from streamd.ffmpeg.media import MediaFacts

FORMATS = (
    *("mov", "mpegts", "matroska", "flv", "avi", "mpeg", "asf", "ogg", "wav", "flac", "mp3", "aac"),
    *("ac3", "eac3", "aiff", "gif", "jpeg_pipe", "png_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe"),
)
"""The demuxers that files are read with: none that opens other files, as playlists and SDP do."""

PROBE_BOUNDS = ("-probesize", "10000000", "-analyzeduration", "10000000", "-max_streams", "200")
"""Up to 10 MB and 10 s of a file are read to find out what it holds: covers precede sound."""


def file_input(facts: MediaFacts) -> tuple[str, ...]:
    """Return the arguments of an input that is a file, as the kind of file that it was found to be.

    Whatever the file has become since, it is read as that kind and cannot name another.
    """
    # What was lost of a recording breaks the rest, where FFmpeg is not told to leave it out.
    whole = ("-fflags", "+discardcorrupt") if facts.format == "mpegts" else ()
    return (
        *whole,
        *("-protocol_whitelist", "file", "-format_whitelist", facts.format, "-f", facts.format),
        *(*PROBE_BOUNDS, "-i", f"file:{facts.path}"),
    )
