"""Who decides: commands against the workflow as it is, under its row's lock."""

from typing import assert_never

from ..contract import commands as c
from ..contract import events as e
from ..contract.envelope import Event
from ..contract.ids import derive_id
from ..errors import Conflict, NotFound
from .decisions import approved, rejected, revised
from .workflow import Workflow

_MOST_MESSAGES, _MOST_CHARACTERS = 50, 100_000
"""Of messages that wait to be read: they travel with every invocation, and in the row."""


def decide(workflow: Workflow | None, command: c.AnyCommand, now: str) -> tuple[Event, ...]:
    """The events that the command makes true; none when it has already been done.

    Raises ``NotFound`` for a workflow that is not there, ``Conflict`` when its state does not allow it and ``Refused``
    when the command asks for what there is not.
    """
    if isinstance(command, c.StartWorkflow):
        return () if workflow is not None else (_submitted(command, now),)
    if workflow is None:
        raise NotFound(f"there is no workflow {command.workflow_id}; amelia workflows list shows those there are")
    match command:
        case c.ApproveWorkflow():
            return approved(workflow, command, now)
        case c.RejectWorkflow():
            return rejected(workflow, command, now)
        case c.ReviseWorkflow():
            return revised(workflow, command, now)
        case c.CancelWorkflow():
            return _cancelled(workflow, command, now)
        case c.PauseWorkflow():
            return _paused(workflow, command, now)
        case c.ResumeWorkflow():
            return _resumed(workflow, command, now)
        case c.RetryWorkflow():
            return _retried(workflow, command, now)
        case c.SendMessage():
            return _told(workflow, command, now)
        case c.AttendWorkflow() | c.DeliverWorkflow():
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
        priority=command.priority,
        budget=command.budget or command.profile.budget,
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


def _paused(w: Workflow, command: c.PauseWorkflow, now: str) -> tuple[Event, ...]:
    if w.status == "paused":
        return ()
    if w.status == "blocked":
        raise Conflict(f"{w.id} is blocked, and nothing of it runs; decide its plan or cancel it")
    if w.ended:
        raise Conflict(f"{w.id} is {w.status}; only workflows that have not ended can be paused")
    return (
        e.WorkflowPaused(
            id=derive_id(command.id, "paused"),
            workflow_id=w.id,
            timestamp=now,
            correlation_id=w.correlation_id,
            causation_id=command.id,
            kind="operator",
            paused_by=command.actor,
            reason=command.reason,
        ),
    )


def _resumed(w: Workflow, command: c.ResumeWorkflow, now: str) -> tuple[Event, ...]:
    """A budget alone may be changed in any state that has not ended."""
    said = list[Event]()
    if command.budget is not None and command.budget != w.budget and not w.ended:
        said.append(
            e.BudgetChanged(
                id=derive_id(command.id, "budget"),
                workflow_id=w.id,
                timestamp=now,
                correlation_id=w.correlation_id,
                causation_id=command.id,
                budget=command.budget,
                changed_by=command.actor,
            )
        )
    if w.status == "paused":
        said.append(
            e.WorkflowResumed(
                id=derive_id(command.id, "resumed"),
                workflow_id=w.id,
                timestamp=now,
                correlation_id=w.correlation_id,
                causation_id=command.id,
                resumed_by=command.actor,
            )
        )
    elif command.budget is not None and not w.ended:
        return tuple(said)
    elif w.status not in ("pending", "in_progress"):
        way_out = "retry it instead" if w.status in ("failed", "cancelled") else "only paused ones can be resumed"
        raise Conflict(f"{w.id} is {w.status}; {way_out}")
    return tuple(said)


def _retried(w: Workflow, command: c.RetryWorkflow, now: str) -> tuple[Event, ...]:
    if w.status not in ("failed", "cancelled"):
        raise Conflict(f"{w.id} is {w.status}; only failed and cancelled workflows can be retried")
    return (
        e.WorkflowRetried(
            id=derive_id(command.id, "retried"),
            workflow_id=w.id,
            timestamp=now,
            correlation_id=w.correlation_id,
            causation_id=command.id,
            retried_by=command.actor,
            start=command.start,
        ),
    )


def _told(w: Workflow, command: c.SendMessage, now: str) -> tuple[Event, ...]:
    waiting = sum(len(message.text) for message in w.messages)
    if len(w.messages) >= _MOST_MESSAGES or waiting + len(command.text) > _MOST_CHARACTERS:
        raise Conflict(f"{w.id} has {len(w.messages)} messages that no agent has read; wait until they are")
    if w.ended or w.done:
        raise Conflict(f"{w.id} is {w.phase or w.status}, and no agent works on it any more; a message needs one")
    return (
        e.MessageSent(
            id=derive_id(command.id, "message"),
            workflow_id=w.id,
            timestamp=now,
            correlation_id=w.correlation_id,
            causation_id=command.id,
            text=command.text,
            sent_by=command.actor,
        ),
    )
