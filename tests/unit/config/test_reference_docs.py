"""The committed reference is the generated one, and its examples work."""

from pathlib import Path

import pytest

from streamd.config.models import Config
from streamd.config.reference_docs import EXAMPLES, PAGE, reference
from tests.unit.config.loading import load_text

ROOT = Path(__file__).parents[3]


def test_the_committed_page_is_up_to_date() -> None:
    renew = "run `python -m streamd.config.reference_docs`"
    assert (ROOT / PAGE).read_text("utf-8") == reference(), renew


def test_the_examples_are_a_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    for name in ("status-token", "new-studio", "youtube", "door"):
        (credentials / name).write_text(f"0123456789-{name}")
    (tmp_path / "partner.key").write_text("partner-key")
    text = "".join(EXAMPLES.values()).replace("/etc/streamd/", "")
    loaded = load_text(
        tmp_path,
        text,
        environment={"STUDIO_KEY": "0123456789-studio"},
        credentials=credentials,
        machine=None,
    )
    assert loaded.warnings == ()
    assert set(loaded.data) == set(Config.model_fields) - {"include"}


@pytest.mark.parametrize("name", Config.model_fields)
def test_every_field_of_the_file_is_described(name: str) -> None:
    assert f"| `{name}` |" in reference()


def test_the_platforms_are_told_with_their_servers() -> None:
    assert "| `youtube` (YouTube) | `rtmps://" in reference()
    assert "| `kuaishou` (Kuaishou) | each account its own: set `url` |" in reference()
