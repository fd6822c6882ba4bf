"""People: they start, look, decide, decide twice, change their minds; and ask again when they get no answer."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from amelia.contract import commands as c
from amelia.contract.ids import derived_workflow_id
from amelia.contract.workflow import Budget, Issue, Profile
from amelia.domain.workflow import Workflow
from amelia.errors import Conflict, NotFound, Refused, Unavailable
from amelia.ports.journal import Executed, Journal, Row
from amelia_api.orders import beside_delivery

from .carrying import Script

if TYPE_CHECKING:
    from .world import World

T = TypeVar("T")


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A command and what became of it: ``accepted`` when it was answered so; None when nobody knows."""

    command: c.AnyCommand
    accepted: bool | None
    answer: str = ""


class Client:
    """One person with one workflow."""

    def __init__(self, world: "World", number: int) -> None:
        self._world = world
        self._random = world.random
        self._number = number
        self.given: list[Given] = []
        self.revised: list[str] = []
        self._regrets = world.strikes(world.weather.people_regret)
        self._thinks = world.strikes(world.weather.people_think)
        self._resumed = self._retried = 0
        self.workflow_id = derived_workflow_id("team", f"start-{number}")

    async def live(self) -> None:
        await asyncio.sleep(self._random.random() * 5)
        if not await self._start():
            return
        moods = [mood for chance, mood in self._moods() if self._random.random() < chance]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._attend())
            for mood in moods:
                group.create_task(mood())

    def _moods(self) -> list[tuple[float, Callable[[], Coroutine[Any, Any, None]]]]:
        return [(0.3, self._cancel_some_time), (0.15, self._pause_some_time), (0.15, self._say_something)]

    async def _start(self) -> bool:
        world, rng = self._world, self._random
        world.scripts[self.workflow_id] = Script.drawn(rng, world.weather.clone_fails)
        start = c.StartWorkflow(
            id=f"start-{self._number}",
            workflow_id=self.workflow_id,
            actor="ada",
            issue=Issue(id=f"I-{self._number}", title="The total is a cent short"),
            repository=rng.choice(("https://example.org/r.git", "https://github.example/o/r.git")),
            auto_approve=rng.random() < 0.3,
            owner=rng.choice(("ada", "bob")),
            priority=rng.choice((0, 0, 5)),
            budget=Budget(microdollars=rng.choice((0, 2_500))),
            profile=Profile(approval_minutes=rng.choice((1, 1440, 1440))),
            team="team",
        )
        accepted = await self.give(start)
        if accepted and rng.random() < 0.2:
            await self._same_key_other_body(start)
        return accepted

    async def _same_key_other_body(self, start: c.StartWorkflow) -> None:
        other = msgspec.structs.replace(start, base="other")
        try:
            await self._insistently(lambda journal: journal.execute(other, "another body"))
        except Refused:
            return
        self._world.watch.broken("I1", f"the key of {start.id} was taken again with another body")

    async def _attend(self) -> None:
        """Until it has ended: decides what is blocked, resumes what is paused, may have another go at what failed."""
        rng, decided, goes = self._random, set[str](), self._random.choice((0, 0, 0, 1, 2))
        while True:
            w = (await self._look()).workflow
            if w.ended:
                if self._regrets:
                    self._regrets = False
                    await self.give(c.CancelWorkflow(id=f"{w.id}/regret", workflow_id=w.id, actor="ada"))
                if w.status == "completed" or goes <= 0:
                    return
                goes -= 1
                retry = c.RetryWorkflow(
                    id=f"{self.workflow_id}/retry-{goes}",
                    workflow_id=w.id,
                    actor="ada",
                    start=rng.random() < 0.4,
                )
                if await self.give(retry):
                    self._retried += 1
                    decided.clear()
            elif w.phase == "delivering" and self._world.strikes(self._world.weather.people_stop_deliveries):
                await self.give(c.CancelWorkflow(id=f"{w.id}/stop/{self._retried}", workflow_id=w.id, actor="ada"))
            elif w.status == "paused":
                await self._resume(w)
            elif w.status == "blocked" and w.block and w.block.event_id not in decided:
                await asyncio.sleep(rng.random() * (300 if self._thinks else rng.choice((0.2, 5, 5, 40))))
                self._thinks = False
                await self._decide(w.block.event_id, w.block.plan_sha256)
                decided.add(w.block.event_id)
            await asyncio.sleep(0.5 + rng.random() * 3)

    async def _resume(self, w: Workflow) -> None:
        self._resumed += 1
        larger = Budget(microdollars=w.budget.microdollars * 3) if w.budget and self._random.random() < 0.9 else None
        resume = c.ResumeWorkflow(
            id=f"{self.workflow_id}/resume-{self._resumed}", workflow_id=w.id, actor="ada", budget=larger
        )
        await asyncio.sleep(self._random.random() * 5)
        await self.give(resume)

    async def _look(self) -> Row:
        row = await self._insistently(lambda journal: journal.get(self.workflow_id))
        if row is None:
            self._world.watch.broken("I1", f"{self.workflow_id} was accepted and is not there")
            raise NotFound(self.workflow_id)
        return row

    async def _decide(self, block_id: str, plan: str) -> None:
        """Mostly once; sometimes twice at the same moment, both ways at the same moment, or about another plan."""
        rng, orders = self._random, list[c.AnyCommand]()
        how = rng.random()
        if how < 0.1:
            wrong = self._order(c.ApproveWorkflow, "wrong", block_id, "0" * 64)
            if await self.give(wrong):
                self._world.watch.broken("I6", f"an approval of another plan than that of {self.workflow_id} was taken")
        if 0.4 < how < 0.5 and await self._approve_a_part(block_id, plan):
            return
        if 0.5 < how < 0.6:
            await self._revise(block_id, plan)
            return
        kinds: tuple[type[c.ApproveWorkflow | c.RejectWorkflow], ...] = (c.ApproveWorkflow,)
        if how > 0.6:
            kinds = rng.choice(((c.ApproveWorkflow,) * 2, (c.ApproveWorkflow, c.RejectWorkflow), (c.RejectWorkflow,)))
        for number, kind in enumerate(kinds):
            orders.append(self._order(kind, f"decision-{number}", block_id, plan))
        taken = await asyncio.gather(*(self.give(order) for order in orders))
        if len({type(order) for order, yes in zip(orders, taken, strict=True) if yes}) > 1:
            self._world.watch.broken("I6", f"{self.workflow_id} was both approved and rejected")

    async def _approve_a_part(self, block_id: str, plan: str) -> bool:
        """False when the plan has no part, or is too large to be looked at."""
        block = (await self._look()).workflow.block
        if block is None or block.plan is None or len(block.plan.tasks) < 2:
            return False
        part = self._random.sample([task.id for task in block.plan.tasks], len(block.plan.tasks) - 1)
        id_ = f"{self.workflow_id}/part/{block_id}/{self._retried}"
        approve = c.ApproveWorkflow(
            id=id_,
            workflow_id=self.workflow_id,
            actor="ada",
            block_id=block_id,
            plan_sha256=plan,
            tasks=tuple(part),
        )
        await self.give(approve)
        return True

    async def _revise(self, block_id: str, plan: str) -> None:
        revise = c.ReviseWorkflow(
            id=f"{self.workflow_id}/revise/{block_id}/{self._retried}",
            workflow_id=self.workflow_id,
            actor="ada",
            block_id=block_id,
            plan_sha256=plan,
            feedback="smaller",
        )
        if await self.give(revise):
            self.revised.append(plan)

    def _order(
        self, kind: type[c.ApproveWorkflow | c.RejectWorkflow], name: str, block_id: str, plan: str
    ) -> c.AnyCommand:
        id_ = f"{self.workflow_id}/{name}/{block_id}/{self._retried}"
        return kind(id=id_, workflow_id=self.workflow_id, actor="ada", block_id=block_id, plan_sha256=plan)

    async def _cancel_some_time(self) -> None:
        await asyncio.sleep(self._random.random() * self._random.choice((5, 40)))
        await self.give(c.CancelWorkflow(id=f"{self.workflow_id}/cancel", workflow_id=self.workflow_id, actor="ada"))

    async def _pause_some_time(self) -> None:
        await asyncio.sleep(self._random.random() * self._random.choice((5, 40)))
        await self.give(c.PauseWorkflow(id=f"{self.workflow_id}/pause", workflow_id=self.workflow_id, actor="ada"))

    async def _say_something(self) -> None:
        await asyncio.sleep(self._random.random() * self._random.choice((2, 20)))
        said = c.SendMessage(id=f"{self.workflow_id}/say", workflow_id=self.workflow_id, actor="ada", text="faster")
        await self.give(said)

    async def give(self, command: c.AnyCommand) -> bool:
        """Until there is an answer, always with the same id."""
        try:
            answer: Executed = await self._insistently(lambda journal: _executed(journal, command))
        except (Conflict, NotFound) as error:
            self.given.append(Given(command=command, accepted=False, answer=str(error)))
            return False
        self.given.append(Given(command=command, accepted=True, answer=answer.row.workflow.status))
        return True

    async def _insistently(self, ask: Callable[[Journal], Awaitable[T]]) -> T:
        while True:
            try:
                return await self._world.api.ask(ask)
            except Unavailable:
                await asyncio.sleep(0.2 + self._random.random())


async def _executed(journal: Journal, command: c.AnyCommand) -> Executed:
    """As the api does it: what stops a workflow does not do so in the middle of a delivery."""
    if not isinstance(command, c.CancelWorkflow | c.PauseWorkflow):
        return await journal.execute(command, "print")
    async with beside_delivery(journal, command.workflow_id):
        return await journal.execute(command, "print")
