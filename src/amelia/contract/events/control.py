"""What the control plane reports."""

from typing import Literal

from ..envelope import Event
from ..workflow import Budget, Issue, Profile


class WorkflowSubmitted(Event, frozen=True, tag="workflow_submitted"):
    issue: Issue
    repository: str
    base: str = ""
    profile: Profile = Profile()
    auto_approve: bool = False
    owner: str = ""
    team: str = ""
    priority: int = 0
    budget: Budget = Budget()


class WorkflowAdmitted(Event, frozen=True, tag="workflow_admitted"):
    """It got its turn; ``waited_for`` says for what it had waited. ``reserved`` is what it may spend until it ends."""

    waited_for: str = ""
    reserved: Budget = Budget()


class WorkflowParked(Event, frozen=True, tag="workflow_parked"):
    """Queued for a named reason until ``until`` (UTC, ISO 8601), when it is tried again. ``keeps_place``: it need not
    be admitted again."""

    reason: str
    until: str
    keeps_place: bool = False


class AttemptOpened(Event, frozen=True, tag="attempt_opened"):
    """A lease begins. ``key_version`` says from which master secret this attempt's signing key is derived."""

    lease_seconds: int
    key_version: int
    runtime_version: str = ""


class RuntimeLost(Event, frozen=True, tag="runtime_lost"):
    """A lease ran out, nothing was done for too long (``stalled``), or the invocation failed. ``final`` when no further
    attempt will be made."""

    cause: str
    final: bool = False
    stalled: bool = False


class WorkflowApproved(Event, frozen=True, tag="workflow_approved"):
    block_id: str
    plan_sha256: str
    approved_by: str
    policy: str = ""
    tasks: tuple[str, ...] = ()


class WorkflowRejected(Event, frozen=True, tag="workflow_rejected"):
    block_id: str
    plan_sha256: str
    rejected_by: str
    feedback: str = ""


class WorkflowRevised(Event, frozen=True, tag="workflow_revised"):
    """The Architect plans again, with ``feedback``."""

    block_id: str
    plan_sha256: str
    revised_by: str
    feedback: str


class ApprovalVote(Event, frozen=True, tag="approval_vote"):
    """The policy does not decide by itself: ``rule`` asks for a person."""

    block_id: str
    plan_sha256: str
    voter: str
    rule: str


class ApprovalReminder(Event, frozen=True, tag="approval_reminder"):
    """The block is still undecided; ``deadline`` (UTC, ISO 8601) rejects it."""

    block_id: str
    deadline: str


class ApprovalDeadlinePassed(Event, frozen=True, tag="approval_deadline_passed"):
    """Nobody decided in time: the plan counts as rejected."""

    block_id: str
    plan_sha256: str
    deadline: str


PauseKind = Literal["operator", "budget", "session_limit", "delivery"]


class WorkflowPaused(Event, frozen=True, tag="workflow_paused"):
    kind: PauseKind
    paused_by: str
    reason: str = ""


class WorkflowResumed(Event, frozen=True, tag="workflow_resumed"):
    resumed_by: str


class BudgetChanged(Event, frozen=True, tag="budget_changed"):
    budget: Budget
    changed_by: str


class WorkflowRetried(Event, frozen=True, tag="workflow_retried"):
    """From the last checkpoint, or from the ``start``: then the old conversations and their plan are left aside."""

    retried_by: str
    start: bool = False


class MessageSent(Event, frozen=True, tag="message_sent"):
    """To the agents, who read it before their next turn."""

    text: str
    sent_by: str


class WorkflowCancelled(Event, frozen=True, tag="workflow_cancelled"):
    cancelled_by: str
    reason: str = ""


class DeliveryStarted(Event, frozen=True, tag="delivery_started"):
    """The intent, recorded before the repository is touched."""

    branch: str
    commit: str
    repository: str


class BranchPushed(Event, frozen=True, tag="branch_pushed"):
    """``pull_request``: one is opened next; without it, the work is delivered."""

    branch: str
    commit: str
    repository: str
    pull_request: bool = False


class PullRequestOpened(Event, frozen=True, tag="pull_request_opened"):
    """``adopted`` when it was there already, from a delivery whose end was not recorded."""

    url: str
    number: int
    branch: str
    draft: bool = False
    adopted: bool = False


class CommandRefused(Event, frozen=True, tag="command_refused"):
    """``final`` when the workflow cannot go on without what the command was to do."""

    command_id: str
    command_type: str
    cause: str
    final: bool = False


class EventsMissing(Event, frozen=True, tag="events_missing"):
    """Progress ``first`` to ``last`` of attempt ``of_attempt`` did not arrive in time; readers see it said."""

    of_attempt: int
    first: int
    last: int


ControlFact = (
    WorkflowSubmitted
    | WorkflowAdmitted
    | WorkflowParked
    | AttemptOpened
    | RuntimeLost
    | WorkflowApproved
    | WorkflowRejected
    | WorkflowRevised
    | ApprovalVote
    | ApprovalReminder
    | ApprovalDeadlinePassed
    | WorkflowPaused
    | WorkflowResumed
    | WorkflowRetried
    | BudgetChanged
    | MessageSent
    | WorkflowCancelled
    | DeliveryStarted
    | BranchPushed
    | PullRequestOpened
    | CommandRefused
    | EventsMissing
)
