"""Values that stand elsewhere."""

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.config.references import MAX_SECRET_BYTES, References, UnresolvedError


@pytest.fixture
def references(tmp_path: Path) -> References:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "studio").write_text("from-systemd\n")
    (tmp_path / "key").write_text("from-file\n")
    return References(
        {"KEY": "from-environment", "EMPTY": "", "BYTES": "\udcff"}, tmp_path / "credentials"
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("${env:KEY}", "from-environment"),
        ("${file:key}", "from-file"),
        ("${cred:studio}", "from-systemd"),
        ("a/${env:KEY}?b=${cred:studio}&c", "a/from-environment?b=from-systemd&c"),
        ("$${env:KEY}", "${env:KEY}"),
        ("$$${env:KEY}", "$${env:KEY}"),
        ("$$${}", "$${}"),
        ("$", "$"),
        ("a$b$$c", "a$b$$c"),
        ("{app}/$env", "{app}/$env"),
    ],
)
def test_a_reference_is_replaced(
    references: References, tmp_path: Path, text: str, value: str
) -> None:
    assert references.resolve(text, tmp_path) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${env:NOPE}", "the environment variable NOPE is not set; set it where streamd"),
        ("${env:EMPTY}", "`${env:EMPTY}` is empty; give it a value"),
        ("${env:BYTES}", "the environment variable BYTES is not UTF-8 text"),
        ("${env:}", "`${env:}` names nothing"),
        ("${KEY}", "does not say where to look; write `${env:NAME}`"),
        ("${}", "does not say where to look"),
        ("${envi:KEY}", "does not say where to look; did you mean env?"),
        ("${vault:KEY}", "does not say where to look; write"),
        ("${env:KEY", "is never closed; add the `}`"),
        ("${env:${env:KEY}}", "is never closed"),
        ("${file:missing}", "missing does not exist; create it"),
        ("${file:credentials}", "credentials is a directory; name a file"),
        ("${file:key/x}", "does not exist; a part of its path is not a directory"),
        ("${file:fifo}", "fifo is not a regular file; name one"),
        ("${file:empty}", "is empty; give it a value"),
        ("${file:newline}", "is empty; give it a value"),
        ("${file:binary}", "is not UTF-8 text"),
        ("${file:large}", "is larger than 64 KiB"),
        ("${file:loop}", "is a link that leads to itself"),
        ("${file:a\0b}", "has a NUL in its path"),
        ("${cred:missing}", "missing does not exist"),
        ("${cred:../key}", "has no `/`; write its name alone"),
        ("${cred:..}", "has no `/`; write its name alone"),
    ],
)
def test_what_cannot_be_resolved_says_what_to_do(
    references: References, tmp_path: Path, text: str, message: str
) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "empty").touch()
    (tmp_path / "newline").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_bytes(b"x" * (MAX_SECRET_BYTES + 1))
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UnresolvedError) as caught:
        references.resolve(text, tmp_path)
    assert message in str(caught.value)


def test_without_credentials_the_unit_is_named() -> None:
    with pytest.raises(UnresolvedError, match="LoadCredential=studio:PATH"):
        References({}, None).resolve("${cred:studio}", Path("/"))


@pytest.mark.parametrize(
    ("content", "value"),
    [("x\n", "x"), ("x\r\n", "x"), ("x\n\n", "x\n"), (" x", " x"), ("x\r", "x\r")],
)
def test_one_newline_at_the_end_of_a_file_is_not_its_content(
    tmp_path: Path, content: str, value: str
) -> None:
    (tmp_path / "key").write_bytes(content.encode())
    assert References({}, None).resolve("${file:key}", tmp_path) == value


def test_it_is_known_what_was_resolved_and_asked(references: References, tmp_path: Path) -> None:
    references.resolve("a${env:KEY}b${file:key}", tmp_path)
    with pytest.raises(UnresolvedError):
        references.resolve("${file:missing}", tmp_path)
    assert references.values == {"from-environment": "${env:KEY}", "from-file": "${file:key}"}
    assert references.files == {tmp_path / "key", tmp_path / "missing"}


def test_a_file_is_read_once_so_that_all_see_the_same(
    references: References, tmp_path: Path
) -> None:
    first = references.resolve("${file:key}", tmp_path)
    (tmp_path / "key").write_text("changed")
    assert references.resolve("${file:key}", tmp_path) == first


def test_a_relative_path_begins_at_the_directory_given(
    references: References, tmp_path: Path
) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "key").write_text("other")
    assert references.resolve("${file:key}", tmp_path / "conf.d") == "other"
    assert references.resolve(f"${{file:{tmp_path}/key}}", tmp_path / "conf.d") == "from-file"


@given(st.text())
def test_a_literal_survives_with_its_dollar_doubled(text: str) -> None:
    literal = text.rstrip("$") + "${"
    if "${" not in text:
        assert References({}, None).resolve(literal.replace("${", "$${"), Path("/")) == literal


@given(st.text("${}envfilcrd:ABC/"))
def test_any_text_is_resolved_or_refused(text: str) -> None:
    with contextlib.suppress(UnresolvedError):
        found = References({"A": "a"}, None).resolve(text, Path("/nowhere"))
        assert "${env:A}" in text or "$${" in text or found == text
