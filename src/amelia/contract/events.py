"""Reports: the only way to know about a workflow.

Each producer may say only its own types: what a runtime may say is in ``RuntimeFact``, ``RuntimeProgress`` and
``RuntimeHeartbeat``; everything else is the control plane's.
"""

from typing import Literal

from .envelope import Event
from .plan import Plan, Verdict
from .workflow import ClaimCheck, Issue, Money, Profile

# Facts, from the control plane


class WorkflowSubmitted(Event, frozen=True, tag="workflow_submitted"):
    issue: Issue
    repository: str
    base: str = ""
    profile: Profile = Profile()
    auto_approve: bool = False
    owner: str = ""
    team: str = ""


class WorkflowParked(Event, frozen=True, tag="workflow_parked"):
    """Queued for a named reason until ``until`` (UTC, ISO 8601), when it is tried again."""

    reason: str
    until: str


class AttemptOpened(Event, frozen=True, tag="attempt_opened"):
    """A lease begins. ``key_version`` says from which master secret this attempt's signing key is derived."""

    lease_seconds: int
    key_version: int
    runtime_version: str = ""


class RuntimeLost(Event, frozen=True, tag="runtime_lost"):
    """A lease ran out, or the invocation failed. ``final`` when no further attempt will be made."""

    cause: str
    final: bool = False


class WorkflowApproved(Event, frozen=True, tag="workflow_approved"):
    block_id: str
    plan_sha256: str
    approved_by: str
    policy: str = ""


class WorkflowRejected(Event, frozen=True, tag="workflow_rejected"):
    block_id: str
    plan_sha256: str
    rejected_by: str
    feedback: str = ""


class WorkflowCancelled(Event, frozen=True, tag="workflow_cancelled"):
    cancelled_by: str
    reason: str = ""


class BranchPushed(Event, frozen=True, tag="branch_pushed"):
    branch: str
    commit: str
    repository: str


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
    """Cumulative for this attempt, so that a lost or doubled one changes nothing."""

    used: Money
    model: str = ""


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


class WorkflowCompleted(Event, frozen=True, tag="workflow_completed"):
    """What the runtime has to say in the end. The workflow completes when its work has been delivered."""

    result: Literal["success", "failed"]
    cause: str = ""
    summary: str = ""


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
    """Unnumbered, never journalled; renews the lease and names the last fact and the last ordinal said."""

    last_ordinal: int = 0


class UnknownEvent(Event, frozen=True, tag="unknown_event"):
    """Of a type this version does not know (``of_type``): a runtime may be newer. Kept as it came, never folded."""

    of_type: str


ControlFact = (
    WorkflowSubmitted
    | WorkflowParked
    | AttemptOpened
    | RuntimeLost
    | WorkflowApproved
    | WorkflowRejected
    | WorkflowCancelled
    | BranchPushed
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
    | WorkflowCompleted
)
RuntimeProgress = AgentMessage | ToolCalled | ToolCompleted
AnyEvent = ControlFact | RuntimeFact | RuntimeProgress | RuntimeHeartbeat
