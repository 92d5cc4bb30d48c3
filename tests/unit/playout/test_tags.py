import pytest

from streamd.playout.tags import AUDIO, DATA, VIDEO, Tag


@pytest.mark.parametrize(
    ("kind", "body", "named"),
    [
        (VIDEO, "1700000000", "header"),
        (VIDEO, "1701000000", "keyframe"),
        (VIDEO, "2701000000", ""),
        (VIDEO, "1702000000", "end"),
        (VIDEO, "9068766331", "header"),  # enhanced: PacketTypeSequenceStart of hvc1
        (VIDEO, "9168766331000000", "keyframe"),
        (VIDEO, "9368766331", "keyframe"),
        (VIDEO, "a368766331", ""),
        (VIDEO, "9268766331", "end"),
        (VIDEO, "12ff", "keyframe"),  # Sorenson H.263
        (VIDEO, "", ""),
        (VIDEO, "17", "keyframe"),
        (AUDIO, "af00", "header"),
        (AUDIO, "af01", ""),
        (AUDIO, "2f00", ""),  # MP3
        (AUDIO, "af", ""),
        (DATA, "1700", ""),
    ],
)
def test_a_tag_is_known_by_its_first_bytes(kind: int, body: str, named: str) -> None:
    tag = Tag(kind, 0, bytes.fromhex(body))
    found = {"header": tag.is_header, "keyframe": tag.is_keyframe, "end": tag.is_sequence_end}
    assert [name for name, is_so in found.items() if is_so] == ([named] if named else [])
