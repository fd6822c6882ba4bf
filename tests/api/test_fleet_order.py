"""The fleet's order under transactions that overlap in every way: nothing skipped, nothing twice, nothing moved."""

import random
from collections import Counter
from collections.abc import AsyncIterator

import asyncpg
import pytest

from amelia.adapters.postgres.journal import PostgresJournal
from amelia.ports.journal import Cursor, FleetEvent

_WORKFLOWS = ("wf-a", "wf-b", "wf-c")
_LOCK = """
INSERT INTO workflow (id, team, owner, status, repository, epoch, sequence, state)
VALUES ($1, '', '', 'pending', '', 0, 0, '{}') ON CONFLICT (id) DO UPDATE SET sequence = workflow.sequence
"""


class Writer:
    """A connection with, at times, a transaction open that holds some workflows' rows."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.connection = connection
        self.wrote: dict[str, int] = {}
        self.open = False

    async def begin(self) -> None:
        await self.connection.execute("BEGIN")
        self.open = True

    async def write(self, workflow_id: str, sequence: int) -> None:
        await self.connection.execute(_LOCK, workflow_id)
        insert = "INSERT INTO event (workflow_id, sequence, id, type, body) VALUES ($1, $2, $3, 'x', '{}')"
        await self.connection.execute(insert, workflow_id, sequence, f"{workflow_id}/{sequence}")
        self.wrote[workflow_id] = sequence

    async def end(self, how: str) -> dict[str, int]:
        await self.connection.execute(how)
        wrote, self.wrote, self.open = self.wrote, {}, False
        return wrote if how == "COMMIT" else {}


class Reader:
    """Goes on from its cursor, or from that of any event it has seen, forgetting what came after it."""

    def __init__(self, start: Cursor) -> None:
        self.start = self.cursor = start
        self.seen: list[FleetEvent] = []

    async def read(self, journal: PostgresJournal, limit: int) -> bool:
        page = await journal.fleet_events(self.cursor, limit)
        assert page.cursor >= self.cursor
        assert len(page.items) <= limit
        self.seen += page.items
        self.cursor = page.cursor
        return page.complete

    def come_back(self, chance: random.Random) -> None:
        if self.seen:
            del self.seen[chance.randint(1, len(self.seen)) :]
            self.cursor = self.seen[-1].place


@pytest.fixture
async def writers(database_url: str) -> AsyncIterator[list[Writer]]:
    connections = [await asyncpg.connect(database_url) for _ in range(4)]
    yield [Writer(connection) for connection in connections]
    for connection in connections:
        await connection.close()


async def _step(writer: Writer, writers: list[Writer], reached: Counter[str], chance: random.Random) -> None:
    if not writer.open:
        await writer.begin()
    elif chance.random() < 0.3:
        reached.update(
            {w: s - reached[w] for w, s in (await writer.end(chance.choice(("COMMIT",) * 4 + ("ROLLBACK",)))).items()}
        )
    else:
        taken = {w for other in writers if other is not writer for w in other.wrote}
        free = [w for w in _WORKFLOWS if w not in taken]
        if free:
            workflow_id = chance.choice(free)
            await writer.write(workflow_id, max(reached[workflow_id], writer.wrote.get(workflow_id, 0)) + 1)


@pytest.mark.parametrize("seed", range(12))
async def test_readers_see_each_event_once_however_transactions_overlap(
    journal: PostgresJournal, writers: list[Writer], seed: int
) -> None:
    chance = random.Random(seed)
    reached: Counter[str] = Counter()
    readers = [Reader((0, 0))]
    for _ in range(120):
        await _step(chance.choice(writers), writers, reached, chance)
        match chance.randint(0, 5):
            case 0:
                await chance.choice(readers).read(journal, chance.choice((1, 2, 100)))
            case 1:
                chance.choice(readers).come_back(chance)
            case 2 if len(readers) < 5:
                readers.append(Reader((await journal.fleet_events(None, 0)).cursor))
    for writer in writers:
        if writer.open:
            reached.update({w: s - reached[w] for w, s in (await writer.end("COMMIT")).items()})
    await _check(journal, readers, reached)


async def _check(journal: PostgresJournal, readers: list[Reader], reached: Counter[str]) -> None:
    for reader in readers:
        while not await reader.read(journal, 3):
            pass
    whole = readers[0].seen
    of_each = {w: [event.sequence for event in whole if event.workflow_id == w] for w in _WORKFLOWS}
    assert of_each == {w: list(range(1, reached[w] + 1)) for w in _WORKFLOWS}
    for reader in readers:
        assert reader.seen == [event for event in whole if event.place > reader.start]


async def test_an_older_transaction_that_comes_to_a_workflow_later_is_told_later(
    journal: PostgresJournal, writers: list[Writer]
) -> None:
    """Its id is the smaller one; a third that is open in between would let a reader see the later event first."""
    older, between, younger, _ = writers
    for writer in (older, between, younger):
        await writer.begin()
        await writer.connection.execute("SELECT pg_current_xact_id()")
    await younger.write("wf-a", 1)
    await younger.end("COMMIT")
    await older.write("wf-a", 2)
    await older.end("COMMIT")
    before = await journal.fleet_events((0, 0), 10)
    await between.end("COMMIT")
    after = await journal.fleet_events(before.cursor, 10)
    assert [event.sequence for event in (*before.items, *after.items)] == [1, 2]


async def test_what_cannot_be_read_yet_is_said_to_lag(journal: PostgresJournal, writers: list[Writer]) -> None:
    await writers[0].begin()
    await writers[0].connection.execute("SELECT pg_current_xact_id()")
    await writers[1].write("wf-a", 1)
    held = await journal.fleet_events((0, 0), 10)
    assert (held.items, held.complete) == ((), True)
    assert held.lag_seconds > 0
    await writers[0].end("ROLLBACK")
    page = await journal.fleet_events(held.cursor, 10)
    assert [event.workflow_id for event in page.items] == ["wf-a"]
    assert page.lag_seconds == 0


async def test_a_reader_that_looks_holds_nobody_up(journal: PostgresJournal, writers: list[Writer]) -> None:
    """A long transaction that only reads, such as a dump, has no id."""
    await writers[0].begin()
    await writers[0].connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM event")
    await writers[1].write("wf-a", 1)
    assert len((await journal.fleet_events((0, 0), 10)).items) == 1
    await writers[0].end("ROLLBACK")


async def test_a_page_of_large_events_is_a_short_one(journal: PostgresJournal, writers: list[Writer]) -> None:
    for sequence in range(1, 31):
        await writers[0].write("wf-a", sequence)
    await writers[0].connection.execute("UPDATE event SET body = repeat('x', 100000)")
    reader, pages = Reader((0, 0)), 1
    while not await reader.read(journal, 1000):
        pages += 1
    assert [event.sequence for event in reader.seen] == list(range(1, 31))
    assert pages >= 3
