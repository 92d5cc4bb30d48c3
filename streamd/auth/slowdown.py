"""Guessing keys is made slow, for the address that guesses and for nobody else."""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

FREE_FAILURES = 3
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 5.0
FORGOTTEN_AFTER_S = 300.0
ADDRESSES_KEPT = 4096


@dataclass(frozen=True, slots=True)
class _Failures:
    count: int
    last_at: float


class Slowdown:
    """Counts failures by address and says how long each answer is to be held back.

    The first three answers come at once; then 0.5 s, doubling up to 5 s, until five minutes have
    passed without a failure. Only what is refused is held back, so that a wrong encoder costs the
    right ones behind the same address nothing. The least lately seen of more than 4096 addresses
    is forgotten. IPv6 addresses count by their /64, which is what one customer gets.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def failed(self, address: str, now_s: float) -> float:
        """Count a failure, and return for how many seconds its answer is to be held back.

        Args:
            address: the client's IP address; any other text counts as it stands.
            now_s: monotonic time.
        """
        network = _network(address)
        before = self._failures.pop(network, None)
        if before is None or now_s - before.last_at >= FORGOTTEN_AFTER_S:
            count = 1
        else:
            count = before.count + 1
        self._failures[network] = _Failures(count, now_s)
        while len(self._failures) > ADDRESSES_KEPT:
            self._failures.popitem(last=False)
        if count <= FREE_FAILURES:
            return 0.0
        doublings = min(count - FREE_FAILURES - 1, 16)
        return min(FIRST_DELAY_S * float(2**doublings), LONGEST_DELAY_S)


def _network(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:64]
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((int(parsed), 64), strict=False))
