"""The committed reference is the generated one, and its examples work."""

import re
from base64 import b64encode
from pathlib import Path

import pytest

from streamd.config.model import Model, written_fields
from streamd.config.models import (
    NAMED_SECTIONS,
    Callback,
    Config,
    Daemon,
    Hls,
    Listen,
    Overlay,
    Stream,
    StreamSource,
    Transcode,
    TranscodeAudio,
    TranscodeVideo,
)
from streamd.config.recording_models import Keep, Recording, Storage, Upload
from streamd.config.reference_docs import EXAMPLES, PAGE, reference
from tests.unit.config.loading import load_text

ROOT = Path(__file__).parents[3]


def test_the_committed_page_is_up_to_date() -> None:
    renew = "run `python -m streamd.config.reference_docs`"
    assert (ROOT / PAGE).read_text("utf-8") == reference(), renew


def test_the_examples_are_a_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    for name in (
        "status-token",
        "new-studio",
        "youtube",
        "door",
        "billing",
        "s3-id",
        "s3-secret",
        "tsig",
    ):
        (credentials / name).write_bytes(b64encode(f"0123456789-{name}".encode()))
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


def sections() -> dict[str, str]:
    """Return what stands under each title of the page."""
    parts = re.split(r"^##+ (.*)\n", reference(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(section: str) -> list[list[str]]:
    """Return the cells of each field of a section."""
    lines = [line for line in sections()[section].splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.mark.parametrize(
    ("section", "model"),
    [
        ("daemon", Daemon),
        ("servers.NAME.listen", Listen),
        ("servers.NAME.hls", Hls),
        ("streams", Stream),
        ("streams.NAME.source", StreamSource),
        ("transcodes", Transcode),
        ("transcodes.NAME.video", TranscodeVideo),
        ("transcodes.NAME.video.overlay", Overlay),
        ("transcodes.NAME.audio", TranscodeAudio),
        ("recordings", Recording),
        ("recordings.NAME.keep", Keep),
        ("recordings.NAME.upload", Upload),
        ("storages", Storage),
        ("callbacks", Callback),
    ],
)
def test_each_section_tells_every_field_of_its_model(section: str, model: type[Model]) -> None:
    told = rows(section)
    assert [row[0].strip("`") for row in told] == [name for name, _, _ in written_fields(model)]
    assert all(len(row) == 4 and row[1] and row[3] for row in told)
    assert " ".join((model.__doc__ or "").split()) in sections()[section]


def test_every_nested_mapping_has_a_section_of_its_own() -> None:
    nested = {
        f"{title}.NAME.{field}" if title in NAMED_SECTIONS else f"{title}.{field}"
        for title in sections()
        for field, kind, *_ in ([each.strip("`") for each in row] for row in rows(title))
        if kind == "mapping" and title != "The whole file"
    }
    assert nested >= {"streams.NAME.source", "transcodes.NAME.video.overlay"}
    assert nested <= sections().keys()


@pytest.mark.parametrize(
    ("section", "field", "default"),
    [
        ("The whole file", "include", ""),
        ("The whole file", "version", "required"),
        ("daemon", "source_directories", "`/srv`"),
        ("streams.NAME.source", "loop", "`true`"),
        ("streams.NAME.source", "timezone", "`UTC`"),
        ("transcodes.NAME.video", "keyframe_interval", "`2s`"),
        ("transcodes.NAME.video", "bitrate", ""),
        ("transcodes.NAME.video.overlay", "margin", "`20`"),
        ("recordings", "resume", "`30s`"),
        ("recordings.NAME.keep", "for", ""),
        ("recordings.NAME.keep", "free", "`5%`"),
    ],
)
def test_defaults_are_told_as_in_the_file(section: str, field: str, default: str) -> None:
    assert {row[0]: row[2] for row in rows(section)}[f"`{field}`"] == default


def test_the_platforms_are_told_with_their_servers() -> None:
    assert "| `youtube` (YouTube) | `rtmps://" in reference()
    assert "| `kuaishou` (Kuaishou) | each account its own: set `url` |" in reference()
