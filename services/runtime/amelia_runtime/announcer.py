"""Says on the bus what a run has to say: numbered, signed, in order, and again until the bus has taken it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from amelia.contract.codec import encode, type_of
from amelia.contract.envelope import Event
from amelia.contract.events import RuntimeHeartbeat
from amelia.contract.ids import new_id
from amelia.contract.invocation import Invocation
from amelia.contract.signature import sign
from amelia.contract.workflow import Money
from amelia.errors import AmeliaError, Refused, Unavailable
from amelia.failpoints import reach
from amelia.ports.queues import Announcement, Bus

from .backlog import Backlog, Fact, Progress

BATCH = 10
"""What one ``PutEvents`` takes."""

ROOM = 2_000
REFUSALS = 8
"""How often a fact may be refused before the attempt is given up: what refuses it may be a permission being changed."""


log = logging.getLogger(__name__)


class _Numbered(msgspec.Struct, frozen=True, kw_only=True):
    """Has one of the two numbers."""

    announcement: Announcement
    fact: int = 0
    ordinal: int = 0


class BusAnnouncer:
    """Implements ``ports.agents.Announcer`` for one attempt. Everything is called on one event loop.

    ``pauses``: seconds before the bus is tried again, the last one for ever. ``used``: what the attempt has spent so
    far, for the heartbeats.
    """

    def __init__(
        self,
        bus: Bus,
        invocation: Invocation,
        *,
        pauses: Sequence[float] = (0.1, 0.3, 1, 3, 5),
        room: int = ROOM,
        used: Callable[[], Money] = Money,
    ) -> None:
        self._bus = bus
        self._invocation = invocation
        self._key = bytes.fromhex(invocation.signing_key)
        self._pauses = pauses
        self._used = used
        self._backlog = Backlog(room)
        self._known: dict[int, Fact] = {}
        self._last_fact = self._said_fact = invocation.highest_fact
        self._ordinal = self._said_ordinal = invocation.highest_ordinal
        self._waiting = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._broken: AmeliaError | None = None
        self._closed = False
        self._sender: asyncio.Task[None] | None = None
        self._heart: asyncio.Task[None] | None = None

    @property
    def last_fact(self) -> int:
        """The highest fact handed in, on the bus or not."""
        return self._last_fact

    async def facts(self, facts: Sequence[Event]) -> None:
        """Returns at once. A fact that was handed in before is not said again: that is what ``repeat`` is for."""
        for fact in facts:
            if fact.fact not in self._known:
                self._known[fact.fact] = Fact(number=fact.fact, announcement=self._announcement(self._stamped(fact)))
                self._add(self._known[fact.fact])
                self._last_fact = max(self._last_fact, fact.fact)

    def progress(self, event: Event) -> None:
        self._add(Progress(event=self._stamped(event), last_fact=self._last_fact))

    def repeat(self, above: int) -> None:
        """Says again the facts above the number that the bus had taken: it may have lost them."""
        for number in sorted(n for n in self._known if above < n <= self._said_fact):
            self._add(self._known[number])

    def start(self) -> None:
        """Begins to say what is handed in, and to show life, the first time at once. May be called again."""
        if self._closed:
            return
        if self._broken:
            self._broken = None
            for number in sorted(n for n in self._known if n > self._said_fact):
                self._add(self._known[number])
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())
        if self._heart is None or self._heart.done():
            self._heart = asyncio.create_task(self._beat())

    async def drained(self) -> None:
        """Returns when the bus has taken everything. Raises ``Refused`` when it will never take a fact."""
        await self._settled.wait()
        if self._broken:
            raise self._broken

    def rest(self) -> None:
        """No more signs of life: the work is over. What is handed in later is still said."""
        if self._heart:
            self._heart.cancel()

    async def close(self) -> None:
        """Not one more event leaves after this has returned."""
        self._closed = True
        self._backlog.clear()
        tasks = [task for task in (self._sender, self._heart) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._settled.set()

    def _add(self, item: Fact | Progress) -> None:
        if self._closed or self._broken:
            return
        self._backlog.add(item)
        self._settled.clear()
        self._waiting.set()

    async def _send(self) -> None:
        while not self._broken:
            if not len(self._backlog):
                self._waiting.clear()
                self._settled.set()
                await self._waiting.wait()
            try:
                await self._deliver([self._numbered(item) for item in self._backlog.take(BATCH)])
            except Exception as error:
                log.exception("nothing more can be said")
                self._broken = Unavailable(f"the announcer failed: {error}")
        self._backlog.clear()
        self._settled.set()

    async def _deliver(self, batch: Sequence[_Numbered]) -> None:
        """Until the bus has taken it. What is refused together is tried alone; progress refused alone is dropped."""
        tried = refused = 0
        while not self._broken:
            try:
                await self._bus.publish([one.announcement for one in batch])
                reach("published")
            except Unavailable as error:
                log.warning("%d events wait: %s", len(self._backlog) + len(batch), error)
            except Refused as error:
                if len(batch) > 1:
                    for one in batch:
                        await self._deliver([one])
                    return
                refused += 1
                log.error("a %s was refused: %s", batch[0].announcement.type, error)
                if batch[0].ordinal:
                    return
                if refused == REFUSALS:
                    self._broken = error
            else:
                self._said_fact = max(self._said_fact, *(one.fact for one in batch))
                self._said_ordinal = max(self._said_ordinal, *(one.ordinal for one in batch))
                return
            await asyncio.sleep(self._pauses[min(tried, len(self._pauses) - 1)])
            tried += 1

    def _numbered(self, item: Fact | Progress) -> _Numbered:
        if isinstance(item, Fact):
            return _Numbered(fact=item.number, announcement=item.announcement)
        self._ordinal += 1
        event = msgspec.structs.replace(item.event, ordinal=self._ordinal, last_fact=item.last_fact)
        return _Numbered(ordinal=self._ordinal, announcement=self._announcement(event))

    async def _beat(self) -> None:
        """Beside the queue: a bus that is slow to take a batch must not cost the lease."""
        while True:
            await self.show_life()
            await asyncio.sleep(self._seconds)

    @property
    def _seconds(self) -> float:
        return max(0.05, self._invocation.heartbeat_seconds)

    async def show_life(self) -> None:
        """One heartbeat. The last one, after everything was said, lets the loss of a last fact be noticed."""
        beat = RuntimeHeartbeat(
            id=new_id(),
            workflow_id=self._invocation.workflow_id,
            last_fact=self._said_fact,
            last_ordinal=self._said_ordinal,
            used=self._used(),
        )
        with contextlib.suppress(AmeliaError, TimeoutError):
            async with asyncio.timeout(self._seconds):
                await self._bus.publish([self._announcement(self._stamped(beat))])

    def _stamped(self, event: Event) -> Event:
        asked = self._invocation
        return msgspec.structs.replace(
            event,
            attempt=asked.epoch,
            timestamp=event.timestamp or datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            correlation_id=event.correlation_id or asked.correlation_id,
            causation_id=event.causation_id or asked.command_id,
            traceparent=event.traceparent or asked.traceparent,
        )

    def _announcement(self, event: Event) -> Announcement:
        return Announcement(type=type_of(event), body=encode(sign(event, self._key)))
