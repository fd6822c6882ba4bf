"""From the journal to everybody who watches: each event is read and encoded once, however many watch.

Live stream and replay are the same query, ``sequence > cursor``. A notification only says that there is something
to read, so a lost one costs time and nothing else.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator

from amelia.errors import Unavailable
from amelia.ports.journal import Journal, Stored

from .fleet_tail import FleetTail
from .readers import Ending, Reader, Room, size_of

log = logging.getLogger(__name__)

_PAGE, _FIRST_PAGE, _SMALLEST_PAGE = 1000, 100, 10
_PAGE_BYTES = 1_000_000
"""What a page is meant to come to; the next one is made smaller when events are large."""
_AT_ONCE = 100
"""Workflows read in one query."""
_LOOK_SECONDS = 2.0
"""How often watched workflows are read without a notification."""
AGAIN_SECONDS = 1.0
"""After which it begins again when a part of it has failed."""

Numbered = tuple[int, str]
"""A sequence, and the event with it as JSON: a frame."""


class _Channel:
    """One watched workflow: how far it has been read, and for whom."""

    def __init__(self, tail: int) -> None:
        self.tail = tail
        self.readers: dict[Reader[int], None] = {}


class Broadcaster:
    """``ailing`` says why nothing is broadcast at the moment, and is empty while all is well."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._room = Room()
        self.fleet = FleetTail(journal, self._room)
        self._channels: dict[str, _Channel] = {}
        self._unread: set[str] = set()
        self._wake = asyncio.Event()
        self._page = _PAGE
        self._ending = False
        self.ailing = ""

    async def run(self) -> None:
        """Until it is cancelled: a part that fails is said, told to ``ailing``, and all begin again."""
        while True:
            try:
                async with asyncio.TaskGroup() as group:
                    for part in (self._listen, self._look, self._pump, self.fleet.run):
                        group.create_task(part())
            except Exception as error:
                self.ailing = f"streams stopped: {_reason(error)}"
                log.exception("streams stopped and begin again")
            await asyncio.sleep(AGAIN_SECONDS)

    @property
    def readers(self) -> int:
        return sum(len(channel.readers) for channel in self._channels.values()) + self.fleet.readers

    def drain(self) -> None:
        """Every reader is told to come back, to whoever is there then."""
        self._ending = True
        for channel in self._channels.values():
            for reader in channel.readers:
                reader.leave()
        self.fleet.drain()

    async def follow(
        self, workflow_id: str, after: int, idle_seconds: float
    ) -> AsyncGenerator[list[Numbered] | None, None]:
        """Lists of frames above ``after``, without a hole; None when it has caught up; an empty list when idle.

        What is there already is replayed at the reader's own pace. Raises ``TooSlow`` and ``Ending``.
        """
        reader, target, limit = Reader[int](self._room), -1, _FIRST_PAGE
        try:
            while after < target or target < 0:
                rows = await self._journal.events({workflow_id: after}, limit)
                if self._ending:
                    raise Ending
                frames = [(row.sequence, frame(row)) for row in rows]
                after = frames[-1][0] if frames else after
                if target < 0 and len(rows) < limit:
                    target = self._join(workflow_id, after, reader)
                if frames:
                    limit = _fitting(frames)
                    yield frames
            yield None
            self._mark(workflow_id)
            while True:
                taken = await reader.take(idle_seconds)
                fresh = [numbered for numbered in taken if numbered[0] > after]
                if fresh or not taken:
                    after = fresh[-1][0] if fresh else after
                    yield fresh
        finally:
            self._leave(workflow_id, reader)

    def _join(self, workflow_id: str, reached: int, reader: Reader[int]) -> int:
        """Up to where the reader has to read for itself."""
        channel = self._channels.setdefault(workflow_id, _Channel(reached))
        channel.readers[reader] = None
        return channel.tail

    def _leave(self, workflow_id: str, reader: Reader[int]) -> None:
        reader.leave()
        channel = self._channels.get(workflow_id)
        if channel is not None:
            channel.readers.pop(reader, None)
            if not channel.readers:
                del self._channels[workflow_id]

    async def _listen(self) -> None:
        async for reached in self._journal.changes():
            self.fleet.wake()
            watched = self._channels.keys()
            for workflow_id in reached.keys() & watched if reached else list(watched):
                self._mark(workflow_id)
        raise RuntimeError("the journal no longer tells what changes")

    async def _look(self) -> None:
        while True:
            for workflow_id in self._channels:
                self._mark(workflow_id)
            await asyncio.sleep(_LOOK_SECONDS)
            self.ailing = ""

    def _mark(self, workflow_id: str) -> None:
        self._unread.add(workflow_id)
        self._wake.set()

    async def _pump(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            unread, self._unread = sorted(self._unread), set()
            try:
                while unread:
                    await self._read({w: self._channels[w].tail for w in unread[:_AT_ONCE] if w in self._channels})
                    unread = unread[_AT_ONCE:]
            except Unavailable as error:
                log.warning("the stream waits: %s", error)
                self._unread.update(unread)
                self._wake.set()
                await asyncio.sleep(0.5)

    async def _read(self, tails: dict[str, int]) -> None:
        if not tails:
            return
        limit = max(self._page // len(tails), _SMALLEST_PAGE)
        by_workflow: dict[str, list[Numbered]] = {}
        for row in await self._journal.events(tails, limit):
            by_workflow.setdefault(row.workflow_id, []).append((row.sequence, frame(row)))
        if by_workflow:
            self._page = _fitting([numbered for frames in by_workflow.values() for numbered in frames])
        for workflow_id, frames in by_workflow.items():
            if len(frames) == limit:
                self._mark(workflow_id)
            self._offer(workflow_id, frames)

    def _offer(self, workflow_id: str, frames: list[Numbered]) -> None:
        channel = self._channels.get(workflow_id)
        fresh = [numbered for numbered in frames if numbered[0] > channel.tail] if channel is not None else []
        if channel is None or not fresh:
            return
        channel.tail = fresh[-1][0]
        size = size_of([text for _, text in fresh])
        for reader in channel.readers:
            reader.offer(fresh, size)


def frame(row: Stored) -> str:
    return f'{{"sequence":{row.sequence},{row.body[1:]}'


def _fitting(frames: list[Numbered]) -> int:
    """How many events the next page may have."""
    length = sum([len(text) for _, text in frames])
    return max(_SMALLEST_PAGE, min(_PAGE, _PAGE_BYTES * len(frames) // length))


def _reason(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
