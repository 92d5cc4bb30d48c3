"""FFmpeg as streamd starts it, from a real media server to real receivers."""

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from streamd.ffmpeg.binary import inspect
from streamd.ffmpeg.errors import LastError, last_error
from streamd.ffmpeg.facts import FFmpegBinary
from streamd.ffmpeg.target_argv import target_process
from streamd.jobs import TargetJob
from streamd.redact import Redactor
from streamd.supervision.process import ProcessSpec
from tests.support.engines import running_server
from tests.support.media import clip, decoded_frames, ffmpeg_path, ffprobe, publisher
from tests.support.ports import free_port
from tests.support.process import spawned
from tests.support.receiver import Publish, Receiver, has_ipv6, receiver
from tests.support.tls import authority, tls_front
from tests.support.waiting import wait_until, wait_until_sync

KEY = "s3cretKey-0123"


@pytest.fixture(scope="module")
def binary() -> FFmpegBinary:
    return asyncio.run(inspect(Path(ffmpeg_path())))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A media server on which `live/cam` is published."""
    with receiver(tmp_path_factory.mktemp("source")) as server, publisher(server.url("live/cam")):
        wait_until_sync(lambda: server.receives("live/cam"))
        yield server


def spec_of(
    source: Receiver, output_url: str, binary: FFmpegBinary, directory: Path, **changes: object
) -> ProcessSpec:
    job = TargetJob(
        process="target.t",
        target="t",
        stream="live/cam",
        input_url=source.url("live/cam"),
        output_url=output_url,
        publisher="1",
        ffmpeg=binary.path,
        progress=f"127.0.0.1:{free_port()}",
    )
    job = replace(job, **changes)  # type: ignore[arg-type] # fields of TargetJob
    return target_process(job, binary, str(directory / "target.log"), identity="i")


def test_media_arrives_whole_and_the_key_is_in_nobodys_sight(
    source: Receiver, binary: FFmpegBinary, tmp_path: Path
) -> None:
    with receiver(tmp_path) as server:
        spec = spec_of(source, server.url(f"live/{KEY}"), binary, tmp_path)
        with spawned(spec) as process:
            wait_until_sync(lambda: server.receives(f"live/{KEY}"))
            codecs = {stream["codec_name"] for stream in ffprobe(server.url(f"live/{KEY}"))}
            frames = decoded_frames(server.url(f"live/{KEY}"), frames=10)
            argv = process.argv()
    assert codecs == {"h264", "aac"}
    assert frames == 10
    assert argv.startswith(binary.path)
    assert binary.hides_output_key == (KEY not in argv)


def published(server: Receiver) -> Publish:
    return wait_until_sync(lambda: server.publishes)[-1]


@pytest.mark.parametrize("hides", [True, False], ids=["preset", "argv"])
@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("live/KEY-1", Publish("live", "KEY-1", {})),
        ("live/KEY?x=y&z=%2F", Publish("live", "KEY", {"x": "y", "z": "/"})),
        ("live/?streamname=l_1&key=K", Publish("live", "", {"streamname": "l_1", "key": "K"})),
        ("live/FB-1-0-Ab?s_bl=1&s_sw=0", Publish("live", "FB-1-0-Ab", {"s_bl": "1", "s_sw": "0"})),
        ("app/instance/KEY", Publish("app/instance", "KEY", {})),
        ("live/KEY.flv", Publish("live", "KEY.flv", {})),
        ("live?auth=T/KEY", Publish("live", "KEY", {})),
        ("live/clé=+,'\"$#", Publish("live", "clé=+,'\"$#", {})),
    ],
)
def test_a_pasted_address_reaches_the_receiver_as_it_was_meant(
    source: Receiver,
    binary: FFmpegBinary,
    tmp_path: Path,
    path: str,
    meant: Publish,
    hides: bool,
) -> None:
    with receiver(tmp_path, "live", "app/instance") as server:
        able = replace(binary, hides_output_key=hides and binary.hides_output_key)
        with spawned(spec_of(source, server.url(path), able, tmp_path)):
            got = published(server)
    assert (got.app, got.name) == (meant.app, meant.name)
    assert meant.parameters.items() <= got.parameters.items()


@pytest.mark.parametrize("host", ["user:pa%40ss@127.0.0.1", "[::1]", "localhost"])
def test_hosts_of_every_form_are_reached(
    source: Receiver, binary: FFmpegBinary, tmp_path: Path, host: str
) -> None:
    if host == "[::1]" and not has_ipv6():
        pytest.skip("NOT TESTED: this machine has no IPv6 loopback")
    with receiver(tmp_path) as server:
        url = f"rtmp://{host}:{server.port}/live/{KEY}"
        with spawned(spec_of(source, url, binary, tmp_path)):
            assert published(server).name == KEY


def test_a_secret_in_the_streams_name_is_in_nobodys_sight(
    source: Receiver, binary: FFmpegBinary, tmp_path: Path
) -> None:
    name = "live/cam-s3cretName"
    with receiver(tmp_path) as server, publisher(source.url(name)):
        wait_until_sync(lambda: source.receives(name))
        url = server.url(f"live/{KEY}")
        changes = {"input_url": source.url(name), "input_secret": True}
        with spawned(spec_of(source, url, binary, tmp_path, **changes)) as process:
            wait_until_sync(lambda: server.receives(f"live/{KEY}"))
            codecs = {stream["codec_name"] for stream in ffprobe(server.url(f"live/{KEY}"))}
            argv = process.argv()
    assert codecs == {"h264", "aac"}
    assert "s3cretName" not in argv


def test_a_stream_joined_between_keyframes_keeps_its_video(
    binary: FFmpegBinary, tmp_path: Path
) -> None:
    with (
        receiver(tmp_path) as origin,
        receiver(tmp_path) as server,
        publisher(origin.url("live/cam"), media=clip(gop_s=3)),
    ):
        wait_until_sync(lambda: origin.receives("live/cam"))
        with spawned(spec_of(origin, server.url("live/x"), binary, tmp_path)):
            wait_until_sync(lambda: server.receives("live/x"))
            codecs = {stream["codec_name"] for stream in ffprobe(server.url("live/x"))}
    assert codecs == {"h264", "aac"}


def test_a_stop_is_prompt_and_complete(
    source: Receiver, binary: FFmpegBinary, tmp_path: Path
) -> None:
    with receiver(tmp_path) as server:
        spec = spec_of(source, server.url("live/x"), binary, tmp_path)
        with spawned(spec) as process:
            wait_until_sync(lambda: server.receives("live/x"))
            process.process.terminate()
            assert process.wait(spec.stop_timeout_s) == 255
            wait_until_sync(lambda: not server.bytes_in("live/x"))
            assert last_error(process.log()) is None


def ended(
    source: Receiver, output_url: str, binary: FFmpegBinary, directory: Path
) -> LastError | None:
    """Run a target until it ends by itself, and return what is said of it."""
    spec = spec_of(source, output_url, binary, directory)
    with spawned(spec) as process:
        process.wait()
        log = Redactor(spec.redact)(process.log())
    assert KEY not in log
    return last_error(log, source.url("live/cam"))


def test_a_receiver_that_refuses_the_key_is_named(
    source: Receiver, binary: FFmpegBinary, tmp_path: Path
) -> None:
    with receiver(tmp_path) as server:
        server.refused.add(KEY)
        error = ended(source, server.url(f"live/{KEY}"), binary, tmp_path)
    assert error is not None
    assert "check key and app" in error.message


def test_a_key_in_use_is_named_and_can_heal(
    source: Receiver, binary: FFmpegBinary, tmp_path: Path
) -> None:
    with receiver(tmp_path) as server, publisher(server.url(f"live/{KEY}")):
        wait_until_sync(lambda: server.receives(f"live/{KEY}"))
        error = ended(source, server.url(f"live/{KEY}"), binary, tmp_path)
    assert error is not None
    assert "already" in error.message
    assert not error.permanent


def test_a_receiver_that_is_down_is_named(
    source: Receiver, binary: FFmpegBinary, tmp_path: Path
) -> None:
    port = free_port()
    error = ended(source, f"rtmp://127.0.0.1:{port}/live/{KEY}", binary, tmp_path)
    assert error is not None
    assert error.message.startswith(f"127.0.0.1:{port} refuses the connection")
    assert not error.permanent


def test_a_stream_that_is_not_there_is_named(
    source: Receiver, binary: FFmpegBinary, tmp_path: Path
) -> None:
    with receiver(tmp_path) as server:
        spec = spec_of(
            source,
            server.url(f"live/{KEY}"),
            binary,
            tmp_path,
            input_url=source.url("live/nobody"),
        )
        with spawned(spec) as process:
            process.wait()
            error = last_error(process.log(), source.url("live/nobody"))
    assert error is not None
    assert "the media server" in error.message, process.log()


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("name", ["localhost", "elsewhere.example"])
def test_rtmps_sends_only_to_whom_the_certificate_names_and_an_authority_vouches_for(
    source: Receiver, binary: FFmpegBinary, tmp_path: Path, name: str, trusted: bool
) -> None:
    ours, other = authority(tmp_path / "ours"), authority(tmp_path / "other")
    able = replace(binary, ca_file=str((ours if trusted else other).ca_file))
    with (
        receiver(tmp_path) as server,
        tls_front(server.port, ours.certificate(name)) as port,
    ):
        url = f"rtmps://localhost:{port}/live/{KEY}"
        if trusted and name == "localhost":
            with spawned(spec_of(source, url, able, tmp_path)) as process:
                wait_until_sync(lambda: server.receives(f"live/{KEY}"))
                assert binary.hides_output_key == (KEY not in process.argv())
        else:
            error = ended(source, url, able, tmp_path)
            assert error is not None
            assert "nothing was sent" in error.message
            assert error.permanent
            assert server.publishes == []


@pytest.mark.parametrize("hides", [True, False], ids=["preset", "argv"])
def test_srt_is_encrypted_with_the_passphrase(
    source: Receiver, binary: FFmpegBinary, tmp_path: Path, hides: bool
) -> None:
    port, passphrase = free_port(), "correct horse/battery"
    able = replace(binary, hides_output_key=hides and binary.hides_output_key)
    url = f"srt://127.0.0.1:{port}?latency=50000&passphrase=correct%20horse%2Fbattery"
    listener = f"srt://127.0.0.1:{port}?mode=listener&passphrase={passphrase}"
    with (
        listening(listener, tmp_path) as frames,
        spawned(spec_of(source, url, able, tmp_path)) as process,
    ):
        wait_until_sync(lambda: frames.exists() and frames.read_text().count("\n") > 20)
        assert able.hides_output_key == ("battery" not in process.argv())


@pytest.mark.srs
@pytest.mark.parametrize("hides", [True, False], ids=["preset", "argv"])
async def test_srs_takes_srt_with_a_stream_id(
    source: Receiver, binary: FFmpegBinary, tmp_path: Path, srs_binary: Path, hides: bool
) -> None:
    able = replace(binary, hides_output_key=hides and binary.hides_output_key)
    async with running_server(tmp_path, "srs", srs_binary) as server:
        server.decide = lambda hook: hook.secrets == (KEY,)
        stream_id = f"#!::r=live/out,secret={KEY},m=publish"
        url = f"srt://127.0.0.1:{server.spec.srt}?streamid={stream_id}"
        with spawned(spec_of(source, url, able, tmp_path)) as process:
            await server.wait_live("live/out")
            assert able.hides_output_key == (KEY not in process.argv())


@pytest.mark.srs
@pytest.mark.parametrize("input_secret", [False, True])
async def test_srs_is_read_from(
    binary: FFmpegBinary, tmp_path: Path, srs_binary: Path, input_secret: bool
) -> None:
    async with running_server(tmp_path, "srs", srs_binary) as server:
        with receiver(tmp_path) as platform, publisher(server.url("live/cam+1")):
            await server.wait_live("live/cam+1")
            input_url = server.engine.input_url("live/cam+1")
            spec = spec_of(
                platform,
                platform.url(f"live/{KEY}"),
                binary,
                tmp_path,
                input_url=input_url,
                input_secret=input_secret,
            )
            with spawned(spec):
                await wait_until(lambda: platform.receives(f"live/{KEY}"))
                frames = await asyncio.to_thread(decoded_frames, platform.url(f"live/{KEY}"))
    assert frames == 15


@contextlib.contextmanager
def listening(url: str, directory: Path) -> Iterator[Path]:
    """Receive at an address until the block ends; the file has a line for each frame."""
    frames = directory / "frames"
    process = subprocess.Popen(
        (
            *(ffmpeg_path(), "-v", "error", "-nostdin", "-i", url, "-c", "copy"),
            *("-flush_packets", "1", "-f", "framecrc", str(frames)),
        ),
        stdin=subprocess.DEVNULL,
    )
    try:
        yield frames
    finally:
        process.kill()
        process.wait()
