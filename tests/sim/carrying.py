"""In place of the graph: the same steps with the same facts, checkpointed before they are announced, but scripted.

Numbering, checkpoints and what is announced again are the orchestrator's own functions.
"""

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec.structs import replace

from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.invocation import Invocation
from amelia.contract.plan import Plan, Task, Verdict, plan_sha256
from amelia.contract.workflow import Money
from amelia.domain.plan import part_of
from amelia.errors import Unavailable
from amelia.orchestrator.facts import above, fact_id, record, unheard_pause
from amelia.orchestrator.job import Ended
from amelia.orchestrator.live import Live, Stopped
from amelia.orchestrator.state import State
from amelia.ports.agents import Announcer

from .ledger import PRICE

if TYPE_CHECKING:
    from .machine import Machine
    from .world import World

_PAUSES = (2, 10, 30)


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What the agents of one workflow will do. ``blames``: so many times its repository cannot be cloned."""

    tasks: int
    turns: int
    turn_seconds: float
    rounds: int
    fails: bool
    blames: int
    large_plan: bool

    @classmethod
    def drawn(cls, rng: random.Random, clone_fails: float) -> "Script":
        return cls(
            tasks=rng.choice((1, 1, 2, 3)),
            turns=rng.choice((1, 2, 3)),
            turn_seconds=rng.choice((0.05, 0.5, 2.0, 6.0)),
            rounds=rng.choice((1, 1, 2)),
            fails=rng.random() < 0.1,
            blames=rng.choice((1, 2)) if rng.random() < max(0.1, clone_fails) else 0,
            large_plan=rng.random() < 0.15,
        )


class Carrier:
    """Carries one attempt at a time, on a session's machine."""

    def __init__(self, world: "World", machine: "Machine") -> None:
        self._world = world
        self._machine = machine

    async def carry(self, asked: Invocation, announcer: Announcer, live: Live) -> Ended:
        """As the runtime's own work does: patient for a while, then lost."""
        for pause in (*_PAUSES, None):
            try:
                return await Run(self._world, self._machine, asked, announcer, live).to_the_end()
            except Unavailable:
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            except Exception as error:
                self._world.watch.broken("sim", f"the script failed: {error!r}")
                raise
        raise AssertionError


class Sheet(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the checkpoint holds of the work. ``step`` comes next; ``revised`` counts plans that were sent back."""

    step: str = "open"
    back_to: str = ""
    plan: Plan | None = None
    plan_sha256: str = ""
    block_id: str = ""
    revised: int = 0
    retries: int = 0
    done: tuple[str, ...] = ()
    round: int = 1
    applied: tuple[str, ...] = ()
    used: dict[int, Money] = {}
    result: Literal["", "success", "failed"] = ""
    cause: str = ""
    blames: bool = False


_sheet = msgspec.json.Decoder(Sheet).decode
Said = tuple[Event, ...]


class Run:
    """One go at a workflow, from its newest checkpoint to where it can go no further."""

    def __init__(self, world: "World", machine: "Machine", asked: Invocation, announcer: Announcer, live: Live) -> None:
        self._world, self._machine, self._asked, self._announcer = world, machine, asked, announcer
        self._live, self._account = live, live.account
        self._id = asked.workflow_id
        self._script = world.scripts[asked.workflow_id]
        self._announced = asked.highest_fact
        self._objects = world.objects_for(machine)
        world.ledger.begins(asked.workflow_id)

    async def to_the_end(self) -> Ended:
        state = await self._memory(lambda: self._world.memory.adopt(self._thread, self._asked.epoch))
        await self._announce(state)
        if unheard_pause(state, self._asked.highest_fact):
            return Ended(state="paused", last_fact=state["last_fact"])
        while True:
            sheet = self._again(_sheet(state["work"]))
            self._account.learn(sheet.used)
            if sheet.step == "end":
                return Ended(state="finished", last_fact=state["last_fact"], result=sheet.result, cause=sheet.cause)
            try:
                stepped = await self._step(state, sheet)
            except Stopped as stopped:
                following, used = self._settled(sheet)
                await self._kept(state, following, (*used, stopped.said))
                return Ended(state="paused", last_fact=state["last_fact"])
            if stepped is None:
                return Ended(state="blocked", last_fact=state["last_fact"])
            state = await self._kept(state, *stepped)

    async def _kept(self, state: State, sheet: Sheet, said: Said) -> State:
        """Checkpointed, then announced."""
        state = record(state, sheet, said, self._asked.highest_fact)  # type: ignore[arg-type]
        await self._memory(partial(self._world.memory.keep, self._thread, self._asked.epoch, state))
        await self._announce(state)
        return state

    def _again(self, sheet: Sheet) -> Sheet:
        """A failure that somebody wants tried again goes back to where it failed."""
        if sheet.retries >= self._asked.retries:
            return sheet
        back = sheet.back_to if sheet.step == "end" and sheet.result == "failed" else ""
        again = replace(sheet, retries=self._asked.retries)
        return replace(again, step=back, back_to="", result="", cause="", blames=False) if back else again

    async def _step(self, state: State, sheet: Sheet) -> tuple[Sheet, Said] | None:
        """What a step came to and what it says; None when it waits."""
        match sheet.step:
            case "gate":
                return self._gate(sheet)
            case "finish":
                return await self._finish(sheet)
        heard, read = self._read(sheet)
        match sheet.step:
            case "open":
                if heard.retries < self._script.blames:
                    cause = f"the repository is away, the {heard.retries + 1}th time"
                    broken = replace(heard, step="finish", back_to="open", result="failed", cause=cause, blames=True)
                    return broken, tuple(read)
                await self._turn("", 0)
                started = e.WorkflowStarted(id="", workflow_id=self._id, base_commit="b" * 40)
                said: Said = (started, e.AgentStarted(id="", workflow_id=self._id, agent="architect"))
                after = replace(heard, step="plan")
            case "plan":
                after, said = await self._plan(state, heard, len(read))
            case "review":
                after, said = await self._review(heard)
            case task:
                after, said = await self._develop(heard, task)
        return after, (*read, *said)

    def _read(self, sheet: Sheet) -> tuple[Sheet, Said]:
        unread = [note.id for note in self._live.notes if note.id not in sheet.applied]
        said = (e.MessageApplied(id="", workflow_id=self._id, message_id=id_, agent="developer") for id_ in unread)
        return replace(sheet, applied=(*sheet.applied, *unread)), tuple(said)

    async def _plan(self, state: State, sheet: Sheet, before: int) -> tuple[Sheet, Said]:
        sheet, used = await self._turns(sheet, f"plan-{sheet.revised}")
        proposed = planned(self._id, self._script, sheet.revised)
        said: Said = (e.AgentCompleted(id="", workflow_id=self._id, agent="architect"), *used)
        number = max(state["last_fact"], self._asked.highest_fact) + before + len(said) + 1
        block_id, sha256 = fact_id(self._id, number, "workflow_blocked"), plan_sha256(proposed)
        claim = None
        if self._script.large_plan:
            claim = await self._objects.put(f"{self._id}/plan", msgspec.json.encode(proposed, order="sorted"))
        blocked = e.WorkflowBlocked(
            id="", workflow_id=self._id, plan_sha256=sha256, plan=None if claim else proposed, plan_claim=claim
        )
        return replace(sheet, step="gate", plan=proposed, plan_sha256=sha256, block_id=block_id), (*said, blocked)

    def _gate(self, sheet: Sheet) -> tuple[Sheet, Said] | None:
        decision = self._asked.decision
        if decision is None or decision.block_id != sheet.block_id:
            return None
        if decision.tasks and sheet.plan is not None:
            part = part_of(sheet.plan, decision.tasks)
            sheet = replace(sheet, plan=part, plan_sha256=plan_sha256(part))
        if decision.plan_sha256 != sheet.plan_sha256:
            return None
        if decision.kind == "revised":
            return replace(sheet, step="plan", revised=sheet.revised + 1), ()
        if decision.kind == "rejected":
            return replace(sheet, step="finish", back_to="gate", result="failed", cause="rejected"), ()
        self._world.watch.executed(self._id, self._asked.epoch, sheet.plan_sha256)
        return self._next(sheet)

    def _next(self, sheet: Sheet) -> tuple[Sheet, Said]:
        assert sheet.plan is not None
        left = [task.id for task in sheet.plan.tasks if task.id not in sheet.done]
        if not left:
            started = e.AgentStarted(id="", workflow_id=self._id, agent="reviewer", round=sheet.round)
            return replace(sheet, step="review"), (started,)
        begun = e.TaskStarted(id="", workflow_id=self._id, task_id=left[0], title=left[0])
        return replace(sheet, step=left[0]), (begun,)

    async def _develop(self, sheet: Sheet, task: str) -> tuple[Sheet, Said]:
        assert sheet.plan is not None
        sheet, used = await self._turns(sheet, f"{task}-{sheet.revised}")
        assert sheet.plan is not None
        if self._script.fails and not sheet.retries and task == sheet.plan.tasks[-1].id:
            failed = replace(sheet, step="finish", back_to=task, result="failed", cause=f"the task {task} failed")
            return failed, used
        done = e.TaskCompleted(id="", workflow_id=self._id, task_id=task, status="completed", commit=task.ljust(40))
        after, said = self._next(replace(sheet, done=(*sheet.done, task)))
        return after, (*used, done, *said)

    async def _review(self, sheet: Sheet) -> tuple[Sheet, Said]:
        sheet, used = await self._turns(sheet, f"review-{sheet.revised}-{sheet.round}")
        approved = sheet.round >= self._script.rounds
        verdict = Verdict(approved=approved, summary="good" if approved else "not yet")
        said = (*used, e.ReviewCompleted(id="", workflow_id=self._id, verdict=verdict, round=sheet.round))
        if approved:
            return replace(sheet, step="finish", result="success"), said
        return replace(sheet, round=sheet.round + 1), said

    async def _finish(self, sheet: Sheet) -> tuple[Sheet, Said]:
        ended = e.WorkflowCompleted(
            id="",
            workflow_id=self._id,
            result=sheet.result or "failed",
            cause=sheet.cause,
            blame="repository" if sheet.blames else "",
        )
        if sheet.result != "success":
            return replace(sheet, step="end"), (ended,)
        commit = f"{sheet.plan_sha256[:32]}{self._asked.generation:08}"
        bundle = bundled(self._id, commit, sheet.plan_sha256)
        handed_in = e.WorkHandedIn(
            id="",
            workflow_id=self._id,
            bundle=await self._objects.put(f"{self._id}/bundle", bundle),
            branch=self._asked.branch,
            commit=commit,
            base_commit="b" * 40,
            plan_sha256=sheet.plan_sha256,
        )
        return replace(sheet, step="end"), (handed_in, ended)

    async def _turns(self, sheet: Sheet, task: str) -> tuple[Sheet, Said]:
        """Each model turn is kept when it was answered, with what was spent, so that it is not asked for again."""
        for number in range(1, self._script.turns + 1):
            key = f"{self._thread}/transcript/{task}/{number}"
            known = await self._objects.read(key)
            if known is not None:
                self._account.learn(msgspec.json.decode(known, type=dict[int, Money]))
                continue
            if not self._account.has_room_for(PRICE):
                spent, budget = self._account.all, self._account.budget
                raise Stopped(e.BudgetReached(id="", workflow_id=self._id, budget=budget, spent=spent))
            await self._turn(f"{self._asked.generation}/{task}", number)
            self._account.pay(PRICE)
            await self._objects.write(key, msgspec.json.encode(self._account.spent))
        return self._settled(sheet)

    def _settled(self, sheet: Sheet) -> tuple[Sheet, Said]:
        """What this attempt spent, and what earlier ones did and nobody has said yet; each named."""
        account = self._account
        sums = {**account.unsaid(sheet.used), self._asked.epoch: account.used}
        said = (
            e.TokensUsed(id="", workflow_id=self._id, used=used, of_attempt=epoch)
            for epoch, used in sorted(sums.items())
            if used != Money()
        )
        return replace(sheet, used=account.spent), tuple(said)

    async def _turn(self, task: str, number: int) -> None:
        rng = self._world.random
        for said in range(rng.choice((0, 1, 3))):
            content = f"…{said} “é”"
            self._announcer.progress(e.AgentMessage(id="p", workflow_id=self._id, agent="developer", content=content))
        if self._world.strikes(self._world.weather.hangs):
            await asyncio.Event().wait()
        await asyncio.sleep(rng.random() * self._script.turn_seconds)
        if number:
            await self._machine.call("model", lambda: self._paid(task, number))

    def _paid(self, task: str, number: int) -> None:
        """Whoever was taken over may still ask for what the other asks for too."""
        self._world.ledger.turn(self._id)
        self._world.watch.paid(self._id, self._asked.epoch, task, number)

    async def _memory(self, effect: Callable[[], State]) -> State:
        weather = self._world.weather
        return await self._machine.call("memory", effect, weather.memory_away, weather.memory_unknown)

    async def _announce(self, state: State) -> None:
        facts = above(state, self._announced)
        if facts:
            await self._announcer.facts(facts)
            self._announced = facts[-1].fact

    @property
    def _thread(self) -> str:
        """Begun anew, a workflow has other checkpoints and other conversations."""
        return f"{self._id}/{self._asked.generation}"


class Checkpoints:
    """Each attempt begins with the newest of the attempts before it, and writes where no other reads."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[int, State]] = {}

    def adopt(self, thread: str, epoch: int) -> State:
        kept = self._kept.setdefault(thread, {})
        newest = max((n for n in kept if n <= epoch), default=0)
        fresh = State(work=msgspec.json.encode(Sheet()).decode(), facts=[], last_fact=0)
        return kept.setdefault(epoch, kept[newest] if newest else fresh)

    def keep(self, thread: str, epoch: int, state: State) -> State:
        self._kept.setdefault(thread, {})[epoch] = state
        return state


def planned(workflow_id: str, script: Script, revised: int) -> Plan:
    titles = (f"task-{number}" for number in range(1, script.tasks + 1))
    tasks = tuple(Task(id=title, title=title, description="do it") for title in titles)
    return Plan(summary=f"how {workflow_id} is done, version {revised}", tasks=tasks)


def bundled(workflow_id: str, commit: str, plan: str) -> bytes:
    return msgspec.json.encode({"workflow": workflow_id, "commit": commit, "plan": plan})
