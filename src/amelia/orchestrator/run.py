"""The one entry: carries a workflow as far as it can go now."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..drivers.base import Driver
from ..memory.base import Memory
from ..ports.agents import Announcer, ObjectStore
from .facts import above, unheard
from .job import Ended, Job
from .site import Site
from .state import State, beginning, values_of, work_of

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.graph.state import CompiledStateGraph
    from langgraph.types import Command, StateSnapshot

MOST_STEPS = 10_000


async def run(
    job: Job,
    *,
    driver: Driver,
    model: str,
    announcer: Announcer,
    objects: ObjectStore,
    memory: Memory,
    workdir: Path,
    epoch: int = 1,
) -> Ended:
    """Starts the workflow, or goes on from its newest checkpoint, until it waits for a decision or is finished.

    Facts above ``job.highest_fact`` are announced again first. ``workdir`` is this run's own; what is in it may be
    replaced. Raises ``Unavailable`` when a model, the memory or the object store stays away: a later run goes on.
    Cancelling ends every process the run has started.
    """
    from .announcing import AnnouncingSaver
    from .graph import compile_graph

    config: RunnableConfig = {"configurable": {"thread_id": job.workflow_id}, "recursion_limit": MOST_STEPS}
    async with memory.checkpoints(job.workflow_id, epoch) as inner:
        saver = AnnouncingSaver(inner, announcer, job.highest_fact)
        kept = await saver.aget_tuple(config)
        state = values_of(kept.checkpoint["channel_values"]) if kept else None
        if state is not None:
            await saver.announce(state)
        carried = unheard(above(state, job.highest_fact)) if state else unheard(())
        site = Site(
            job,
            driver=driver,
            model=model,
            announcer=announcer,
            objects=objects,
            workdir=workdir,
            epoch=epoch,
            carried=carried,
        )
        return await _carry_on(compile_graph(site, saver), job, config)


async def _carry_on(
    graph: "CompiledStateGraph[State, None, State, State]", job: Job, config: "RunnableConfig"
) -> Ended:
    while True:
        snapshot = await graph.aget_state(config)
        state = values_of(snapshot.values)
        if state is None or _not_begun(snapshot):
            entry: State | Command[Any] | None = beginning()
        elif not snapshot.next:
            return _finished(state)
        elif snapshot.interrupts:
            entry = _resumption(snapshot, state, job)
            if entry is None:
                return Ended(state="blocked", last_fact=state["last_fact"])
        else:
            entry = None
        await graph.ainvoke(entry, config, durability="sync")


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
