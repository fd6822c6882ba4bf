"""A run that cannot go on ends the workflow with a cause."""

from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from ..contract.events import WorkflowCompleted
from ..errors import AmeliaError
from ..memory.base import Memory
from ..ports.agents import Announcer
from .job import Ended, Job
from .live import Live
from .state import WAITING, beginning, values_of, work_of

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig


async def give_up(job: Job, error: Exception, *, announcer: Announcer, memory: Memory, live: Live) -> Ended:
    """The failure becomes the checkpoint's last fact, so that it is said again however often it is lost; a retry goes
    on in the middle of the step. What had ended or waits for a decision stays as it is.

    Raises ``Unavailable`` when not even this can be written to the memory.
    """
    from .announcing import AnnouncingSaver
    from .facts import record
    from .graph import ELSEWHERE, compile_graph
    from .site import RepositoryAway, RepositoryRefused
    from .steps.gate import decides

    cause = str(error) if isinstance(error, AmeliaError) else f"the runtime failed: {_said(error)}"
    config: RunnableConfig = {"configurable": {"thread_id": job.thread}}
    async with memory.checkpoints(job.workflow_id, live.account.epoch) as inner:
        saver = AnnouncingSaver(inner, announcer, job.highest_fact)
        graph = compile_graph(None, saver)
        state = values_of((await graph.aget_state(config)).values) or beginning()
        work = work_of(state)
        await saver.announce(state)
        if work.step == "end":
            return Ended(state="finished", last_fact=state["last_fact"], result=work.result, cause=work.cause)
        if work.step in WAITING and not (job.decision and decides(job.decision, work)):
            return Ended(state="blocked", last_fact=state["last_fact"])
        blame: Literal["", "repository"] = "repository" if isinstance(error, RepositoryRefused | RepositoryAway) else ""
        failed = replace(
            work,
            step="end",
            result="failed",
            cause=cause,
            blame=blame,
            again=work.again if work.result == "failed" else work.step,
            broke_off=work.result != "failed",
            retries=max(work.retries, job.retries),
        )
        ended = WorkflowCompleted(id="", workflow_id=job.workflow_id, result="failed", cause=cause, blame=blame)
        state = record(state, failed, (ended,), job.highest_fact)
        await graph.aupdate_state(config, state, as_node=ELSEWHERE)
        return Ended(state="finished", last_fact=state["last_fact"], result="failed", cause=cause)


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]
