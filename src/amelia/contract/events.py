"""Reports: the only way to know about a workflow.

Each producer may say only its own types: what a runtime may say is in ``RuntimeFact``, ``RuntimeProgress`` and
``RuntimeHeartbeat``; everything else is the control plane's.
"""

from typing import Literal

from .envelope import Event
from .plan import Plan, Verdict
from .workflow import Budget, ClaimCheck, Issue, Money, Profile

# Facts, from the control plane


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


# Facts, from the runtime


class WorkflowStarted(Event, frozen=True, tag="workflow_started"):
    base_commit: str
    runtime_version: str = ""


class WorkflowBlocked(Event, frozen=True, tag="workflow_blocked"):
    """A plan waits for a decision. A plan over the threshold travels as ``plan_claim``."""

    plan_sha256: str
    plan: Plan | None = None
    plan_claim: ClaimCheck | None = None
    estimated_microdollars: int = 0
    requires: Literal["approval"] = "approval"


class AgentStarted(Event, frozen=True, tag="agent_started"):
    agent: str
    task_id: str = ""
    round: int = 1


class AgentCompleted(Event, frozen=True, tag="agent_completed"):
    agent: str
    task_id: str = ""
    round: int = 1
    summary: str = ""


class TaskStarted(Event, frozen=True, tag="task_started"):
    task_id: str
    title: str
    description: str = ""
    round: int = 1


class TaskCompleted(Event, frozen=True, tag="task_completed"):
    task_id: str
    status: Literal["completed", "failed", "skipped"]
    commit: str = ""
    summary: str = ""
    verification_exit: int | None = None
    round: int = 1


class ReviewCompleted(Event, frozen=True, tag="review_completed"):
    verdict: Verdict
    round: int = 1


class TokensUsed(Event, frozen=True, tag="tokens_used"):
    """Cumulative for this attempt, so that a lost or doubled one changes nothing; for the earlier ``of_attempt`` when
    its successor found in the checkpoint what it had spent."""

    used: Money
    model: str = ""
    of_attempt: int = 0


class ArtifactStored(Event, frozen=True, tag="artifact_stored"):
    name: str
    claim: ClaimCheck
    media_type: str = "text/plain"


class WorkHandedIn(Event, frozen=True, tag="work_handed_in"):
    """The work as a git bundle: ``commit`` with all that is above ``base_commit``."""

    bundle: ClaimCheck
    branch: str
    commit: str
    base_commit: str
    plan_sha256: str
    diff: ClaimCheck | None = None


class MessageApplied(Event, frozen=True, tag="message_applied"):
    """An agent has read it. ``message_id`` is the id of the ``message_sent``."""

    message_id: str
    agent: str
    task_id: str = ""


class WorkflowTimeout(Event, frozen=True, tag="workflow_timeout"):
    """The session's longest life is near: everything is checkpointed and nothing runs any more."""

    session_seconds: int


class BudgetReached(Event, frozen=True, tag="budget_reached"):
    """The next call of a model would pass what is left; it was not made."""

    budget: Budget
    spent: Money


class WorkflowCompleted(Event, frozen=True, tag="workflow_completed"):
    """What the runtime has to say in the end. The workflow completes when its work has been delivered.

    ``unresolved`` is what a person should look at; ``blame`` names what failed when it was not the work.
    """

    result: Literal["success", "failed"]
    cause: str = ""
    summary: str = ""
    unresolved: tuple[str, ...] = ()
    blame: Literal["", "repository"] = ""


# Progress, from the runtime


class AgentMessage(Event, frozen=True, tag="agent_message"):
    agent: str
    content: str
    task_id: str = ""


class ToolCalled(Event, frozen=True, tag="tool_called"):
    agent: str
    tool: str
    summary: str
    task_id: str = ""


class ToolCompleted(Event, frozen=True, tag="tool_completed"):
    agent: str
    tool: str
    ok: bool
    summary: str = ""
    task_id: str = ""


class RuntimeHeartbeat(Event, frozen=True, tag="runtime_heartbeat"):
    """Unnumbered, never journalled; renews the lease and names the last fact and the last ordinal said. ``used`` is
    what the attempt has spent so far."""

    last_ordinal: int = 0
    used: Money = Money()


class UnknownEvent(Event, frozen=True, tag="unknown_event"):
    """Of a type this version does not know (``of_type``): a runtime may be newer. Kept as it came, never folded."""

    of_type: str


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
RuntimeFact = (
    WorkflowStarted
    | WorkflowBlocked
    | AgentStarted
    | AgentCompleted
    | TaskStarted
    | TaskCompleted
    | ReviewCompleted
    | TokensUsed
    | ArtifactStored
    | WorkHandedIn
    | MessageApplied
    | WorkflowTimeout
    | BudgetReached
    | WorkflowCompleted
)
RuntimeProgress = AgentMessage | ToolCalled | ToolCompleted
AnyEvent = ControlFact | RuntimeFact | RuntimeProgress | RuntimeHeartbeat
