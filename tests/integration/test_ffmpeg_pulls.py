"""Streams pulled by the installed FFmpeg from real servers: cameras, media servers, playlists."""

import asyncio
import contextlib
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from streamd.ffmpeg.pull import (
    PullAttempt,
    first_attempt,
    next_attempt,
    pull_command,
    pull_secrets,
)
from streamd.ffmpeg.pull_errors import pull_trouble
from streamd.playout.flv import FlvReader
from streamd.playout.formats import AudioFormat, audio_format, video_format
from streamd.playout.spec import AudioMode, PullInput, Transport
from streamd.playout.tags import AUDIO, VIDEO, Tag
from streamd.redact import Redactor
from tests.support.media import clip, ffmpeg_path, publisher
from tests.support.ports import free_port
from tests.support.receiver import receiver
from tests.support.rtsp import camera
from tests.support.samples import sample
from tests.support.tls import Authority, authority, tls_front
from tests.support.waiting import wait_until, wait_until_sync
from tests.support.web import Web, files_served

SECRET = "p:a@ss/?w"
WRITTEN_SECRET = "p%3Aa%40ss%2F%3Fw"


class Pulled:
    """An FFmpeg that pulls, and what it has written."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.tags: list[Tag] = []
        self.lines: list[str] = []

    def argv(self) -> str:
        """Return its argv as every user of the machine sees it."""
        return Path(f"/proc/{self.process.pid}/cmdline").read_text()

    def of(self, kind: int) -> list[Tag]:
        return [tag for tag in self.tags if tag.kind == kind and not tag.is_header]

    def header(self, kind: int) -> Tag:
        return next(tag for tag in self.tags if tag.kind == kind and tag.is_header)

    async def has(self, *kinds: int, count: int = 5) -> None:
        """Wait until it has written so much of each kind."""
        assert await self.delivers(*kinds, count=count), "\n".join(self.lines)

    async def delivers(self, *kinds: int, count: int = 1) -> bool:
        """Wait until it has written so much of each kind, or has ended before that."""

        def has_all() -> bool:
            return all(len(self.of(kind)) >= count for kind in kinds)

        def is_decided() -> bool:
            return has_all() or self.process.returncode is not None

        await wait_until(is_decided, what=f"media of kinds {kinds}")
        return has_all()

    async def end(self) -> int:
        async with asyncio.timeout(40):
            return await self.process.wait()

    async def read_media(self) -> None:
        assert self.process.stdout is not None
        reader = FlvReader()
        while data := await self.process.stdout.read(65_536):
            self.tags += reader.feed(data)

    async def read_log(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(line.decode(errors="replace").rstrip())


@contextlib.asynccontextmanager
async def pulling(
    pull: PullInput, attempt: PullAttempt | None = None, ca_file: Path | None = None
) -> AsyncIterator[Pulled]:
    """Run one attempt until the block ends."""
    trusted = None if ca_file is None else str(ca_file)
    command = pull_command(ffmpeg_path(), pull, attempt or first_attempt(pull), trusted)
    process = await asyncio.create_subprocess_exec(
        *command.argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(command.stdin.encode())
    process.stdin.close()
    pulled = Pulled(process)
    async with asyncio.TaskGroup() as readers:
        readers.create_task(pulled.read_media())
        readers.create_task(pulled.read_log())
        try:
            yield pulled
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def arriving(pull: PullInput) -> AsyncIterator[tuple[Pulled, list[PullAttempt]]]:
    """Make attempts, as a playout does, until one delivers."""
    attempts = [first_attempt(pull)]
    while True:
        async with pulling(pull, attempts[-1]) as pulled:
            if await pulled.delivers(VIDEO):
                yield pulled, attempts
                return
        following = next_attempt(attempts[-1], pulled.lines)
        assert following != attempts[-1], "\n".join(pulled.lines)
        attempts.append(following)


async def log_of(pull: PullInput, ca_file: Path | None = None) -> list[str]:
    """Return what an attempt says that delivers nothing."""
    async with pulling(pull, ca_file=ca_file) as pulled:
        await pulled.end()
    assert pulled.tags == []
    return pulled.lines


def assert_in_order(pulled: Pulled) -> None:
    for kind in (AUDIO, VIDEO):
        times = [tag.timestamp_ms for tag in pulled.of(kind)]
        assert times == sorted(times)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("sound", ["pcma", "aac"])
async def test_a_camera_is_pulled_at_the_first_attempt(sound: str, transport: Transport) -> None:
    with camera(audio="pcma" if sound == "pcma" else "aac") as cam:
        async with pulling(PullInput(cam.url(), transport=transport)) as pulled:
            await pulled.has(VIDEO, AUDIO)
            video = video_format(pulled.header(VIDEO))
            assert video is not None
            assert (video.width, video.height) == (160, 120)
            assert audio_format(pulled.header(AUDIO)) == AudioFormat(48_000, 2)
            assert pulled.of(VIDEO)[0].is_keyframe
            assert_in_order(pulled)


@pytest.mark.parametrize("mode", ["keep", "silent", "none", "transcode"])
async def test_a_camera_without_sound_is_pulled_in_every_mode(mode: AudioMode) -> None:
    with camera() as cam:
        async with pulling(PullInput(cam.url(), audio=mode)) as pulled:
            await pulled.has(VIDEO)
            assert pulled.of(AUDIO) == []


@pytest.mark.parametrize("mode", ["silent", "none"])
async def test_sound_that_is_not_wanted_is_left_out(mode: AudioMode) -> None:
    with camera(audio="pcma") as cam:
        async with pulling(PullInput(cam.url(), audio=mode)) as pulled:
            await pulled.has(VIDEO)
            assert pulled.of(AUDIO) == []


async def test_a_source_of_sound_alone_is_pulled() -> None:
    with camera(video=None, audio="pcma") as cam:
        async with pulling(PullInput(cam.url())) as pulled:
            await pulled.has(AUDIO)
            assert pulled.of(VIDEO) == []


async def test_b_frames_are_put_in_order() -> None:
    with camera(media=sample("film.mp4")) as cam:
        async with pulling(PullInput(cam.url())) as pulled:
            await pulled.has(VIDEO, count=20)
            assert_in_order(pulled)
            shown = [
                tag.timestamp_ms + int.from_bytes(tag.body[2:5], signed=True)
                for tag in pulled.of(VIDEO)[8:]
            ]
            assert shown != sorted(shown)
            assert len(set(shown)) == len(shown)


async def test_a_camera_of_another_codec_is_transcoded_at_the_second_attempt() -> None:
    with camera(video="h265", audio="pcma") as cam:
        async with arriving(PullInput(cam.url())) as (pulled, attempts):
            await pulled.has(VIDEO, AUDIO, count=20)
            assert attempts == [
                PullAttempt("copy", "transcode"),
                PullAttempt("transcode", "transcode"),
            ]
            video = video_format(pulled.header(VIDEO))
            assert video is not None
            assert (video.width, video.height, video.codec) == (160, 120, "h264")
            assert_in_order(pulled)


async def test_a_password_is_understood_and_in_nobodys_sight() -> None:
    with camera(user="user", password=SECRET) as cam:
        pull = PullInput(cam.url(f"user:{WRITTEN_SECRET}"))
        async with pulling(pull) as pulled:
            await pulled.has(VIDEO)
            argv = pulled.argv()
            assert SECRET not in argv
            assert WRITTEN_SECRET not in argv


async def test_a_wrong_password_is_named_and_masked() -> None:
    with camera(user="user", password=SECRET) as cam:
        pull = PullInput(cam.url("user:wr%40ng-one"))
        lines = await log_of(pull)
    shown = [Redactor(pull_secrets(pull.url))(line) for line in lines]
    assert "wr%40ng-one" in "".join(lines)
    assert "ng-one" not in "".join(shown)
    assert (pull_trouble(shown) or "").startswith("it refuses name and password; check them")


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_a_camera_that_freezes_ends_the_attempt(transport: Transport) -> None:
    with camera(audio="pcma") as cam:
        async with pulling(PullInput(cam.url(), transport=transport)) as pulled:
            await pulled.has(VIDEO, AUDIO)
            cam.freeze()
            await pulled.end()
            cam.thaw()
    assert pull_trouble(pulled.lines) == "it does not answer, or sends nothing any more"


async def test_a_camera_that_loses_power_ends_the_attempt_and_comes_back() -> None:
    port = free_port()
    with camera(port=port) as cam:
        async with pulling(PullInput(cam.url())) as pulled:
            await pulled.has(VIDEO)
            cam.kill()
            await pulled.end()
    with camera(port=port) as cam:
        async with pulling(PullInput(cam.url())) as again:
            await again.has(VIDEO)


async def test_a_camera_is_pulled_through_tls(tmp_path: Path) -> None:
    certificate = authority(tmp_path).certificate("127.0.0.1")
    with camera(audio="pcma") as cam, tls_front(cam.port, certificate) as port:
        async with pulling(PullInput(f"rtsps://127.0.0.1:{port}/cam")) as pulled:
            await pulled.has(VIDEO, AUDIO)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("rtsp://no-such-host.invalid/x", "the name no-such-host.invalid does not resolve"),
        ("rtsp://127.0.0.1:{port}/x", "127.0.0.1:{port} refuses the connection"),
        ("rtmp://127.0.0.1:{port}/live/x", "127.0.0.1:{port} refuses the connection"),
        ("http://127.0.0.1:{port}/x.m3u8", "127.0.0.1:{port} refuses the connection"),
        ("srt://127.0.0.1:{port}", "no SRT connection to 127.0.0.1:{port}; check"),
    ],
)
async def test_a_source_that_is_not_there_is_named(url: str, words: str) -> None:
    port = free_port()
    lines = await log_of(PullInput(url.format(port=port)))
    assert (pull_trouble(lines) or "").startswith(words.format(port=port))


async def test_a_camera_without_that_stream_is_named() -> None:
    with camera() as cam:
        lines = await log_of(PullInput(cam.url().replace("/cam", "/other")))
    assert pull_trouble(lines) == "it has no stream at this address (404); check the path"


async def test_a_media_server_is_pulled_as_it_is(tmp_path: Path) -> None:
    with receiver(tmp_path, "live") as server:
        address = server.url("live/cam-s3cretName?token=s3cretToken")
        with publisher(server.url("live/cam-s3cretName")):
            wait_until_sync(lambda: server.receives("live/cam-s3cretName"))
            async with pulling(PullInput(address)) as pulled:
                await pulled.has(VIDEO, AUDIO)
                argv = pulled.argv()
    assert "s3cret" not in argv
    assert audio_format(pulled.header(AUDIO)) == AudioFormat(44_100, 1)
    assert_in_order(pulled)


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("ca"))


async def test_rtmps_is_pulled_from_whom_it_can_trust(tmp_path: Path, ca: Authority) -> None:
    with (
        receiver(tmp_path, "live") as server,
        publisher(server.url("live/cam")),
        tls_front(server.port, ca.certificate("127.0.0.1")) as port,
    ):
        wait_until_sync(lambda: server.receives("live/cam"))
        pull = PullInput(f"rtmps://127.0.0.1:{port}/live/cam")
        async with pulling(pull, ca_file=ca.ca_file) as pulled:
            await pulled.has(VIDEO, AUDIO)
        lines = await log_of(pull, ca_file=authority(tmp_path / "other").ca_file)
    assert (pull_trouble(lines) or "").startswith("its certificate cannot be verified")


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    directory = tmp_path / "web"
    directory.mkdir()
    with files_served(directory) as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, web: Web) -> Path:
    return tmp_path / "web"


def playlist(path: Path, *segments: str, key: str = "", ends: bool = True) -> None:
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:3", "#EXT-X-MEDIA-SEQUENCE:0"]
    lines += [f'#EXT-X-KEY:METHOD=AES-128,URI="{key}"'] if key else []
    lines += [line for segment in segments for line in ("#EXTINF:3,", segment)]
    path.write_text("\n".join([*lines, *(["#EXT-X-ENDLIST"] if ends else [])]) + "\n")


def renditions(site: Path) -> None:
    """Write a playlist of two renditions, each of one segment."""
    for name in ("low", "high"):
        shutil.copy(sample("film.ts"), site / f"{name}.ts")
        playlist(site / f"{name}.m3u8", f"{name}.ts", f"{name}.ts?again")
    (site / "all.m3u8").write_text(
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000,RESOLUTION=160x120\nlow.m3u8\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=160x120\nhigh.m3u8\n"
    )


async def test_a_playlist_is_pulled_in_real_time(web: Web, site: Path) -> None:
    renditions(site)
    loop = asyncio.get_running_loop()
    async with pulling(PullInput(web.url("low.m3u8"))) as pulled:
        began = loop.time()
        await pulled.has(VIDEO, AUDIO, count=50)
        assert loop.time() - began > 1.0, "50 pictures last 2 s"
        assert_in_order(pulled)


async def test_one_rendition_of_a_playlist_is_downloaded(web: Web, site: Path) -> None:
    renditions(site)
    async with pulling(PullInput(web.url("all.m3u8"))) as pulled:
        await wait_until(lambda: any(path.endswith("?again") for path in web.requests))
        await pulled.has(VIDEO, AUDIO)
    assert len([path for path in web.requests if path.endswith("?again")]) == 1


async def test_an_address_with_a_token_is_in_nobodys_sight(web: Web, site: Path) -> None:
    renditions(site)
    async with pulling(PullInput(web.url("low.m3u8?token=s3cret"))) as pulled:
        await pulled.has(VIDEO, AUDIO)
        assert "s3cret" not in pulled.argv()


async def test_a_playlist_without_news_ends_the_attempt(web: Web, site: Path) -> None:
    renditions(site)
    playlist(site / "live.m3u8", "low.ts", ends=False)
    async with pulling(PullInput(web.url("live.m3u8"))) as pulled:
        await pulled.end()
    assert pulled.of(VIDEO)


async def test_flv_over_http_is_pulled(web: Web, site: Path) -> None:
    shutil.copy(sample("film.flv"), site / "film.flv")
    async with pulling(PullInput(web.url("film.flv"))) as pulled:
        await pulled.end()
    assert len(pulled.of(VIDEO)) == 75
    assert pulled.lines == []


@pytest.mark.parametrize("name", ["ac3.mkv", "vp9.webm"])
async def test_codecs_that_nobody_can_know_beforehand_are_found_out(
    web: Web, site: Path, name: str
) -> None:
    shutil.copy(sample(name), site / name)
    async with arriving(PullInput(web.url(name))) as (pulled, attempts):
        await pulled.has(VIDEO, AUDIO)
    assert attempts[-1].audio == "transcode"
    assert attempts[-1].video == ("copy" if name == "ac3.mkv" else "transcode")


HIDDEN = (
    "file://{film}",
    "{film}",
    "subfile,,start,0,end,0,,:{film}",
    "concat:{film}",
    "data:video/mp2t;base64,R0AAEA==",
    "rtmp://127.0.0.1:1/live/x.ts",
    "pipe:0.ts",
    "concat.ts",
    "sdp.ts",
)


@pytest.mark.parametrize("within", ["segment", "key", "variant"])
@pytest.mark.parametrize("named", HIDDEN)
async def test_a_playlist_reaches_nothing_but_the_web(
    web: Web, site: Path, named: str, within: str
) -> None:
    film = sample("film.ts")
    (site / "concat.ts").write_text(f"ffconcat version 1.0\nfile '{film}'\n")
    (site / "sdp.ts").write_text("v=0\r\nc=IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 33\r\n")
    address = named.format(film=film)
    bad = site / "bad.m3u8"
    if within == "segment":
        playlist(bad, address, address)
    elif within == "key":
        shutil.copy(film, site / "film.ts")
        playlist(bad, "film.ts", key=address)
    else:
        bad.write_text(f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000\n{address}\n")
    for url in ("bad.m3u8", "bad.m3u8?token=s3cret"):
        lines = await log_of(PullInput(web.url(url)))
        assert pull_trouble(lines)


async def test_files_of_this_machine_are_told_to_be_refused(web: Web, site: Path) -> None:
    playlist(site / "bad.m3u8", f"file://{sample('film.ts')}")
    lines = await log_of(PullInput(web.url("bad.m3u8")))
    assert (pull_trouble(lines) or "").startswith("it names something that is not read")


async def test_https_is_pulled_from_whom_it_can_trust(
    web: Web, site: Path, ca: Authority, tmp_path: Path
) -> None:
    renditions(site)
    shutil.copy(sample("film.flv"), site / "film.flv")
    other = authority(tmp_path / "other")
    with tls_front(web.port, ca.certificate("127.0.0.1")) as port:
        for name in ("film.flv", "low.m3u8", "film.flv?token=s3cret"):
            pull = PullInput(f"https://127.0.0.1:{port}/{name}")
            async with pulling(pull, ca_file=ca.ca_file) as pulled:
                await pulled.has(VIDEO)
            lines = await log_of(pull, ca_file=other.ca_file)
            assert (pull_trouble(lines) or "").startswith("its certificate cannot be verified")


@contextlib.contextmanager
def srt_server(query: str = "") -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Send the clip to the first that connects by SRT; yields the port and the server."""
    port = free_port()
    argv = (
        *(ffmpeg_path(), "-v", "error", "-nostdin", "-re", "-stream_loop", "-1"),
        *("-i", str(clip()), "-c", "copy", "-f", "mpegts"),
        f"srt://127.0.0.1:{port}?mode=listener{query}",
    )
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_sync(lambda: _is_bound(port))
        yield port, process
    finally:
        process.kill()
        process.wait()


def _is_bound(port: int) -> bool:
    return any(f":{port:04X} " in line for line in Path("/proc/net/udp").read_text().splitlines())


async def test_srt_is_pulled_and_its_secrets_are_in_nobodys_sight() -> None:
    secrets = "passphrase=s3cretPassphrase&streamid=s3cretId"
    with srt_server("&passphrase=s3cretPassphrase") as (port, _):
        async with pulling(PullInput(f"srt://127.0.0.1:{port}?{secrets}")) as pulled:
            await pulled.has(VIDEO, AUDIO)
            argv = pulled.argv()
    assert "s3cret" not in argv
    assert_in_order(pulled)


async def test_an_srt_source_that_freezes_ends_the_attempt() -> None:
    with srt_server() as (port, server):
        async with pulling(PullInput(f"srt://127.0.0.1:{port}")) as pulled:
            await pulled.has(VIDEO)
            server.send_signal(signal.SIGSTOP)
            await pulled.end()
