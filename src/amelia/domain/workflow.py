"""What a workflow is, which events move it where, and how each one is folded into it."""

from typing import assert_never

import msgspec
from msgspec.structs import replace

from ..contract import events as e
from ..contract.envelope import Event
from ..contract.plan import Plan, plan_sha256
from ..contract.workflow import TERMINAL, ClaimCheck, Decision, Issue, Money, Phase, Profile, Status


class Block(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What waits for a decision: named by the event that said so and the hash of its plan."""

    event_id: str
    plan_sha256: str
    plan: Plan | None = None
    plan_claim: ClaimCheck | None = None


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
    ``spent`` is per attempt and cumulative within it.
    """

    id: str
    issue: Issue
    repository: str
    base: str = ""
    profile: Profile = Profile()
    auto_approve: bool = False
    owner: str = ""
    team: str = ""
    correlation_id: str = ""
    traceparent: str = ""

    status: Status = "pending"
    phase: Phase = ""
    reason: str = ""
    parked_until: str = ""

    sequence: int = 0
    epoch: int = 0
    open: bool = False
    fact: int = 0
    fact_at_open: int = 0
    ordinal: int = 0
    lost: int = 0
    missing: tuple[Missing, ...] = ()

    block: Block | None = None
    decision: Decision | None = None
    handed_in: HandedIn | None = None
    commit: str = ""
    spent: dict[int, Money] = {}

    @property
    def branch(self) -> str:
        """Derived, so that it is the workflow's own and never changes. The short id keeps it unique in practice."""
        slug = "".join(c if c.isalnum() else "-" for c in self.issue.id.lower()).strip("-")[:40].strip("-")
        return f"amelia/{slug or 'issue'}-{self.id[3:11]}"

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL


_WORK = (
    e.WorkflowStarted,
    e.AgentStarted,
    e.AgentCompleted,
    e.TaskStarted,
    e.TaskCompleted,
    e.ReviewCompleted,
    e.TokensUsed,
    e.ArtifactStored,
    e.WorkHandedIn,
    e.AgentMessage,
    e.ToolCalled,
    e.ToolCompleted,
)

TRANSITIONS: dict[tuple[Status, type[Event]], frozenset[Status]] = {
    ("pending", e.AttemptOpened): frozenset({"in_progress"}),
    ("pending", e.WorkflowParked): frozenset({"pending"}),
    ("pending", e.WorkflowCancelled): frozenset({"cancelled"}),
    ("pending", e.CommandRefused): frozenset({"pending", "failed"}),
    ("pending", e.EventsMissing): frozenset({"pending"}),
    **{("in_progress", kind): frozenset[Status]({"in_progress"}) for kind in _WORK},
    ("in_progress", e.EventsMissing): frozenset({"in_progress"}),
    ("in_progress", e.WorkflowBlocked): frozenset({"blocked"}),
    ("in_progress", e.WorkflowCompleted): frozenset({"in_progress", "failed"}),
    ("in_progress", e.BranchPushed): frozenset({"completed"}),
    ("in_progress", e.RuntimeLost): frozenset({"pending", "failed"}),
    ("in_progress", e.WorkflowParked): frozenset({"pending"}),
    ("in_progress", e.WorkflowCancelled): frozenset({"cancelled"}),
    ("in_progress", e.CommandRefused): frozenset({"in_progress", "failed"}),
    ("blocked", e.AgentMessage): frozenset({"blocked"}),
    ("blocked", e.ToolCalled): frozenset({"blocked"}),
    ("blocked", e.ToolCompleted): frozenset({"blocked"}),
    ("blocked", e.EventsMissing): frozenset({"blocked"}),
    ("blocked", e.WorkflowApproved): frozenset({"approved"}),
    ("blocked", e.WorkflowRejected): frozenset({"failed"}),
    ("blocked", e.WorkflowCancelled): frozenset({"cancelled"}),
    ("approved", e.AgentMessage): frozenset({"approved"}),
    ("approved", e.ToolCalled): frozenset({"approved"}),
    ("approved", e.ToolCompleted): frozenset({"approved"}),
    ("approved", e.EventsMissing): frozenset({"approved"}),
    ("approved", e.AttemptOpened): frozenset({"in_progress"}),
    ("approved", e.WorkflowParked): frozenset({"approved"}),
    ("approved", e.WorkflowCancelled): frozenset({"cancelled"}),
    ("approved", e.CommandRefused): frozenset({"approved", "failed"}),
}
"""Which events a status allows and where they may lead. A pair that is not here changes nothing."""

_PHASE_OF: dict[str, Phase] = {"architect": "planning", "developer": "executing", "reviewer": "reviewing"}


def allows(workflow: Workflow, event: Event) -> bool:
    """Whether the event means anything to the workflow as it stands."""
    if (workflow.status, type(event)) not in TRANSITIONS:
        return False
    if workflow.status == "in_progress" and event.fact and not workflow.open:
        return False
    return not isinstance(event, e.BranchPushed) or workflow.phase == "delivering"


def submitted(event: e.WorkflowSubmitted) -> Workflow:
    """The first event makes the row."""
    return Workflow(
        id=event.workflow_id,
        issue=event.issue,
        repository=event.repository,
        base=event.base,
        profile=event.profile,
        auto_approve=event.auto_approve,
        owner=event.owner,
        team=event.team,
        correlation_id=event.correlation_id,
        traceparent=event.traceparent,
        reason="waits for the dispatcher",
        sequence=1,
    )


def evolve(workflow: Workflow, event: Event) -> Workflow:
    """The workflow after the event: one step further in ``sequence``, and changed as far as the table allows.

    An event of an unknown type, or one the status does not allow, only takes its place in the order; but tokens that
    were spent are counted whatever the status.
    """
    counted = replace(
        workflow,
        sequence=workflow.sequence + 1,
        fact=max(workflow.fact, event.fact),
        ordinal=max(workflow.ordinal, event.ordinal) if event.attempt == workflow.epoch else workflow.ordinal,
    )
    if isinstance(event, e.TokensUsed):
        return spending(counted, event)
    return _fold(counted, event) if allows(workflow, event) else counted  # type: ignore[arg-type]


def spending(workflow: Workflow, event: e.TokensUsed) -> Workflow:
    """What an attempt says it spent so far. An older word of the same attempt never makes it less."""
    known = workflow.spent.get(event.attempt, Money())
    highest = Money(**{name: max(getattr(known, name), getattr(event.used, name)) for name in Money.__struct_fields__})
    return replace(workflow, spent={**workflow.spent, event.attempt: highest})


def _fold(w: Workflow, event: e.AnyEvent) -> Workflow:
    match event:
        case e.AttemptOpened():
            return replace(
                w,
                status="in_progress",
                phase="starting",
                reason="",
                parked_until="",
                epoch=event.attempt,
                open=True,
                fact_at_open=w.fact,
                ordinal=0,
            )
        case e.WorkflowParked():
            status: Status = "approved" if w.status == "approved" else "pending"
            return replace(_closed(w), status=status, phase="", reason=event.reason, parked_until=event.until)
        case e.RuntimeLost():
            lost = lost_in_a_row(w)
            if event.final:
                return _failed(replace(w, lost=lost), event.cause)
            return replace(_closed(w), status="pending", phase="", lost=lost, reason=event.cause)
        case e.WorkflowBlocked() if not _names_its_plan(event):
            return _failed(w, "the runtime asked for approval under a hash that is not its plan's")
        case e.WorkflowBlocked():
            block = Block(
                event_id=event.id,
                plan_sha256=event.plan_sha256,
                plan=event.plan,
                plan_claim=event.plan_claim,
            )
            reason = "the plan waits for approval"
            return replace(_closed(w), status="blocked", phase="", block=block, decision=None, lost=0, reason=reason)
        case e.WorkflowApproved():
            decision = Decision(
                kind="approved",
                block_id=event.block_id,
                plan_sha256=event.plan_sha256,
                by=event.approved_by,
            )
            return replace(w, status="approved", decision=decision, reason="approved; waits for the dispatcher")
        case e.WorkflowRejected():
            decision = Decision(
                kind="rejected",
                block_id=event.block_id,
                plan_sha256=event.plan_sha256,
                by=event.rejected_by,
                feedback=event.feedback,
            )
            said = f": {event.feedback}" if event.feedback else ""
            return _failed(replace(w, decision=decision), f"the plan was rejected by {event.rejected_by}{said}")
        case e.WorkflowCancelled():
            said = f": {event.reason}" if event.reason else ""
            reason = f"cancelled by {event.cancelled_by}{said}"
            return replace(_closed(w), status="cancelled", phase="", epoch=w.epoch + 1, ordinal=0, reason=reason)
        case e.BranchPushed():
            return replace(_closed(w), status="completed", phase="", commit=event.commit, reason="")
        case e.CommandRefused():
            return _failed(w, event.cause) if event.final else replace(w, reason=event.cause)
        case e.EventsMissing():
            gap = Missing(event.of_attempt, event.first, event.last)
            ordinal = max(w.ordinal, event.last) if event.of_attempt == w.epoch else w.ordinal
            return replace(w, missing=(*w.missing, gap)[-64:], ordinal=ordinal)
        case e.WorkflowStarted():
            return replace(w, phase="planning")
        case e.AgentStarted():
            return replace(w, phase=_PHASE_OF.get(event.agent, w.phase))
        case e.WorkHandedIn():
            handed_in = HandedIn(
                bundle=event.bundle,
                branch=event.branch,
                commit=event.commit,
                base_commit=event.base_commit,
                plan_sha256=event.plan_sha256,
                diff=event.diff,
            )
            return replace(w, handed_in=handed_in)
        case e.WorkflowCompleted(result="failed"):
            return _failed(w, event.cause or "the runtime gave no cause")
        case e.WorkflowCompleted():
            if w.handed_in is None:
                return _failed(w, "the runtime completed without handing in any work")
            return replace(_closed(w), phase="delivering", lost=0)
        case (
            e.AgentCompleted()
            | e.TaskStarted()
            | e.TaskCompleted()
            | e.ReviewCompleted()
            | e.TokensUsed()
            | e.ArtifactStored()
            | e.AgentMessage()
            | e.ToolCalled()
            | e.ToolCompleted()
            | e.WorkflowSubmitted()
            | e.RuntimeHeartbeat()
        ):
            return w
        case _:
            assert_never(event)


def _names_its_plan(event: e.WorkflowBlocked) -> bool:
    """An approval is of exactly one plan: the one that is shown."""
    if event.plan is not None:
        return event.plan_claim is None and plan_sha256(event.plan) == event.plan_sha256
    return event.plan_claim is not None and event.plan_claim.sha256 == event.plan_sha256


def _closed(w: Workflow) -> Workflow:
    return replace(w, open=False, parked_until="")


def _failed(w: Workflow, cause: str) -> Workflow:
    return replace(_closed(w), status="failed", phase="", reason=cause)


def lost_in_a_row(w: Workflow) -> int:
    """How many attempts brought no new fact, were the open one lost now."""
    return 0 if w.fact > w.fact_at_open else w.lost + 1


def total(spent: dict[int, Money]) -> Money:
    """What all attempts spent together."""
    return Money(**{name: sum(getattr(m, name) for m in spent.values()) for name in Money.__struct_fields__})
