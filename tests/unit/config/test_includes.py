"""Which files a pattern names."""

from pathlib import Path

import pytest

from streamd.config.includes import expand
from streamd.config.reading import UnreadableError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (
        "conf.d/b.yaml",
        "conf.d/a.yaml",
        "conf.d/note.txt",
        "conf.d/a.yaml~",
        "conf.d/.hidden.yaml",
        "conf.d/.#a.yaml",
        "conf.d/.a.yaml.swp",
        "sites/one/streamd.yaml",
        "sites/two/streamd.yaml",
        "sites/.old/streamd.yaml",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "files", "directories"),
    [
        ("conf.d/*.yaml", ["conf.d/a.yaml", "conf.d/b.yaml"], ["conf.d"]),
        ("conf.d/*", ["conf.d/a.yaml", "conf.d/b.yaml", "conf.d/note.txt"], ["conf.d"]),
        ("conf.d/[ab].yaml", ["conf.d/a.yaml", "conf.d/b.yaml"], ["conf.d"]),
        ("conf.d/?.yaml", ["conf.d/a.yaml", "conf.d/b.yaml"], ["conf.d"]),
        ("conf.d/.*", [], ["conf.d"]),
        ("conf.d/*.swp", [], ["conf.d"]),
        ("conf.d/a.yaml", ["conf.d/a.yaml"], []),
        ("missing.yaml", ["missing.yaml"], []),
        ("missing/*.yaml", [], ["missing"]),
        ("conf.d/a.yaml/*.yaml", [], ["conf.d/a.yaml"]),
        (
            "sites/*/streamd.yaml",
            ["sites/one/streamd.yaml", "sites/two/streamd.yaml"],
            ["sites"],
        ),
    ],
)
def test_a_pattern_names_files_and_never_backups(
    tree: Path, pattern: str, files: list[str], directories: list[str]
) -> None:
    looked_in: set[Path] = set()
    assert expand(pattern, tree, looked_in) == [tree / name for name in files]
    assert looked_in == {tree / name for name in directories}


def test_an_absolute_pattern_stays_absolute(tree: Path) -> None:
    assert expand(f"{tree}/conf.d/a*.yaml", Path("/elsewhere"), set()) == [tree / "conf.d/a.yaml"]


def test_a_config_map_is_followed_through_its_links(tmp_path: Path) -> None:
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "a.yaml").touch()
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    assert expand("*.yaml", tmp_path, set()) == [tmp_path / "a.yaml"]


def test_a_path_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="NUL"):
        expand("a\0/*", tmp_path, set())


def test_a_directory_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    looked_in: set[Path] = set()
    with pytest.raises(UnreadableError, match="has too long a name; correct the path"):
        expand("a" * 300 + "/*", tmp_path, looked_in)
    assert looked_in == {tmp_path / ("a" * 300)}
