"""The journal against the pure rules: whatever is done to both, they agree."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amelia.adapters.postgres.journal import PostgresJournal
from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.domain import policy, timers
from amelia.domain.consequences import lost
from amelia.domain.decide import decide
from amelia.domain.evolve import evolve, submitted
from amelia.domain.intake import Said, behind, gap, heard, take
from amelia.domain.workflow import Workflow
from amelia.errors import Conflict

from ..samples import NOW, Voice, arrived, opening, order, start, stream, the

if TYPE_CHECKING:
    from ..conftest import Server

SAID = st.sampled_from(["fact", "progress", "progress", "progress", "blocked", "tokens", "unknown"])
STEP: st.SearchStrategy[tuple[str, list[Any]]] = st.one_of(
    st.tuples(st.just("say"), st.lists(SAID, min_size=1, max_size=5)),
    st.tuples(st.just("bring"), st.lists(st.integers(0, 40), max_size=8)),
    st.tuples(st.just("bring"), st.lists(st.integers(0, 40), max_size=8)),
    st.tuples(st.sampled_from(["close_gap", "lose", "open", "approve", "cancel", "catch_up"]), st.just([])),
)


class Model:
    """What the journal would be without a database."""

    def __init__(self, w: Workflow) -> None:
        self.workflow, self.early, self.said = w, tuple[Event, ...](), Said()
        self.kinds = [e.WorkflowSubmitted.__name__]

    def note(self, events: Sequence[Event]) -> None:
        self.kinds += [type(event).__name__ for event in events]

    def control(self, *events: Event) -> None:
        after = self.workflow
        for event in events:
            after = evolve(after, event)
        if after.epoch != self.workflow.epoch or after.ended:
            self.close_gaps(over=True)
        self.fold(events)
        self.take(())

    def fold(self, events: Sequence[Event]) -> None:
        for event in events:
            self.workflow = evolve(self.workflow, event)
        self.workflow = timers.begun(self.workflow, NOW)
        self.note(events)

    def append(self, events: Sequence[Event]) -> None:
        self.said = heard(self.said, self.workflow, events)
        self.take(events)

    def take(self, events: Sequence[Event]) -> None:
        took = take(self.workflow, [*self.early, *events])
        self.workflow, self.early = timers.begun(took.workflow, NOW), took.early
        self.note([event for _, event in took.admitted])
        if (decision := policy.decision(self.workflow, policy.OPEN, NOW)) is not None:
            self.control(decision)

    def close_gaps(self, *, over: bool = False) -> None:
        while (missing := gap(self.workflow, self.early, self.said, over=over)) is not None:
            self.fold([missing])
            self.take(())


class Pair:
    """The journal and its model, driven together."""

    def __init__(self, journal: PostgresJournal, auto_approve: bool) -> None:
        self.journal, self.said = journal, list[Event]()
        self.command = start(auto_approve=auto_approve)
        event = decide(None, self.command, NOW)[0]
        assert isinstance(event, e.WorkflowSubmitted)
        self.id, self.model = self.command.workflow_id, Model(submitted(event))
        self.voice = Voice(self.id, attempt=0)

    async def step(self, what: str, values: Sequence[object]) -> None:
        match what:
            case "say":
                self.said += [self.one(str(kind)) for kind in values]
            case "bring":
                await self.bring([self.said[int(str(i)) % len(self.said)] for i in values] if self.said else [])
            case "catch_up":
                await self.bring(self.said)
            case "close_gap":
                await self.journal.close_gap(self.id)
                self.model.close_gaps()
            case "lose":
                await self.control(lambda w: (lost(w, "gone", 3),) if w.open else ())
            case "open":
                before = self.model.workflow.epoch
                await self.control(lambda w: (opening(w),) if w.status in ("pending", "approved") else ())
                if self.model.workflow.epoch != before:
                    self.voice = Voice(self.id, self.model.workflow.epoch, self.model.workflow.fact)
            case "approve" | "cancel":
                await self.order(what)

    def one(self, kind: str) -> Event:
        match kind:
            case "progress":
                return self.voice.progress()
            case "blocked":
                return self.voice.fact(e.WorkflowBlocked)
            case "tokens":
                return self.voice.fact(e.TokensUsed)
        return self.voice.fact(e.AgentStarted if kind == "fact" else e.TaskStarted)

    async def bring(self, events: Sequence[Event]) -> None:
        if events:
            assert set(await self.journal.append(arrived(*events))) == {None}
            self.model.append(events)

    async def control(self, reading: object) -> None:
        events = reading(self.model.workflow)  # type: ignore[operator]
        await self.journal.record(self.id, lambda w, _: reading(w))  # type: ignore[operator]
        self.model.control(*events)

    async def order(self, what: str) -> None:
        command = order(c.ApproveWorkflow if what == "approve" else c.CancelWorkflow, self.id)
        try:
            events = decide(self.model.workflow, command, NOW)
        except Conflict as conflict:
            try:
                await self.journal.execute(command)
            except Conflict as error:
                assert str(error) == str(conflict)
            return
        await self.journal.execute(command)
        self.model.control(*events)

    async def agree(self) -> None:
        row = await the(self.journal, self.id)
        assert timeless(row.workflow) == timeless(self.model.workflow)
        assert (row.lease_until is not None) == self.model.workflow.open
        assert row.behind == behind(self.model.workflow, self.model.said)
        assert row.behind or not self.model.early
        shown = await stream(self.journal, self.id)
        assert [n for n, _ in shown] == list(range(1, len(self.model.kinds) + 1))
        assert [type(event).__name__ for _, event in shown] == self.model.kinds


def timeless(w: Workflow) -> Workflow:
    """The database's clock gives the deadline."""
    return msgspec.structs.replace(w, block=w.block and msgspec.structs.replace(w.block, deadline="", reminder=""))


def test_the_journal_does_what_the_rules_say(postgres_server: "Server") -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.booleans(), st.lists(STEP, min_size=3, max_size=18))
    def compare(auto_approve: bool, steps: list[tuple[str, list[Any]]]) -> None:
        runner.run(together(auto_approve, steps))

    async def together(auto_approve: bool, steps: list[tuple[str, list[Any]]]) -> None:
        pair = Pair(journal, auto_approve)
        await journal.execute(pair.command)
        for what, values in [("open", []), *steps, ("catch_up", []), ("close_gap", [])]:
            await pair.step(what, values)
        await pair.agree()

    with asyncio.Runner() as runner:
        url = runner.run(postgres_server.fresh())
        journal = runner.run(PostgresJournal.open(url, lease_seconds=20, size=2))
        try:
            compare()
        finally:
            runner.run(journal.close())
            runner.run(postgres_server.give_back(url))
