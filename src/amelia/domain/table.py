"""Which events a status allows, and where they may lead."""

from ..contract import events as e
from ..contract.envelope import Event
from ..contract.workflow import Status
from .workflow import Workflow

_WORK = (
    e.WorkflowStarted,
    e.AgentStarted,
    e.AgentCompleted,
    e.TaskStarted,
    e.TaskCompleted,
    e.ReviewCompleted,
    e.TokensUsed,
    e.ArtifactStored,
    e.WorkHandedIn,
    e.MessageApplied,
    e.LessonLearnt,
)
_PROGRESS = (e.AgentMessage, e.ToolCalled, e.ToolCompleted)
_WHILE_ALIVE = (e.EventsMissing, e.MessageSent, e.BudgetChanged)
_DELIVERING = (e.DeliveryStarted, e.BranchPushed, e.PullRequestOpened)

Targets = dict[type[Event], frozenset[Status]]


def _to(*statuses: Status) -> frozenset[Status]:
    return frozenset(statuses)


_ALLOWED: dict[Status, Targets] = {
    "pending": {
        e.WorkflowAdmitted: _to("pending", "in_progress"),
        e.AttemptOpened: _to("in_progress"),
        e.WorkflowParked: _to("pending"),
        e.WorkflowPaused: _to("paused"),
        e.WorkflowCancelled: _to("cancelled"),
        e.CommandRefused: _to("pending", "failed"),
    },
    "in_progress": {
        **{kind: _to("in_progress") for kind in (*_WORK, *_PROGRESS)},
        e.WorkflowBlocked: _to("blocked", "failed"),
        e.WorkflowCompleted: _to("in_progress", "failed"),
        e.WorkflowTimeout: _to("paused"),
        e.BudgetReached: _to("paused"),
        e.WorkflowPaused: _to("paused"),
        e.DeliveryStarted: _to("in_progress"),
        e.BranchPushed: _to("in_progress", "completed"),
        e.PullRequestOpened: _to("completed"),
        e.RuntimeLost: _to("pending", "failed"),
        e.WorkflowParked: _to("pending"),
        e.WorkflowCancelled: _to("cancelled"),
        e.CommandRefused: _to("in_progress", "failed"),
    },
    "blocked": {
        **{kind: _to("blocked") for kind in _PROGRESS},
        e.ApprovalVote: _to("blocked"),
        e.ApprovalReminder: _to("blocked"),
        e.ApprovalDeadlinePassed: _to("failed"),
        e.WorkflowApproved: _to("approved"),
        e.WorkflowRejected: _to("failed"),
        e.WorkflowRevised: _to("pending"),
        e.WorkflowCancelled: _to("cancelled"),
    },
    "approved": {
        **{kind: _to("approved") for kind in _PROGRESS},
        e.WorkflowAdmitted: _to("approved"),
        e.AttemptOpened: _to("in_progress"),
        e.WorkflowParked: _to("approved"),
        e.WorkflowPaused: _to("paused"),
        e.WorkflowCancelled: _to("cancelled"),
        e.CommandRefused: _to("approved", "failed"),
    },
    "paused": {
        **{kind: _to("paused") for kind in _PROGRESS},
        e.WorkflowResumed: _to("pending"),
        e.WorkflowCancelled: _to("cancelled"),
        e.CommandRefused: _to("paused", "failed"),
    },
    "completed": {},
    "failed": {e.WorkflowRetried: _to("pending", "blocked")},
    "cancelled": {e.WorkflowRetried: _to("pending", "blocked")},
}

TRANSITIONS: dict[tuple[Status, type[Event]], frozenset[Status]] = {
    **{(status, kind): to for status, targets in _ALLOWED.items() for kind, to in targets.items()},
    **{
        (status, kind): _to(status)
        for status in ("pending", "in_progress", "blocked", "approved", "paused")
        for kind in _WHILE_ALIVE
    },
}
"""Which events a status allows and where they may lead. A pair that is not here changes nothing."""


def allows(workflow: Workflow, event: Event) -> bool:
    """Whether the event means anything to the workflow as it stands."""
    if (workflow.status, type(event)) not in TRANSITIONS:
        return False
    if event.fact and not workflow.open:
        return False
    return not isinstance(event, _DELIVERING) or workflow.phase == "delivering"
