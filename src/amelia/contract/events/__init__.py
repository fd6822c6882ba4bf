"""Reports: the only way to know about a workflow.

Each producer may say only its own types: what a runtime may say is in ``RuntimeFact``, ``RuntimeProgress`` and
``RuntimeHeartbeat``; everything else is the control plane's.
"""

from ..envelope import Event
from .control import (
    ApprovalDeadlinePassed,
    ApprovalReminder,
    ApprovalVote,
    AttemptOpened,
    BranchPushed,
    BudgetChanged,
    CommandRefused,
    ControlFact,
    DeliveryStarted,
    EventsMissing,
    MessageSent,
    PauseKind,
    PullRequestOpened,
    RuntimeLost,
    WorkflowAdmitted,
    WorkflowApproved,
    WorkflowCancelled,
    WorkflowParked,
    WorkflowPaused,
    WorkflowRejected,
    WorkflowResumed,
    WorkflowRetried,
    WorkflowRevised,
    WorkflowSubmitted,
)
from .runtime import (
    AgentCompleted,
    AgentMessage,
    AgentStarted,
    ArtifactStored,
    BudgetReached,
    LessonLearnt,
    MessageApplied,
    ReviewCompleted,
    RuntimeFact,
    RuntimeHeartbeat,
    RuntimeProgress,
    Share,
    TaskCompleted,
    TaskStarted,
    TokensUsed,
    ToolCalled,
    ToolCompleted,
    WorkflowBlocked,
    WorkflowCompleted,
    WorkflowStarted,
    WorkflowTimeout,
    WorkHandedIn,
)

__all__ = [
    "AgentCompleted",
    "AgentMessage",
    "AgentStarted",
    "AnyEvent",
    "ApprovalDeadlinePassed",
    "ApprovalReminder",
    "ApprovalVote",
    "ArtifactStored",
    "AttemptOpened",
    "BranchPushed",
    "BudgetChanged",
    "BudgetReached",
    "CommandRefused",
    "ControlFact",
    "DeliveryStarted",
    "EventsMissing",
    "LessonLearnt",
    "MessageApplied",
    "MessageSent",
    "PauseKind",
    "PullRequestOpened",
    "ReviewCompleted",
    "RuntimeFact",
    "RuntimeHeartbeat",
    "RuntimeLost",
    "RuntimeProgress",
    "Share",
    "TaskCompleted",
    "TaskStarted",
    "TokensUsed",
    "ToolCalled",
    "ToolCompleted",
    "UnknownEvent",
    "WorkHandedIn",
    "WorkflowAdmitted",
    "WorkflowApproved",
    "WorkflowBlocked",
    "WorkflowCancelled",
    "WorkflowCompleted",
    "WorkflowParked",
    "WorkflowPaused",
    "WorkflowRejected",
    "WorkflowResumed",
    "WorkflowRetried",
    "WorkflowRevised",
    "WorkflowStarted",
    "WorkflowSubmitted",
    "WorkflowTimeout",
]


class UnknownEvent(Event, frozen=True, tag="unknown_event"):
    """Of a type this version does not know (``of_type``): a runtime may be newer. Kept as it came, never folded."""

    of_type: str


AnyEvent = ControlFact | RuntimeFact | RuntimeProgress | RuntimeHeartbeat
