"""In place of the graph: the same steps with the same facts, checkpointed before they are announced, but scripted.

Numbering, checkpoints and what is announced again are the orchestrator's own functions.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.invocation import Invocation
from amelia.contract.plan import Plan, Task, Verdict, plan_sha256
from amelia.contract.workflow import Money
from amelia.errors import Unavailable
from amelia.orchestrator.facts import above, fact_id, record
from amelia.orchestrator.job import Ended
from amelia.orchestrator.state import State, Step, Work, beginning, work_of
from amelia.ports.agents import Announcer

from .ledger import more

if TYPE_CHECKING:
    from .machine import Machine
    from .world import World

_PAUSES = (2, 10, 30)


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What the agents of one workflow will do."""

    tasks: int
    turns: int
    turn_seconds: float
    rounds: int
    fails: bool
    large_plan: bool

    @classmethod
    def drawn(cls, rng: random.Random) -> "Script":
        return cls(
            tasks=rng.choice((1, 1, 2, 3)),
            turns=rng.choice((1, 2, 3)),
            turn_seconds=rng.choice((0.05, 0.5, 2.0, 6.0)),
            rounds=rng.choice((1, 1, 2)),
            fails=rng.random() < 0.1,
            large_plan=rng.random() < 0.15,
        )


class Carrier:
    """Carries one attempt at a time, on a session's machine."""

    def __init__(self, world: "World", machine: "Machine") -> None:
        self._world = world
        self._machine = machine

    async def carry(self, asked: Invocation, announcer: Announcer) -> Ended:
        """As the runtime's own work does: patient for a while, then lost."""
        for pause in (*_PAUSES, None):
            try:
                return await Run(self._world, self._machine, asked, announcer).to_the_end()
            except Unavailable:
                if pause is None:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError


class Run:
    def __init__(self, world: "World", machine: "Machine", asked: Invocation, announcer: Announcer) -> None:
        self._world, self._machine, self._asked, self._announcer = world, machine, asked, announcer
        self._script = world.scripts[asked.workflow_id]
        self._announced = asked.highest_fact

    async def to_the_end(self) -> Ended:
        state = await self._adopt()
        await self._announce(state)
        steps: dict[Step, Callable[[State, Work], Awaitable[State]]] = {
            "open": self._open,
            "plan": self._plan,
            "develop": self._develop,
            "review": self._review,
            "finish": self._finish,
        }
        while True:
            work = work_of(state)
            if work.step == "end":
                return Ended(state="finished", last_fact=state["last_fact"], result=work.result, cause=work.cause)
            if work.step == "gate":
                decided = self._gate(state, work)
                if decided is None:
                    return Ended(state="blocked", last_fact=state["last_fact"])
                state = decided
            else:
                state = await steps[work.step](state, work)
            await self._keep(state)
            await self._announce(state)

    async def _open(self, state: State, work: Work) -> State:
        await self._turn("", 0)
        started = e.WorkflowStarted(id="", workflow_id=self._id, base_commit="b" * 40)
        said = (started, e.AgentStarted(id="", workflow_id=self._id, agent="architect"))
        return self._onward(state, replace(work, base_commit="b" * 40), "plan", said)

    async def _plan(self, state: State, work: Work) -> State:
        work = await self._turns(work, "plan")
        proposed = planned(self._id, self._script)
        said: tuple[Event, ...] = (e.AgentCompleted(id="", workflow_id=self._id, agent="architect"), self._used(work))
        number = max(state["last_fact"], self._asked.highest_fact) + len(said) + 1
        block_id, sha256 = fact_id(self._id, number, "workflow_blocked"), plan_sha256(proposed)
        work = replace(work, plan=proposed, plan_sha256=sha256, block_id=block_id)
        if self._script.large_plan:
            data = msgspec.json.encode(proposed, order="sorted")
            claim = await self._world.objects_for(self._machine).put(f"{self._id}/plan", data)
            blocked = e.WorkflowBlocked(id="", workflow_id=self._id, plan_sha256=sha256, plan_claim=claim)
        else:
            blocked = e.WorkflowBlocked(id="", workflow_id=self._id, plan_sha256=sha256, plan=proposed)
        return self._onward(state, work, "gate", (*said, blocked))

    def _gate(self, state: State, work: Work) -> State | None:
        decision = self._asked.decision
        if decision is None or (decision.block_id, decision.plan_sha256) != (work.block_id, work.plan_sha256):
            return None
        if decision.kind == "rejected":
            return self._onward(state, replace(work, result="failed", cause="rejected"), "finish", ())
        self._world.watch.executed(self._id, work.plan_sha256)
        return self._next(state, work, ())

    def _next(self, state: State, work: Work, said: Sequence[Event]) -> State:
        left = [task for task in work.agreed.tasks if task.id not in work.outcomes]
        if not left:
            started = e.AgentStarted(id="", workflow_id=self._id, agent="reviewer", round=work.round)
            return self._onward(state, replace(work, task=""), "review", (*said, started))
        task = left[0]
        begun = e.TaskStarted(id="", workflow_id=self._id, task_id=task.id, title=task.title)
        return self._onward(state, replace(work, task=task.id), "develop", (*said, begun))

    async def _develop(self, state: State, work: Work) -> State:
        work = await self._turns(work, work.task)
        if self._script.fails and len(work.outcomes) + 1 == len(work.agreed.tasks):
            work = replace(work, result="failed", cause=f"the task {work.task} failed")
            return self._onward(state, work, "finish", (self._used(work),))
        commit = f"{work.task}".ljust(40, "0")
        done = e.TaskCompleted(id="", workflow_id=self._id, task_id=work.task, status="completed", commit=commit)
        work = replace(work, commit=commit, outcomes={**work.outcomes, work.task: "completed"})
        return self._next(state, work, (self._used(work), done))

    async def _review(self, state: State, work: Work) -> State:
        work = await self._turns(work, f"review-{work.round}")
        approved = work.round >= self._script.rounds
        verdict = Verdict(approved=approved, summary="good" if approved else "not yet")
        said = (self._used(work), e.ReviewCompleted(id="", workflow_id=self._id, verdict=verdict, round=work.round))
        if approved:
            return self._onward(state, replace(work, result="success"), "finish", said)
        return self._onward(state, replace(work, round=work.round + 1), "review", said)

    async def _finish(self, state: State, work: Work) -> State:
        ended = e.WorkflowCompleted(id="", workflow_id=self._id, result=work.result or "failed", cause=work.cause)
        if work.result != "success":
            return self._onward(state, work, "end", (ended,))
        commit = f"{work.plan_sha256[:24]}{work.commit[:16]}"
        bundle = bundled(self._id, commit, work.plan_sha256)
        claim = await self._world.objects_for(self._machine).put(f"{self._id}/bundle", bundle)
        handed_in = e.WorkHandedIn(
            id="",
            workflow_id=self._id,
            bundle=claim,
            branch=self._asked.branch,
            commit=commit,
            base_commit=work.base_commit,
            plan_sha256=work.plan_sha256,
        )
        return self._onward(state, work, "end", (handed_in, ended))

    async def _turns(self, work: Work, task: str) -> Work:
        """Each model turn is kept when it was answered, so that it is not asked for again."""
        objects = self._world.objects_for(self._machine)
        for number in range(1, self._script.turns + 1):
            key = f"{self._id}/transcript/{task}/{number}"
            if await objects.read(key) is None:
                await self._turn(task, number)
                before = work.spent if work.spent_in == self._asked.epoch else Money()
                work = replace(work, spent=more(before), spent_in=self._asked.epoch)
                await objects.write(key, b"answered")
        return work

    async def _turn(self, task: str, number: int) -> None:
        rng = self._world.random
        for said in range(rng.choice((0, 1, 3))):
            content = f"…{said} “é”"
            self._announcer.progress(e.AgentMessage(id="p", workflow_id=self._id, agent="developer", content=content))
        await asyncio.sleep(rng.random() * self._script.turn_seconds)
        if number:
            await self._machine.call("model", lambda: self._world.ledger.turn(self._id, task, number))

    def _used(self, work: Work) -> e.TokensUsed:
        """Names the attempt that spent it, because a later one may have to say it."""
        return e.TokensUsed(id="", workflow_id=self._id, used=work.spent, of_attempt=work.spent_in, model="sim")

    def _onward(self, state: State, work: Work, step: Step, said: Sequence[Event]) -> State:
        return record(state, replace(work, step=step, begun=self._asked.epoch), said, self._asked.highest_fact)

    async def _adopt(self) -> State:
        return await self._memory(lambda: self._world.memory.adopt(self._id, self._asked.epoch))

    async def _keep(self, state: State) -> None:
        await self._memory(lambda: self._world.memory.keep(self._id, self._asked.epoch, state))

    async def _memory(self, effect: Callable[[], State]) -> State:
        weather = self._world.weather
        return await self._machine.call("memory", effect, weather.memory_away, weather.memory_unknown)

    async def _announce(self, state: State) -> None:
        facts = above(state, self._announced)
        if facts:
            await self._announcer.facts(facts)
            self._announced = facts[-1].fact

    @property
    def _id(self) -> str:
        return self._asked.workflow_id


class Checkpoints:
    """Each attempt begins with the newest of the attempts before it, and writes where no other reads."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[int, State]] = {}

    def adopt(self, workflow_id: str, epoch: int) -> State:
        kept = self._kept.setdefault(workflow_id, {})
        newest = max((n for n in kept if n <= epoch), default=0)
        return kept.setdefault(epoch, kept[newest] if newest else beginning())

    def keep(self, workflow_id: str, epoch: int, state: State) -> State:
        self._kept.setdefault(workflow_id, {})[epoch] = state
        return state


def planned(workflow_id: str, script: Script) -> Plan:
    titles = (f"task-{number}" for number in range(1, script.tasks + 1))
    tasks = tuple(Task(id=title, title=title, description="do it") for title in titles)
    return Plan(summary=f"how {workflow_id} is done", tasks=tasks)


def bundled(workflow_id: str, commit: str, plan: str) -> bytes:
    return msgspec.json.encode({"workflow": workflow_id, "commit": commit, "plan": plan})
