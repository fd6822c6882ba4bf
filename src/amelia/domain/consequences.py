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
        case e.WorkflowApproved(policy=policy) if not policy:
            return None
        case (
            e.WorkflowBlocked()
            | e.WorkflowApproved()
            | e.RuntimeLost()
            | e.WorkflowCompleted(result="failed")
            | e.WorkflowPaused()
            | e.WorkflowTimeout()
            | e.BudgetReached()
            | e.ApprovalDeadlinePassed()
        ):
            return attend(event.workflow_id, event.id, event.correlation_id)
        case e.WorkflowCompleted(result="success") | e.WorkflowAdmitted() if workflow.phase == "delivering":
            return c.DeliverWorkflow(
                id=derive_id(event.id, "deliver"),
                workflow_id=event.workflow_id,
                actor=CONTROL_PLANE,
                correlation_id=event.correlation_id,
            )
    return None


def look_again(command: c.AnyCommand) -> c.AttendWorkflow:
    """What travels to the dispatcher when a command was executed: the row has what it was about."""
    return c.AttendWorkflow(
        id=command.id,
        workflow_id=command.workflow_id,
        actor=command.actor,
        correlation_id=command.correlation_id,
        traceparent=command.traceparent,
    )


def lost(workflow: Workflow, cause: str, max_attempts: int, *, stalled: bool = False) -> e.RuntimeLost:
    """The end of the open attempt. Only attempts in a row that brought no new fact count towards the limit."""
    final = lost_in_a_row(workflow) >= max_attempts
    said = f"attempt {workflow.epoch} was lost: {cause}"
    return e.RuntimeLost(
        id=derive_id(workflow.id, f"lost/{workflow.epoch}"),
        workflow_id=workflow.id,
        correlation_id=workflow.correlation_id,
        cause=f"{said}; {max_attempts} in a row brought nothing new, so no further one is made" if final else said,
        final=final,
        stalled=stalled,
    )


def attend(workflow_id: str, cause: str, correlation_id: str = "") -> c.AttendWorkflow:
    """The order to look at a workflow, because of ``cause``: the same cause gives it once."""
    return c.AttendWorkflow(
        id=derive_id(cause, "attend"), workflow_id=workflow_id, actor=CONTROL_PLANE, correlation_id=correlation_id
    )


def to_publish(events: Iterable[Event]) -> tuple[Event, ...]:
    """Which of the events the outbox publishes on the bus: the control plane's own. Runtimes published theirs."""
    return tuple(event for event in events if not event.attempt or isinstance(event, e.ControlFact))
