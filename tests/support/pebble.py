"""Pebble: a real ACME authority for tests, with a name server that says what a test wants."""

import contextlib
import json
import os
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.ports import free_ports
from tests.support.process import RunningProgram
from tests.support.tls import authority
from tests.support.waiting import wait_until_sync

KID, HMAC_KEY = "kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
_TIMEOUT_S = 5


class _Ports(NamedTuple):
    """Where the authority and its name server listen, and where it asks for answers."""

    http: int
    tls: int
    acme: int
    management: int
    dns: int
    dns_management: int


@dataclass(frozen=True)
class Pebble:
    """A running authority.

    Attributes:
        directory: URL of its directory.
        ca_file: who vouches for its own certificate.
        http_port: where it asks for answers, in the place of port 80.
    """

    directory: str
    ca_file: Path
    http_port: int
    _management: int
    _dns_management: int
    log: Path = field(repr=False)

    def root(self) -> str:
        """Return the certificate that vouches for what it issues, as PEM."""
        return _call(f"https://127.0.0.1:{self._management}/roots/0").decode()

    def resolve(self, host: str, *addresses: str) -> None:
        """Let a name stand for these addresses, and no others."""
        self._dns("clear-a", {"host": host})
        self._dns("add-a", {"host": host, "addresses": addresses})

    def fail_to_resolve(self, host: str) -> None:
        """Let the name server fail at a name."""
        self._dns("set-servfail", {"host": host})

    def forbid(self, host: str) -> None:
        """Let a CAA record of a name forbid this authority."""
        policy = [{"tag": "issue", "value": "somebody-else.example"}]
        self._dns("add-caa", {"host": host, "policies": policy})

    def _dns(self, command: str, data: Mapping[str, Any]) -> None:
        _call(f"http://127.0.0.1:{self._dns_management}/{command}", json.dumps(data).encode())


@contextlib.contextmanager
def pebble(
    directory: Path,
    *,
    validity_s: int = 90 * 86_400,
    dns: str | None = None,
    binding: bool = False,
    refused_nonces: int = 5,
) -> Iterator[Pebble]:
    """Run an authority.

    Args:
        directory: for its files.
        validity_s: of the certificates that it issues.
        dns: HOST:PORT of the name server that it asks; None: one that knows every name.
        binding: whether it wants an account elsewhere (`KID`, `HMAC_KEY`).
        refused_nonces: of a hundred good nonces.
    """
    ports = _Ports(*free_ports(6))
    own = authority(directory)
    settings = _settings(ports, own.certificate("localhost", "127.0.0.1"), validity_s, binding)
    config = directory / "pebble.json"
    config.write_text(json.dumps({"pebble": settings}))
    log = directory / "pebble.log"
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "PEBBLE_VA_NOSLEEP": "1",
        "PEBBLE_WFE_NONCEREJECT": str(refused_nonces),
    }
    resolver = dns or f"127.0.0.1:{ports.dns}"
    issuer = ("pebble", "-strict", "-config", str(config), "-dnsserver", resolver)
    with log.open("ab") as file, contextlib.ExitStack() as running:
        for argv in (_name_server(ports), issuer):
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment
            )
            running.callback(RunningProgram(process).kill)
        url = f"https://127.0.0.1:{ports.acme}/dir"
        found = Pebble(url, own.ca_file, ports.http, ports.management, ports.dns_management, log)
        wait_until_sync(lambda: _answers(found), what=f"pebble to answer; {log}")
        yield found


def _settings(
    ports: _Ports, certificate: tuple[Path, Path], validity_s: int, binding: bool
) -> dict[str, Any]:
    chain, key = certificate
    return {
        "listenAddress": f"127.0.0.1:{ports.acme}",
        "managementListenAddress": f"127.0.0.1:{ports.management}",
        "certificate": str(chain),
        "privateKey": str(key),
        "httpPort": ports.http,
        "tlsPort": ports.tls,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": binding,
        "externalAccountMACKeys": {KID: HMAC_KEY} if binding else {},
        "certificateValidityPeriod": validity_s,
    }


def _name_server(ports: _Ports) -> tuple[str, ...]:
    """Return the command of the name server, which answers no challenge itself."""
    return (
        *("pebble-challtestsrv", "-defaultIPv6", "", "-defaultIPv4", "127.0.0.1"),
        *("-dns01", f"127.0.0.1:{ports.dns}", "-management", f"127.0.0.1:{ports.dns_management}"),
        *("-http01", "", "-https01", "", "-tlsalpn01", ""),
    )


def _answers(found: Pebble) -> bool:
    try:
        _call(found.directory)
        found.resolve("ready.example.test", "127.0.0.1")
    except OSError:
        return False
    return True


def _call(url: str, data: bytes | None = None) -> bytes:
    """Ask pebble or its name server, which is on this machine, so that nothing is verified."""
    context = ssl._create_unverified_context() if url.startswith("https:") else None
    with urllib.request.urlopen(url, data, timeout=_TIMEOUT_S, context=context) as answer:
        content: bytes = answer.read()
    return content
