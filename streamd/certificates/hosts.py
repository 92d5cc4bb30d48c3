"""What names stand for, and which addresses this machine has."""

import ipaddress
import socket
from pathlib import Path

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_FIB_TRIE = Path("/proc/net/fib_trie")
_IF_INET6 = Path("/proc/net/if_inet6")


def resolve(name: str) -> tuple[str, ...]:
    """Return the addresses of a name as this machine finds them; none where it does not. Blocks."""
    try:
        found = socket.getaddrinfo(name.removeprefix("*."), None, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def own_addresses() -> tuple[str, ...]:
    """Return the addresses of this machine, without those that only it can reach."""
    found: list[_Address] = [*_own_ipv4(), *_own_ipv6()]
    return tuple(
        str(each)
        for each in dict.fromkeys(found)
        if not (each.is_loopback or each.is_link_local or each.is_unspecified)
    )


def _own_ipv4() -> list[ipaddress.IPv4Address]:
    """Read the kernel's routing tree: an address stands above its `/32 host LOCAL`."""
    try:
        lines = _FIB_TRIE.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
    found, last = [], ""
    for line in lines:
        words = line.split()
        if words[:1] == ["|--"]:
            last = words[1]
        elif words == ["/32", "host", "LOCAL"]:
            found.append(ipaddress.IPv4Address(last))
    return found


def _own_ipv6() -> list[ipaddress.IPv6Address]:
    try:
        lines = _IF_INET6.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
    return [ipaddress.IPv6Address(bytes.fromhex(line[:32])) for line in lines]
