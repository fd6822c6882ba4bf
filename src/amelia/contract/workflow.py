"""Values that commands, events and views share."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Status = Literal["pending", "in_progress", "blocked", "approved", "paused", "completed", "failed", "cancelled"]
Phase = Literal["", "starting", "planning", "executing", "reviewing", "delivering"]
TERMINAL: frozenset[Status] = frozenset({"completed", "failed", "cancelled"})

DriverName = Literal["api:anthropic", "api:openai", "api:bedrock", "cli:claude"]
AgentName = Literal["architect", "developer", "reviewer"]
TrackerName = Literal["noop", "file", "github", "jira"]


class Issue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wanted. ``id`` is the tracker's name for it, or the name of the file it was read from; ``url`` is where
    people read it. ``body`` is Markdown, with the comments at its end. Without a ``title`` it is only a reference: who
    takes it has the tracker read it before anything is recorded."""

    id: Annotated[str, Meta(min_length=1, max_length=200)]
    title: Annotated[str, Meta(max_length=300)] = ""
    body: Annotated[str, Meta(max_length=200_000)] = ""
    labels: Annotated[tuple[str, ...], Meta(max_length=100)] = ()
    url: Annotated[str, Meta(max_length=2_000)] = ""


class Budget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What may be spent. Zero sets no bound."""

    microdollars: Annotated[int, Meta(ge=0, le=1_000_000_000_000)] = 0
    tokens: Annotated[int, Meta(ge=0, le=1_000_000_000_000)] = 0

    def __bool__(self) -> bool:
        return bool(self.microdollars or self.tokens)


class Left(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What may still be spent: None where there is no bound, 0 or less when it is used up."""

    microdollars: int | None = None
    tokens: int | None = None

    @property
    def used_up(self) -> bool:
        return any(left is not None and left <= 0 for left in (self.microdollars, self.tokens))


class ModelChoice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An empty ``driver`` or ``model`` means the profile's own."""

    driver: DriverName | Literal[""] = ""
    model: str = ""


class AgentChoices(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    architect: ModelChoice = ModelChoice()
    developer: ModelChoice = ModelChoice()
    reviewer: ModelChoice = ModelChoice()


class Retry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How long a model that is overloaded or away is asked again: ``attempts`` calls at most, with pauses of up to
    ``max_pause_seconds`` where the service does not say how long."""

    attempts: Annotated[int, Meta(ge=1, le=20)] = 6
    max_pause_seconds: Annotated[int, Meta(ge=1, le=600)] = 60


class Tell(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is said in the tracker, as a comment on the issue."""

    start: bool = True
    block: bool = True
    completion: bool = True


class Profile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How a workflow is worked. An empty ``driver`` or ``model`` leaves the choice to where the agents run; ``agents``
    choose others for one agent, ``fallback`` is asked when the chosen model stays away.

    ``max_iterations`` bounds the review loop: how often the Developer's work is reviewed at most. ``parallel_tasks``
    are worked at once at most. ``approval_minutes`` is how long a plan waits for a decision before it is rejected by
    itself.
    """

    name: str = "default"
    driver: DriverName | Literal[""] = ""
    model: str = ""
    agents: AgentChoices = AgentChoices()
    fallback: ModelChoice | None = None
    retry: Retry = Retry()
    strategy: Literal["single", "competitive"] = "single"
    tracker: TrackerName = "noop"
    tell: Tell = Tell()
    parallel_tasks: Annotated[int, Meta(ge=1, le=16)] = 3
    max_iterations: Annotated[int, Meta(ge=1, le=20)] = 3
    auto_approve: bool = False
    approval_minutes: Annotated[int, Meta(ge=1, le=43_200)] = 1_440
    budget: Budget = Budget()


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

    @property
    def tokens(self) -> int:
        """All that a model read or wrote; what a budget in tokens counts."""
        return self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person's (or a policy's) answer to one block: which block, which plan, what was said, by whom.

    ``tasks`` are those of the plan that were approved, none when it is the whole plan; ``plan_sha256`` is then the hash
    of that part.
    """

    kind: Literal["approved", "rejected", "revised"]
    block_id: str
    plan_sha256: str
    by: str
    feedback: str = ""
    tasks: tuple[str, ...] = ()


class Note(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person says to the agents while they work. ``id`` is that of the event that brought it."""

    id: str
    text: str
    by: str


class PullRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    url: str
    number: int
    draft: bool = False
