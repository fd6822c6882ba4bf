"""The journal on a real PostgreSQL."""

from amelia.adapters.postgres.journal import PostgresJournal

from ..samples import blocked, stream


async def test_smoke(journal: PostgresJournal) -> None:
    row, _ = await blocked(journal)
    assert [n for n, _ in await stream(journal, row.workflow.id)] == [1, 2, 3, 4]
