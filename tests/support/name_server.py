"""BIND as a name server that takes updates signed with a key, as people run it."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode

from tests.support.ports import free_port
from tests.support.process import RunningProgram
from tests.support.waiting import wait_until_sync

KEY, SECRET = "streamd", "c3RyZWFtZC1rZXktb2YtdGVzdHMtMDEyMzQ1Njc4OQ=="
ZONE = "example.test"


@dataclass(frozen=True)
class NameServer:
    """A running name server of the zone `ZONE`, on loopback."""

    port: int
    log: Path

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self.port}"


@contextlib.contextmanager
def name_server(directory: Path) -> Iterator[NameServer]:
    """Run BIND, which lets `KEY` change TXT records and nothing else."""
    port = free_port()
    directory.mkdir(parents=True, exist_ok=True)
    zone = directory / "zone.db"
    zone.write_text(
        f"$TTL 60\n@ IN SOA ns.{ZONE}. admin.{ZONE}. 1 60 60 600 60\n"
        f"@ IN NS ns.{ZONE}.\nns IN A 127.0.0.1\n"
    )
    config = directory / "named.conf"
    config.write_text(f"""
options {{
  directory "{directory}"; pid-file "{directory}/named.pid";
  session-keyfile "{directory}/session.key";
  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no;
}};
controls {{ }};
key "{KEY}" {{ algorithm hmac-sha256; secret "{SECRET}"; }};
zone "{ZONE}" {{
  type primary; file "{zone}";
  update-policy {{ grant {KEY} subdomain {ZONE}. TXT; }};
}};
""")
    log = directory / "named.log"
    named = shutil.which("named", path="/usr/sbin:/usr/bin") or "named"
    with log.open("ab") as file:
        process = subprocess.Popen(
            [named, "-g", "-n", "1", "-c", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    running = NameServer(port, log)
    try:
        wait_until_sync(lambda: _answers(running), what=f"BIND to answer; {log.read_text()}")
        yield running
    finally:
        RunningProgram(process).stop()


def _answers(server: NameServer) -> bool:
    query = dns.message.make_query(ZONE, "SOA")
    try:
        answer = dns.query.tcp(query, "127.0.0.1", port=server.port, timeout=1)
    except (OSError, dns.exception.DNSException, EOFError):
        return False
    return answer.rcode() == dns.rcode.NOERROR
