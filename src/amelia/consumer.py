"""The one receive loop: lease messages, handle them, settle them."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Literal

import msgspec

from .errors import Malformed, Refused, Unavailable
from .failpoints import reach
from .ports.queues import Message, Queue

log = logging.getLogger(__name__)


class Verdict(msgspec.Struct, frozen=True):
    """``done``: never again. ``again``: later. ``dead``: to the dead letters, with the reason."""

    kind: Literal["done", "again", "dead"]
    reason: str = ""


DONE = Verdict("done")
Handler = Callable[[Sequence[Message]], Awaitable[Sequence[Verdict]]]
Bury = Callable[[Message, str], Awaitable[None]]
"""Keeps a message that is given up, with the reason. Raises ``Unavailable``."""

_BATCH = 10  # SQS gives no more
_WAIT_SECONDS = 20
_LONGEST_PAUSE_SECONDS = 5.0
_POLL_SECONDS = 2
"""How long a receive waits where it matters how far the queue has been read: only an answer says that it is empty."""
_HOLD_SECONDS = 3.0
"""What is in hand for longer is kept from coming again, as often."""


class Consumer:
    """Several receives are kept in flight. ``run`` ends when ``stop`` is set, after what is in hand is settled.

    A handler that raises ``Unavailable`` is tried again with the same messages while nothing more is received: the
    world is away, and that is nobody's delivery attempt. Any other error counts; after ``max_receives`` of a message
    it becomes a dead letter: ``bury`` takes it, and only then is it acknowledged. ``drained`` is told how many seconds
    ago everything had been taken that was sent until then: by the answer that there is nothing more, or by the age of
    what was received; a queue that does not answer is not drained. It is told every ``tell_seconds``. ``wall`` is the
    time by which messages are stamped.
    """

    def __init__(
        self,
        queue: Queue,
        handle: Handler,
        *,
        in_flight: int,
        max_receives: int,
        drained: Callable[[float], Awaitable[None]] | None = None,
        tell_seconds: float = 1.0,
        bury: Bury | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._queue = queue
        self._handle = handle
        self._in_flight = in_flight
        self._max_receives = max_receives
        self._drained = drained
        self._tell_seconds = tell_seconds
        self._bury = bury or queue.dead_letter
        self._wall = wall
        self._skew = float("inf")
        self._emptied: dict[int, float | None] = dict.fromkeys(range(in_flight))

    async def run(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(self._in_flight):
                group.create_task(self._loop(number, stop))
            if self._drained is not None:
                group.create_task(self._tell_when_drained(self._drained, stop))

    async def _tell_when_drained(self, drained: Callable[[float], Awaitable[None]], stop: asyncio.Event) -> None:
        while not stop.is_set():
            await _sleep(self._tell_seconds, stop)
            times = list(self._emptied.values())
            emptied = min((t for t in times if t is not None), default=None)
            if emptied is not None and None not in times:
                try:
                    await drained(_now() - emptied)
                except Unavailable as error:
                    log.warning("cannot say that the queue is drained: %s", error)

    async def _loop(self, number: int, stop: asyncio.Event) -> None:
        pause = 0.1
        while not stop.is_set():
            try:
                asked = _now()
                messages = await self._receive(stop)
                if messages is not None:
                    read_to = self._read_to(messages, asked)
                    await self._take(messages, stop)
                    self._emptied[number] = read_to
                pause = 0.1
            except Unavailable as error:
                log.warning("%s; trying again in %.1f s", error, pause)
                await _sleep(pause, stop)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    @property
    def _wait_seconds(self) -> int:
        return _WAIT_SECONDS if self._drained is None else _POLL_SECONDS

    def _read_to(self, messages: Sequence[Message], asked: float) -> float | None:
        """Up to when everything that was sent has been received, as far as one answer shows; None when it does not."""
        now = _now()
        if not messages:
            return min(now, asked + self._wait_seconds)
        stamps = [message.sent_at for message in messages]
        if 0 in stamps:
            return now if len(messages) < _BATCH else None
        self._skew = min(self._skew, now - max(stamps))
        age = max(self._wall() - min(stamps), now - min(stamps) - self._skew, 0)
        return now - age

    async def _receive(self, stop: asyncio.Event) -> list[Message] | None:
        """None when it was told to stop while it waited; what the queue then still hands out comes again."""
        receiving = asyncio.ensure_future(self._queue.receive(most=_BATCH, wait_seconds=self._wait_seconds))
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait((receiving, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        if receiving.done():
            return receiving.result()
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
        return None

    async def _take(self, messages: Sequence[Message], stop: asyncio.Event) -> None:
        if not messages:
            return
        async with self._held(messages):
            verdicts = await self._verdicts(messages, stop)
            paired = list(zip(messages, verdicts, strict=True))
            await self._settle([(message, verdict) for message, verdict in paired if verdict.kind != "dead"])
            dead = [(message, verdict) for message, verdict in paired if verdict.kind == "dead"]
            await self._settle([(m, await self._buried(m, v.reason, stop)) for m, v in dead])

    @asynccontextmanager
    async def _held(self, messages: Sequence[Message]) -> AsyncIterator[None]:
        """They do not come again, to somebody else, while they are in hand."""

        async def hold() -> None:
            while True:
                await asyncio.sleep(_HOLD_SECONDS)
                await _tried(self._queue.hold(messages))

        holding = asyncio.create_task(hold())
        try:
            yield
        finally:
            holding.cancel()

    async def _verdicts(self, messages: Sequence[Message], stop: asyncio.Event) -> Sequence[Verdict]:
        pause = 0.1
        while True:
            try:
                return await self._handle(messages)
            except Unavailable as error:
                if stop.is_set():
                    return [Verdict("again", str(error))] * len(messages)
                log.warning("%s; holding %d messages for %.1f s", error, len(messages), pause)
                await _sleep(pause, stop)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            except Exception as error:
                if len(messages) == 1:
                    return [_failed(messages[0], error, self._max_receives)]
                return [verdict for one in messages for verdict in await self._verdicts([one], stop)]

    async def _buried(self, message: Message, reason: str, stop: asyncio.Event) -> Verdict:
        """Done when it is kept elsewhere; until then it stays in the queue, whatever happens."""
        log.error("message %s becomes a dead letter: %s", message.id, reason)
        pause = 0.1
        while True:
            try:
                await self._bury(message, reason)
                return DONE
            except Unavailable as error:
                log.warning("%s; the dead letter %s waits", error, message.id)
                if stop.is_set():
                    return Verdict("again", str(error))
                await _sleep(pause, stop)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            except Exception:
                log.exception("message %s cannot even be buried; it stays in the queue", message.id)
                return Verdict("again", reason)

    async def _settle(self, paired: Sequence[tuple[Message, Verdict]]) -> None:
        """A failure to settle is not fatal: what is not settled comes again."""
        done = [message for message, verdict in paired if verdict.kind == "done"]
        again = [message for message, verdict in paired if verdict.kind == "again"]
        if done:
            await _tried(self._queue.acknowledge(done))
            reach("acknowledged")
        if again:
            await _tried(self._queue.release(again, after_seconds=1))


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _tried(settling: Awaitable[None]) -> None:
    try:
        await settling
    except Unavailable as error:
        log.warning("%s; the messages come again", error)


def _failed(message: Message, error: Exception, max_receives: int) -> Verdict:
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, Malformed | Refused) or message.receives >= max_receives:
        return Verdict("dead", reason)
    log.exception("message %s failed (receive %d of %d)", message.id, message.receives, max_receives, exc_info=error)
    return Verdict("again", reason)


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    """Sleeps, but not past ``stop``."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
