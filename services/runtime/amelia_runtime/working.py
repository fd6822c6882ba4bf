"""The work of one attempt: carries the workflow as far as it goes, or ends it with a cause."""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from amelia.contract.invocation import Invocation
from amelia.contract.workflow import Profile
from amelia.drivers.cast import Cast
from amelia.drivers.prices import prices_for
from amelia.errors import AmeliaError, Unavailable
from amelia.memory.base import Memory
from amelia.orchestrator.agents.window import limits_for
from amelia.orchestrator.giving_up import give_up
from amelia.orchestrator.job import Ended, Job, Limits
from amelia.orchestrator.live import Live
from amelia.orchestrator.run import run
from amelia.ports.agents import Announcer, ObjectStore
from amelia.workspace.address import check_url

from .choosing import choose

Choose = Callable[[Profile, Mapping[str, str]], Cast]

log = logging.getLogger(__name__)


class Workshop:
    """``pauses``: seconds before a run that something was away for is tried again; after the last it is given up.
    ``chooses``: who answers the agents of a profile, given ``environ``. ``local``: whether repositories of this machine
    are worked on."""

    def __init__(
        self,
        *,
        objects: ObjectStore,
        memory: Memory,
        environ: Mapping[str, str],
        pauses: Sequence[float] = (2, 10, 30),
        chooses: Choose = choose,
        limits: Limits | None = None,
        local: bool = True,
    ) -> None:
        self._objects = objects
        self._memory = memory
        self._environ = environ
        self._pauses = pauses
        self._chooses = chooses
        self._limits = limits
        self._local = local

    async def carry(self, asked: Invocation, announcer: Announcer, live: Live) -> Ended:
        """Raises ``Unavailable`` when not even the failure could be written to the memory."""
        job = job_of(asked)
        try:
            check_url(asked.repository, local=self._local)
            async with self._cast(asked) as cast, _workdir(asked) as workdir:
                return await self._patiently(job, cast, announcer, live, workdir)
        except Exception as error:
            log.error("given up: %s", error, exc_info=not isinstance(error, AmeliaError))
            return await give_up(job, error, announcer=announcer, memory=self._memory, live=live)

    async def _patiently(self, job: Job, cast: Cast, announcer: Announcer, live: Live, workdir: Path) -> Ended:
        for pause in (*self._pauses, None):
            try:
                return await run(
                    job,
                    cast=cast,
                    announcer=announcer,
                    objects=self._objects,
                    memory=self._memory,
                    workdir=workdir,
                    epoch=live.account.epoch,
                    live=live,
                    prices=prices_for(self._environ),
                    limits=self._limits or limits_for(self._environ),
                )
            except Unavailable as error:
                if pause is None:
                    raise
                log.warning("tried again in %s s: %s", pause, error)
                await asyncio.sleep(pause)
        raise AssertionError

    @asynccontextmanager
    async def _cast(self, asked: Invocation) -> AsyncIterator[Cast]:
        cast = self._chooses(asked.profile, self._environ)
        try:
            yield cast
        finally:
            await cast.aclose()


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
        generation=asked.generation,
        retries=asked.retries,
        clone_token=asked.clone_token,
        lessons=asked.lessons,
    )


@asynccontextmanager
async def _workdir(asked: Invocation) -> AsyncIterator[Path]:
    """This attempt's own, gone when it ends. So is what attempts before it, that were killed, have left behind."""
    name = f"amelia-{asked.workflow_id}-"
    folder = Path(tempfile.mkdtemp(prefix=f"{name}{asked.epoch}-"))
    try:
        await asyncio.to_thread(_clear, folder, name, asked.epoch)
        yield folder
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))


def _clear(folder: Path, name: str, epoch: int) -> None:
    for left in folder.parent.glob(f"{name}*"):
        written = left.name.removeprefix(name).partition("-")[0]
        if left != folder and written.isdecimal() and int(written) <= epoch:
            shutil.rmtree(left, ignore_errors=True)
