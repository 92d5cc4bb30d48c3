"""What the kernel counts of a process's input, with real processes and sockets."""

import socket
import subprocess
import sys

from streamd.backlog import with_unread_input
from tests.support.waiting import wait_until_sync

_CLIENT = """\
import socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
while sys.argv[2] == "reads" and connection.recv(65536):
    pass
sys.stdin.read()
"""


def client(port: int, how: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen((sys.executable, "-c", _CLIENT, str(port), how), stdin=subprocess.PIPE)


def test_only_who_does_not_read_has_unread_input() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with client(port, "reads") as reader, server.accept()[0] as to_reader:
            with client(port, "waits") as waiter, server.accept()[0] as to_waiter:
                both = (reader.pid, waiter.pid)
                assert with_unread_input(both) == frozenset()
                to_reader.sendall(b"x" * 1000)
                to_waiter.sendall(b"x" * 1000)
                wait_until_sync(lambda: with_unread_input(both) == {waiter.pid})
                waiter.kill()
            reader.kill()
        assert with_unread_input(both) == frozenset()
