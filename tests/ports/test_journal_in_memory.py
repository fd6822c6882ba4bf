"""The journal's tests once more, on the journal in memory: all that do not reach behind it into PostgreSQL."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amelia.adapters.memory.journal import MemoryDatabase, MemoryJournal

from . import test_journal, test_journal_life, test_journal_model

Opener = Callable[..., Awaitable[MemoryJournal]]

_OF_POSTGRESQL = frozenset({"database_url", "postgres_server", "hearing"})
_BEHIND = frozenset(
    {
        "test_the_number_of_statements_does_not_grow_with_the_batch",
        "test_one_refused_command_in_a_crowd_hurts_no_other",
    }
)
"""They look at the database's own statements, or hand it what only it refuses."""


@pytest.fixture
async def open_journal() -> AsyncIterator[Opener]:
    database = MemoryDatabase()

    async def open_one(*, lease_seconds: float = 20, size: int = 4) -> MemoryJournal:
        return MemoryJournal(database, lease_seconds=lease_seconds)

    yield open_one


def _shared(module: ModuleType) -> dict[str, Any]:
    found = {name: one for name, one in vars(module).items() if name.startswith("test_") and name not in _BEHIND}
    return {
        name: test
        for name, test in found.items()
        if {"journal", "open_journal"} & set(inspect.signature(test).parameters)
        and not _OF_POSTGRESQL & set(inspect.signature(test).parameters)
        and "lie(" not in inspect.getsource(test)
    }


globals().update(_shared(test_journal) | _shared(test_journal_life))


def test_the_journal_in_memory_does_what_the_rules_say() -> None:
    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.booleans(), st.lists(test_journal_model.STEP, min_size=3, max_size=18))
    def compare(auto_approve: bool, steps: list[tuple[str, list[Any]]]) -> None:
        asyncio.run(together(auto_approve, steps))

    async def together(auto_approve: bool, steps: list[tuple[str, list[Any]]]) -> None:
        journal: Any = MemoryJournal(lease_seconds=20)
        pair = test_journal_model.Pair(journal, auto_approve)
        await journal.execute(pair.command)
        for what, values in [("open", []), *steps, ("catch_up", []), ("close_gap", [])]:
            await pair.step(what, values)
        await pair.agree()

    compare()
