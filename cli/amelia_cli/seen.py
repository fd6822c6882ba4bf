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


class Voice(msgspec.Struct, frozen=True):
    """An agent at work, on a task where it has one; ``words`` are the latest that it said or did."""

    agent: str
    task: str = ""
    words: str = ""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """``words`` are the latest that was heard, of ``agent`` where it was one; ``voices`` are all agents at
    work now, in the order in which they began. ``spent`` is per attempt. ``review`` is the block that waits, or waited,
    for a decision about work instead of a plan."""

    phase: str = "pending"
    attempt: int = 0
    agent: str = ""
    words: str = ""
    plan: Plan | None = None
    steps: dict[str, Step] = {}
    voices: dict[tuple[str, str], Voice] = {}
    spent: dict[int, Money] = {}
    review: str = ""

    @property
    def cost_microdollars(self) -> int:
        return sum(money.cost_microdollars for money in self.spent.values())


def advance(seen: Seen, event: e.AnyEvent) -> Seen:
    """What is known after the event."""
    match event:
        case e.AttemptOpened():
            return replace(seen, attempt=event.attempt, phase="starting", words="", voices={})
        case e.WorkflowBlocked(requires="review"):
            return replace(seen, phase="blocked", words="the work waits for a person", voices={}, review=event.id)
        case e.WorkflowBlocked():
            steps = {task.id: Step(task.title) for task in event.plan.tasks} if event.plan else {}
            return replace(seen, phase="blocked", plan=event.plan, steps=steps, words="the plan waits", voices={})
        case e.WorkflowApproved() if event.block_id == seen.review:
            return replace(seen, phase="approved", words=f"accepted by {event.approved_by}")
        case e.WorkflowRevised() if event.block_id == seen.review:
            return replace(seen, phase="pending", words=f"sent back by {event.revised_by}")
        case e.WorkflowApproved():
            steps = {id_: step for id_, step in seen.steps.items() if not event.tasks or id_ in event.tasks}
            return replace(seen, phase="approved", steps=steps, words=f"approved by {event.approved_by}")
        case e.WorkflowParked():
            return replace(seen, phase="pending", words=event.reason)
        case e.RuntimeLost():
            return replace(seen, phase="failed" if event.final else "pending", words=event.cause, voices={})
        case e.WorkflowRejected():
            return replace(seen, phase="failed", words=f"rejected by {event.rejected_by}")
        case e.WorkflowCancelled():
            return replace(seen, phase="cancelled", words=event.reason)
        case e.ApprovalDeadlinePassed():
            return replace(seen, phase="failed", words=f"nobody decided the plan until {event.deadline}")
        case e.WorkflowRevised():
            return replace(seen, phase="pending", plan=None, steps={}, words=f"revised by {event.revised_by}")
        case e.WorkflowPaused() | e.WorkflowTimeout() | e.BudgetReached():
            return replace(seen, phase="paused", agent="", words=getattr(event, "reason", ""), voices={})
        case e.WorkflowResumed() | e.WorkflowRetried():
            return replace(seen, phase="pending", words="")
        case e.DeliveryStarted() | e.BranchPushed(pull_request=True):
            return replace(seen, phase="delivering", agent="", words=f"{event.branch} at {event.commit[:12]}")
        case e.PullRequestOpened():
            return replace(seen, phase="completed", agent="", words=event.url)
        case e.BranchPushed():
            return replace(seen, phase="completed", agent="", words=f"{event.branch} at {event.commit[:12]}")
        case e.AgentStarted():
            begun = _heard(seen, event.agent, event.task_id, "")
            return replace(begun, phase=_PHASES.get(event.agent, seen.phase))
        case e.AgentCompleted():
            still = {whose: v for whose, v in seen.voices.items() if not _is_of(v, event.agent, event.task_id)}
            return replace(seen, voices=still)
        case e.TaskStarted():
            return replace(seen, steps={**seen.steps, event.task_id: Step(event.title, "working")})
        case e.TaskCompleted():
            step = seen.steps.get(event.task_id, Step(event.task_id))
            return replace(seen, steps={**seen.steps, event.task_id: Step(step.title, event.status)})
        case e.TokensUsed():
            return replace(seen, spent={**seen.spent, event.of_attempt or event.attempt: event.used})
        case e.AgentMessage():
            return _heard(seen, event.agent, event.task_id, event.content)
        case e.ToolCalled():
            return _heard(seen, event.agent, event.task_id, f"{event.tool} {event.summary}".strip())
        case e.WorkflowCompleted():
            failed = event.result == "failed"
            return replace(seen, phase="failed" if failed else "delivering", agent="", words=event.cause, voices={})
    return seen


def _heard(seen: Seen, agent: str, task: str, words: str) -> Seen:
    voices = {**seen.voices, (agent, task): Voice(agent, task, words)}
    if task:
        voices.pop((agent, ""), None)
    return replace(seen, agent=agent, words=words, voices=voices)


def _is_of(voice: Voice, agent: str, task: str) -> bool:
    """Several reviewers end as one."""
    return voice.agent == agent and task in ("", voice.task)
