"""Which encoders can be used, on the installed FFmpeg and on programs that behave in other ways."""

import stat
from pathlib import Path

import pytest

from streamd.errors import FFmpegError
from streamd.ffmpeg.try_encoder import try_encoder
from tests.support.media import ffmpeg_path


@pytest.mark.parametrize("codec", ["h264", "copy", "none"])
async def test_what_needs_no_hardware_works(codec: str) -> None:
    assert await try_encoder(Path(ffmpeg_path()), codec) is None


async def test_an_encoder_that_is_not_compiled_in_is_named() -> None:
    said = await try_encoder(Path(ffmpeg_path()), "h264_of_nobody")
    assert said == "Unknown encoder 'h264_of_nobody'"


@pytest.mark.parametrize("codec", ["h264_nvenc", "h264_vaapi", "h264_qsv"])
async def test_missing_hardware_is_told_in_the_words_of_its_driver(codec: str) -> None:
    said = await try_encoder(Path(ffmpeg_path()), codec)
    if said is None:
        pytest.skip(f"NOT TESTED: this machine has the hardware for {codec}")
    assert "Unrecognized option" not in said
    assert "maybe incorrect parameters" not in said
    assert "\n" not in said


def program(directory: Path, body: str) -> Path:
    path = directory / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{body}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "echo '[error] first of the program'\n"
            "echo '[vost#0 @ 0x1] [h264_x @ 0x2] [error] no such card'\n"
            "echo '[out#0 @ 0x3] [error] nothing was written'\nexit 1\n",
            "no such card",
        ),
        ("echo '[fatal] only this'\nexit 1\n", "only this"),
        ("exit 7\n", "FFmpeg ended with status 7"),
    ],
)
async def test_the_line_that_tells_most_is_told(tmp_path: Path, body: str, said: str) -> None:
    assert await try_encoder(program(tmp_path, body), "h264") == said


async def test_a_missing_ffmpeg_is_named(tmp_path: Path) -> None:
    with pytest.raises(FFmpegError, match="cannot be run"):
        await try_encoder(tmp_path / "none", "h264")
