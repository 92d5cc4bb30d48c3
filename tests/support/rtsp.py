"""A real camera, as far as RTSP goes: GStreamer's RTSP server, which sends a clip in real time."""

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from tests.support.media import clip, ffmpeg_path
from tests.support.ports import free_port
from tests.support.process import RunningProgram
from tests.support.waiting import wait_until_sync

Codec = Literal["h264", "h265"]
Sound = Literal["aac", "pcma"]

_PYTHON = "/usr/bin/python3"  # Debian's, which Debian's GStreamer is for
_LOOPS = 49
_ENCODE_TIMEOUT_S = 60

# Without sync everything would be sent at once; without `shared` each client has a clip of its own.
_SERVER = """\
import json, sys
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
given = json.loads(sys.argv[1])
Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(str(given["port"]))
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(given["launch"])
factory.set_shared(True)
if given["user"]:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(given["user"], given["password"]), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_role("viewer")
    for allowed in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role("viewer", allowed, True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory("/cam", factory)
server.attach(None)
GLib.MainLoop().run()
"""


@dataclass(frozen=True)
class Camera(RunningProgram):
    """A running RTSP server with one stream.

    Attributes:
        port: on 127.0.0.1.
    """

    port: int

    def url(self, credentials: str = "") -> str:
        """Return the address of its stream; `credentials` is `user:password`, percent-encoded."""
        return f"rtsp://{credentials}{'@' if credentials else ''}127.0.0.1:{self.port}/cam"


@contextlib.contextmanager
def camera(
    *,
    video: Codec | None = "h264",
    audio: Sound | None = None,
    user: str = "",
    password: str = "",
    port: int | None = None,
    media: Path | None = None,
) -> Iterator[Camera]:
    """Run a camera until the block ends; it listens when the block begins.

    Args:
        video: what its picture is coded as; None: it has none.
        audio: likewise of its sound; most cameras have G.711 A-law at 8 kHz.
        user: who may see it; empty: everybody.
        password: of that user.
        port: to listen at; None: a free one.
        media: an MP4 of H.264 that it shows instead of the clip.
    """
    number = port or free_port()
    given = {
        "port": number,
        "launch": _launch(video, audio, media or clip()),
        "user": user,
        "password": password,
    }
    environment = {"PATH": os.defpath, "HOME": tempfile.gettempdir()}  # where it notes its plugins
    process = subprocess.Popen(
        (_PYTHON, "-I", "-c", _SERVER, json.dumps(given)),
        stdin=subprocess.DEVNULL,
        env=environment,
    )
    running = Camera(process, number)
    try:
        wait_until_sync(lambda: _listens(running), what="the RTSP server")
        yield running
    finally:
        running.stop()


def _listens(running: Camera) -> bool:
    assert running.alive(), "tests need gir1.2-gst-rtsp-server-1.0: run `.ci/packages test`"
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", running.port)) == 0


def _launch(video: Codec | None, audio: Sound | None, media: Path) -> str:
    pieces = []
    if video is not None or audio == "aac":
        pieces.append(f"filesrc location={_film(video or 'h264', media)} ! qtdemux name=film")
    payers = 0
    if video is not None:
        pieces.append(f"film.video_0 ! queue ! rtp{video}pay name=pay0 pt=96")
        payers = 1
    if audio == "aac":
        pieces.append(f"film.audio_0 ! queue ! rtpmp4gpay name=pay{payers} pt=97")
    elif audio == "pcma":
        pieces.append(
            "audiotestsrc is-live=true samplesperbuffer=160 ! audio/x-raw,rate=8000,channels=1 "
            f"! alawenc ! rtppcmapay name=pay{payers} pt=8"
        )
    return "( " + "  ".join(pieces) + " )"


@cache
def _film(codec: Codec, media: Path) -> Path:
    """Return some media again and again, for ten minutes or less, in a codec."""
    path = clip().with_name(f"film-2-{media.stem}-{codec}.mp4")
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            if codec == "h265":
                once = path.with_suffix(".once.mp4")
                x265 = ("-preset", "ultrafast", "-x265-params", "keyint=15:log-level=none")
                _ffmpeg("-i", str(media), "-c:v", "libx265", *x265, "-c:a", "copy", str(once))
                media = once
            part = path.with_suffix(".part")
            loop = ("-stream_loop", str(_LOOPS), "-i", str(media), "-c", "copy")
            _ffmpeg(*loop, "-tag:v", "hvc1" if codec == "h265" else "avc1", "-f", "mp4", str(part))
            part.rename(path)
    return path


def _ffmpeg(*arguments: str) -> None:
    argv = (ffmpeg_path(), "-v", "error", "-nostdin", "-y", *arguments)
    subprocess.run(argv, check=True, timeout=_ENCODE_TIMEOUT_S)
