"""What a watcher knows of a workflow, folded from its events."""

import msgspec
from msgspec.structs import replace

from amelia.contract import events as e
from amelia.contract.plan import Plan
from amelia.contract.workflow import Money

_PHASES = {"architect": "planning", "developer": "executing", "reviewer": "reviewing"}


class Step(msgspec.Struct, frozen=True):
    """A task of the plan; ``status`` is waiting, working, completed, failed or skipped."""

    title: str
    status: str = "waiting"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """``words`` are the latest that ``agent`` said or did. ``spent`` is per attempt."""

    phase: str = "pending"
    attempt: int = 0
    agent: str = ""
    words: str = ""
    plan: Plan | None = None
    steps: dict[str, Step] = {}
    spent: dict[int, Money] = {}

    @property
    def cost_microdollars(self) -> int:
        return sum(money.cost_microdollars for money in self.spent.values())


def advance(seen: Seen, event: e.AnyEvent) -> Seen:
    """What is known after the event."""
    match event:
        case e.AttemptOpened():
            return replace(seen, attempt=event.attempt, phase="starting", words="")
        case e.WorkflowBlocked():
            steps = {task.id: Step(task.title) for task in event.plan.tasks} if event.plan else {}
            return replace(seen, phase="blocked", plan=event.plan, steps=steps, words="the plan waits for approval")
        case e.WorkflowApproved():
            return replace(seen, phase="approved", words=f"approved by {event.approved_by}")
        case e.WorkflowParked():
            return replace(seen, phase="pending", words=event.reason)
        case e.RuntimeLost():
            return replace(seen, phase="failed" if event.final else "pending", words=event.cause)
        case e.WorkflowRejected():
            return replace(seen, phase="failed", words=f"rejected by {event.rejected_by}")
        case e.WorkflowCancelled():
            return replace(seen, phase="cancelled", words=event.reason)
        case e.ApprovalDeadlinePassed():
            return replace(seen, phase="failed", words=f"nobody decided the plan until {event.deadline}")
        case e.WorkflowRevised():
            return replace(seen, phase="pending", plan=None, steps={}, words=f"revised by {event.revised_by}")
        case e.WorkflowPaused() | e.WorkflowTimeout() | e.BudgetReached():
            return replace(seen, phase="paused", agent="", words=getattr(event, "reason", ""))
        case e.WorkflowResumed() | e.WorkflowRetried():
            return replace(seen, phase="pending", words="")
        case e.DeliveryStarted() | e.BranchPushed(pull_request=True):
            return replace(seen, phase="delivering", agent="", words=f"{event.branch} at {event.commit[:12]}")
        case e.PullRequestOpened():
            return replace(seen, phase="completed", agent="", words=event.url)
        case e.BranchPushed():
            return replace(seen, phase="completed", agent="", words=f"{event.branch} at {event.commit[:12]}")
        case e.AgentStarted():
            return replace(seen, phase=_PHASES.get(event.agent, seen.phase), agent=event.agent, words="")
        case e.TaskStarted():
            return replace(seen, steps={**seen.steps, event.task_id: Step(event.title, "working")})
        case e.TaskCompleted():
            step = seen.steps.get(event.task_id, Step(event.task_id))
            return replace(seen, steps={**seen.steps, event.task_id: Step(step.title, event.status)})
        case e.TokensUsed():
            return replace(seen, spent={**seen.spent, event.of_attempt or event.attempt: event.used})
        case e.AgentMessage():
            return replace(seen, agent=event.agent, words=event.content)
        case e.ToolCalled():
            return replace(seen, agent=event.agent, words=f"{event.tool}: {event.summary}")
        case e.WorkflowCompleted():
            failed = event.result == "failed"
            return replace(seen, phase="failed" if failed else "delivering", agent="", words=event.cause)
    return seen
