"""A recording's segments as a playlist for players: HLS of the kind "video on demand". Pure.

RFC 8216. A new run has times of its own, which players are told by EXT-X-DISCONTINUITY.
"""

import math
from collections.abc import Sequence

from streamd.archive.recording import Segment, durations
from streamd.callbacks.events import timestamp


def playlist(segments: Sequence[Segment]) -> str:
    """Return the playlist of segments that lie beside it."""
    seconds = durations(segments)
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:3",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        f"#EXT-X-TARGETDURATION:{math.ceil(max(seconds, default=0))}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]
    run: str | None = None
    for segment, duration in zip(segments, seconds, strict=True):
        if segment.place[0] != run:
            if run is not None:
                lines.append("#EXT-X-DISCONTINUITY")
            run = segment.place[0]
            begin = timestamp(segment.ended_at - duration)
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{begin}")
        lines += [f"#EXTINF:{duration:.6f},", segment.file]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])
