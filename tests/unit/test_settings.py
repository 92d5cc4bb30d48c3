"""Flags, then variables, then defaults."""

from pathlib import Path

import pytest

from streamd import settings as module
from streamd.errors import SettingsError
from streamd.settings import Settings, read_settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"STREAMD_{name.upper()}", raising=False)


def as_user(monkeypatch: pytest.MonkeyPatch, *, root: bool, **variables: str) -> Settings:
    monkeypatch.setattr(module, "_is_root", lambda: root)
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return read_settings()


def test_root_has_the_systems_places(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = as_user(monkeypatch, root=True)
    assert settings.config == Path("/etc/streamd/config.yaml")
    assert settings.last_good == Path("/var/lib/streamd/last-good.json")
    assert settings.control_socket == Path("/run/streamd/streamd.sock")
    assert settings.log_dir == Path("/var/log/streamd")


def test_a_user_has_places_below_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = as_user(monkeypatch, root=False)
    assert settings.config == Path("/home/me/.config/streamd/config.yaml")
    assert settings.state_dir == Path("/home/me/.local/state/streamd")
    assert settings.log_dir == Path("/home/me/.local/state/streamd/log")
    assert str(settings.runtime_dir).startswith("/tmp/streamd-")


def test_xdg_variables_count(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = as_user(
        monkeypatch, root=False,
        XDG_CONFIG_HOME="/c", XDG_STATE_HOME="/s", XDG_RUNTIME_DIR="/run/user/7",
    )  # fmt: skip
    assert settings.config == Path("/c/streamd/config.yaml")
    assert settings.state_dir == Path("/s/streamd")
    assert settings.runtime_dir == Path("/run/user/7/streamd")


def test_a_flag_wins_over_a_variable_and_that_over_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STREAMD_LOG_LEVEL", "debug")
    assert read_settings().log_level == "debug"
    assert read_settings(log_level="error").log_level == "error"
    assert read_settings(log_level=None).log_level == "debug"


def test_paths_are_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = read_settings(config=Path("c.yaml"), state_dir=Path("s"))
    assert (settings.config, settings.state_dir) == (tmp_path / "c.yaml", tmp_path / "s")


def test_a_wrong_value_names_its_flag_and_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMD_ON_STOP", "explode")
    monkeypatch.setenv("STREAMD_FALLBACK", "perhaps")
    with pytest.raises(SettingsError) as error:
        read_settings()
    assert "on_stop (STREAMD_ON_STOP)" in str(error.value)
    assert "fallback (STREAMD_FALLBACK)" in str(error.value)


def test_other_variables_are_nobodys_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMD_TEST_SRS", "/srs")
    read_settings()


@pytest.mark.parametrize(
    ("supervisor", "on_stop", "stops"),
    [
        ("own", "auto", True),
        ("external", "auto", False),
        ("own", "keep", False),
        ("external", "stop", True),
    ],
)
def test_what_a_stop_does_to_the_media(supervisor: str, on_stop: str, stops: bool) -> None:
    assert read_settings(supervisor=supervisor, on_stop=on_stop).stops_media is stops
