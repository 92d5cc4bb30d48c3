import stat
import tempfile
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from streamd.supervision.child_log import MAX_LINE_BYTES, LineMasker, RotatedFile

SECRET = "abcd-efgh-ijkl/möp?x=1"


def fed(masker: LineMasker, *chunks: bytes) -> bytes:
    lines = [line for chunk in chunks for line in masker.feed(chunk)]
    return b"".join([*lines, *masker.finish()])


@given(st.lists(st.integers(0, 200), max_size=12))
def test_a_secret_is_masked_wherever_the_chunks_are_split(cuts: list[int]) -> None:
    text = f"opening rtmp://host/{SECRET}\nfailed: {SECRET}: refused\r\nlast {SECRET}".encode()
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    chunks = [text[a:b] for a, b in pairwise(edges)]
    assert fed(LineMasker([SECRET]), *chunks) == (
        b"opening rtmp://host/***\nfailed: ***: refused\nlast ***\n"
    )


@given(st.integers(0, MAX_LINE_BYTES + 200), st.integers(1, 5000))
def test_a_line_that_is_cut_shows_no_part_of_a_secret(before: int, chunk: int) -> None:
    line = b"." * before + SECRET.encode() * 3 + b"." * MAX_LINE_BYTES
    chunks = [line[start : start + chunk] for start in range(0, len(line), chunk)]
    written = fed(LineMasker([SECRET]), *chunks, b"\nnext\n")
    assert b"abcd" not in written
    assert b"[line cut]\nnext\n" in written


def test_what_follows_a_cut_line_is_whole_again() -> None:
    masker = LineMasker([])
    endless = b"x" * (MAX_LINE_BYTES + 1)
    first = fed(masker, endless, endless, b"rest\n", b"hello\n")
    assert first == b"x" * MAX_LINE_BYTES + b" [line cut]\nhello\n"


def test_a_secret_that_its_writer_could_not_finish_is_masked() -> None:
    assert fed(LineMasker([SECRET]), b"to " + SECRET.encode()[:9]) == b"to ***\n"


def test_control_characters_cannot_steer_a_terminal_and_bad_utf8_is_kept_visible() -> None:
    assert fed(LineMasker([]), b"\x1b[2Jtitle\t\xff\n") == b"\\x1b[2Jtitle\t\\udcff\n"


@given(st.lists(st.binary(min_size=1, max_size=40).map(lambda b: b.hex().encode() + b"\n")))
def test_rotation_keeps_the_youngest_lines_whole_and_in_order(lines: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "deep" / "x.log"
        log = RotatedFile(str(path), 200, 2, complain=lambda text: None)
        for index in range(0, len(lines), 3):
            log.write(lines[index : index + 3])
        log.close()
        files = [path.with_name(name) for name in ("x.log.2", "x.log.1", "x.log")]
        present = [file.read_bytes() for file in files if file.exists()]
        assert all(len(content) <= 200 for content in present)
        kept = b"".join(present)
        everything = b"".join(lines)
        assert everything.endswith(kept)
        assert len(kept) >= min(len(everything), 200)
        assert all(stat.S_IMODE(f.stat().st_mode) == 0o600 for f in files if f.exists())
        assert not path.with_name("x.log.3").exists()


def test_a_log_without_backups_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    log = RotatedFile(str(path), 10, 0, complain=lambda text: None)
    log.write([b"12345678\n", b"abcdefgh\n"])
    log.close()
    assert path.read_bytes() == b"abcdefgh\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_log_that_cannot_be_written_is_complained_of_once_and_recovers(tmp_path: Path) -> None:
    complaints: list[str] = []
    parent = tmp_path / "log"
    parent.write_text("in the way")
    log = RotatedFile(str(parent / "x.log"), 1000, 1, complaints.append)
    log.write([b"lost\n"])
    log.write([b"lost too\n"])
    assert len(complaints) == 1
    assert str(parent / "x.log") in complaints[0]
    parent.unlink()
    log.write([b"kept\n"])
    log.close()
    assert (parent / "x.log").read_bytes() == b"kept\n"


def test_a_link_in_the_place_of_a_log_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("as before")
    (tmp_path / "x.log").symlink_to(target)
    complaints: list[str] = []
    RotatedFile(str(tmp_path / "x.log"), 1000, 1, complaints.append).write([b"line\n"])
    assert target.read_text() == "as before"
    assert complaints
