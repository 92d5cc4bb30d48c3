import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from streamd.supervision import process
from streamd.supervision import protocol as supervisor_protocol
from streamd.supervision.protocol import pid_address


def test_the_token_is_the_one_that_specs_hold() -> None:
    assert supervisor_protocol.PID_ADDRESS == process.PID_ADDRESS


@given(st.integers(1, 2**22))
def test_every_pid_has_a_loopback_address_of_its_own(pid: int) -> None:
    address = ipaddress.IPv4Address(pid_address(pid))
    assert address.is_loopback
    assert int(address) - int(ipaddress.IPv4Address("127.64.0.0")) == pid
