"""A bus and queues that deliver twice, late, in no order and sometimes not at all."""

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from itertools import count
from random import Random
from typing import Any

import msgspec

from amelia.contract.ids import new_id
from amelia.errors import Unavailable
from amelia.ports.queues import Announcement, Message, Sending


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """``copies`` at most of each message; ``loss`` and ``throttled`` are probabilities."""

    copies: int = 3
    delay_seconds: float = 0.05
    loss: float = 0.0
    throttled: float = 0.0


class FaultyQueue:
    """Implements ``ports.queues.Queue``. What is received and not settled comes again after ``visibility`` seconds.
    That there is nothing is said after ``patience`` seconds: no lease is overdue and no gap is closed before that."""

    def __init__(self, chance: Random, faults: Faults, *, visibility: float = 2.0, patience: float = 0.3) -> None:
        self._chance = chance
        self._faults = faults
        self._visibility = visibility
        self._patience = patience
        self._ready: list[Message] = []
        self._out: dict[str, asyncio.TimerHandle] = {}
        self._under_way: set[asyncio.TimerHandle] = set()
        self._turns: deque[asyncio.Future[None]] = deque()
        self._numbers = count(1)
        self.carried: list[str] = []
        self.lost = 0
        self.dead: list[tuple[Message, str]] = []

    @property
    def idle(self) -> bool:
        return not (self._ready or self._out or self._under_way)

    def carry(self, body: str, group: str = "") -> None:
        self.carried.append(body)
        if self._chance.random() < self._faults.loss:
            self.lost += 1
            return
        for _ in range(self._chance.randint(1, self._faults.copies)):
            number = str(next(self._numbers))
            message = Message(id=number, body=body, receipt=number, group=group, receives=0)
            self._later(self._chance.uniform(0, self._faults.delay_seconds), message)

    def carry_all_again(self) -> None:
        for body in list(self.carried):
            self._later(self._chance.uniform(0, self._faults.delay_seconds), self._again(body))

    def lose_everything(self) -> None:
        self.lost += len(self._ready) + len(self._under_way) + len(self._out)
        self._ready.clear()
        for handle in (*self._under_way, *self._out.values()):
            handle.cancel()
        self._under_way.clear()
        self._out.clear()

    async def receive(self, *, most: int, wait_seconds: int) -> list[Message]:
        if not self._ready:
            await self._turn(min(wait_seconds, self._patience))
        taken, self._ready = self._ready[:most], self._ready[most:]
        received = [msgspec.structs.replace(m, receives=m.receives + 1) for m in taken]
        loop = asyncio.get_running_loop()
        for message in received:
            self._out[message.receipt] = loop.call_later(self._visibility, self._back, message)
        return received

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._forget(message)

    async def release(self, messages: Sequence[Message], after_seconds: int) -> None:
        for message in messages:
            self._forget(message)
            self._later(after_seconds, message)

    async def hold(self, messages: Sequence[Message]) -> None:
        loop = asyncio.get_running_loop()
        for message in messages:
            if message.receipt in self._out:
                self._out.pop(message.receipt).cancel()
                self._out[message.receipt] = loop.call_later(self._visibility, self._back, message)

    async def send(self, sendings: Sequence[Sending]) -> None:
        for sending in sendings:
            self.carry(sending.body, sending.group)

    async def dead_letter(self, message: Message, reason: str) -> None:
        self._forget(message)
        self.dead.append((message, reason))

    def _again(self, body: str) -> Message:
        number = str(next(self._numbers))
        return Message(id=number, body=body, receipt=number, receives=0)

    def _later(self, seconds: float, message: Message) -> None:
        def arrive() -> None:
            self._under_way.discard(handle)
            self._arrive(message)

        handle = asyncio.get_running_loop().call_later(seconds, arrive)
        self._under_way.add(handle)

    def _arrive(self, message: Message) -> None:
        self._ready.insert(self._chance.randint(0, len(self._ready)), message)
        self._wake()

    def _back(self, message: Message) -> None:
        self._out.pop(message.receipt, None)
        self._arrive(message)

    def _forget(self, message: Message) -> None:
        if handle := self._out.pop(message.receipt, None):
            handle.cancel()

    async def _turn(self, wait_seconds: float) -> None:
        """One waiting receive for each message, as a queue answers them: the others go on waiting."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        try:
            async with asyncio.timeout(wait_seconds):
                await turn
        except TimeoutError:
            return
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._wake()
            raise

    def _wake(self) -> None:
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                return


class FaultyBus:
    """Implements ``ports.queues.Bus`` as EventBridge with one rule: wraps, writes the JSON anew, feeds the queue."""

    def __init__(self, source: str, queue: FaultyQueue | None, chance: Random, faults: Faults) -> None:
        self._source = source
        self._queue = queue
        self._chance = chance
        self._faults = faults
        self.published: list[str] = []

    async def publish(self, messages: Sequence[Announcement]) -> None:
        throttled = self._chance.random() < self._faults.throttled
        taken = messages[: self._chance.randrange(len(messages))] if throttled else messages
        for message in taken:
            body = self._wrapped(message)
            self.published.append(message.type)
            if self._queue is not None:
                self._queue.carry(body)
        if throttled:
            raise Unavailable("the bus asks for patience; try again")

    def _wrapped(self, message: Announcement) -> str:
        outer = {
            "version": "0",
            "id": new_id(),
            "detail-type": message.type,
            "source": self._source,
            "account": "000000000000",
            "resources": [],
            "detail": json.loads(message.body),
        }
        indent, ascii_only = self._chance.choice((None, 1, 3)), self._chance.random() < 0.5
        return json.dumps(self._shuffled(outer), indent=indent, ensure_ascii=ascii_only)

    def _shuffled(self, value: Any) -> Any:
        if isinstance(value, dict):
            names = self._chance.sample(list(value), len(value))
            return {name: self._shuffled(value[name]) for name in names}
        return [self._shuffled(item) for item in value] if isinstance(value, list) else value
