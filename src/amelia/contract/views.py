"""What the HTTP API takes and gives. Errors are ``Problem`` documents (RFC 9457)."""

from typing import Annotated

import msgspec
from msgspec import Meta

from .plan import Plan
from .workflow import Decision, Issue, Money, Phase, Profile, Status


class StartRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /workflows``. ``repository`` is a URL git understands, ``base`` empty for its default branch."""

    issue: Issue
    repository: Annotated[str, Meta(min_length=1, max_length=2000)]
    base: Annotated[str, Meta(max_length=255)] = ""
    profile: Profile = Profile()
    auto_approve: bool = False


class DecisionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /workflows/{id}/approve | reject``. Names the block and the plan that were seen; a stale name is a 409."""

    block_id: str = ""
    plan_sha256: str = ""
    feedback: Annotated[str, Meta(max_length=20_000)] = ""


class WorkflowView(msgspec.Struct, frozen=True, kw_only=True):
    """Times are UTC, ISO 8601. ``reason`` says in a sentence why the workflow waits or how it ended."""

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


class WorkflowPage(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first. ``next`` is the cursor of the page after this one, empty at the end."""

    items: tuple[WorkflowView, ...]
    next: str = ""


class PlanView(msgspec.Struct, frozen=True, kw_only=True):
    workflow_id: str
    plan: Plan
    plan_sha256: str
    block_id: str
    decision: Decision | None = None


class UsageView(msgspec.Struct, frozen=True, kw_only=True):
    workflow_id: str
    spent: Money
    attempts: dict[int, Money]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """``detail`` is one sentence with the way out."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = ""


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
