"""The journal's notifications, and what it does when the database goes away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import asyncpg
import pytest

from amelia.adapters.postgres.journal import PostgresJournal
from amelia.adapters.postgres.transaction import _lines
from amelia.contract.ids import new_workflow_id
from amelia.errors import Unavailable

from ..conftest import Opener
from ..samples import Voice, arrived, eventually, start, started, stream, the

if TYPE_CHECKING:
    from ..conftest import Server

T = TypeVar("T")


async def insisted(call: Callable[[], Awaitable[T]]) -> T:
    """The answer, as soon as there is one: each connection that was killed is noticed when it is used."""
    for _ in range(500):
        try:
            return await call()
        except Unavailable:
            await asyncio.sleep(0.02)
    return await call()


class Hearing:
    """All that a listener hears, in the background."""

    def __init__(self, changes: AsyncIterator[dict[str, int]]) -> None:
        self.heard: list[dict[str, int]] = []
        self._changes = changes
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async for reached in self._changes:
            self.heard.append(reached)

    async def until(self, workflow_id: str, sequence: int) -> None:
        async def holds() -> bool:
            return any(reached.get(workflow_id, 0) >= sequence for reached in self.heard)

        await eventually(holds, f"{workflow_id}:{sequence} is heard")

    async def until_connected(self, times: int) -> None:
        async def holds() -> bool:
            return self.heard.count({}) >= times

        await eventually(holds, f"it has connected {times} times")

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


@pytest.fixture
async def hearing(open_journal: Opener) -> AsyncIterator[Hearing]:
    hearing = Hearing((await open_journal()).changes())
    await hearing.until_connected(1)
    yield hearing
    await hearing.close()


async def kill_connections(server: "Server", url: str) -> None:
    admin = await server.admin()
    try:
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", url.rpartition("/")[2]
        )
    finally:
        await admin.close()


async def test_a_notification_names_the_workflow_and_the_sequence_it_reached(
    journal: PostgresJournal, hearing: Hearing
) -> None:
    row = await started(journal)
    voice = Voice(row.workflow.id)
    await journal.append(arrived(*(voice.progress() for _ in range(5))))
    await hearing.until(row.workflow.id, 7)
    assert max(reached.get(row.workflow.id, 0) for reached in hearing.heard) == 7


async def test_five_hundred_workflows_in_one_batch_are_all_named(journal: PostgresJournal, hearing: Hearing) -> None:
    commands = [start() for _ in range(500)]
    await asyncio.gather(*(journal.execute(command) for command in commands))
    rows = [command.workflow_id for command in commands]
    await asyncio.gather(*(_open(journal, id_) for id_ in rows))
    answers = await journal.append([x for id_ in rows for x in arrived(Voice(id_).fact())])
    assert set(answers) == {None}
    for id_ in rows:
        await hearing.until(id_, 3)


async def _open(journal: PostgresJournal, workflow_id: str) -> None:
    from ..samples import opened

    await opened(journal, workflow_id)


def test_no_notification_is_longer_than_postgresql_takes() -> None:
    reached = {new_workflow_id(): 10**12 + i for i in range(700)}
    lines = _lines(reached)
    assert max(len(line) for line in lines) < 8000
    assert sum(line.count(":") for line in lines) == 700
    assert _lines({}) == []


async def test_a_killed_connection_is_unavailable_once_and_then_forgotten(
    journal: PostgresJournal, postgres_server: "Server", database_url: str
) -> None:
    row = await started(journal)
    voice = Voice(row.workflow.id)
    for round_ in range(5):
        await kill_connections(postgres_server, database_url)
        batch = arrived(voice.fact(), voice.progress())
        assert set(await insisted(partial(journal.append, batch))) == {None}
        now = await insisted(partial(the, journal, row.workflow.id))
        assert now.workflow.fact == round_ + 1
    shown = await insisted(partial(stream, journal, row.workflow.id))
    assert [n for n, _ in shown] == list(range(1, 13))


async def test_killed_in_the_middle_of_its_work_it_repeats_nothing_and_loses_nothing(
    open_journal: Opener, postgres_server: "Server", database_url: str
) -> None:
    """Some of the commits have happened although their answer never came: the same again must change nothing."""
    journal = await open_journal(size=3)
    row = await started(journal)
    voice = Voice(row.workflow.id)
    batches = [arrived(voice.fact(), voice.progress(), voice.progress()) for _ in range(24)]
    commands = [start() for _ in range(24)]
    unavailable = 0

    async def insist(index: int) -> None:
        nonlocal unavailable
        while True:
            try:
                await journal.append(batches[index])
                await journal.execute(commands[index], "print")
                return
            except Unavailable:
                unavailable += 1
                await asyncio.sleep(0.01)

    async def work() -> None:
        for first in range(0, 24, 6):
            await asyncio.gather(*(insist(i) for i in range(first, first + 6)))

    working = asyncio.create_task(work())
    while not working.done():
        await kill_connections(postgres_server, database_url)
        await asyncio.wait([working], timeout=0.15)
    working.result()
    assert unavailable
    shown = [event for _, event in await insisted(partial(stream, journal, row.workflow.id))][2:]
    assert [x.fact for x in shown if x.fact] == list(range(1, 25))
    assert [x.ordinal for x in shown if x.ordinal] == list(range(1, 49))
    for command in commands:
        assert [n for n, _ in await insisted(partial(stream, journal, command.workflow_id))] == [1]


async def test_a_listener_whose_connection_is_killed_says_that_it_may_have_missed_something(
    journal: PostgresJournal, hearing: Hearing, postgres_server: "Server", database_url: str
) -> None:
    await kill_connections(postgres_server, database_url)
    await hearing.until_connected(2)
    row = await insisted(partial(started, journal))
    await hearing.until(row.workflow.id, 2)


async def test_a_lock_is_free_again_when_its_holder_s_connection_dies(
    open_journal: Opener, postgres_server: "Server", database_url: str
) -> None:
    one, two = await open_journal(), await open_journal()
    with pytest.raises((Unavailable, AssertionError)):
        async with one.exclusively("x"):
            await kill_connections(postgres_server, database_url)

            async def free() -> bool:
                try:
                    async with two.exclusively("x", wait=False) as mine:
                        return mine
                except Unavailable:
                    return False

            await eventually(free, "another gets the lock")
            raise AssertionError("the holder's work goes on until it notices")


async def test_a_restart_of_the_server_is_survived_and_nothing_recorded_is_lost(
    journal: PostgresJournal, hearing: Hearing, postgres_server: "Server"
) -> None:
    row = await started(journal)
    voice = Voice(row.workflow.id)
    await journal.append(arrived(voice.fact()))
    postgres_server.stop()
    for call in (journal.get(row.workflow.id), journal.append(arrived(voice.fact())), journal.due(1, 1)):
        with pytest.raises(Unavailable):
            await call
    with pytest.raises(Unavailable):
        await journal.execute(start())
    with pytest.raises(Unavailable):
        async with journal.exclusively("x"):
            raise AssertionError
    postgres_server.start()
    again = arrived(Voice(row.workflow.id, fact=1).fact())
    assert await insisted(partial(journal.append, again)) == [None]
    now = await insisted(partial(the, journal, row.workflow.id))
    assert now.workflow.fact == 2
    await hearing.until_connected(2)


async def test_a_database_that_is_not_there_is_unavailable_when_it_is_opened(postgres_server: "Server") -> None:
    nowhere = "postgresql://amelia:x@127.0.0.1:1/amelia"
    with pytest.raises(Unavailable):
        await PostgresJournal.open(nowhere, lease_seconds=1)


async def test_the_server_s_own_refusals_are_not_mistaken_for_its_absence(
    journal: PostgresJournal, database_url: str
) -> None:
    with pytest.raises(asyncpg.PostgresError):
        await journal.page(statuses=("\0",), before=None, limit=1)
