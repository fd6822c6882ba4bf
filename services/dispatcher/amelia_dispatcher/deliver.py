"""Delivery: the handed-in work to a branch of the repository. The runtime has no credential to do it."""

import asyncio
import logging
from typing import Protocol

from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.ids import derive_id
from amelia.domain.workflow import HandedIn, Workflow
from amelia.errors import Malformed, Refused, Unavailable
from amelia.failpoints import reach
from amelia.ports.agents import ObjectStore
from amelia.ports.journal import Journal

log = logging.getLogger(__name__)

_AT_ONCE = 8


class Push(Protocol):
    """To a repository, as somebody who may write to it (``amelia.workspace.deliver``)."""

    async def __call__(self, *, repository: str, bundle: bytes, branch: str, commit: str, workflow_id: str) -> object:
        """Makes the branch point at the commit; adopts it when it already does. Raises ``Refused`` when the branch
        is somebody else's or the repository does not take it, ``Unavailable`` when it is away."""
        ...


class Deliveries:
    def __init__(self, journal: Journal, objects: ObjectStore, push: Push) -> None:
        self._journal = journal
        self._objects = objects
        self._push = push
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def deliver(self, workflow_id: str, command_id: str) -> None:
        """Idempotent: a repeat looks at the remote and adopts what is there; one beside another is left to it.

        Raises ``Unavailable``.
        """
        async with self._turns, self._journal.exclusively(f"delivery/{workflow_id}", wait=False) as mine:
            if not mine:
                return
            row = await self._journal.get(workflow_id)
            if row is None or not _to_deliver(row.workflow) or row.workflow.handed_in is None:
                await self._journal.settle([command_id])
                return
            work = row.workflow.handed_in
            try:
                await self._bring(row.workflow, work)
            except (Refused, Malformed) as error:
                await self._record(workflow_id, _refused(row.workflow, command_id, str(error), final=True), command_id)
            except Unavailable as error:
                await self._say(row.workflow, command_id, str(error))
                raise
            else:
                await self._record(workflow_id, _pushed(row.workflow, work), command_id)

    async def _bring(self, w: Workflow, work: HandedIn) -> None:
        if w.decision is None or w.decision.kind != "approved" or w.decision.plan_sha256 != work.plan_sha256:
            raise Refused(f"the work of {w.id} is not of the plan that was approved; retry the workflow to plan again")
        bundle = await self._objects.get(work.bundle)
        await self._push(repository=w.repository, bundle=bundle, branch=w.branch, commit=work.commit, workflow_id=w.id)
        reach("pushed")
        log.info("%s: %s is at %s", w.id, w.branch, work.commit)

    async def _say(self, w: Workflow, command_id: str, cause: str) -> None:
        """Why it waits, once a cause; the command stays unsettled and is sent again."""
        said = _refused(w, command_id, cause, final=False)
        await self._journal.record(w.id, lambda now, _: (said,) if _to_deliver(now) and now.reason != cause else ())

    async def _record(self, workflow_id: str, event: Event, command_id: str) -> None:
        """Only while the workflow still waits for its delivery."""
        await self._journal.record(workflow_id, lambda w, _: (event,) if _to_deliver(w) else (), settles=[command_id])


def _to_deliver(w: Workflow) -> bool:
    return w.status == "in_progress" and w.phase == "delivering"


def _pushed(w: Workflow, work: HandedIn) -> e.BranchPushed:
    return e.BranchPushed(
        id=derive_id(w.id, f"pushed/{work.commit}"),
        workflow_id=w.id,
        correlation_id=w.correlation_id,
        branch=w.branch,
        commit=work.commit,
        repository=w.repository,
    )


def _refused(w: Workflow, command_id: str, cause: str, *, final: bool) -> e.CommandRefused:
    return e.CommandRefused(
        id=derive_id(command_id, f"refused/{w.sequence}"),
        workflow_id=w.id,
        correlation_id=w.correlation_id,
        command_id=command_id,
        command_type="deliver_workflow",
        cause=cause,
        final=final,
    )
