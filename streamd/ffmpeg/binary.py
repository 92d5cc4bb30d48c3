"""Asks an FFmpeg what it can do: by trying, where a version number would not tell."""

import asyncio
import os
import re
import ssl
from pathlib import Path

from streamd.errors import FFmpegError
from streamd.ffmpeg.facts import FFmpegBinary
from streamd.supervision.session import end_session

_TIMEOUT_S = 15.0

# Where distributions keep the certificates that they trust, by age of the custom.
_CA_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)


async def inspect(path: Path) -> FFmpegBinary:
    """Find out what an FFmpeg can do. Takes about 0.2 s.

    Raises:
        FFmpegError: it is missing, does not run, or is no FFmpeg; says what to do.
    """
    version = await _version(path)
    try:
        async with asyncio.TaskGroup() as questions:
            protocols = questions.create_task(_output_protocols(path))
            hides_output_key = questions.create_task(_hides_output_key(path))
            hides_input_key = questions.create_task(_hides_input_key(path))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return FFmpegBinary(
        path=str(path),
        version=version,
        protocols=protocols.result(),
        hides_output_key=hides_output_key.result(),
        hides_input_key=hides_input_key.result(),
        ca_file=_ca_file(),
    )


async def _version(path: Path) -> str:
    status, text = await run(path, ("-version",))
    # Libraries may warn first, as libgcrypt does where memory cannot be locked.
    match = re.search(r"^ffmpeg version (\S+)", text, re.MULTILINE)
    if status != 0 or match is None:
        raise FFmpegError(
            f"{path} is no FFmpeg that works; run `{path} -version` to see why, or name another "
            "in `ffmpeg:`"
        )
    return match[1]


async def _output_protocols(path: Path) -> frozenset[str]:
    _, text = await run(path, ("-loglevel", "error", "-protocols"))
    return frozenset(text.partition("Output:")[2].split())


async def _hides_output_key(path: Path) -> bool:
    """Tell whether an option from a preset file reaches the output.

    Newer releases read the file, refuse what is wrong in it, and use nothing of it.
    """
    reader, writer = os.pipe()
    try:
        os.write(writer, b"hash=adler32\n")
        os.close(writer)
        _, text = await run(
            path,
            (
                *("-loglevel", "error", "-f", "data", "-i", "pipe:0", "-map", "0", "-c", "copy"),
                *("-fpre", f"/dev/fd/{reader}", "-f", "hash", "-"),
            ),
            stdin=b"probe",
            pass_fds=(reader,),
        )
    finally:
        os.close(reader)
    return "adler32=" in text


async def _hides_input_key(path: Path) -> bool:
    """Tell whether concat lists may give options for the address that they name (since 5.0)."""
    _, text = await run(
        path,
        (
            *("-loglevel", "error", "-f", "concat", "-safe", "0", "-protocol_whitelist", "pipe"),
            *("-i", "pipe:0", "-f", "null", "-"),
        ),
        stdin=b"ffconcat version 1.0\noption probe 1\n",
    )
    return "option without file" in text


def _ca_file() -> str | None:
    named = os.environ.get("SSL_CERT_FILE")
    if named:
        return named
    known = (ssl.get_default_verify_paths().cafile or _CA_FILES[0], *_CA_FILES)
    return next((name for name in known if Path(name).is_file()), None)


async def run(
    path: Path, arguments: tuple[str, ...], *, stdin: bytes = b"", pass_fds: tuple[int, ...] = ()
) -> tuple[int, str]:
    """Run an FFmpeg for 15 s at most.

    Returns:
        Its exit status, and what it wrote to stdout and stderr.

    Raises:
        FFmpegError: it cannot be run, or did not end in time; it is killed then.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            str(path),
            *("-hide_banner", "-nostdin", *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=pass_fds,
            start_new_session=True,
        )
    except OSError as error:
        raise FFmpegError(
            f"{path} cannot be run: {error.strerror}; install FFmpeg, or name it in `ffmpeg:`"
        ) from error
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            output, _ = await process.communicate(stdin)
    except TimeoutError as error:
        raise FFmpegError(
            f"{path} did not answer within {_TIMEOUT_S:.0f} s; name another FFmpeg in `ffmpeg:`"
        ) from error
    finally:
        await end_session(process)
    assert process.returncode is not None  # noqa: S101 - for mypy: waited for
    return process.returncode, output.decode(errors="replace")
