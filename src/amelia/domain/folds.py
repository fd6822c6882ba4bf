"""The folds that the rest of ``evolve`` is made of: the gate, what people and limits do, and how it ends."""

from typing import assert_never

from msgspec.structs import replace

from ..contract import events as e
from ..contract.plan import plan_sha256
from ..contract.workflow import Decision, Note, PullRequest
from .workflow import Block, Workflow

Gate = (
    e.WorkflowBlocked
    | e.ApprovalVote
    | e.ApprovalReminder
    | e.ApprovalDeadlinePassed
    | e.WorkflowApproved
    | e.WorkflowRejected
    | e.WorkflowRevised
)


def gate(w: Workflow, event: Gate) -> Workflow:
    """What waits for a decision, and the decision."""
    match event:
        case e.WorkflowBlocked() if not _names_its_plan(event):
            return failed(w, "the runtime asked for approval under a hash that is not its plan's")
        case e.WorkflowBlocked():
            block = Block(
                event_id=event.id,
                plan_sha256=event.plan_sha256,
                plan=event.plan,
                plan_claim=event.plan_claim,
                sequence=w.sequence,
                estimated_microdollars=event.estimated_microdollars,
                requires=event.requires,
                unresolved=event.unresolved,
                diff=event.diff,
            )
            agreed = w.agreed if event.plan_sha256 == w.agreed else ""
            return _waiting(replace(w, block=block, agreed=agreed, lost=0))
        case e.ApprovalVote():
            return replace(w, reason=f"the plan waits for approval by a person: {event.rule}")
        case e.ApprovalReminder():
            assert w.block is not None, "a blocked workflow has a block"
            return replace(w, block=replace(w.block, reminder=""))
        case e.ApprovalDeadlinePassed():
            what = "work" if w.block and w.block.requires == "review" else "plan"
            return failed(w, f"nobody decided the {what} until {event.deadline}, so it counts as rejected")
        case e.WorkflowApproved():
            decision = Decision(
                kind="approved",
                block_id=event.block_id,
                plan_sha256=event.plan_sha256,
                by=event.approved_by,
                tasks=event.tasks,
            )
            reason = "approved; waits for its turn"
            return replace(w, status="approved", decision=decision, agreed=event.plan_sha256, reason=reason)
        case e.WorkflowRejected():
            decision = Decision(
                kind="rejected",
                block_id=event.block_id,
                plan_sha256=event.plan_sha256,
                by=event.rejected_by,
                feedback=event.feedback,
            )
            said = f": {event.feedback}" if event.feedback else ""
            what = "work" if w.block and w.block.requires == "review" else "plan"
            return failed(replace(w, decision=decision), f"the {what} was rejected by {event.rejected_by}{said}")
        case e.WorkflowRevised():
            decision = Decision(
                kind="revised",
                block_id=event.block_id,
                plan_sha256=event.plan_sha256,
                by=event.revised_by,
                feedback=event.feedback,
            )
            if w.block and w.block.requires == "review":
                reason = f"{event.revised_by} sent the work back; waits for its turn"
                return replace(w, status="pending", decision=decision, reason=reason)
            previous = replace(w.block, plan=None) if w.block else None
            reason = f"{event.revised_by} asked for another plan; waits for its turn"
            return replace(w, status="pending", block=None, previous=previous, decision=decision, reason=reason)
        case _:
            assert_never(event)


Control = (
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


def control(w: Workflow, event: Control) -> Workflow:
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
        case e.WorkflowResumed():
            return replace(w, status="pending", lost=0, reason=f"resumed by {event.resumed_by}; waits for its turn")
        case e.WorkflowRetried(start=True):
            reason = f"begun anew by {event.retried_by}; waits for its turn"
            anew = replace(w, generation=w.generation + 1, handed_in=None, done=False, unresolved=(), summary="")
            anew = replace(anew, block=None, previous=None, decision=None, agreed="", commit="", lost=0, stalled=False)
            return replace(anew, status="pending", phase="", reason=reason)
        case e.WorkflowRetried() if w.done:
            reason = f"to be delivered again, says {event.retried_by}; waits for its turn"
            return replace(w, status="pending", reason=reason)
        case e.WorkflowRetried() if _undecided(w):
            assert w.block is not None, "what waits has a block"
            return _waiting(replace(w, block=replace(w.block, deadline="", reminder="")))
        case e.WorkflowRetried():
            reason = f"tried again by {event.retried_by}; waits for its turn"
            return replace(w, status="pending", retries=w.retries + 1, lost=0, stalled=False, reason=reason)
        case e.WorkflowCancelled():
            said = f": {event.reason}" if event.reason else ""
            reason = f"cancelled by {event.cancelled_by}{said}"
            return replace(closed(w), status="cancelled", admitted=False, epoch=w.epoch + 1, ordinal=0, reason=reason)
        case e.BudgetChanged():
            return replace(w, budget=event.budget)
        case e.MessageSent():
            return replace(w, messages=(*w.messages, Note(id=event.id, text=event.text, by=event.sent_by)))
        case e.MessageApplied():
            return replace(w, messages=tuple(m for m in w.messages if m.id != event.message_id))
        case _:
            assert_never(event)


def end(w: Workflow, event: e.WorkflowCompleted | e.DeliveryStarted | e.BranchPushed | e.PullRequestOpened) -> Workflow:
    match event:
        case e.WorkflowCompleted(result="failed"):
            return failed(w, event.cause or "the runtime gave no cause")
        case e.WorkflowCompleted():
            if w.handed_in is None:
                return failed(w, "the runtime completed without handing in any work")
            done = replace(w, done=True, lost=0, unresolved=event.unresolved, summary=event.summary)
            return to_deliver(done)
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


def closed(w: Workflow) -> Workflow:
    return replace(w, open=False, phase="", parked_until="")


def _waiting(w: Workflow) -> Workflow:
    reason = "the plan waits for approval"
    if w.block is not None and w.block.requires == "review":
        reason = "the work waits for a person, who accepts it as it is or sends it back"
    return replace(closed(w), status="blocked", admitted=False, decision=None, reason=reason)


def _undecided(w: Workflow) -> bool:
    """Whether it ended at a block, and waits there again when it is taken up."""
    if w.block is None:
        return False
    goes_on = ("approved", "revised") if w.block.requires == "review" else ("approved",)
    return w.decision is None or w.decision.kind not in goes_on


def _paused(w: Workflow, reason: str) -> Workflow:
    return replace(closed(w), status="paused", admitted=False, reason=reason)


def to_deliver(w: Workflow) -> Workflow:
    return replace(closed(w), status="in_progress", phase="delivering", reason="", delivering_since="")


def _delivered(w: Workflow) -> Workflow:
    return replace(closed(w), status="completed", admitted=False, reason="")


def failed(w: Workflow, cause: str) -> Workflow:
    return replace(closed(w), status="failed", admitted=False, reason=cause)
