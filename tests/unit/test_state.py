"""The directories: private, held by one, and whole after any interruption."""

import os
from pathlib import Path

import pytest

from streamd.errors import SettingsError
from streamd.settings import Settings
from streamd.state import State


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        state_dir=tmp_path / "deep/state", runtime_dir=tmp_path / "run", log_dir=tmp_path / "log"
    )


@pytest.fixture
def state(settings: Settings) -> State:
    made = State(settings)
    made.prepare()
    return made


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_directories_are_made_for_this_user_alone(state: State, settings: Settings) -> None:
    assert mode(settings.state_dir) == mode(settings.runtime_dir) == mode(settings.log_dir) == 0o700


def test_a_directory_that_others_can_read_is_made_private(settings: Settings) -> None:
    settings.runtime_dir.mkdir(mode=0o755)
    settings.log_dir.mkdir(mode=0o755)
    State(settings).prepare()
    assert mode(settings.runtime_dir) == 0o700
    assert mode(settings.log_dir) == 0o755  # logs may be shared


def test_a_directory_that_cannot_be_made_names_its_flag_and_variable(settings: Settings) -> None:
    settings.runtime_dir.write_text("a file stands here")
    with pytest.raises(SettingsError, match=r"--runtime-dir \(STREAMD_RUNTIME_DIR\)"):
        State(settings).prepare()


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root gives directories away")
def test_a_directory_of_somebody_else_is_refused(settings: Settings) -> None:
    settings.state_dir.mkdir(parents=True)
    os.chown(settings.state_dir, 12345, 12345)
    with pytest.raises(SettingsError, match=r"belongs to user 12345; .*--state-dir"):
        State(settings).prepare()


def test_one_daemon_at_a_time_holds_the_directories(state: State, settings: Settings) -> None:
    second = State(settings)
    with (
        state.held(),
        pytest.raises(SettingsError, match="another streamd runs"),
        second.held(),
    ):
        pass
    with second.held():
        pass


def test_the_servers_secrets_stay_over_restarts(state: State, settings: Settings) -> None:
    first = state.server_secrets()
    assert len({first.hook_path, first.api_password}) == 2
    assert min(len(first.hook_path), len(first.api_password)) >= 32
    assert State(settings).server_secrets() == first
    assert mode(settings.state_dir / "server-secrets.json") == 0o600
    assert first.hook_path not in repr(first)


@pytest.mark.parametrize("text", ["", "{", '{"hook_path": "x"}', "[]", "\xff"])
def test_damaged_secrets_are_set_aside_and_made_anew(
    state: State, settings: Settings, text: str
) -> None:
    path = settings.state_dir / "server-secrets.json"
    path.write_bytes(text.encode("latin-1"))
    made = state.server_secrets()
    assert State(settings).server_secrets() == made
    assert path.with_suffix(".broken").read_bytes() == text.encode("latin-1")


def test_what_a_server_loaded_is_remembered_over_restarts(state: State, settings: Settings) -> None:
    assert state.loaded("main") == ""
    state.server_directory("main").mkdir(parents=True)
    state.set_loaded("main", "abc")
    assert state.loaded("main") == State(settings).loaded("main") == "abc"
    state.set_loaded("main", "def")
    assert state.loaded("main") == State(settings).loaded("main") == "def"


def test_what_a_server_loaded_is_known_though_it_cannot_be_written(state: State) -> None:
    state.set_loaded("main", "abc")  # its directory is not there
    assert state.loaded("main") == "abc"
