"""The one entry: carries a workflow as far as it can go now."""

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..drivers.cast import Cast
from ..drivers.prices import PriceList, price_list
from ..loading import loading
from ..memory.base import Memory
from ..ports.agents import Announcer, ObjectStore
from ..redaction import ours
from .account import Account
from .discreet import DiscreetAnnouncer, DiscreetCast, DiscreetObjects
from .facts import record, unheard_pause
from .job import Ended, Job, Limits
from .live import Live, Stopped
from .site import Site
from .state import State, beginning, values_of, work_of

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import CheckpointTuple
    from langgraph.graph.state import CompiledStateGraph
    from langgraph.types import Command, StateSnapshot

    from .announcing import AnnouncingSaver

MOST_STEPS = 10_000

log = logging.getLogger(__name__)


async def run(
    job: Job,
    *,
    cast: Cast,
    announcer: Announcer,
    objects: ObjectStore,
    memory: Memory,
    workdir: Path,
    epoch: int = 1,
    live: Live | None = None,
    prices: PriceList | None = None,
    limits: Limits | None = None,
) -> Ended:
    """Starts the workflow, or goes on from its newest checkpoint, until it waits for a decision, has to stop or is
    finished.

    Facts above ``job.highest_fact`` are announced again first. ``workdir`` is this run's own; what is in it may be
    replaced. ``live`` is the attempt's (``live.account.epoch`` is then ``epoch``); without one nothing bounds it.
    Raises ``Unavailable`` when a model, the memory or the object store stays away: a later run goes on. Cancelling
    ends every process the run has started.
    """
    with loading("langgraph.graph"):
        from .announcing import AnnouncingSaver
        from .graph import compile_graph

    secrets = ours()
    secrets.learn("clone-token", job.clone_token)
    site = Site(
        job,
        cast=DiscreetCast(cast, secrets),
        prices=prices or price_list(),
        announcer=DiscreetAnnouncer(announcer, secrets),
        objects=DiscreetObjects(objects, secrets),
        workdir=workdir,
        live=live or Live(Account(epoch)),
        limits=limits or Limits(),
    )
    for model in filter(None, cast.models):
        if site.prices.of(model) is None:
            log.warning("%s has no price, and is counted at the highest; AMELIA_PRICES names a file with others", model)
    async with memory.checkpoints(job.workflow_id, epoch) as inner, site.crew:
        saver = AnnouncingSaver(inner, announcer, job.highest_fact)
        return await Course(site, saver, compile_graph(site, saver)).to_the_end()


class Course:
    """One run's way through the graph."""

    def __init__(
        self, site: Site, saver: "AnnouncingSaver", graph: "CompiledStateGraph[State, None, State, State]"
    ) -> None:
        self._site = site
        self._job = site.job
        self._saver = saver
        self._graph = graph
        self._config: RunnableConfig = {
            "configurable": {"thread_id": site.job.thread},
            "recursion_limit": MOST_STEPS,
        }
        self._before: RunnableConfig | None = None

    async def to_the_end(self) -> Ended:
        ended = await self._taken_up()
        while ended is None:
            ended = await self._carried_on()
        return ended

    async def _taken_up(self) -> Ended | None:
        """What an earlier run has left: said again, and brought to where this one goes on."""
        from .steps.again import again, is_to_go_on

        kept = await self._saver.aget_tuple(self._config)
        state = values_of(kept.checkpoint["channel_values"]) if kept else None
        if kept is None or state is None:
            return None
        self._site.account.learn(work_of(state).used, work_of(state).shares)
        if is_to_go_on(work_of(state), self._job):
            await self._write(again(self._site, state))
            return None
        await self._saver.announce(state)
        if unheard_pause(state, self._job.highest_fact):
            return Ended(state="paused", last_fact=state["last_fact"])
        if not _half_done(kept):
            await self._settle(state)
        return None

    async def _settle(self, state: State) -> None:
        """What earlier attempts spent in the middle of the step they broke off is in their transcript."""
        from .agents.whose import conversations

        site, work = self._site, work_of(state)
        for label, begun in conversations(site, work):
            found = await site.shelf(begun, label).newest()
            if found is not None:
                site.account.learn(found.spent, found.shares)
        if owed := site.owed(work):
            work = msgspec.structs.replace(work, used=site.account.spent)
            await self._write(record(state, work, owed, self._job.highest_fact))

    async def _carried_on(self) -> Ended | None:
        """None when there is more to do."""
        snapshot = await self._graph.aget_state(self._config)
        state = values_of(snapshot.values)
        if state is None or _not_begun(snapshot):
            entry: State | Command[Any] | None = beginning()
        elif not snapshot.next and work_of(state).step == "end":
            return _finished(state)
        elif snapshot.interrupts:
            entry = _resumption(snapshot, state, self._job)
            if entry is None:
                return Ended(state="blocked", last_fact=state["last_fact"])
        elif snapshot.config == self._before:
            raise RuntimeError(f"the graph does not go on from {work_of(state).step}")
        else:
            entry = None
        self._before = snapshot.config
        return await self._stepped(entry)

    async def _stepped(self, entry: "State | Command[Any] | None") -> Ended | None:
        ends = self._site.live.ends
        try:
            async with asyncio.timeout_at(ends.cut if ends else None) as life:
                await self._graph.ainvoke(entry, self._config, durability="sync")
        except Stopped as stopped:
            return await self._pause(stopped)
        except TimeoutError:
            if not life.expired():
                raise
            return await self._pause(Stopped(self._site.timeout()))
        return None

    async def _pause(self, stopped: Stopped) -> Ended:
        """The step that was under way stays the next one, and is the same one: its transcript goes on."""
        snapshot = await self._graph.aget_state(self._config)
        state = values_of(snapshot.values) or beginning()
        work, used = self._site.settled(work_of(state))
        state = record(state, work, (*used, stopped.said), self._job.highest_fact)
        await self._write(state)
        return Ended(state="paused", last_fact=state["last_fact"], cause=str(stopped))

    async def _write(self, state: State) -> None:
        from .graph import ELSEWHERE

        await self._graph.aupdate_state(self._config, state, as_node=ELSEWHERE)


def _half_done(kept: "CheckpointTuple") -> bool:
    """A step has ended, and the checkpoint that says so was not written: LangGraph goes on from what the step left."""
    from langgraph.checkpoint.serde.types import ERROR, INTERRUPT, RESUME

    return any(channel not in (ERROR, INTERRUPT, RESUME) for _, channel, _ in kept.pending_writes or ())


def _not_begun(snapshot: "StateSnapshot") -> bool:
    """Died between the checkpoint of its input and the first one of its steps: nothing is next, as at the end."""
    return snapshot.metadata is not None and snapshot.metadata.get("source") == "input"


def _resumption(snapshot: "StateSnapshot", state: State, job: Job) -> "Command[Any] | None":
    """Answers the interrupt by its id, if the job brings a decision about exactly what it asks."""
    from langgraph.types import Command

    from .steps.gate import decides

    if job.decision is None or not decides(job.decision, work_of(state)):
        return None
    return Command(resume={snapshot.interrupts[0].id: msgspec.to_builtins(job.decision)})


def _finished(state: State) -> Ended:
    work = work_of(state)
    return Ended(state="finished", last_fact=state["last_fact"], result=work.result, cause=work.cause)
