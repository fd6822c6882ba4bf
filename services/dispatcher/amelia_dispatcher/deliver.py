"""Delivery: the handed-in work to a branch of the repository, and a pull request. The runtime has no credential to."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.ids import derive_id
from amelia.domain.workflow import HandedIn, Workflow, agreed
from amelia.errors import Malformed, Refused, Unavailable
from amelia.failpoints import reach
from amelia.ports.agents import ObjectStore
from amelia.ports.forge import Credentials, Forge
from amelia.ports.journal import Journal

from .proposing import propose
from .pushing import Remote

log = logging.getLogger(__name__)

_AT_ONCE = 8


class Deliveries:
    """``patience_seconds``: after so long without success a delivery becomes a pause, which a person ends."""

    def __init__(
        self,
        journal: Journal,
        objects: ObjectStore,
        remote: Remote,
        forge: Forge,
        credentials: Credentials,
        *,
        patience_seconds: float,
    ) -> None:
        self._journal = journal
        self._objects = objects
        self._remote = remote
        self._forge = forge
        self._credentials = credentials
        self._patience_seconds = patience_seconds
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def deliver(self, workflow_id: str, command_id: str) -> bool:
        """Idempotent: a repeat looks at the remote and adopts what is there; one beside another is left to it.

        Whoever holds the lock of a delivery decides whether there is one: a cancel takes it first. False when that is
        not this one; else the command is the caller's to settle, once nothing of the workflow runs. Raises
        ``Unavailable``.
        """
        async with self._turns, self._journal.exclusively(f"delivery/{workflow_id}", wait=False) as mine:
            if not mine:
                return False
            row = await self._journal.get(workflow_id)
            if row is None or not _to_deliver(row.workflow) or row.workflow.handed_in is None:
                return True
            try:
                await self._deliver(row.workflow, row.workflow.handed_in)
            except (Refused, Malformed) as error:
                await self._record(workflow_id, _refused(row.workflow, command_id, str(error), final=True))
            except Unavailable as error:
                await self._wait(row.workflow, command_id, str(error))
                raise
            return True

    async def take_back(self, w: Workflow) -> None:
        """What a delivery may have pushed before it died, of a workflow that was cancelled then. Raises
        ``Unavailable``."""
        if w.status != "cancelled" or w.handed_in is None:
            return
        async with self._turns, self._journal.exclusively(f"delivery/{w.id}"):
            row = await self._journal.get(w.id)
            if row is None or row.workflow.status != "cancelled":
                return
            try:
                await self._withdraw(row.workflow, w.handed_in)
            except Refused as error:
                log.error("%s was cancelled, and its branch %s may be there: %s", w.id, w.branch, error)

    async def _deliver(self, w: Workflow, work: HandedIn) -> None:
        if not work.plan_sha256 or agreed(w) != work.plan_sha256:
            raise Refused(
                f"the work of {w.id} is not of the plan that was approved; retry it with --from start to plan again"
            )
        if not w.delivering_since and not await self._record(w.id, _started(w, work)):
            return
        reach("delivery_started")
        bundle = await self._objects.get(work.bundle)
        token = await self._credentials.write(w.repository)
        await self._remote.push(
            repository=w.repository,
            bundle=bundle,
            branch=w.branch,
            commit=work.commit,
            workflow_id=w.id,
            token=token,
        )
        reach("pushed")
        log.info("%s: %s is at %s", w.id, w.branch, work.commit)
        proposes = self._forge.serves(w.repository)
        if not await self._record(w.id, _pushed(w, work, proposes=proposes)):
            await self._withdraw(w, work)
            return
        if proposes:
            opened = await propose(self._journal, self._objects, self._forge, w)
            reach("pull_request_opened")
            if not await self._record(w.id, opened):
                await self._withdraw(w, work)

    async def _withdraw(self, w: Workflow, work: HandedIn) -> None:
        """The workflow ended while its branch was on its way: the branch goes, and with it a pull request."""
        token = await self._credentials.write(w.repository)
        gone = await self._remote.withdraw(
            repository=w.repository, branch=w.branch, commit=work.commit, workflow_id=w.id, token=token
        )
        if gone:
            log.warning("%s ended while it was delivered; the branch %s is taken back", w.id, w.branch)

    async def _wait(self, w: Workflow, command_id: str, cause: str) -> None:
        """Says why it waits, once a cause; the command stays unsettled and is sent again. In the end it pauses."""
        said = _refused(w, command_id, cause, final=False)

        def reading(now_w: Workflow, now: str) -> tuple[Event, ...]:
            if not _to_deliver(now_w):
                return ()
            if _seconds(now_w.delivering_since, now) > self._patience_seconds:
                return (_paused(now_w, cause),)
            return (said,) if now_w.reason != cause else ()

        await self._journal.record(w.id, reading)

    async def _record(self, workflow_id: str, event: Event) -> bool:
        """Only while the workflow still is to be delivered; whether it was."""
        return await _recorded(self._journal, workflow_id, _to_deliver, event)


async def _recorded(journal: Journal, workflow_id: str, still: Callable[[Workflow], bool], event: Event) -> bool:
    recorded = [False]

    def reading(w: Workflow, _: str) -> tuple[Event, ...]:
        recorded[0] = still(w)
        return (event,) if recorded[0] and not _is_told(w, event) else ()

    await journal.record(workflow_id, reading)
    return recorded[0]


def _is_told(w: Workflow, event: Event) -> bool:
    """A delivery that died before its pull request was recorded finds the branch recorded already."""
    return isinstance(event, e.BranchPushed) and w.commit == event.commit


def _to_deliver(w: Workflow) -> bool:
    return w.status == "in_progress" and w.phase == "delivering"


def _seconds(since: str, now: str) -> float:
    return (datetime.fromisoformat(now) - datetime.fromisoformat(since)).total_seconds() if since else 0.0


def _started(w: Workflow, work: HandedIn) -> e.DeliveryStarted:
    return e.DeliveryStarted(
        id=derive_id(w.id, f"delivery/{work.commit}/{w.sequence}"),
        workflow_id=w.id,
        correlation_id=w.correlation_id,
        branch=w.branch,
        commit=work.commit,
        repository=w.repository,
    )


def _pushed(w: Workflow, work: HandedIn, *, proposes: bool) -> e.BranchPushed:
    return e.BranchPushed(
        id=derive_id(w.id, f"pushed/{work.commit}"),
        workflow_id=w.id,
        correlation_id=w.correlation_id,
        branch=w.branch,
        commit=work.commit,
        repository=w.repository,
        pull_request=proposes,
    )


def _paused(w: Workflow, cause: str) -> e.WorkflowPaused:
    return e.WorkflowPaused(
        id=derive_id(w.id, f"undelivered/{w.delivering_since}"),
        workflow_id=w.id,
        correlation_id=w.correlation_id,
        kind="delivery",
        paused_by="the control plane",
        reason=f"its work could not be delivered: {cause}",
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
