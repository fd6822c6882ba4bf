"""The end of the fleet's order: read once in this process, for everybody who watches the whole fleet."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Sequence

import msgspec

from amelia.errors import Unavailable
from amelia.ports.journal import Cursor, FleetEvent, FleetPage, Journal

from .readers import Ending, Reader, Room, size_of

log = logging.getLogger(__name__)

_PAGE = 1000
_LOOK_SECONDS = 2.0
_SOON, _LATER = 0.02, 0.5
"""Seconds until the next look while something is recorded that cannot be read yet: the first pause, and the longest."""

Placed = tuple[Cursor, str]
"""A place in the fleet's order, and the event with it as JSON: a frame."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which events: all of an empty set's. ``status`` is the workflow's when the event is read, not when it was."""

    status: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    repositories: frozenset[str] = frozenset()

    def __contains__(self, event: FleetEvent) -> bool:
        return (
            (not self.types or event.type in self.types)
            and (not self.status or event.status in self.status)
            and (not self.repositories or event.repository in self.repositories)
        )


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """Everything up to ``cursor`` has been seen and ``frames`` is what was wanted of it; a ping when there is none."""

    frames: Sequence[Placed] = ()
    cursor: Cursor
    caught_up: bool = False
    lag_seconds: float = 0.0


class FleetTail:
    """Reads nothing while nobody watches."""

    def __init__(self, journal: Journal, room: Room) -> None:
        self._journal = journal
        self._room = room
        self._readers: dict[Reader[Cursor], Wanted] = {}
        self._wake = asyncio.Event()
        self._at: Cursor = (0, 0)
        self._lag_seconds = 0.0
        self._ending = False

    @property
    def readers(self) -> int:
        return len(self._readers)

    def wake(self) -> None:
        self._wake.set()

    def drain(self) -> None:
        self._ending = True
        for reader in self._readers:
            reader.leave()

    async def follow(
        self, after: Cursor, head: Cursor, wanted: Wanted, idle_seconds: float
    ) -> AsyncGenerator[Passed, None]:
        """What is wanted after the cursor, without a hole; ``head`` is a cursor of now. Raises as ``Reader.take``."""
        reader = Reader[Cursor](self._room)
        target: Cursor | None = None
        clock = asyncio.get_running_loop().time
        said = clock()
        try:
            while target is None or after < target:
                page = await self._journal.fleet_events(after, _PAGE)
                if self._ending:
                    raise Ending
                after = page.cursor
                if target is None and page.complete:
                    target = self._join(reader, wanted, head)
                frames = _frames(page, wanted)
                if frames or clock() - said > idle_seconds:
                    said = clock()
                    yield Passed(frames=frames, cursor=after)
            yield Passed(cursor=after, caught_up=True)
            self.wake()
            while True:
                taken = await reader.take(idle_seconds)
                fresh = [placed for placed in taken if placed[0] > after]
                after = fresh[-1][0] if fresh else max(after, self._at) if not taken else after
                if fresh or not taken:
                    yield Passed(frames=fresh, cursor=after, lag_seconds=self._lag_seconds)
        finally:
            reader.leave()
            self._readers.pop(reader, None)

    def _join(self, reader: Reader[Cursor], wanted: Wanted, head: Cursor) -> Cursor:
        """Up to where the reader has to read for itself."""
        if not self._readers:
            self._at = max(self._at, head)
        self._readers[reader] = wanted
        return self._at

    async def run(self) -> None:
        pause = held = _SOON
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            self._wake.clear()
            page = await self._page() if self._readers else None
            if page is None:
                pause = _LOOK_SECONDS
                continue
            self._offer(page)
            held = min(held * 2, _LATER) if page.lag_seconds and not page.items else _SOON
            pause = held if page.lag_seconds else _LOOK_SECONDS
            if not page.complete:
                self.wake()

    async def _page(self) -> FleetPage | None:
        try:
            return await self._journal.fleet_events(self._at, _PAGE)
        except Unavailable as error:
            log.warning("the fleet's stream waits: %s", error)
            return None

    def _offer(self, page: FleetPage) -> None:
        for wanted in dict.fromkeys(self._readers.values()):
            frames = _frames(page, wanted)
            if frames:
                size = size_of([text for _, text in frames])
                for reader in [reader for reader, of in self._readers.items() if of == wanted]:
                    reader.offer(frames, size)
        self._at = page.cursor
        self._lag_seconds = page.lag_seconds


def _frames(page: FleetPage, wanted: Wanted) -> list[Placed]:
    return [(event.place, frame(event)) for event in page.items if event in wanted]


def frame(event: FleetEvent) -> str:
    return f'{{"cursor":"{written(event.place)}","sequence":{event.sequence},{event.body[1:]}'


def written(place: Cursor) -> str:
    """A cursor as clients have it; to them it means nothing."""
    return f"{place[0]}-{place[1]}"
