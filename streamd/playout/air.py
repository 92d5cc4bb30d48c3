"""Where inputs bring what they have: the program, and what is known of it outside."""

import asyncio
import time
from dataclasses import dataclass, field
from random import Random

from streamd.playout.outbox import Outbox
from streamd.playout.program import Program
from streamd.playout.run import Run
from streamd.playout.sieve import Sieve
from streamd.playout.spec import PlayoutSpec, kind_of
from streamd.playout.tags import Tag
from streamd.stderr_log import Say

_LIVE = ("ingest", "pull")

_MENDED_S = 10.0
"""An input that sent nothing malformed for as long counts as mended."""

_TOGETHER_S = 0.05
"""What is due within as short a time is sent together: it halves the cost of a playout."""


@dataclass(slots=True)
class State:
    """What an input says of itself, for the report.

    Attributes:
        item: the file that it plays.
        mode: `copy`, or `transcode` and why.
        skipped: why, of each file that cannot be played.
        error: what is wrong with it.
    """

    item: str | None = None
    mode: str | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    error: str | None = None


class Air:
    """The program and its queue, in real time.

    Args:
        spec: of the playout.
        say: its log.
        random: for waits and shuffles.

    Attributes:
        flows: whoever can wait holds back what it has while this is not set: nobody takes it.
        changed: set when another input may have to run, or another one is on air.
        has_media: set when something was put into the queue.
        put_at: when that was, monotonic seconds.
        publish_error: why nothing can be published; None when it can.
        throw_outs: when the server ended a publish, lately and without having been away.
    """

    def __init__(self, spec: PlayoutSpec, say: Say, random: Random) -> None:
        kinds = [kind_of(each) for each in spec.inputs]
        self.spec = spec
        self.say = say
        self.random = random
        self.program = Program(kinds, time.monotonic())
        self.outbox = Outbox()
        self.flows = asyncio.Event()
        self.flows.set()
        self.changed = asyncio.Event()
        self.has_media = asyncio.Event()
        self.put_at = 0.0
        self.publish_error: str | None = None
        self.throw_outs: tuple[float, ...] = ()
        self.ports = tuple(Port(self, at, kind) for at, kind in enumerate(kinds))

    @property
    def on_air(self) -> int | None:
        """The input whose media is sent now; None where there is none."""
        choice = self.program.choice
        return choice.on_air if choice.has_media(time.monotonic()) else None

    @property
    def shown(self) -> Run | None:
        """What is on air and no slate, once all is known that a slate has to be like."""
        at = self.on_air
        if at is None or self.ports[at].kind == "slate":
            return None
        run = self.program.run(at)
        return run if run.is_known else None

    def put(self, tags: list[Tag]) -> None:
        """Have tags sent."""
        if tags:
            self.outbox.put(tags)
            self.put_at = time.monotonic()
            self.has_media.set()

    def publishing(self, error: str | None) -> None:
        """Note that something can be published again, or why it cannot."""
        self.publish_error = error
        if error is None:
            self.flows.set()
        else:
            self.flows.clear()
        self.program.choice.hold(time.monotonic(), held=error is not None)
        self.changed.set()

    async def direct(self) -> None:
        """Tell the inputs again and again which of them have to run."""
        choice = self.program.choice
        while True:
            now = time.monotonic()
            self.changed.clear()
            for port in self.ports:
                if choice.wanted(port.at, now):
                    port.wanted.set()
                else:
                    port.rest()
            try:
                async with asyncio.timeout(choice.next_look(now) - now):
                    await self.changed.wait()
            except TimeoutError:
                continue


class Port:
    """One input's way to the program.

    Attributes:
        at: its place in the spec.
        kind: of the input.
        wanted: set while it has to run.
        state: for the report.
        sieve: of what it has sent since it began.
        air: where it leads to.
    """

    def __init__(self, air: Air, at: int, kind: str) -> None:
        self.air = air
        self.at = at
        self.kind = kind
        self.wanted = asyncio.Event()
        self.state = State()
        self.sieve = Sieve()
        self._damage: str | None = None
        self._damaged_at = 0.0

    @property
    def is_on_air(self) -> bool:
        """Tell whether what it has is sent now."""
        return self.air.on_air == self.at

    def fail(self, error: str) -> None:
        """Note what is wrong with the input."""
        if self.state.error != error:
            self.state.error = error
            self.air.say("error", error)

    def mend(self, message: str) -> None:
        """Note that nothing is wrong with it any more."""
        if self.state.error is not None:
            self.state.error = None
            self.air.say("info", message)

    def rest(self) -> None:
        """Let a pull end that does not have to run: an earlier input is good, so nothing is wrong.

        A slate is fitted meanwhile, and what keeps it from that is told beforehand.
        """
        self.wanted.clear()
        if self.kind == "pull":
            self.state.error = None

    def begin(self) -> None:
        """Note that what comes next has nothing to do with what came before."""
        self.air.program.begin(self.at)
        self.sieve = Sieve()

    def offer(self, tag: Tag) -> None:
        """Bring a tag. What is malformed goes no further."""
        faults = self.sieve.faults
        passes = self.sieve.passes(tag)
        if self.sieve.faults > faults:
            self._note_damage()
        elif self._damage is not None:
            self._note_mended()
        if passes:
            self._offer(tag)

    def _note_damage(self) -> None:
        self._damaged_at = time.monotonic()
        if self.kind in _LIVE and self._damage is None:
            self._damage = f"input {self.at} ({self.kind}) sends {self.sieve.fault}: it is left out"
            self.fail(self._damage)
        elif self.sieve.faults == 1 and self.kind not in _LIVE:
            self.air.say("warning", f"{self.state.item}: left out {self.sieve.fault}")

    def _note_mended(self) -> None:
        if time.monotonic() - self._damaged_at < _MENDED_S:
            return
        if self.state.error == self._damage:
            self.mend(f"input {self.at} ({self.kind}): sends nothing malformed any more")
        self._damage = None

    def _offer(self, tag: Tag) -> None:
        program, before = self.air.program, self.air.program.choice.on_air
        self.air.put(program.offer(self.at, tag, time.monotonic()))
        if program.choice.on_air != before or tag.is_sequence_end:
            self.air.changed.set()

    def end(self) -> None:
        """Note that what it had is over, or that it could not begin."""
        self.air.program.choice.ended(self.at)
        self.air.changed.set()

    async def pace(self, tag: Tag, *, ahead_s: float = 0.0) -> None:
        """Wait until the next tag is due, of an input that has more than it may send now.

        Args:
            tag: to be offered then.
            ahead_s: how much earlier it may be sent.
        """
        while True:
            if self.kind == "files":
                await self.wanted.wait()
                await self.air.flows.wait()
            now = time.monotonic()
            early_s = self.air.program.due(self.at, tag, now) - ahead_s - now
            if early_s <= 0:
                return
            await asyncio.sleep(max(early_s, _TOGETHER_S))

    async def until_over(self) -> None:
        """Wait until all that was sent is due."""
        now = time.monotonic()
        await asyncio.sleep(max(0.0, self.air.program.over_at(now) - now))
