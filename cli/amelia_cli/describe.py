"""One event in one line of English."""

from typing import Literal, assert_never

from amelia.contract import events as e
from amelia.contract.workflow import Budget, Money

from .printing import bounds, clean, counted, dollars

_Requires = Literal["approval", "review", ""]


class Narrator:
    """Tells events one after the other. A decision names its block alone; whether it is about a plan or about work is
    known of the blocks that were told before it."""

    def __init__(self) -> None:
        self._blocks: dict[str, _Requires] = {}

    def tell(self, event: e.AnyEvent) -> str:
        if isinstance(event, e.WorkflowBlocked):
            self._blocks[event.id] = event.requires
        return describe(event, self._blocks.get(getattr(event, "block_id", ""), ""))


def describe(event: e.AnyEvent, requires: _Requires = "") -> str:
    """Without time and without control characters. ``requires`` is what a decision's block did, "" when unknown."""
    if requires == "review" and isinstance(event, e.WorkflowApproved):
        return clean(f"the work is accepted as it is by {event.approved_by}")
    if requires and isinstance(event, e.WorkflowRevised):
        whom = "developer" if requires == "review" else "architect"
        return clean(f"back to the {whom} by {event.revised_by}" + _because(event.feedback))
    return clean(_said(event))


def total(spent: Money) -> str:
    return f"{spent.input_tokens} tokens in, {spent.output_tokens} out, {dollars(spent)}"


def budget(given: Budget) -> str:
    return bounds(given) or "no bound"


def is_progress(event: e.AnyEvent) -> bool:
    return isinstance(event, e.AgentMessage | e.ToolCalled | e.ToolCompleted | e.RuntimeHeartbeat)


def _said(event: e.AnyEvent) -> str:
    match event:
        case e.WorkflowSubmitted():
            return f"submitted: {event.issue.id}: {event.issue.title}"
        case e.WorkflowParked():
            return f"waits until {event.until}: {event.reason}"
        case e.AttemptOpened():
            return f"attempt {event.attempt} begins"
        case e.RuntimeLost():
            return event.cause
        case e.WorkflowApproved():
            by = f"{event.approved_by}, rule {event.policy}" if event.policy else event.approved_by
            part = f", tasks {', '.join(event.tasks)}" if event.tasks else ""
            return f"approved by {by}: plan {event.plan_sha256[:12]}{part}"
        case e.WorkflowRejected():
            return f"rejected by {event.rejected_by}" + _because(event.feedback)
        case e.WorkflowCancelled():
            return f"cancelled by {event.cancelled_by}" + _because(event.reason)
        case e.BranchPushed():
            return f"branch {event.branch} is at {event.commit[:12]} in {event.repository}"
        case e.CommandRefused(command_type="tell_issue"):
            return f"the issue was not told how it stands: {event.cause}"
        case e.CommandRefused():
            if not event.final:
                return f"{event.command_type} has to wait: {event.cause}"
            return f"{event.command_type} was refused: {event.cause}"
        case e.EventsMissing():
            return f"progress {event.first} to {event.last} of attempt {event.of_attempt} was lost on its way"
        case e.RuntimeHeartbeat():
            return "heartbeat"
        case (
            e.WorkflowAdmitted()
            | e.WorkflowRevised()
            | e.ApprovalVote()
            | e.ApprovalReminder()
            | e.ApprovalDeadlinePassed()
            | e.WorkflowPaused()
            | e.WorkflowResumed()
            | e.WorkflowRetried()
            | e.BudgetChanged()
            | e.MessageSent()
            | e.DeliveryStarted()
            | e.PullRequestOpened()
        ):
            return _ordered(event)
        case _:
            return _said_by_runtime(event)


_Ordered = (
    e.WorkflowAdmitted
    | e.WorkflowRevised
    | e.ApprovalVote
    | e.ApprovalReminder
    | e.ApprovalDeadlinePassed
    | e.WorkflowPaused
    | e.WorkflowResumed
    | e.WorkflowRetried
    | e.BudgetChanged
    | e.MessageSent
    | e.DeliveryStarted
    | e.PullRequestOpened
)


def _ordered(event: _Ordered) -> str:
    match event:
        case e.WorkflowAdmitted():
            return "admitted" + (f" after it waited for {event.waited_for}" if event.waited_for else "")
        case e.WorkflowRevised():
            return f"sent back by {event.revised_by}" + _because(event.feedback)
        case e.ApprovalVote():
            return f"the {event.voter} asks for a person" + _because(event.rule)
        case e.ApprovalReminder():
            return f"the plan is still undecided; it counts as rejected at {event.deadline}"
        case e.ApprovalDeadlinePassed():
            return f"nobody decided the plan until {event.deadline}; it counts as rejected"
        case e.WorkflowPaused():
            return f"paused by {event.paused_by}" + _because(event.reason)
        case e.WorkflowResumed():
            return f"resumed by {event.resumed_by}"
        case e.WorkflowRetried():
            return f"tried again by {event.retried_by}" + (", from the start" if event.start else "")
        case e.BudgetChanged():
            return f"the budget is {budget(event.budget)} now, says {event.changed_by}"
        case e.MessageSent():
            return f"{event.sent_by} says to the agents: {event.text}"
        case e.DeliveryStarted():
            return f"delivery of {event.branch} at {event.commit[:12]} begins"
        case e.PullRequestOpened():
            found = "was there already" if event.adopted else "is open"
            return f"{'draft ' if event.draft else ''}pull request {event.url} {found}"
        case _:
            assert_never(event)


def _said_by_runtime(event: e.RuntimeFact | e.RuntimeProgress) -> str:
    match event:
        case e.WorkflowStarted():
            return f"work starts on {event.base_commit[:12]}"
        case e.WorkflowBlocked():
            if event.requires == "review":
                against = "; ".join(event.unresolved[:3]) or "the review is not satisfied"
                return f"the work waits for a person: {against}"
            tasks = f" of {counted(len(event.plan.tasks), 'task')}" if event.plan else ""
            return f"the plan{tasks} waits for approval: {event.plan_sha256[:12]}"
        case e.AgentStarted():
            return f"{_who(event.agent, event.task_id)} starts" + _round(event.round)
        case e.AgentCompleted():
            return f"{_who(event.agent, event.task_id)} is done"
        case e.TaskStarted():
            return f"task {event.task_id} starts: {event.title}" + _round(event.round)
        case e.TaskCompleted():
            at = f" at {event.commit[:12]}" if event.commit else ""
            return f"task {event.task_id} {event.status}{at}" + _because(event.summary)
        case e.ReviewCompleted():
            said = "approves" if event.verdict.approved else "sends the work back"
            return f"the reviewer {said}: {event.verdict.summary}" + _round(event.round)
        case e.TokensUsed():
            return f"used {total(event.used)}" + (f" ({event.model})" if event.model else "")
        case e.ArtifactStored():
            return f"stored {event.name}, {event.claim.size} bytes"
        case e.WorkHandedIn():
            return f"work handed in: {event.branch} at {event.commit[:12]}"
        case e.WorkflowCompleted():
            return f"the agents end with {event.result}" + _because(event.cause or event.summary)
        case e.LessonLearnt():
            return f"learnt about the repository: {event.text}"
        case e.MessageApplied():
            return f"{_who(event.agent, event.task_id)} read message {event.message_id[:8]}"
        case e.WorkflowTimeout():
            return f"the session's longest life of {event.session_seconds} s is near; the workflow pauses"
        case e.BudgetReached():
            return f"the next call would pass the budget of {budget(event.budget)}; the workflow pauses"
        case e.AgentMessage():
            return f"{_who(event.agent, event.task_id)}: {event.content}"
        case e.ToolCalled():
            return f"{_who(event.agent, event.task_id)} calls {event.tool}" + _because(event.summary)
        case e.ToolCompleted():
            got = "an answer" if event.ok else "an error"
            return f"{_who(event.agent, event.task_id)} got {got} from {event.tool}" + _because(event.summary)
        case _:
            assert_never(event)


def _because(text: str) -> str:
    return f": {text}" if text else ""


def _round(number: int) -> str:
    return f" (round {number})" if number > 1 else ""


def _who(agent: str, task_id: str) -> str:
    return f"{agent} ({task_id})" if task_id else agent
