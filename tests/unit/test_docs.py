"""What the documentation shows works: its files load, its commands and modules exist."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from streamd.cli import build_parser
from streamd.config.load import load

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_REFERENCE = re.compile(r"\$\{(?:env|file|cred):[^}]*\}")
_PREAMBLE = """\
version: 1
keys: {studio: {secret: 12345678}, studio-2027: {secret: 12345679}, camera7: {secret: 12345670}}
streams: {livestream: {keys: [studio]}}
"""


def blocks() -> list[tuple[str, str]]:
    """Every configuration shown, but those of the generated page, which has a test of its own."""
    return [
        (page.name, text)
        for page in PAGES
        for text in _BLOCK.findall(page.read_text())
        if page.name != "configuration.md" and not text.startswith("- ansible")
    ]


def completed(text: str) -> str:
    """Add what a page has said before: the sections that a fragment does not repeat."""
    sections = set(re.findall(r"^(\w+):", text, re.MULTILINE))
    lines = [line for line in _PREAMBLE.splitlines() if line.split(":")[0] not in sections]
    return "\n".join([*lines, text])


@pytest.mark.parametrize(("page", "text"), blocks())
def test_every_configuration_shown_is_good(page: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    (tmp_path / "conf.d").mkdir()
    path.write_text(_REFERENCE.sub("c2VjcmV0LW9mLWxlbmd0aA==", completed(text)))
    load(path, environment={})


def test_the_example_is_good() -> None:
    assert load(ROOT / "config.example.yaml", environment={}).warnings == ()


def test_every_command_shown_exists() -> None:
    commands = set(build_parser().commands)
    for page in PAGES:
        shown = set(re.findall(r"(?:^ {4}|`)streamd ([a-z]+)", page.read_text(), re.MULTILINE))
        assert shown <= commands, f"{page.name}: {shown - commands}"


def test_every_module_that_says_it_is_pure_is_held_to_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    held = next(set(each["source_modules"]) for each in contracts if "pure core" in each["name"])
    for path in (ROOT / "streamd").rglob("*.py"):
        if re.search(r"\bPure\.", ast.get_docstring(ast.parse(path.read_text())) or ""):
            assert ".".join(path.relative_to(ROOT).with_suffix("").parts) in held


def test_every_module_named_exists() -> None:
    for page in PAGES:
        for name in re.findall(r"`((?:streamd|tests|docs)/[\w./]+\.py)`", page.read_text()):
            assert (ROOT / name).exists(), f"{page.name} names {name}"


def test_every_page_that_is_linked_exists() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links {target}"
