import pytest

from streamd.playout.amf import AmfError, encode
from streamd.playout.chunks import COMMAND, COMMAND_AMF3, Message
from streamd.playout.commands import Command, command_of
from streamd.playout.tags import VIDEO

REFUSAL = Command(
    "onStatus",
    0.0,
    (None, {"level": "error", "code": "NetStream.Publish.BadName", "description": "Taken"}),
)


def test_a_command_is_read_as_it_was_written() -> None:
    message = REFUSAL.message(5)
    assert (message.stream_id, command_of(message)) == (5, REFUSAL)


def test_a_command_in_amf3_is_read_too() -> None:
    message = Message(COMMAND_AMF3, 0, 0, b"\0" + REFUSAL.message(0).body)
    assert command_of(message) == REFUSAL


def test_a_refusal_says_why() -> None:
    assert REFUSAL.is_error
    assert REFUSAL.description == "Taken (NetStream.Publish.BadName)"
    assert not REFUSAL.says_absent


def test_a_refusal_without_words_says_so() -> None:
    refusal = Command("_error", 1.0)
    assert refusal.is_error
    assert refusal.description == "no reason given"


def test_a_stream_that_is_not_there_is_told_from_other_refusals() -> None:
    assert Command("onStatus", 0.0, ({"code": "NetStream.Play.StreamNotFound"},)).says_absent


def test_media_is_no_command() -> None:
    assert command_of(Message(VIDEO, 0, 1, REFUSAL.message(0).body)) is None


@pytest.mark.parametrize("body", [b"", encode("close"), encode(1, 2), encode("close", None)])
def test_a_command_that_cannot_be_answered_is_passed_over(body: bytes) -> None:
    assert command_of(Message(COMMAND, 0, 0, body)) is None


@pytest.mark.parametrize("body", [b"\x02\xff", encode("x" * 70_000, 1)])
def test_a_command_that_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(AmfError):
        command_of(Message(COMMAND, 0, 0, body))
