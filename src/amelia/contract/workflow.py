"""Values that commands, events and views share."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Status = Literal["pending", "in_progress", "blocked", "approved", "paused", "completed", "failed", "cancelled"]
Phase = Literal["", "starting", "planning", "executing", "reviewing", "delivering"]
TERMINAL: frozenset[Status] = frozenset({"completed", "failed", "cancelled"})

DriverName = Literal["api:anthropic", "api:openai", "api:bedrock"]


class Issue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wanted. ``id`` is the tracker's name for it, or the name of the file it was read from."""

    id: Annotated[str, Meta(min_length=1, max_length=200)]
    title: Annotated[str, Meta(min_length=1, max_length=300)]
    body: Annotated[str, Meta(max_length=200_000)] = ""


class Profile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How a workflow is worked. An empty ``driver`` or ``model`` leaves the choice to where the agents run.

    ``max_iterations`` bounds the review loop: how often the Developer's work is reviewed at most.
    """

    name: str = "default"
    driver: DriverName | Literal[""] = ""
    model: str = ""
    max_iterations: Annotated[int, Meta(ge=1, le=20)] = 3
    auto_approve: bool = False


class ClaimCheck(msgspec.Struct, frozen=True, kw_only=True):
    """Where a payload lies that was too large to travel. ``key`` is content-addressed; verified when read."""

    key: str
    size: int
    sha256: str


class Money(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens and their cost. Integers throughout: the signed encoding has no floats."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_microdollars: int = 0


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person's (or a policy's) answer to one block: which block, which plan, what was said, by whom."""

    kind: Literal["approved", "rejected"]
    block_id: str
    plan_sha256: str
    by: str
    feedback: str = ""
