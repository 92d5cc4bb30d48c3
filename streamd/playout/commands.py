"""The commands of RTMP: what a client asks, and what a server answers. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from streamd.playout import amf
from streamd.playout.amf import AmfError, AmfValue
from streamd.playout.chunks import COMMAND, COMMAND_AMF3, Message

_LONGEST_COMMAND = 65_536


@dataclass(frozen=True, slots=True)
class Command:
    """A command; an answer has the transaction of what it answers."""

    name: str
    transaction: float
    values: tuple[AmfValue, ...] = ()

    def message(self, stream_id: int) -> Message:
        """Return it as a message.

        Args:
            stream_id: the message stream that it is about; 0 is the connection.
        """
        body = amf.encode(self.name, self.transaction, *self.values)
        return Message(COMMAND, 0, stream_id, body)

    @property
    def info(self) -> Mapping[str, AmfValue]:
        """What it says about itself: the last value that is an object, `{}` without one."""
        objects = (value for value in reversed(self.values) if isinstance(value, dict))
        return next(objects, {})

    @property
    def code(self) -> str:
        """What happened, such as `NetStream.Publish.Start`."""
        return str(self.info.get("code", ""))

    @property
    def description(self) -> str:
        """What happened in the server's own words, with the code behind them."""
        words = str(self.info.get("description") or "no reason given")
        return f"{words} ({self.code})" if self.code else words

    @property
    def is_error(self) -> bool:
        """Tell whether it refuses something."""
        return self.name == "_error" or self.info.get("level") == "error"

    @property
    def says_absent(self) -> bool:
        """Tell whether there is no such stream to play."""
        return self.code.endswith(".StreamNotFound")


def command_of(message: Message) -> Command | None:
    """Return the command that a message is; None for what is none, or none that can be answered.

    Raises:
        AmfError: it is a command that cannot be read.
    """
    if message.kind not in (COMMAND, COMMAND_AMF3):
        return None
    # In AMF3 a command is AMF0 behind a byte of its own.
    body = message.body[1:] if message.kind == COMMAND_AMF3 else message.body
    if len(body) > _LONGEST_COMMAND:
        raise AmfError(f"a command of {len(body)} bytes")
    match amf.decode(body):
        case [str(name), float(transaction), *values]:
            return Command(name, transaction, tuple(values))
    return None
