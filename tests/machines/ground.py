"""One event loop and one journal for the state machines of this folder: hypothesis calls, these answer."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from amelia.adapters.postgres.journal import PostgresJournal

if TYPE_CHECKING:
    from ..conftest import Server

T = TypeVar("T")
LEASE_SECONDS = 20.0


class Ground:
    def __init__(self, runner: asyncio.Runner, journal: PostgresJournal, looking: Any) -> None:
        self._runner = runner
        self.journal = journal
        self._looking = looking

    def do(self, act: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(act)

    def sql(self, statement: str, *arguments: object) -> list[Any]:
        return list(self.do(self._looking.fetch(statement, *arguments)))


class OnGround(RuleBasedStateMachine):
    """A machine whose rules act on the journal of ``ground``."""

    ground: Ground


@contextmanager
def ground(server: "Server") -> Iterator[Ground]:
    with asyncio.Runner() as runner:
        url = runner.run(server.fresh())
        journal = runner.run(PostgresJournal.open(url, lease_seconds=LEASE_SECONDS, size=2))
        looking = runner.run(asyncpg.connect(url, command_timeout=30))
        try:
            yield Ground(runner, journal, looking)
        finally:
            runner.run(looking.close())
            runner.run(journal.close())
            runner.run(server.give_back(url))


def drive(machine: type[RuleBasedStateMachine], *, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
