"""What the HTTP API takes and gives. Errors are ``Problem`` documents (RFC 9457)."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .commands import Priority
from .events import Share
from .plan import Plan
from .workflow import Budget, Decision, Issue, Money, Note, Phase, Profile, PullRequest, Status

DeadLetterState = Literal["waiting", "redriven", "discarded"]


class StartRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /workflows``. ``repository`` is a URL git understands, ``base`` empty for its default branch."""

    issue: Issue
    repository: Annotated[str, Meta(min_length=1, max_length=2000)]
    base: Annotated[str, Meta(max_length=255)] = ""
    profile: Profile = Profile()
    auto_approve: bool = False
    priority: Priority = 0
    budget: Budget = Budget()


class DecisionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /workflows/{id}/approve | reject``. Names the block and the plan that were seen; a stale name is a 409."""

    block_id: str = ""
    plan_sha256: str = ""
    feedback: Annotated[str, Meta(max_length=20_000)] = ""
    tasks: tuple[str, ...] = ()


class ReviseRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /workflows/{id}/revise``: back to the Architect."""

    feedback: Annotated[str, Meta(min_length=1, max_length=20_000)]
    block_id: str = ""
    plan_sha256: str = ""


class PauseRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(max_length=2_000)] = ""


class ResumeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /workflows/{id}/resume``. A ``budget`` replaces the workflow's own."""

    budget: Budget | None = None


class RetryRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /workflows/{id}/retry``: from the last checkpoint, or from the ``start``."""

    start: bool = False


class MessageRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /workflows/{id}/messages``: read by the agents before their next turn."""

    text: Annotated[str, Meta(min_length=1, max_length=20_000)]


class QueuePlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a pending workflow stands. ``position`` counts from 1; ``limit`` is the one that binds, in a sentence;
    ``estimated_start`` is UTC, ISO 8601, empty when there is nothing to estimate it from."""

    position: int
    limit: str
    estimated_start: str = ""


class QueueItem(msgspec.Struct, frozen=True, kw_only=True):
    workflow_id: str
    title: str
    owner: str
    repository: str
    priority: int
    waiting_since: str
    place: QueuePlace


class QueueView(msgspec.Struct, frozen=True, kw_only=True):
    """``in_progress`` hold a place; ``items`` wait for one, first to be admitted first. ``waiting`` counts them all."""

    in_progress: int
    limit: int
    waiting: int
    items: tuple[QueueItem, ...]


class WorkflowView(msgspec.Struct, frozen=True, kw_only=True):
    """Times are UTC, ISO 8601. ``reason`` says in a sentence why the workflow waits or how it ended. A blocked one
    ``requires`` the approval of its plan, or that somebody decides about work which the Reviewer does not accept;
    ``unresolved`` is what a person should look at, and ``deadline`` when it is rejected by itself. ``messages`` are
    those that no agent has read yet; ``queue`` is there where one workflow is shown that waits for its turn."""

    id: str
    status: Status
    phase: Phase
    reason: str
    issue: Issue
    repository: str
    base: str
    branch: str
    commit: str
    owner: str
    profile: str
    auto_approve: bool
    attempt: int
    sequence: int
    block_id: str
    plan_sha256: str
    spent: Money
    created_at: str
    updated_at: str
    priority: int = 0
    budget: Budget = Budget()
    requires: Literal["", "approval", "review"] = ""
    unresolved: tuple[str, ...] = ()
    deadline: str = ""
    pull_request: PullRequest | None = None
    messages: tuple[Note, ...] = ()
    queue: QueuePlace | None = None


class WorkflowPage(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first. ``next`` is the cursor of the page after this one, empty at the end."""

    items: tuple[WorkflowView, ...]
    next: str = ""


class PlanView(msgspec.Struct, frozen=True, kw_only=True):
    """``changes`` is a unified diff from the plan before the last revision to this one, empty when there was none.
    Where a block ``requires`` "review" it is the work on the plan that waits, for what is ``unresolved``."""

    workflow_id: str
    plan: Plan
    plan_sha256: str
    block_id: str
    requires: Literal["approval", "review"] = "approval"
    unresolved: tuple[str, ...] = ()
    decision: Decision | None = None
    deadline: str = ""
    estimated_microdollars: int = 0
    previous_sha256: str = ""
    changes: str = ""


class ArtifactView(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /workflows/{id}/artifacts/{name}`` gives the bytes of the last one of that name."""

    name: str
    media_type: str
    size: int
    sha256: str
    stored_at: str


class ArtifactList(msgspec.Struct, frozen=True, kw_only=True):
    """In the order in which they were stored last."""

    workflow_id: str
    items: tuple[ArtifactView, ...]


class UsageView(msgspec.Struct, frozen=True, kw_only=True):
    """``spent`` is all of it; ``attempts``, ``agents``, ``tasks`` and ``models`` each add up to it. What was spent on
    no task, and what nobody has said yet whose it was, has the name "". ``shares`` are over all attempts."""

    workflow_id: str
    spent: Money
    attempts: dict[int, Money]
    agents: dict[str, Money] = {}
    tasks: dict[str, Money] = {}
    models: dict[str, Money] = {}
    shares: tuple[Share, ...] = ()


class LessonView(msgspec.Struct, frozen=True, kw_only=True):
    """What a workflow found out about a repository. ``workflow_id`` is the last one that did, at ``learnt_at``."""

    id: str
    repository: str
    topic: str
    text: str
    workflow_id: str
    learnt_at: str


class LessonList(msgspec.Struct, frozen=True, kw_only=True):
    """``GET /lessons``: the newest first."""

    items: tuple[LessonView, ...]


class DeadLetterView(msgspec.Struct, frozen=True, kw_only=True):
    """A message that its consumer gave up. ``type``, ``message_id`` and ``workflow_id`` are what the body says, as far
    as it can be read. ``body`` is only there where one is shown; when it is not ``intact``, what could not be kept is
    escaped in it, and it cannot be redriven. ``decided_by`` is who redrove or discarded it last."""

    id: str
    source: str
    state: DeadLetterState
    cause: str
    receives: int
    type: str
    message_id: str
    workflow_id: str
    intact: bool
    first_at: str
    last_at: str
    decided_by: str = ""
    body: str = ""


class DeadLetterPage(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first, without their bodies. ``next`` is the cursor of the page after this one, empty at the end."""

    items: tuple[DeadLetterView, ...]
    next: str = ""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """``detail`` is one sentence with the way out. ``changes``, where a decision named an older plan: a unified diff
    from that one to the plan that waits now."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = ""
    changes: str | msgspec.UnsetType = msgspec.UNSET


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """``checks`` names each dependency with ``ok`` or what is wrong with it."""

    status: str
    version: str = ""
    checks: dict[str, str] = {}


class CaughtUp(msgspec.Struct, frozen=True, kw_only=True, tag="caught_up", tag_field="type"):
    """A frame of the stream: everything up to ``sequence`` has been sent; what follows is live."""

    sequence: int


class Ping(msgspec.Struct, frozen=True, kw_only=True, tag="ping", tag_field="type"):
    """A frame of the stream that says nothing has happened."""

    timestamp: str
