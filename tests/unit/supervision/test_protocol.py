import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from streamd.supervision.protocol import pid_address, spawned


def test_a_start_is_told_by_the_clock_and_the_pid() -> None:
    assert spawned(4242, 1_795_397_400_123_456_789) == "20261123T013000.123456Z-4242"
    assert spawned(1, 999) == "19700101T000000.000000Z-1"


@given(st.integers(1, 2**22))
def test_every_pid_has_a_loopback_address_of_its_own(pid: int) -> None:
    address = ipaddress.IPv4Address(pid_address(pid))
    assert address.is_loopback
    assert int(address) - int(ipaddress.IPv4Address("127.64.0.0")) == pid
