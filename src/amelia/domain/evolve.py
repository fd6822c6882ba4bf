"""How an event is folded into the row."""

from typing import assert_never

from msgspec.structs import replace

from ..contract import events as e
from ..contract.envelope import Event
from ..contract.plan import plan_sha256
from ..contract.workflow import Budget, Decision, Money, Note, Phase, PullRequest
from .table import allows
from .workflow import Block, HandedIn, Missing, Workflow, lost_in_a_row, total

_PHASE_OF: dict[str, Phase] = {"architect": "planning", "developer": "executing", "reviewer": "reviewing"}


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
        priority=event.priority,
        budget=event.budget,
        correlation_id=event.correlation_id,
        traceparent=event.traceparent,
        reason="waits for its turn",
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
        parks=0 if event.fact else workflow.parks,
        ordinal=max(workflow.ordinal, event.ordinal) if event.attempt == workflow.epoch else workflow.ordinal,
    )
    if isinstance(event, e.TokensUsed):
        return spending(counted, event.of_attempt or event.attempt, event.used)
    return _fold(counted, event) if allows(workflow, event) else counted  # type: ignore[arg-type]


def spending(workflow: Workflow, attempt: int, used: Money) -> Workflow:
    """What an attempt is known to have spent so far. An older word of the same attempt never makes it less."""
    known = workflow.spent.get(attempt, Money())
    highest = Money(**{name: max(getattr(known, name), getattr(used, name)) for name in Money.__struct_fields__})
    if highest == known or attempt > workflow.epoch:
        return workflow
    return replace(workflow, spent={**workflow.spent, attempt: highest})


def _fold(w: Workflow, event: e.AnyEvent) -> Workflow:
    match event:
        case e.WorkflowAdmitted():
            spent = total(w.spent)
            cap = Budget(
                microdollars=event.reserved.microdollars and event.reserved.microdollars + spent.cost_microdollars,
                tokens=event.reserved.tokens and event.reserved.tokens + spent.tokens,
            )
            return replace(w, admitted=True, cap=cap)
        case e.AttemptOpened():
            return replace(
                w,
                status="in_progress",
                phase="starting",
                reason="",
                parked_until="",
                admitted=True,
                epoch=event.attempt,
                open=True,
                fact_at_open=w.fact,
                ordinal=0,
            )
        case e.WorkflowParked():
            return replace(
                _closed(w),
                status="approved" if w.status == "approved" else "pending",
                reason=event.reason,
                parked_until=event.until,
                parks=w.parks + 1,
                admitted=w.admitted and event.keeps_place,
            )
        case e.RuntimeLost():
            lost = replace(w, lost=lost_in_a_row(w), stalled=event.stalled)
            if event.final:
                return _failed(lost, event.cause)
            return replace(_closed(lost), status="pending", admitted=True, reason=event.cause)
        case (
            e.WorkflowBlocked()
            | e.ApprovalVote()
            | e.ApprovalReminder()
            | e.ApprovalDeadlinePassed()
            | e.WorkflowApproved()
            | e.WorkflowRejected()
            | e.WorkflowRevised()
        ):
            return _gate(w, event)
        case (
            e.WorkflowPaused()
            | e.WorkflowTimeout()
            | e.BudgetReached()
            | e.WorkflowResumed()
            | e.WorkflowRetried()
            | e.WorkflowCancelled()
            | e.BudgetChanged()
            | e.MessageSent()
            | e.MessageApplied()
        ):
            return _control(w, event)
        case e.WorkflowCompleted() | e.DeliveryStarted() | e.BranchPushed() | e.PullRequestOpened():
            return _end(w, event)
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


_Gate = (
    e.WorkflowBlocked
    | e.ApprovalVote
    | e.ApprovalReminder
    | e.ApprovalDeadlinePassed
    | e.WorkflowApproved
    | e.WorkflowRejected
    | e.WorkflowRevised
)


def _gate(w: Workflow, event: _Gate) -> Workflow:
    """What waits for a decision, and the decision."""
    match event:
        case e.WorkflowBlocked() if not _names_its_plan(event):
            return _failed(w, "the runtime asked for approval under a hash that is not its plan's")
        case e.WorkflowBlocked():
            block = Block(
                event_id=event.id,
                plan_sha256=event.plan_sha256,
                plan=event.plan,
                plan_claim=event.plan_claim,
                sequence=w.sequence,
                estimated_microdollars=event.estimated_microdollars,
            )
            return _waiting(replace(w, block=block, lost=0))
        case e.ApprovalVote():
            return replace(w, reason=f"the plan waits for approval by a person: {event.rule}")
        case e.ApprovalReminder():
            assert w.block is not None, "a blocked workflow has a block"
            return replace(w, block=replace(w.block, reminder=""))
        case e.ApprovalDeadlinePassed():
            return _failed(w, f"nobody decided the plan until {event.deadline}, so it counts as rejected")
        case e.WorkflowApproved():
            decision = Decision(
                kind="approved",
                block_id=event.block_id,
                plan_sha256=event.plan_sha256,
                by=event.approved_by,
                tasks=event.tasks,
            )
            return replace(w, status="approved", decision=decision, reason="approved; waits for its turn")
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
        case e.WorkflowRevised():
            decision = Decision(
                kind="revised",
                block_id=event.block_id,
                plan_sha256=event.plan_sha256,
                by=event.revised_by,
                feedback=event.feedback,
            )
            previous = replace(w.block, plan=None) if w.block else None
            reason = f"{event.revised_by} asked for another plan; waits for its turn"
            return replace(w, status="pending", block=None, previous=previous, decision=decision, reason=reason)
        case _:
            assert_never(event)


_Control = (
    e.WorkflowPaused
    | e.WorkflowTimeout
    | e.BudgetReached
    | e.WorkflowResumed
    | e.WorkflowRetried
    | e.WorkflowCancelled
    | e.BudgetChanged
    | e.MessageSent
    | e.MessageApplied
)


def _control(w: Workflow, event: _Control) -> Workflow:
    """What people, and limits, do to a workflow."""
    match event:
        case e.WorkflowPaused():
            fenced = replace(w, epoch=w.epoch + 1, ordinal=0) if w.open else w
            said = f": {event.reason}" if event.reason else ""
            return _paused(fenced, f"paused by {event.paused_by}{said}")
        case e.WorkflowTimeout():
            return _paused(w, "the session reached its longest life; resume the workflow to go on")
        case e.BudgetReached():
            return _paused(w, "the next call of a model would pass the budget; resume it with a larger one")
        case e.WorkflowResumed() if w.done:
            return _to_deliver(w, event.timestamp)
        case e.WorkflowResumed():
            return replace(w, status="pending", lost=0, reason=f"resumed by {event.resumed_by}; waits for its turn")
        case e.WorkflowRetried(start=True):
            reason = f"begun anew by {event.retried_by}; waits for its turn"
            anew = replace(w, generation=w.generation + 1, handed_in=None, done=False, unresolved=(), summary="")
            anew = replace(anew, block=None, previous=None, decision=None, commit="", lost=0, stalled=False)
            return replace(anew, status="pending", phase="", reason=reason)
        case e.WorkflowRetried() if w.done:
            return _to_deliver(w, event.timestamp)
        case e.WorkflowRetried() if w.block is not None and (w.decision is None or w.decision.kind != "approved"):
            return _waiting(replace(w, block=replace(w.block, deadline="", reminder="")))
        case e.WorkflowRetried():
            reason = f"tried again by {event.retried_by}; waits for its turn"
            return replace(w, status="pending", retries=w.retries + 1, lost=0, stalled=False, reason=reason)
        case e.WorkflowCancelled():
            said = f": {event.reason}" if event.reason else ""
            reason = f"cancelled by {event.cancelled_by}{said}"
            return replace(_closed(w), status="cancelled", admitted=False, epoch=w.epoch + 1, ordinal=0, reason=reason)
        case e.BudgetChanged():
            return replace(w, budget=event.budget)
        case e.MessageSent():
            return replace(w, messages=(*w.messages, Note(id=event.id, text=event.text, by=event.sent_by)))
        case e.MessageApplied():
            return replace(w, messages=tuple(m for m in w.messages if m.id != event.message_id))
        case _:
            assert_never(event)


def _end(
    w: Workflow, event: e.WorkflowCompleted | e.DeliveryStarted | e.BranchPushed | e.PullRequestOpened
) -> Workflow:
    match event:
        case e.WorkflowCompleted(result="failed"):
            return _failed(w, event.cause or "the runtime gave no cause")
        case e.WorkflowCompleted():
            if w.handed_in is None:
                return _failed(w, "the runtime completed without handing in any work")
            done = replace(w, done=True, lost=0, unresolved=event.unresolved, summary=event.summary)
            return _to_deliver(done, "")
        case e.DeliveryStarted():
            return replace(w, delivering_since=w.delivering_since or event.timestamp)
        case e.BranchPushed(pull_request=True):
            return replace(w, commit=event.commit)
        case e.BranchPushed():
            return _delivered(replace(w, commit=event.commit))
        case e.PullRequestOpened():
            request = PullRequest(url=event.url, number=event.number, draft=event.draft)
            return _delivered(replace(w, pull_request=request))
        case _:
            assert_never(event)


def _names_its_plan(event: e.WorkflowBlocked) -> bool:
    """An approval is of exactly one plan: the one that is shown."""
    if event.plan is not None:
        return event.plan_claim is None and plan_sha256(event.plan) == event.plan_sha256
    return event.plan_claim is not None and event.plan_claim.sha256 == event.plan_sha256


def _closed(w: Workflow) -> Workflow:
    return replace(w, open=False, phase="", parked_until="")


def _waiting(w: Workflow) -> Workflow:
    reason = "the plan waits for approval"
    return replace(_closed(w), status="blocked", admitted=False, decision=None, reason=reason)


def _paused(w: Workflow, reason: str) -> Workflow:
    return replace(_closed(w), status="paused", admitted=False, reason=reason)


def _to_deliver(w: Workflow, since: str) -> Workflow:
    return replace(_closed(w), status="in_progress", phase="delivering", reason="", delivering_since=since)


def _delivered(w: Workflow) -> Workflow:
    return replace(_closed(w), status="completed", admitted=False, reason="")


def _failed(w: Workflow, cause: str) -> Workflow:
    return replace(_closed(w), status="failed", admitted=False, reason=cause)
