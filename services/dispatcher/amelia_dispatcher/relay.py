"""The outbox relay: sends what is due, again and again until its outcome is recorded."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from amelia.contract import codec
from amelia.errors import Malformed, Refused, Unavailable
from amelia.failpoints import reach
from amelia.ports.journal import Destination, Journal, Outgoing
from amelia.ports.queues import Announcement, Bus, Queue, Sending

log = logging.getLogger(__name__)

_BATCH = 100
_LOOK_SECONDS = 1.0
"""How often it looks at least without having been woken: rows fall due by themselves, and notifications may be lost."""
_LONGEST_PAUSE_SECONDS = 5.0

Send = Callable[[Sequence[Outgoing]], Awaitable[None]]
"""Raises ``Unavailable``, and nothing else that one row could cause."""


class Relay:
    """One loop for each destination, so that one that is away or slow keeps nothing from the others. ``again`` are the
    queues to which dead letters can be sent once more, besides the one of commands; ``orders`` takes CI's that are
    redriven, and ``tells`` what is for the trackers; they settle it."""

    def __init__(
        self,
        journal: Journal,
        commands: Queue,
        bus: Bus,
        *,
        resend_seconds: float,
        again: Mapping[Destination, Queue] | None = None,
        orders: Send | None = None,
        tells: Send | None = None,
    ) -> None:
        self._journal = journal
        self._bus = bus
        self._resend_seconds = resend_seconds
        self._look_seconds = min(_LOOK_SECONDS, resend_seconds)
        queues: dict[Destination, Queue] = {"commands": commands, **(again or {})}
        self._sends: dict[Destination, Send] = {one: partial(self._send, queue) for one, queue in queues.items()}
        self._sends["bus"] = self._publish
        if orders is not None:
            self._sends["ci"] = orders
        if tells is not None:
            self._sends["tracker"] = tells
        self._woken: dict[str, asyncio.Event] = {one: asyncio.Event() for one in self._sends}

    async def run(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen())
            loops = [group.create_task(self._loop(one, stop)) for one in self._sends]
            await asyncio.wait(loops)
            listening.cancel()

    async def _listen(self) -> None:
        async for named in self._journal.outbox_wakes():
            for destination, woken in self._woken.items():
                if destination in named or "" in named or not named:
                    woken.set()

    async def _loop(self, destination: Destination, stop: asyncio.Event) -> None:
        """A dependency that is away is asked ever more seldom, and is not overwhelmed when it is back."""
        pause, woken = 0.1, self._woken[destination]
        while not stop.is_set():
            woken.clear()
            try:
                more = await self._pass_one(destination, pause)
                pause = 0.1
            except Unavailable as error:
                log.warning("what is for %s goes later: %s", destination, error)
                await _first((stop,), pause * random.uniform(0.75, 1.25))  # noqa: S311 - jitter
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                continue
            if not more:
                await _first((woken, stop), self._look_seconds)

    async def _pass(self) -> bool:
        """One pass for every destination; True when there may be more."""
        more = False
        for destination in self._sends:
            try:
                more = await self._pass_one(destination, 0.1) or more
            except Unavailable as error:
                log.warning("what is for %s goes later: %s", destination, error)
        return more

    async def _pass_one(self, destination: Destination, pause: float) -> bool:
        """Sends one batch of what is due; True when there may be more. What could not be sent is due again after
        ``pause``. Raises ``Unavailable``."""
        due = await self._journal.due(_BATCH, self._resend_seconds, destination)
        if not due:
            return False
        try:
            await self._sends[destination](due)
        except Unavailable:
            await self._journal.unsent([row.id for row in due], pause)
            raise
        return len(due) >= _BATCH

    async def _send(self, queue: Queue, rows: Sequence[Outgoing]) -> None:
        """A new deduplication id with each publish: SQS FIFO drops a repeated one for five minutes, silently."""
        await queue.send([_sending(row) for row in rows])
        reach("relayed")
        if once := [row.id for row in rows if row.once]:
            await self._journal.settle(once)

    async def _publish(self, rows: Sequence[Outgoing]) -> None:
        """What the bus will never take is said in the log and let go: the journal still has it."""
        try:
            await self._bus.publish([_announcement(row) for row in rows])
            reach("relayed")
            await self._journal.settle([row.id for row in rows])
        except (Refused, Malformed) as error:
            if len(rows) > 1:
                for row in rows:
                    await self._publish([row])
                return
            log.error("the bus does not take the event %s of %s: %s", rows[0].id, rows[0].workflow_id, error)
            await self._journal.settle([rows[0].id])


def _sending(row: Outgoing) -> Sending:
    return Sending(body=row.body, group=row.workflow_id or row.id, deduplication=f"{row.id}-{row.publishes}")


def _announcement(row: Outgoing) -> Announcement:
    return Announcement(type=codec.type_of(codec.decode_event(row.body)), body=row.body.encode())


async def _first(events: Sequence[asyncio.Event], seconds: float) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
