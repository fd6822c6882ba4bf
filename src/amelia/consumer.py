"""The one receive loop: lease messages, handle them, settle them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
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

_BATCH = 10  # SQS gives no more
_WAIT_SECONDS = 20
_LONGEST_PAUSE_SECONDS = 5.0
_QUIET_SECONDS = 1.0
"""A receive that has waited this long found nothing: the queue has been read to its end."""


class Consumer:
    """Several receives are kept in flight. ``run`` ends when ``stop`` is set, after what is in hand is settled.

    A handler that raises ``Unavailable`` is tried again with the same messages while nothing more is received: the
    world is away, and that is nobody's delivery attempt. Any other error counts; after ``max_receives`` of a message
    it becomes a dead letter. ``drained`` is told how many seconds ago everything was taken that was in the queue.
    """

    def __init__(
        self,
        queue: Queue,
        handle: Handler,
        *,
        in_flight: int,
        max_receives: int,
        drained: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        self._queue = queue
        self._handle = handle
        self._in_flight = in_flight
        self._max_receives = max_receives
        self._drained = drained
        self._waiting: dict[int, float] = {}
        self._emptied: dict[int, float | None] = dict.fromkeys(range(in_flight))

    async def run(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(self._in_flight):
                group.create_task(self._loop(number, stop))
            if self._drained is not None:
                group.create_task(self._tell_when_drained(self._drained, stop))

    async def _tell_when_drained(self, drained: Callable[[float], Awaitable[None]], stop: asyncio.Event) -> None:
        while not stop.is_set():
            await _sleep(_QUIET_SECONDS, stop)
            emptied = self._emptied_at()
            if emptied is not None:
                try:
                    await drained(_now() - emptied)
                except Unavailable as error:
                    log.warning("cannot say that the queue is drained: %s", error)

    def _emptied_at(self) -> float | None:
        """When no loop had anything more to take: it waits, or its last receive was no full batch and is handled."""
        now = _now()
        quiet = {number for number, since in self._waiting.items() if since <= now - _QUIET_SECONDS}
        times = [now if number in quiet else emptied for number, emptied in self._emptied.items()]
        return None if None in times else min(t for t in times if t is not None)

    async def _loop(self, number: int, stop: asyncio.Event) -> None:
        pause = 0.1
        while not stop.is_set():
            try:
                messages = await self._receive(number, stop)
                received = _now()
                if messages:
                    await self._take(number, messages, stop)
                if messages is not None and len(messages) < _BATCH:
                    self._emptied[number] = received
                pause = 0.1
            except Unavailable as error:
                log.warning("%s; trying again in %.1f s", error, pause)
                await _sleep(pause, stop)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def _receive(self, number: int, stop: asyncio.Event) -> list[Message] | None:
        """None when it was told to stop while it waited; what the queue then still hands out comes again."""
        receiving = asyncio.ensure_future(self._queue.receive(most=_BATCH, wait_seconds=_WAIT_SECONDS))
        stopping = asyncio.ensure_future(stop.wait())
        self._waiting[number] = _now()
        try:
            await asyncio.wait((receiving, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._waiting[number]
            stopping.cancel()
        if receiving.done():
            return receiving.result()
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
        return None

    async def _take(self, number: int, messages: Sequence[Message], stop: asyncio.Event) -> None:
        if len(messages) == _BATCH:
            self._emptied[number] = None
        verdicts = await self._verdicts(messages, stop)
        await self._settle(messages, verdicts)

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

    async def _settle(self, messages: Sequence[Message], verdicts: Sequence[Verdict]) -> None:
        """A failure to settle is not fatal: what is not settled comes again."""
        paired = list(zip(messages, verdicts, strict=True))
        done = [message for message, verdict in paired if verdict.kind == "done"]
        again = [message for message, verdict in paired if verdict.kind == "again"]
        if done:
            await _tried(self._queue.acknowledge(done))
            reach("acknowledged")
        if again:
            await _tried(self._queue.release(again, after_seconds=1))
        for message, verdict in paired:
            if verdict.kind == "dead":
                log.error("message %s becomes a dead letter: %s", message.id, verdict.reason)
                await _tried(self._queue.dead_letter(message, verdict.reason))


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
