"""One workflow from where it stands to its end, or to where it has to wait."""

import asyncio
from typing import Any

import msgspec
from msgspec.structs import replace

from amelia.adapters.local.objects import FolderObjects
from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.ids import derive_id, new_id
from amelia.contract.plan import Plan
from amelia.contract.views import PlanView
from amelia.domain.decide import decide
from amelia.domain.plan import changes
from amelia.domain.policy import OPEN, decision
from amelia.domain.workflow import Block, left
from amelia.drivers.prices import prices_for
from amelia.errors import Unavailable
from amelia.memory.local import LocalMemory
from amelia.orchestrator.account import Account
from amelia.orchestrator.job import Job
from amelia.orchestrator.live import Live
from amelia.orchestrator.run import run
from amelia.workspace.deliver import deliver

from .model import Model
from .record import Announcer, Record, now
from .terminal import Choice, ask
from .views import View


class LocalRun:
    """Does here what a fleet does: opens attempts, takes decisions, delivers. ``person`` is who decides."""

    def __init__(self, record: Record, model: Model, shown: View, *, asks: bool, auto: bool, person: str) -> None:
        self._record, self._model, self._shown = record, model, shown
        self._asks, self._auto, self._person = asks, auto, person
        self._objects = FolderObjects(record.folder / "objects")
        self._memory = LocalMemory(record.folder / "checkpoints")

    def to_the_end(self) -> None:
        """Returns when it has ended or is paused, or waits for a decision that nobody is here to make."""
        if self._record.row.open:
            self._lost("the process that worked on it is gone")
        while not self._record.row.ended:
            row = self._record.row
            if row.status == "paused":
                return
            if row.status == "blocked":
                if not self._decide():
                    return
            elif row.phase == "delivering":
                with self._shown:
                    asyncio.run(self._deliver())
            else:
                self._attempt()

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
                ),
                cast=cast,
                announcer=Announcer(self._record),
                objects=self._objects,
                memory=self._memory,
                workdir=self._record.folder / "work",
                epoch=epoch,
                live=Live(Account(epoch, left(row), row.spent)),
                prices=prices_for(self._model.environ),
            )
        finally:
            await cast.aclose()

    def _decide(self) -> bool:
        """Whether there is a decision now."""
        row = self._record.row
        block = row.block
        assert block is not None
        if self._auto:
            approved = decision(replace(row, auto_approve=True), OPEN, now())
            assert approved is not None
            self._record.append(approved)
            return True
        seen = asyncio.run(self._seen(block))
        choice, feedback = ask(seen.plan, seen) if self._asks else ("leave", "")
        if choice == "leave":
            return False
        for event in decide(row, self._order(choice, block, feedback), now()):
            self._record.append(event)
        return True

    def _order(
        self, choice: Choice, block: Block, feedback: str
    ) -> c.ApproveWorkflow | c.RejectWorkflow | c.ReviseWorkflow:
        """The decision of the person, about exactly what was shown."""
        id_, row = new_id(), self._record.row
        named: dict[str, Any] = {"workflow_id": row.id, "actor": self._person, "block_id": block.event_id}
        if choice == "approve":
            return c.ApproveWorkflow(id=id_, plan_sha256=block.plan_sha256, **named)
        if choice == "revise":
            return c.ReviseWorkflow(id=id_, plan_sha256=block.plan_sha256, feedback=feedback, **named)
        return c.RejectWorkflow(id=id_, plan_sha256=block.plan_sha256, feedback=feedback, **named)

    async def _seen(self, block: Block) -> PlanView:
        """The plan, with what changed since the one before the last revision."""
        plan = await self._plan(block)
        previous = self._record.row.previous
        before = next((b for b in self._record.proposed if previous and b.id == previous.event_id), None)
        return PlanView(
            workflow_id=self._record.row.id,
            plan=plan,
            plan_sha256=block.plan_sha256,
            block_id=block.event_id,
            estimated_microdollars=block.estimated_microdollars,
            previous_sha256=before.plan_sha256 if before else "",
            changes=changes(await self._plan(before), plan) if before else "",
        )

    async def _plan(self, block: Block | e.WorkflowBlocked) -> Plan:
        if block.plan is not None:
            return block.plan
        assert block.plan_claim is not None
        return msgspec.json.decode(await self._objects.get(block.plan_claim), type=Plan)

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
