"""What is found out of FFmpegs: the installed one, and programs that behave in other ways."""

import asyncio
from pathlib import Path

import pytest

from streamd.errors import FFmpegError
from streamd.ffmpeg import binary as ffmpeg_binary
from streamd.ffmpeg.binary import inspect
from tests.support.media import ffmpeg_path

VERSION = 'case "$*" in *-version*) echo "ffmpeg version 9.9-test Copyright"; exit 0;; esac\n'
# Reads the preset, as newer releases do, and uses nothing of it.
IGNORES_PRESETS = """\
case "$*" in
*-protocols*) printf 'Supported file protocols:\\nInput:\\n  http\\nOutput:\\n  rtmp\\n  tcp\\n';;
*-fpre*) cat /dev/fd/0 >/dev/null; echo SHA256=00;;
*concat*) echo "[concat @ 0x1] Line 2: unknown keyword 'option'"; exit 1;;
esac
"""


def program(directory: Path, body: str) -> Path:
    path = directory / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{body}")
    path.chmod(0o755)
    return path


async def test_the_installed_ffmpeg_is_known(tmp_path: Path) -> None:
    binary = await inspect(Path(ffmpeg_path()))
    assert binary.path == ffmpeg_path()
    assert binary.version[0].isalnum()
    assert {"rtmp", "rtmps", "srt", "tcp"} <= binary.protocols
    assert binary.hides_input_key


async def test_an_ffmpeg_that_ignores_presets_hides_no_key(tmp_path: Path) -> None:
    binary = await inspect(program(tmp_path, VERSION + IGNORES_PRESETS))
    assert binary.version == "9.9-test"
    assert binary.protocols == {"rtmp", "tcp"}
    assert not binary.hides_output_key
    assert not binary.hides_input_key


async def test_the_trusted_certificates_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/own-ca.pem")
    assert (await inspect(Path(ffmpeg_path()))).ca_file == "/etc/own-ca.pem"


async def test_a_missing_ffmpeg_is_named(tmp_path: Path) -> None:
    with pytest.raises(FFmpegError, match="none cannot be run: No such file or directory; install"):
        await inspect(tmp_path / "none")


@pytest.mark.parametrize("body", ["echo hello\n", f"{VERSION}".replace("exit 0", "exit 1")])
async def test_what_is_no_ffmpeg_is_named(tmp_path: Path, body: str) -> None:
    with pytest.raises(FFmpegError, match="is no FFmpeg that works; run "):
        await inspect(program(tmp_path, body))


def test_one_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg_binary, "_TIMEOUT_S", 2.0)
    pid_file = tmp_path / "pid"
    hangs = program(tmp_path, f"echo $$ >{pid_file}\nexec sleep 1000\n")
    with pytest.raises(FFmpegError, match="did not answer within"):
        asyncio.run(inspect(hangs))
    assert not Path(f"/proc/{pid_file.read_text().strip()}").exists()
