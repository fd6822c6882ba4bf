"""The work of one attempt: carries the workflow as far as it goes, or ends it with a cause."""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from amelia.contract.events import WorkflowCompleted
from amelia.contract.invocation import Invocation
from amelia.contract.workflow import Money, Profile
from amelia.drivers.base import Driver
from amelia.errors import AmeliaError, Unavailable
from amelia.memory.base import Memory
from amelia.orchestrator.announcing import AnnouncingSaver
from amelia.orchestrator.facts import record
from amelia.orchestrator.graph import compile_graph
from amelia.orchestrator.job import Ended, Job
from amelia.orchestrator.run import run
from amelia.orchestrator.site import Site
from amelia.orchestrator.state import beginning, values_of, work_of
from amelia.ports.agents import Announcer, ObjectStore

from .choosing import Missing, choose

Choose = Callable[[Profile, Mapping[str, str]], tuple[Driver, str]]

log = logging.getLogger(__name__)


class Workshop:
    """``pauses``: seconds before a run that something was away for is tried again; after the last it is given up.
    ``chooses``: who answers the agents of a profile, given ``environ``."""

    def __init__(
        self,
        *,
        objects: ObjectStore,
        memory: Memory,
        environ: Mapping[str, str],
        pauses: Sequence[float] = (2, 10, 30),
        chooses: Choose = choose,
    ) -> None:
        self._objects = objects
        self._memory = memory
        self._environ = environ
        self._pauses = pauses
        self._chooses = chooses

    async def carry(self, asked: Invocation, announcer: Announcer) -> Ended:
        """Raises ``Unavailable`` when not even the failure could be written to the memory."""
        job = job_of(asked)
        workdir = await asyncio.to_thread(_fresh_directory, asked)
        driver, model = self._chooses(asked.profile, self._environ)
        try:
            return await self._patiently(job, asked.epoch, driver, model, announcer, workdir)
        except Exception as error:
            if not isinstance(error, AmeliaError):
                log.exception("the run failed")
            cause = str(error) if isinstance(error, AmeliaError) else f"the runtime failed: {_said(error)}"
            return await self._give_up(job, asked.epoch, announcer, cause)
        finally:
            await driver.aclose()
            await asyncio.to_thread(shutil.rmtree, workdir, ignore_errors=True)

    async def _patiently(
        self, job: Job, epoch: int, driver: Driver, model: str, announcer: Announcer, workdir: Path
    ) -> Ended:
        for pause in (*self._pauses, None):
            try:
                return await run(
                    job,
                    driver=driver,
                    model=model,
                    announcer=announcer,
                    objects=self._objects,
                    memory=self._memory,
                    workdir=workdir,
                    epoch=epoch,
                )
            except Unavailable as error:
                if pause is None:
                    raise
                log.warning("tried again in %s s: %s", pause, error)
                await asyncio.sleep(pause)
        raise AssertionError

    async def _give_up(self, job: Job, epoch: int, announcer: Announcer, cause: str) -> Ended:
        """The failure becomes the checkpoint's last fact, so that it is said again however often it is lost."""
        log.error("given up: %s", cause)
        async with self._memory.checkpoints(job.workflow_id, epoch) as inner:
            saver = AnnouncingSaver(inner, announcer, job.highest_fact)
            site = Site(
                job,
                driver=Missing(cause),
                model="",
                announcer=announcer,
                objects=self._objects,
                workdir=Path(),
                epoch=epoch,
                carried=Money(),
            )
            graph = compile_graph(site, saver)
            snapshot = await graph.aget_state({"configurable": {"thread_id": job.workflow_id}})
            state = values_of(snapshot.values) or beginning()
            await saver.announce(state)
            work = replace(work_of(state), step="end", begun=epoch, result="failed", cause=cause)
            ended = WorkflowCompleted(id="", workflow_id=job.workflow_id, result="failed", cause=cause)
            state = record(state, work, (ended,), job.highest_fact)
            await graph.aupdate_state(snapshot.config, state, as_node="finish")
            return Ended(state="finished", last_fact=state["last_fact"], result="failed", cause=cause)


def job_of(asked: Invocation) -> Job:
    return Job(
        workflow_id=asked.workflow_id,
        issue=asked.issue,
        repository=asked.repository,
        branch=asked.branch,
        base=asked.base,
        profile=asked.profile,
        decision=asked.decision,
        highest_fact=asked.highest_fact,
    )


def _fresh_directory(asked: Invocation) -> Path:
    """This attempt's own. What attempts of the workflow that were killed have left behind goes."""
    name = f"amelia-{asked.workflow_id}-"
    for left in Path(tempfile.gettempdir()).glob(f"{name}*"):
        shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{name}{asked.epoch}-"))


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]
