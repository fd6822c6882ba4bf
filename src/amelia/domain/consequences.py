"""What follows from an event: the commands that the transaction which records it puts into the outbox."""

from collections.abc import Iterable

from ..contract import commands as c
from ..contract import events as e
from ..contract.envelope import Event
from ..contract.ids import derive_id
from .workflow import Workflow, lost_in_a_row

CONTROL_PLANE = "amelia"
"""The actor of commands that nobody but the control plane itself gave."""


def follow_up(workflow: Workflow, event: Event) -> c.AnyCommand | None:
    """``workflow`` as it is after ``event``. The dispatcher looks at the row: starts what waits, stops what must not
    run. What is stale by then does no harm."""
    match event:
        case e.WorkflowBlocked() if not workflow.auto_approve:
            return _resume(event)
        case e.RuntimeLost() | e.WorkflowCompleted(result="failed"):
            return _resume(event)
        case e.WorkflowApproved(policy=policy) if policy:
            return _resume(event)
        case e.WorkflowCompleted(result="success") if workflow.phase == "delivering":
            return c.DeliverWorkflow(
                id=derive_id(event.id, "deliver"),
                workflow_id=event.workflow_id,
                actor=CONTROL_PLANE,
                correlation_id=event.correlation_id,
            )
    return None


def policy_decision(workflow: Workflow, now: str) -> e.WorkflowApproved | None:
    """``auto_approve`` is a decision like a person's, made where the plan is recorded, for exactly that plan."""
    if workflow.status != "blocked" or workflow.block is None or not workflow.auto_approve:
        return None
    return e.WorkflowApproved(
        id=derive_id(workflow.block.event_id, "approved"),
        workflow_id=workflow.id,
        timestamp=now,
        correlation_id=workflow.correlation_id,
        causation_id=workflow.block.event_id,
        block_id=workflow.block.event_id,
        plan_sha256=workflow.block.plan_sha256,
        approved_by=f"policy of {workflow.owner}" if workflow.owner else "policy",
        policy="auto_approve",
    )


def look_again(command: c.AnyCommand) -> c.AnyCommand:
    """What travels to the dispatcher when a command was executed. A start is large and the row has it: only its id."""
    if not isinstance(command, c.StartWorkflow):
        return command
    return c.ResumeWorkflow(
        id=command.id,
        workflow_id=command.workflow_id,
        actor=command.actor,
        correlation_id=command.correlation_id,
        traceparent=command.traceparent,
    )


def lost(workflow: Workflow, cause: str, max_attempts: int) -> e.RuntimeLost:
    """The end of the open attempt. Only attempts in a row that brought no new fact count towards the limit."""
    final = lost_in_a_row(workflow) >= max_attempts
    said = f"attempt {workflow.epoch} was lost: {cause}"
    return e.RuntimeLost(
        id=derive_id(workflow.id, f"lost/{workflow.epoch}"),
        workflow_id=workflow.id,
        correlation_id=workflow.correlation_id,
        cause=f"{said}; {max_attempts} in a row brought nothing new, so no further one is made" if final else said,
        final=final,
    )


def woken(workflow: Workflow, cause: str) -> c.ResumeWorkflow:
    """The command that ends a wait (a parked workflow whose time has come)."""
    return c.ResumeWorkflow(
        id=derive_id(cause, "resume"),
        workflow_id=workflow.id,
        actor=CONTROL_PLANE,
        correlation_id=workflow.correlation_id,
    )


def _resume(event: Event) -> c.ResumeWorkflow:
    return c.ResumeWorkflow(
        id=derive_id(event.id, "resume"),
        workflow_id=event.workflow_id,
        actor=CONTROL_PLANE,
        correlation_id=event.correlation_id,
    )


def to_publish(events: Iterable[Event]) -> tuple[Event, ...]:
    """Which of the events the outbox publishes on the bus: the control plane's own. Runtimes published theirs."""
    return tuple(event for event in events if not event.attempt or isinstance(event, e.ControlFact))
