"""A recording as a playlist."""

from hypothesis import given
from hypothesis import strategies as st

from streamd.archive.playlist import playlist
from streamd.archive.recording import durations
from tests.unit.archive.values import NOW, segment


def test_a_playlist_says_how_long_each_segment_is_and_where_a_run_begins() -> None:
    segments = [segment(0), segment(1, seconds=6.5), segment(0, run_at=NOW + 60, seconds=2.25)]
    assert playlist(segments).splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:3",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-TARGETDURATION:7",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-23T01:30:00.000Z",
        "#EXTINF:6.000000,",
        "20261123T013000.000000Z-1-000000.ts",
        "#EXTINF:6.500000,",
        "20261123T013000.000000Z-1-000001.ts",
        "#EXT-X-DISCONTINUITY",
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-23T01:31:00.000Z",
        "#EXTINF:2.250000,",
        "20261123T013100.000000Z-1-000000.ts",
        "#EXT-X-ENDLIST",
    ]


@given(st.lists(st.floats(0.04, 30.0), min_size=1, max_size=50))
def test_a_playlist_is_as_long_as_its_segments(lengths: list[float]) -> None:
    segments = [segment(number, seconds=length) for number, length in enumerate(lengths)]
    lines = playlist(segments).splitlines()
    found = [float(line[8:-1]) for line in lines if line.startswith("#EXTINF:")]
    assert len(found) == len(lengths)
    assert abs(sum(found) - sum(durations(segments))) < 1e-3
    (target,) = [int(line[22:]) for line in lines if line.startswith("#EXT-X-TARGETDURATION:")]
    assert max(found) <= target < max(found) + 1.001
