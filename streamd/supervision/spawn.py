"""What a process gets between fork and exec. Stdlib only: used inside supervisord."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """Have the kernel SIGKILL the calling process as soon as `parent` has died (prctl(2)).

    Ends the process when that has happened already.

    Raises:
        OSError: the kernel refused.
    """
    number = ctypes.c_ulong(signal.SIGKILL)
    if _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def readable_fd(data: bytes) -> int:
    """Return a descriptor that reads `data` and then its end: a pipe, unless that is too short.

    A pipe forgets what was read. It holds 64 kB, and one page where a user without privileges has
    many, so what does not fit goes into an anonymous file.
    """
    reader, writer = os.pipe()
    try:
        os.set_blocking(writer, False)
        fits = not data or os.write(writer, data) == len(data)
    finally:
        os.close(writer)
    if fits:
        return reader
    os.close(reader)
    file = os.memfd_create("input", os.MFD_CLOEXEC)
    with open(file, "wb", closefd=False) as stream:
        stream.write(data)
    os.lseek(file, 0, os.SEEK_SET)
    return file
