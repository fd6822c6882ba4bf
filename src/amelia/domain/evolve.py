"""How an event is folded into the row."""

from typing import assert_never

from msgspec.structs import replace

from ..contract import events as e
from ..contract.envelope import Event
from ..contract.workflow import Budget, Money, Phase
from .folds import closed, control, end, failed, gate, to_deliver
from .table import allows
from .workflow import HandedIn, Missing, Workflow, lost_in_a_row, total

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
            admitted = replace(w, admitted=True, cap=cap)
            return to_deliver(admitted) if w.done and w.status == "pending" else admitted
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
                closed(w),
                status="approved" if w.status == "approved" else "pending",
                reason=event.reason,
                parked_until=event.until,
                parks=w.parks + 1,
                admitted=w.admitted and event.keeps_place,
            )
        case e.RuntimeLost():
            lost = replace(w, lost=lost_in_a_row(w), stalled=event.stalled)
            if event.final:
                return failed(lost, event.cause)
            return replace(closed(lost), status="pending", admitted=True, reason=event.cause)
        case (
            e.WorkflowBlocked()
            | e.ApprovalVote()
            | e.ApprovalReminder()
            | e.ApprovalDeadlinePassed()
            | e.WorkflowApproved()
            | e.WorkflowRejected()
            | e.WorkflowRevised()
        ):
            return gate(w, event)
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
            return control(w, event)
        case e.WorkflowCompleted() | e.DeliveryStarted() | e.BranchPushed() | e.PullRequestOpened():
            return end(w, event)
        case e.CommandRefused(command_type="tell_issue"):
            return w
        case e.CommandRefused():
            return failed(w, event.cause) if event.final else replace(w, reason=event.cause)
        case e.EventsMissing():
            gap = Missing(event.of_attempt, event.first, event.last)
            ordinal = max(w.ordinal, event.last) if event.of_attempt == w.epoch else w.ordinal
            return replace(w, missing=(*w.missing, gap)[-64:], ordinal=ordinal)
        case e.WorkflowStarted():
            return replace(w, phase="planning")
        case e.AgentStarted():
            return replace(w, phase=_PHASE_OF.get(event.agent, w.phase))
        case e.AgentMessage() | e.ToolCalled() if w.phase == "starting":
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
            | e.LessonLearnt()
            | e.AgentMessage()
            | e.ToolCalled()
            | e.ToolCompleted()
            | e.WorkflowSubmitted()
            | e.RuntimeHeartbeat()
        ):
            return w
        case _:
            assert_never(event)
