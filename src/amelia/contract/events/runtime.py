"""What a runtime reports: facts, progress, and that it lives."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ..envelope import Event
from ..plan import Plan, Verdict
from ..workflow import Budget, ClaimCheck, Money


class WorkflowStarted(Event, frozen=True, tag="workflow_started"):
    base_commit: str
    runtime_version: str = ""


class WorkflowBlocked(Event, frozen=True, tag="workflow_blocked"):
    """A plan waits for a decision, or (``requires`` "review") the work done on it, which the Reviewer does not accept:
    approved it is delivered as it is, revised it goes back to the Developer. A plan over the threshold travels as
    ``plan_claim``; ``diff`` is the work so far, ``unresolved`` what is held against it."""

    plan_sha256: str
    plan: Plan | None = None
    plan_claim: ClaimCheck | None = None
    estimated_microdollars: int = 0
    requires: Literal["approval", "review"] = "approval"
    unresolved: tuple[str, ...] = ()
    diff: ClaimCheck | None = None


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


class Share(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one agent spent with one model, on one task where it had one."""

    agent: str
    task_id: str = ""
    model: str = ""
    used: Money


class TokensUsed(Event, frozen=True, tag="tokens_used"):
    """Cumulative for this attempt, so that a lost or doubled one changes nothing; for the earlier ``of_attempt`` when
    its successor found in the checkpoint what it had spent. ``shares`` add up to ``used`` as far as it is known whose
    they were."""

    used: Money
    model: str = ""
    of_attempt: int = 0
    shares: tuple[Share, ...] = ()


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


class LessonLearnt(Event, frozen=True, tag="lesson_learnt"):
    """What an agent found out about the repository, for workflows to come. The same topic and text is the same
    lesson."""

    topic: Literal["tests", "build", "layout", "convention"]
    text: Annotated[str, Meta(min_length=1, max_length=500)]


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
    | LessonLearnt
    | WorkflowTimeout
    | BudgetReached
    | WorkflowCompleted
)
RuntimeProgress = AgentMessage | ToolCalled | ToolCompleted
