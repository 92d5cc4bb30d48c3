"""What the kernel says of a process by its pid."""

from pathlib import Path

from tests.support.waiting import wait_until


def command_line(pid: int) -> list[str]:
    """Return the argv of a process as everybody on the machine sees it."""
    return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")[:-1]


def environment(pid: int) -> dict[str, str]:
    """Return the environment of a process."""
    text = Path(f"/proc/{pid}/environ").read_text(encoding="utf-8")
    return dict(entry.split("=", 1) for entry in text.split("\0") if entry)


def children_of(pid: int) -> list[int]:
    """Return the pids of a process's children."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    return [int(child) for child in text.split()]


def is_alive(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


async def wait_until_gone(pid: int) -> None:
    """Wait until a process has exited."""
    await wait_until(lambda: not is_alive(pid), what=f"process {pid} to exit")
