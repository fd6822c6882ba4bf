"""Who decides: commands against the workflow as it is, under its row's lock."""

from typing import assert_never

from ..contract import commands as c
from ..contract import events as e
from ..contract.envelope import Event
from ..contract.ids import derive_id
from ..errors import Conflict, NotFound
from .workflow import Workflow


def decide(workflow: Workflow | None, command: c.AnyCommand, now: str) -> tuple[Event, ...]:
    """The events that the command makes true; none when it has already been done.

    Raises ``NotFound`` for a workflow that is not there and ``Conflict`` when its state does not allow it.
    """
    if isinstance(command, c.StartWorkflow):
        return () if workflow is not None else (_submitted(command, now),)
    if workflow is None:
        raise NotFound(f"there is no workflow {command.workflow_id}; amelia workflows list shows those there are")
    match command:
        case c.ApproveWorkflow():
            return _approved(workflow, command, now)
        case c.RejectWorkflow():
            return _rejected(workflow, command, now)
        case c.CancelWorkflow():
            return _cancelled(workflow, command, now)
        case c.ResumeWorkflow() | c.DeliverWorkflow():
            return ()
        case _:
            assert_never(command)


def _submitted(command: c.StartWorkflow, now: str) -> e.WorkflowSubmitted:
    return e.WorkflowSubmitted(
        id=derive_id(command.id, "submitted"),
        workflow_id=command.workflow_id,
        timestamp=now,
        correlation_id=command.correlation_id or command.id,
        causation_id=command.id,
        traceparent=command.traceparent,
        issue=command.issue,
        repository=command.repository,
        base=command.base,
        profile=command.profile,
        auto_approve=command.auto_approve,
        owner=command.owner,
        team=command.team,
    )


def _approved(w: Workflow, command: c.ApproveWorkflow, now: str) -> tuple[Event, ...]:
    if _already(w, command, "approved"):
        return ()
    block_id, plan_sha256 = _named_block(w, command, "approved")
    return (
        e.WorkflowApproved(
            id=derive_id(command.id, "approved"),
            workflow_id=w.id,
            timestamp=now,
            correlation_id=w.correlation_id,
            causation_id=command.id,
            block_id=block_id,
            plan_sha256=plan_sha256,
            approved_by=command.actor,
        ),
    )


def _rejected(w: Workflow, command: c.RejectWorkflow, now: str) -> tuple[Event, ...]:
    if _already(w, command, "rejected"):
        return ()
    block_id, plan_sha256 = _named_block(w, command, "rejected")
    return (
        e.WorkflowRejected(
            id=derive_id(command.id, "rejected"),
            workflow_id=w.id,
            timestamp=now,
            correlation_id=w.correlation_id,
            causation_id=command.id,
            block_id=block_id,
            plan_sha256=plan_sha256,
            rejected_by=command.actor,
            feedback=command.feedback,
        ),
    )


def _cancelled(w: Workflow, command: c.CancelWorkflow, now: str) -> tuple[Event, ...]:
    if w.status == "cancelled":
        return ()
    if w.ended:
        raise Conflict(f"{w.id} is {w.status}; only workflows that have not ended can be cancelled")
    return (
        e.WorkflowCancelled(
            id=derive_id(command.id, "cancelled"),
            workflow_id=w.id,
            timestamp=now,
            correlation_id=w.correlation_id,
            causation_id=command.id,
            cancelled_by=command.actor,
            reason=command.reason,
        ),
    )


def _already(w: Workflow, command: c.ApproveWorkflow | c.RejectWorkflow, kind: str) -> bool:
    """The same decision about the same block a second time is no new decision."""
    decision = w.decision
    return (
        decision is not None
        and decision.kind == kind
        and command.block_id in ("", decision.block_id)
        and command.plan_sha256 in ("", decision.plan_sha256)
        and w.status != "cancelled"
    )


def _named_block(w: Workflow, command: c.ApproveWorkflow | c.RejectWorkflow, verb: str) -> tuple[str, str]:
    if w.status != "blocked" or w.block is None:
        raise Conflict(f"{w.id} is {w.status}; only blocked workflows can be {verb}")
    if command.block_id not in ("", w.block.event_id):
        raise Conflict(
            f"{w.id} waits at another block now ({w.block.event_id}); look at its plan again and decide that"
        )
    if command.plan_sha256 not in ("", w.block.plan_sha256):
        raise Conflict(f"the plan of {w.id} is {w.block.plan_sha256} now; look at it again and decide that")
    return w.block.event_id, w.block.plan_sha256
