"""SQS and EventBridge: at least once, at most never, in whatever order."""

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from amelia.errors import Unavailable
from amelia.ports.queues import Announcement, Message, Sending

if TYPE_CHECKING:
    from .machine import Machine
    from .world import World

VISIBILITY_SECONDS = 10.0


class Entry(msgspec.Struct, kw_only=True):
    id: str
    body: str
    group: str
    visible_at: float
    receives: int = 0
    receipt: str = ""


class SimQueue:
    """A FIFO queue holds back a group while a message of it is out, and drops a deduplication id it has seen."""

    def __init__(self, world: "World", name: str, *, fifo: bool) -> None:
        self.world = world
        self.name = name
        self.entries: list[Entry] = []
        self._fifo = fifo
        self._numbers = 0
        self._seen: set[str] = set()
        self._waiting: list[asyncio.Future[None]] = []

    def put(self, body: str, group: str = "", *, deduplication: str = "", after: float = 0) -> None:
        if deduplication and self._fifo:
            if deduplication in self._seen:
                return
            self._seen.add(deduplication)
        self._numbers += 1
        entry = Entry(id=f"{self.name}-{self._numbers}", body=body, group=group, visible_at=_now() + after)
        self.entries.append(entry)
        self._wake_all()

    def lose_everything(self) -> None:
        self.world.trace("emptied", self.name, str(len(self.entries)))
        for entry in self.entries:
            if (self.name, entry.body) in self.world.poison:
                del self.world.poison[self.name, entry.body]
                self.world.lost.add((self.name, entry.body))
        self.entries.clear()

    async def receive(self, most: int, wait_seconds: float) -> list[Message]:
        deadline = _now() + wait_seconds
        while True:
            taken = self._take(most)
            left = deadline - _now()
            if taken or left <= 0:
                return taken
            hidden = [entry.visible_at - _now() for entry in self.entries if entry.visible_at > _now()]
            arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(arrived)
            timer = asyncio.get_running_loop().call_later(min([left, *hidden]) + 1e-6, _wake, arrived)
            try:
                await arrived
            finally:
                timer.cancel()

    def _wake_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for arrived in waiting:
            _wake(arrived)

    def _take(self, most: int) -> list[Message]:
        now, held, taken = _now(), set[str](), list[Entry]()
        entries = list(self.entries)
        if not self._fifo:
            self.world.random.shuffle(entries)
        for entry in entries:
            if entry.visible_at <= now and len(taken) < most and entry.group not in held:
                taken.append(entry)
            elif self._fifo:
                held.add(entry.group)
        for entry in taken:
            entry.visible_at = now + VISIBILITY_SECONDS
            entry.receives += 1
            entry.receipt = f"{entry.id}/{entry.receives}"
        return [Message(id=x.id, body=x.body, receipt=x.receipt, receives=x.receives, group=x.group) for x in taken]

    def settle(self, messages: Sequence[Message]) -> None:
        if not self._fifo:
            for message in messages:
                self.world.watch.acknowledged(message.body)
        self.remove(messages)

    def remove(self, messages: Sequence[Message]) -> None:
        receipts = {message.receipt for message in messages}
        self.entries = [entry for entry in self.entries if entry.receipt not in receipts]
        self._wake_all()

    def bring_back(self, messages: Sequence[Message], after: float) -> None:
        receipts = {message.receipt for message in messages}
        for entry in self.entries:
            if entry.receipt in receipts:
                entry.visible_at = _now() + after
        self._wake_all()


class QueueClient:
    """A queue as one machine reaches it."""

    def __init__(self, queue: SimQueue, machine: "Machine") -> None:
        self._queue, self._machine, self._weather = queue, machine, machine.world.weather

    async def receive(self, *, most: int, wait_seconds: int) -> list[Message]:
        name = f"{self._queue.name}.receive"
        await self._machine.call(name, lambda: None, self._weather.queue_away)
        messages = await self._queue.receive(most, wait_seconds)
        return await self._machine.call(name, lambda: messages, 0, self._weather.queue_unknown)

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        await self._call("acknowledge", lambda: self._queue.settle(messages))

    async def release(self, messages: Sequence[Message], after_seconds: int) -> None:
        await self._call("release", lambda: self._queue.bring_back(messages, after_seconds))

    async def hold(self, messages: Sequence[Message]) -> None:
        await self._call("hold", lambda: self._queue.bring_back(messages, VISIBILITY_SECONDS))

    async def send(self, sendings: Sequence[Sending]) -> None:
        await self._call("send", lambda: self._send(sendings))

    async def dead_letter(self, message: Message, reason: str) -> None:
        raise AssertionError("consumers bury in the journal")

    def _send(self, sendings: Sequence[Sending]) -> None:
        world = self._machine.world
        for sending in sendings:
            if not world.strikes(self._weather.commands_dropped):
                self._queue.put(sending.body, sending.group, deduplication=sending.deduplication)
            if world.strikes(self._weather.commands_doubled):
                self._queue.put(sending.body, sending.group, after=world.random.random() * 8)

    async def _call(self, what: str, effect: Any) -> None:
        weather = self._weather
        await self._machine.call(f"{self._queue.name}.{what}", effect, weather.queue_away, weather.queue_unknown)


class BusClient:
    """The bus as one machine reaches it. What runtimes say is delivered to ``events``; the control plane's words only
    to whoever subscribes outside (``heard``)."""

    def __init__(self, machine: "Machine", events: SimQueue | None, heard: list[Announcement]) -> None:
        self._machine, self._events, self._heard = machine, events, heard

    async def publish(self, messages: Sequence[Announcement]) -> None:
        world, weather = self._machine.world, self._machine.world.weather
        take = len(messages)
        if world.strikes(weather.bus_partial):
            take = world.random.randrange(take + 1)
        await self._machine.call("bus.publish", lambda: self._deliver(messages[:take]), weather.bus_throttled)
        if take < len(messages):
            raise Unavailable("the bus took only a part")

    def _deliver(self, messages: Sequence[Announcement]) -> None:
        world, weather = self._machine.world, self._machine.world.weather
        self._heard += messages
        if self._events is None:
            return
        for message in messages:
            for _ in range(2 if world.strikes(weather.events_doubled) else 1):
                late = world.random.random() * 12 if world.strikes(weather.events_delayed) else 0.0
                if not world.strikes(weather.events_dropped):
                    self._events.put(self._wrapped(message), after=late)

    def _wrapped(self, message: Announcement) -> str:
        world = self._machine.world
        body = message.body.decode()
        if world.strikes(world.weather.events_mangled):
            return self._mangled(message.type, body)
        if world.strikes(world.weather.events_rewritten):
            return rewritten(message.type, body, world.random.random() < 0.5)
        return f'{{"version":"0","source":"amelia.runtime","detail-type":"{message.type}","detail":{body}}}'

    def _mangled(self, kind: str, body: str) -> str:
        """With an integer as a fraction, which nobody can have signed: it is poison, and is announced again."""
        detail = json.loads(body)
        mangled = json.dumps({"detail": {**detail, "attempt": float(detail["attempt"])}, "detail-type": kind})
        self._machine.world.poison["events", mangled] = None
        return mangled


def rewritten(kind: str, body: str, ascii_only: bool) -> str:
    """The same JSON in other bytes: keys in another order, blanks between, characters escaped or not."""
    outer = {"detail": _backwards(json.loads(body)), "detail-type": kind, "version": "0"}
    return json.dumps(outer, ensure_ascii=ascii_only, indent=1, separators=(" , ", " : "))


def _backwards(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _backwards(value[key]) for key in reversed(list(value))}
    return [_backwards(one) for one in value] if isinstance(value, list) else value


def _now() -> float:
    return asyncio.get_running_loop().time()


def _wake(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)
