"""The outbox relay: sends what is due, again and again until its outcome is recorded."""

import asyncio
import logging
from collections.abc import Sequence

from amelia.contract import codec
from amelia.errors import Malformed, Refused, Unavailable
from amelia.failpoints import reach
from amelia.ports.journal import Journal, Outgoing
from amelia.ports.queues import Announcement, Bus, Queue, Sending

log = logging.getLogger(__name__)

_BATCH = 100
_LOOK_SECONDS = 1.0
"""How often it looks without having been woken: rows fall due by themselves, and notifications may be lost."""


class Relay:
    def __init__(self, journal: Journal, commands: Queue, bus: Bus, *, resend_seconds: float) -> None:
        self._journal = journal
        self._commands = commands
        self._bus = bus
        self._resend_seconds = resend_seconds

    async def run(self, stop: asyncio.Event) -> None:
        woken = asyncio.Event()
        listening = asyncio.create_task(self._listen(woken))
        try:
            while not stop.is_set():
                woken.clear()
                if not await self._pass():
                    await _first(woken, stop, _LOOK_SECONDS)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self, woken: asyncio.Event) -> None:
        async for _ in self._journal.outbox_wakes():
            woken.set()

    async def _pass(self) -> bool:
        """Sends one batch of what is due; True when there may be more."""
        try:
            due = await self._journal.due(_BATCH, self._resend_seconds)
        except Unavailable as error:
            log.warning("the outbox cannot be read: %s", error)
            return False
        commands = [row for row in due if row.destination == "commands"]
        events = [row for row in due if row.destination == "bus"]
        await asyncio.gather(self._send(commands), self._publish(events))
        return len(due) == _BATCH

    async def _send(self, rows: Sequence[Outgoing]) -> None:
        """A new deduplication id with each publish: SQS FIFO drops a repeated one for five minutes, silently."""
        if not rows:
            return
        sendings = [
            Sending(body=row.body, group=row.workflow_id, deduplication=f"{row.id}-{row.publishes}") for row in rows
        ]
        try:
            await self._commands.send(sendings)
            reach("relayed")
        except Unavailable as error:
            log.warning("%d commands are sent again later: %s", len(rows), error)

    async def _publish(self, rows: Sequence[Outgoing]) -> None:
        """What the bus will never take is said in the log and let go: the journal still has it."""
        if not rows:
            return
        try:
            await self._bus.publish([_announcement(row) for row in rows])
            reach("relayed")
            await self._journal.settle([row.id for row in rows])
        except Unavailable as error:
            log.warning("%d events are published again later: %s", len(rows), error)
        except (Refused, Malformed) as error:
            if len(rows) > 1:
                for row in rows:
                    await self._publish([row])
                return
            log.error("the bus does not take the event %s of %s: %s", rows[0].id, rows[0].workflow_id, error)
            await self._journal.settle([rows[0].id])


def _announcement(row: Outgoing) -> Announcement:
    return Announcement(type=codec.type_of(codec.decode_event(row.body)), body=row.body.encode())


async def _first(woken: asyncio.Event, stop: asyncio.Event, seconds: float) -> None:
    waits = [asyncio.ensure_future(woken.wait()), asyncio.ensure_future(stop.wait())]
    await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
