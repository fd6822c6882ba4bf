"""One workflow from where it stands to its end, or to where it has to wait."""

import asyncio
import shutil

from amelia.adapters.local.lessons import LocalLessons
from amelia.adapters.local.objects import FolderObjects
from amelia.contract import events as e
from amelia.contract.ids import derive_id
from amelia.domain.lessons import told
from amelia.domain.policy import Policy
from amelia.domain.workflow import left
from amelia.drivers.prices import prices_for
from amelia.errors import Unavailable
from amelia.memory.local import LocalMemory
from amelia.orchestrator.account import Account
from amelia.orchestrator.agents.window import limits_for
from amelia.orchestrator.job import Job
from amelia.orchestrator.live import Live
from amelia.orchestrator.run import run
from amelia.workspace.deliver import deliver

from .local_gate import LocalGate
from .model import Model
from .record import Announcer, Record
from .views import View


class LocalRun:
    """Does here what a fleet does: opens attempts, takes decisions, delivers. ``asks`` when ``person`` is there to
    decide; ``policy`` is what ``auto_approve`` asks for, None without it."""

    def __init__(
        self, record: Record, model: Model, shown: View, *, asks: bool, policy: Policy | None, person: str
    ) -> None:
        self._record, self._model, self._shown = record, model, shown
        self._workdir = record.folder / "work"
        self._objects = FolderObjects(record.folder / "objects")
        self._gate = LocalGate(record, self._objects, asks=asks, policy=policy, person=person)
        self._memory = LocalMemory(record.folder / "checkpoints")
        self._lessons = LocalLessons(record.folder.parent)

    def to_the_end(self) -> None:
        """Returns when it has ended or is paused, or waits for a decision that nobody is here to make. What was cloned
        is then removed: the next attempt clones again."""
        self._taken_up()
        self._go_on()
        shutil.rmtree(self._workdir, ignore_errors=True)

    def _go_on(self) -> None:
        while not self._record.row.ended:
            row = self._record.row
            if row.status == "paused":
                return
            if row.status == "blocked":
                if not self._gate.decided():
                    return
            elif row.phase == "delivering":
                with self._shown:
                    asyncio.run(self._deliver())
            else:
                self._attempt()

    def to_the_plan(self) -> None:
        """Returns when there is a plan, or there will be none."""
        self._taken_up()
        while not (self._record.row.ended or self._record.row.block or self._record.row.status == "paused"):
            self._attempt()
        shutil.rmtree(self._workdir, ignore_errors=True)

    def _taken_up(self) -> None:
        if self._record.row.open:
            self._lost("the process that worked on it is gone")

    def _attempt(self) -> None:
        row = self._record.row
        epoch = row.epoch + 1
        opened = e.AttemptOpened(
            id=derive_id(row.id, f"attempt-{epoch}"), workflow_id=row.id, attempt=epoch, lease_seconds=0, key_version=0
        )
        with self._shown:
            self._record.append(opened)
            try:
                asyncio.run(self._work(epoch))
            except KeyboardInterrupt:
                self._lost("interrupted")
                raise
            except Exception as error:
                self._lost(str(error) or type(error).__name__)
                raise
        if self._record.row.open:
            self._lost("the agents ended without a result")
            raise Unavailable(f"the agents ended {row.id} without a result; the same command tries again")

    async def _work(self, epoch: int) -> None:
        row = self._record.row
        cast = self._model.cast(row.profile)
        try:
            await run(
                Job(
                    workflow_id=row.id,
                    issue=row.issue,
                    repository=row.repository,
                    branch=row.branch,
                    base=row.base,
                    profile=row.profile,
                    decision=row.decision,
                    highest_fact=row.fact,
                    generation=row.generation,
                    retries=row.retries,
                    lessons=told(self._lessons.lessons(row.repository)),
                    edited=self._gate.edited(row.decision),
                ),
                cast=cast,
                announcer=Announcer(self._record, self._lessons),
                objects=self._objects,
                memory=self._memory,
                workdir=self._workdir,
                epoch=epoch,
                live=Live(Account(epoch, left(row), row.spent)),
                prices=prices_for(self._model.environ),
                limits=limits_for(self._model.environ),
            )
        finally:
            await cast.aclose()

    async def _deliver(self) -> None:
        row = self._record.row
        work = row.handed_in
        assert work is not None
        bundle = await self._objects.get(work.bundle)
        await deliver(
            repository=row.repository, bundle=bundle, branch=work.branch, commit=work.commit, workflow_id=row.id
        )
        pushed = e.BranchPushed(
            id=derive_id(row.id, f"pushed-{work.commit}"),
            workflow_id=row.id,
            branch=work.branch,
            commit=work.commit,
            repository=row.repository,
        )
        self._record.append(pushed)

    def _lost(self, cause: str) -> None:
        row = self._record.row
        lost = e.RuntimeLost(
            id=derive_id(row.id, f"lost-{row.epoch}"), workflow_id=row.id, attempt=row.epoch, cause=cause
        )
        self._record.append(lost)
