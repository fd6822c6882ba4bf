"""What a workflow is: the row, folded from its events (``domain.evolve``)."""

from typing import Literal

import msgspec

from ..contract.plan import Plan
from ..contract.workflow import (
    TERMINAL,
    Budget,
    ClaimCheck,
    Decision,
    Issue,
    Left,
    Money,
    Note,
    Phase,
    Profile,
    PullRequest,
    Status,
)


class Block(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What waits for a decision: named by the event that said so, at ``sequence``, and the hash of its plan.

    ``requires`` "review": the work on the plan, which the Reviewer does not accept. ``deadline`` and ``reminder`` are
    UTC, ISO 8601; ``reminder`` is empty once it was given.
    """

    event_id: str
    plan_sha256: str
    plan: Plan | None = None
    plan_claim: ClaimCheck | None = None
    sequence: int = 0
    estimated_microdollars: int = 0
    requires: Literal["approval", "review"] = "approval"
    unresolved: tuple[str, ...] = ()
    diff: ClaimCheck | None = None
    deadline: str = ""
    reminder: str = ""


class HandedIn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    bundle: ClaimCheck
    branch: str
    commit: str
    base_commit: str
    plan_sha256: str
    diff: ClaimCheck | None = None


class Missing(msgspec.Struct, frozen=True, array_like=True):
    """Progress that was declared missing, and what may still arrive late."""

    attempt: int
    first: int
    last: int


class Workflow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The row, folded from its events.

    ``sequence``, ``fact`` and ``ordinal`` are the highest admitted; ``ordinal`` is the current epoch's.
    ``fact_at_open`` is ``fact`` when the current attempt began, so that an attempt which got nowhere is known.
    ``open`` while an attempt holds a lease. ``lost`` counts attempts in a row that were lost without a new fact.
    ``admitted`` while it holds a place among those in progress; ``cap`` is what it may have spent in all until it gives
    the place back. ``spent`` is per attempt and cumulative within it. ``generation`` counts the times it was begun
    anew, ``retries`` those an ended one was to go on. ``done``: its work is handed in, and is to be delivered since
    ``delivering_since``. ``previous`` is the block that the last revision replaced, without its plan. ``agreed`` is the
    hash of the plan that was approved last, while no other one was proposed.
    """

    id: str
    issue: Issue
    repository: str
    base: str = ""
    profile: Profile = Profile()
    auto_approve: bool = False
    owner: str = ""
    team: str = ""
    priority: int = 0
    budget: Budget = Budget()
    correlation_id: str = ""
    traceparent: str = ""

    status: Status = "pending"
    phase: Phase = ""
    reason: str = ""
    parked_until: str = ""
    admitted: bool = False
    cap: Budget = Budget()

    sequence: int = 0
    epoch: int = 0
    open: bool = False
    fact: int = 0
    fact_at_open: int = 0
    ordinal: int = 0
    lost: int = 0
    parks: int = 0
    stalled: bool = False
    missing: tuple[Missing, ...] = ()
    generation: int = 0
    retries: int = 0

    block: Block | None = None
    previous: Block | None = None
    decision: Decision | None = None
    agreed: str = ""
    messages: tuple[Note, ...] = ()
    handed_in: HandedIn | None = None
    done: bool = False
    unresolved: tuple[str, ...] = ()
    summary: str = ""
    delivering_since: str = ""
    commit: str = ""
    pull_request: PullRequest | None = None
    spent: dict[int, Money] = {}

    @property
    def branch(self) -> str:
        """Derived, so that it is the workflow's own and never changes. The short id keeps it unique in practice."""
        slug = "".join(c if c.isalnum() else "-" for c in self.issue.id.lower()).strip("-")[:40].strip("-")
        return f"amelia/{slug or 'issue'}-{self.id[3:11]}"

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL

    @property
    def queued(self) -> bool:
        """Waits for its turn."""
        return self.status in ("pending", "approved") and not self.admitted and not self.parked_until


_NOTHING = Money()


def total(spent: dict[int, Money]) -> Money:
    """What all attempts spent together."""
    if len(spent) < 2:
        return next(iter(spent.values()), _NOTHING)
    return Money(**{name: sum(getattr(m, name) for m in spent.values()) for name in Money.__struct_fields__})


def left(w: Workflow) -> Left:
    """What it may still spend: the least that its budget and what was reserved for it allow."""
    spent = total(w.spent)

    def least(spent: int, *bounds: int) -> int | None:
        return min((bound - spent for bound in bounds if bound), default=None)

    return Left(
        microdollars=least(spent.cost_microdollars, w.budget.microdollars, w.cap.microdollars),
        tokens=least(spent.tokens, w.budget.tokens, w.cap.tokens),
    )


def beyond(w: Workflow, factor: float) -> bool:
    """Whether more is spent than ``factor`` times the budget."""
    spent = total(w.spent)
    pairs = ((spent.cost_microdollars, w.budget.microdollars), (spent.tokens, w.budget.tokens))
    return any(bound and used > bound * factor for used, bound in pairs)


def lost_in_a_row(w: Workflow) -> int:
    """How many attempts brought no new fact, were the open one lost now."""
    return 0 if w.fact > w.fact_at_open else w.lost + 1


def agreed(w: Workflow) -> str:
    """The hash of the plan that was approved; a row from before it was kept apart has it in its decision."""
    return w.agreed or (w.decision.plan_sha256 if w.decision and w.decision.kind == "approved" else "")
