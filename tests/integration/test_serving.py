"""Finished recordings, as the media servers serve them."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from streamd.certificates import pem
from streamd.machine import find_machine
from streamd.recordings.places import served_directory
from streamd.recordings.serving import serve_recordings, withhold
from tests.support.engines import RunningServer, running_server
from tests.support.media import clip, decoded_frames, ffmpeg_path
from tests.support.ports import free_port
from tests.support.waiting import wait_until

# What a stream can be called, and a recording after it.
BELOW = "lot/west/a~b.c=d+e@f,g:h-1/2026-11-23/013000Z-0f6bd3a1"


@pytest.fixture(params=[pytest.param("srs", marks=pytest.mark.srs), pytest.param("nginx-rtmp")])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunningServer]:
    if request.param == "srs":
        binary = request.getfixturevalue("srs_binary")
    else:
        binary = find_machine().engines.get("nginx-rtmp")
        assert binary is not None, "the tests need nginx with its RTMP module"
    https = {"https": free_port(), "certificate": certificate(tmp_path)}
    async with running_server(tmp_path, request.param, binary, **https) as running:
        yield running


def certificate(directory: Path) -> tuple[str, str]:
    """Write a certificate that nobody has signed."""
    made = pem.self_signed(pem.make_key("rsa"), ("localhost",), time.time())
    chain, key = directory / "fullchain.pem", directory / "privkey.pem"
    chain.write_text(made.fullchain)
    key.write_text(made.key)
    return str(chain), str(key)


@dataclass
class Served:
    """A recording that is served, and one that is not."""

    server: RunningServer
    servers: Path
    recording: Path
    links: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.spec.http}/recordings/archive/{BELOW}"

    async def raw(self, target: str, *headers: str, method: str = "GET") -> bytes:
        """Ask for a target as it is written, and return all that is answered."""
        lines = (f"{method} {target} HTTP/1.1", "Host: h", *headers, "Connection: close", "", "")
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.spec.http)
        writer.write("\r\n".join(lines).encode())
        try:
            return await asyncio.wait_for(reader.read(1 << 24), 10)
        finally:
            writer.close()


@pytest.fixture
def served(server: RunningServer, tmp_path: Path) -> Served:
    recording = tmp_path / "srv/archive" / BELOW
    recording.mkdir(parents=True)
    (recording / "index.mp4").write_bytes(clip().read_bytes())
    (recording / "recording.json").write_text('{"private": true}')
    subprocess.run(
        (ffmpeg_path(), "-v", "error", "-i", str(clip()), "-c", "copy", "-f", "hls",
         "-hls_time", "2", "-hls_list_size", "0", str(recording / "index.m3u8")),
        check=True,
    )  # fmt: skip
    servers = server.directory.parent
    serve_recordings(servers, {server.spec.name: ["archive"]})
    links = Path(served_directory(str(servers), server.spec.name, "archive"), BELOW)
    links.mkdir(parents=True)
    for file in recording.iterdir():
        if file.suffix != ".json":
            (links / file.name).symlink_to(file)
    return Served(server, servers, recording, links)


async def test_an_mp4_is_served_whole_and_in_parts(served: Served) -> None:
    content = (served.recording / "index.mp4").read_bytes()
    over_tls = served.address.replace("http://", "https://").replace(
        f":{served.server.spec.http}/", f":{served.server.spec.https}/"
    )
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as client:
        for address in (served.address, over_tls):
            async with client.get(f"{address}/index.mp4") as answer:
                assert (answer.status, answer.content_type) == (200, "video/mp4")
                assert await answer.read() == content
            for part, found in (
                ("100-199", content[100:200]),
                ("0-0", content[:1]),
                (f"{len(content) - 10}-", content[-10:]),
            ):
                asked = {"Range": f"bytes={part}"}
                async with client.get(f"{address}/index.mp4", headers=asked) as answer:
                    assert answer.status == 206
                    assert await answer.read() == found
                    told = answer.headers["Content-Range"]
                    assert told.endswith(f"/{len(content)}")
            async with client.get(f"{address}/recording.json") as answer:
                assert answer.status == 404


async def test_hls_is_served_and_plays(served: Served) -> None:
    async with aiohttp.ClientSession() as client:
        async with client.get(f"{served.address}/index.m3u8") as answer:
            assert answer.content_type == "application/vnd.apple.mpegurl"
            assert await answer.read() == (served.recording / "index.m3u8").read_bytes()
        async with client.get(f"{served.address}/index0.ts") as answer:
            assert answer.content_type.lower() == "video/mp2t"
    frames = await asyncio.to_thread(decoded_frames, f"{served.address}/index.m3u8")
    assert frames == await asyncio.to_thread(decoded_frames, str(clip()))


async def test_a_recording_of_many_hours_is_served_to_its_last_byte(served: Served) -> None:
    size = 5 * 2**30
    large = served.recording / "large.mp4"
    with large.open("wb") as file:
        file.write(clip().read_bytes())
        file.truncate(size)
        file.seek(size - 4)
        file.write(b"last")
    (served.links / "large.mp4").symlink_to(large)
    asked = {"Range": f"bytes={size - 8}-"}
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"{served.address}/large.mp4", headers=asked) as answer,
    ):
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes {size - 8}-{size - 1}/{size}"
        assert await answer.read() == bytes(4) + b"last"


async def test_nothing_else_is_served(served: Served) -> None:
    (served.servers / "outside.mp4").write_text("OUTSIDE")
    conf = "srs.conf" if served.server.spec.engine == "srs" else "nginx.conf"
    root = f"/recordings/archive/{BELOW}"
    for target in (
        f"{root}/recording.json",
        f"{root}/index.mp4/../recording.json",
        f"{root}/",
        root,
        "/recordings/",
        "/recordings",
        "/recordings/archive/",
        "/recordings/../../outside.mp4",
        f"/recordings/../../{conf}",
        f"/recordings/%2e%2e/%2e%2e/{conf}",
        f"/recordings/..%2f..%2f{conf}",
        f"{root}/../../../../../../../{conf}",
        f"{root}/..%2f..%2f..%2f..%2f..%2f..%2f..%2foutside.mp4",
        "/recordings/archive/.spool/index.mp4",
        f"{root}/index.mp4%00.ts",
        "/served/archive/index.mp4",
    ):
        answer = await served.raw(target)
        status = answer.split(b" ", 2)[1:2]
        assert status != [b"200"], target
        for private in (b"private", b"OUTSIDE", b"worker_connections", b"max_connections", b".mp4"):
            assert private not in answer, target
    assert b" 200 " in (await served.raw(f"{root}/index.mp4")).split(b"\r\n")[0]


async def test_what_is_withheld_is_gone_at_once_and_the_server_stays(served: Served) -> None:
    await asyncio.to_thread(withhold, served.servers, served.server.spec.name, "archive")
    async with aiohttp.ClientSession() as client:

        async def is_gone() -> bool:
            async with client.get(f"{served.address}/index.mp4") as answer:
                return answer.status == 404

        await wait_until(is_gone, what="the recording to be gone")
    assert served.recording.joinpath("index.mp4").exists()


async def test_parts_that_are_none_do_no_harm(served: Served) -> None:
    root = f"/recordings/archive/{BELOW}/index.mp4"
    for asked in ("bytes=99999999999-", "bytes=5-1", "bytes=abc", "bytes=", "bytes=0-1,5-6", "x"):
        await served.raw(root, f"Range: {asked}")
    await served.raw(root, method="POST")
    await served.raw(root, method="DELETE")
    assert b" 200 " in (await served.raw(root)).split(b"\r\n")[0]
    assert served.recording.joinpath("index.mp4").exists()
