"""What is known of an FFmpeg. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FFmpegBinary:
    """What is known of an FFmpeg, as `streamd.ffmpeg.binary.inspect` finds it.

    Attributes:
        path: absolute.
        version: as it names itself, `5.1.9-0+deb12u1`.
        protocols: that it can send over, as `rtmps`.
        hides_output_key: it takes an output's options from a file (`-fpre`), so that a stream
            key need not stand in its argv, where every user of the machine can read it.
        hides_input_key: its concat lists take options, so that an address with a secret can be
            read from one without starting slowly.
        ca_file: certificates that it trusts for RTMPS; None when the machine has none.
    """

    path: str
    version: str
    protocols: frozenset[str]
    hides_output_key: bool
    hides_input_key: bool
    ca_file: str | None
