"""A real systemd in a container: this machine's own files under a layer that is thrown away."""

import contextlib
import fcntl
import os
import shutil
import site
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import streamd
from tests.support.media import clip
from tests.support.process import RunningProgram
from tests.support.waiting import wait_until_sync

CLIP = Path("/opt/clip.mp4")
"""The clip of `tests.support.media`, inside."""

_PYTHON = Path("/usr/bin/python3")
_COMMAND_TIMEOUT_S = 90
_STOP_TIMEOUT_S = 30
_TURN = "streamd-test-machine.lock"
_SCRIPT = """\
#!/opt/streamd/bin/python
import sys
from streamd.cli import main
sys.exit(main())
"""
_TARGET = """\
[Unit]
Requires=basic.target
After=basic.target
AllowIsolate=yes
"""
_CAPABILITIES = {"CAP_SYS_ADMIN": 21, "CAP_NET_ADMIN": 12}  # to mount, and to raise a loopback
_DEVELOPMENT = ("mypy*", "ruff*", "hypothesis*", "coverage*", "*pytest*", "grimp*", "__pycache__")


def missing() -> str | None:
    """Return why no systemd can be booted here; None when one can."""
    if os.geteuid() != 0:
        return "needs root"
    lacking = [name for name, bit in _CAPABILITIES.items() if not _effective() >> bit & 1]
    if lacking:
        return f"needs {', '.join(lacking)}, which this container withholds from root"
    for program in ("systemd-nspawn", "nsenter", "mount"):
        if shutil.which(program) is None:
            return f"needs {program}"
    if not Path("/lib/systemd/systemd").exists():
        return "needs systemd"
    version = f"import sys; raise SystemExit(sys.version_info[:2] != {tuple(_version())})"
    if subprocess.run([_PYTHON, "-c", version], check=False).returncode != 0:
        return f"needs {_PYTHON} of the version that the tests run on"
    return None


def _effective() -> int:
    (line,) = (
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("CapEff:")
    )
    return int(line.split()[1], 16)


def _version() -> tuple[int, int]:
    import sys  # noqa: PLC0415 - only here

    return sys.version_info[0], sys.version_info[1]


@dataclass
class Machine:
    """A booted container. Its network is its own, with nothing but a loopback."""

    root: Path
    leader: int

    def run(self, *argv: str, check: bool = True) -> str:
        """Run a command in it as root, and return what it printed."""
        result = subprocess.run(
            [*self.enter, *argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT_S,
            check=False,
        )
        if check and result.returncode != 0:
            raise AssertionError(f"{argv} exited {result.returncode}: {result.stderr}")
        return result.stdout

    @property
    def enter(self) -> list[str]:
        """The start of a command that runs in it."""
        return ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-p", "-n", "--"]

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file in it."""
        file = Path(f"/proc/{self.leader}/root{path}")
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f".{file.name}.new")
        new.write_text(text)
        new.chmod(mode)
        new.replace(file)


@contextlib.contextmanager
def machine() -> Iterator[Machine]:
    """Boot a systemd with streamd installed in /opt/streamd, and end it afterwards.

    One at a time on this machine, since all of them would share one control group.
    """
    directory = Path(tempfile.mkdtemp(prefix="streamd-machine-"))
    mounts = contextlib.ExitStack()
    try:
        with mounts:
            turn = mounts.enter_context((Path(tempfile.gettempdir()) / _TURN).open("w"))
            fcntl.flock(turn, fcntl.LOCK_EX)
            root = _mounted(directory, mounts)
            _install(root)
            with (directory / "console.log").open("wb") as console:
                nspawn = subprocess.Popen(
                    ["systemd-nspawn", "-D", str(root), "--register=no", "--keep-unit",
                     "--private-network", "-b"],
                    stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                )  # fmt: skip
            try:
                yield _booted(root, nspawn, directory / "console.log")
            finally:
                RunningProgram(nspawn).stop(_STOP_TIMEOUT_S)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _mounted(directory: Path, mounts: contextlib.ExitStack) -> Path:
    """Lay a writable layer in memory over this machine's files."""
    _mount(mounts, directory, "-t", "tmpfs", "tmpfs")
    upper, work, root = (directory / name for name in ("upper", "work", "root"))
    for path in (upper, work, root):
        path.mkdir()
    layers = f"lowerdir=/,upperdir={upper},workdir={work}"
    _mount(mounts, root, "-t", "overlay", "overlay", "-o", layers)
    return root


def _mount(mounts: contextlib.ExitStack, place: Path, *arguments: str) -> None:
    kind, name, source, *options = arguments
    subprocess.run(["mount", kind, name, source, *options, str(place)], check=True)
    mounts.callback(subprocess.run, ["umount", "--lazy", str(place)], check=False)


def _install(root: Path) -> None:
    """Put streamd and its libraries where the README puts them, and its units."""
    prefix = root / "opt/streamd"
    subprocess.run([_PYTHON, "-m", "venv", "--without-pip", str(prefix)], check=True)
    # The interpreter is linked by its path, which is the same inside.
    (libraries,) = (prefix / "lib").glob("python3.*/site-packages")
    package = Path(streamd.__file__).parent
    ignored = shutil.ignore_patterns(*_DEVELOPMENT)
    # Debian's Python names directories that need not be there.
    for source in filter(Path.is_dir, map(Path, site.getsitepackages())):
        shutil.copytree(source, libraries, ignore=ignored, dirs_exist_ok=True)
    for path in libraries.glob("_*streamd*.pth"):
        path.unlink()
    shutil.copytree(package, libraries / "streamd", ignore=ignored, dirs_exist_ok=True)
    script = prefix / "bin/streamd"
    script.write_text(_SCRIPT)
    subprocess.run(["chmod", "-R", "go+rX", str(prefix)], check=True)
    script.chmod(0o755)
    shutil.copy(clip(), root / CLIP.relative_to("/"))
    units = root / "etc/systemd/system"
    for unit in (package.parent / "systemd").glob("*.service"):
        shutil.copy(unit, units)
    (units / "bare.target").write_text(_TARGET)
    (units / "default.target").unlink(missing_ok=True)
    (units / "default.target").symlink_to("bare.target")


def _booted(root: Path, nspawn: "subprocess.Popen[bytes]", console: Path) -> Machine:
    children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children")

    def leader() -> int:
        assert nspawn.poll() is None, console.read_text(errors="replace")
        # The first child only prepares the container; the one that becomes its init is meant.
        for child in children.read_text().split():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{child}/comm").read_text() in ("systemd\n", "init\n"):
                    return int(child)
        return 0

    booted = Machine(root, wait_until_sync(leader, what="the container's first process"))
    try:
        wait_until_sync(
            lambda: booted.run("systemctl", "is-active", "bare.target", check=False) == "active\n",
            timeout=90,
            what="systemd to boot",
        )
    except TimeoutError as error:
        said = booted.run("systemctl", "--no-pager", "list-jobs", check=False)
        log = console.read_text(errors="replace")[-2000:]
        raise AssertionError(f"systemd did not boot:\n{said}\n{log}") from error
    return booted
