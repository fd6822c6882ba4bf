"""One message of each kind: a workflow from its submission to its branch, told by the types themselves.

Nothing is drawn at random and no clock is read, so the same contract gives the same bytes. Runtime events are signed
as a runtime signs them, with the attempt's key under a master secret of 32 zero bytes.
"""

from typing import Any, TypeVar

from msgspec.structs import replace

from .. import commands as c
from .. import events as e
from ..envelope import Command, Event
from ..ids import derive_id
from ..invocation import Accepted, Invocation
from ..signature import attempt_key, sign
from ..workflow import Decision
from .example_story import (
    ACTOR,
    BASE_COMMIT,
    BLOCK_ID,
    BRANCH,
    BUDGET,
    COMMAND_ID,
    COMMIT,
    ISSUE,
    MASTER,
    MESSAGE_ID,
    PLAN,
    PLAN_SHA256,
    PROFILE,
    PULL_REQUEST,
    REPOSITORY,
    SPENT,
    VERDICT,
    WORKFLOW,
    claim,
)
from .messages import FROM_THE_CONTROL_PLANE, tag_of, types
from .view_examples import views

M = TypeVar("M", bound=Command | Event)


def _command(kind: type[M], **fields: Any) -> M:
    shared = {"id": derive_id(WORKFLOW, f"example/{tag_of(kind)}"), "workflow_id": WORKFLOW, "actor": ACTOR}
    return kind(**{**shared, "correlation_id": COMMAND_ID, **fields})


def _event(kind: type[M], second: int, /, **fields: Any) -> M:
    shared = {"id": derive_id(WORKFLOW, f"example/{tag_of(kind)}"), "workflow_id": WORKFLOW}
    times = {"timestamp": f"2027-01-15T09:30:{second:02}.000Z", "correlation_id": COMMAND_ID}
    return kind(**{**shared, **times, **fields})


def _commands() -> tuple[Command, ...]:
    decided = {"block_id": BLOCK_ID, "plan_sha256": PLAN_SHA256}
    start = {"issue": ISSUE, "repository": REPOSITORY, "base": "main", "profile": PROFILE}
    return (
        _command(c.StartWorkflow, **start, owner=ACTOR, team="billing", priority=10, budget=BUDGET),
        _command(c.ApproveWorkflow, **decided),
        _command(c.ReviseWorkflow, **decided, feedback="Leave the credit notes as they are."),
        _command(c.PauseWorkflow, reason="the release is frozen"),
        _command(c.ResumeWorkflow, budget=BUDGET),
        _command(c.RetryWorkflow, start=True),
        _command(c.SendMessage, text="Round half up, not half even."),
        _command(c.RejectWorkflow, **decided, feedback="Keep the old rounding for credit notes."),
        _command(c.CancelWorkflow, reason="done by hand"),
        _command(c.AttendWorkflow, actor="amelia"),
        _command(c.DeliverWorkflow, actor="amelia"),
    )


def _control() -> tuple[Event, ...]:
    decided = {"block_id": BLOCK_ID, "plan_sha256": PLAN_SHA256, "causation_id": BLOCK_ID}
    start = {"issue": ISSUE, "repository": REPOSITORY, "base": "main", "profile": PROFILE}
    refused = {"command_id": COMMAND_ID, "command_type": "deliver_workflow", "final": True}
    return (
        _event(e.WorkflowSubmitted, 0, causation_id=COMMAND_ID, **start, owner=ACTOR, team="billing", budget=BUDGET),
        _event(e.WorkflowAdmitted, 5, waited_for="3 of 3 workflows of ada are in progress", reserved=BUDGET),
        _event(e.WorkflowParked, 1, reason="the platform has no session free", until="2027-01-15T09:30:06.000Z"),
        _event(e.AttemptOpened, 6, causation_id=COMMAND_ID, attempt=1, lease_seconds=20, key_version=1),
        _event(e.RuntimeLost, 30, cause="attempt 1 was lost: its lease ran out without a sign of life"),
        _event(e.WorkflowApproved, 40, **decided, approved_by=ACTOR),
        _event(e.WorkflowRejected, 40, **decided, rejected_by=ACTOR, feedback="Keep the old rounding."),
        _event(e.WorkflowRevised, 40, **decided, revised_by=ACTOR, feedback="Leave the credit notes as they are."),
        _event(e.ApprovalVote, 22, **decided, voter="policy", rule="touches-ci"),
        _event(e.ApprovalReminder, 38, causation_id=BLOCK_ID, block_id=BLOCK_ID, deadline="2027-01-16T09:30:21.000Z"),
        _event(e.ApprovalDeadlinePassed, 39, **decided, deadline="2027-01-16T09:30:21.000Z"),
        _event(e.WorkflowPaused, 44, kind="operator", paused_by=ACTOR, reason="the release is frozen"),
        _event(e.WorkflowResumed, 45, resumed_by=ACTOR),
        _event(e.WorkflowRetried, 45, retried_by=ACTOR),
        _event(e.BudgetChanged, 45, budget=BUDGET, changed_by=ACTOR),
        _event(e.MessageSent, 46, text="Round half up, not half even.", sent_by=ACTOR),
        _event(e.WorkflowCancelled, 41, cancelled_by=ACTOR, reason="done by hand"),
        _event(e.DeliveryStarted, 58, branch=BRANCH, commit=COMMIT, repository=REPOSITORY),
        _event(e.BranchPushed, 59, branch=BRANCH, commit=COMMIT, repository=REPOSITORY, pull_request=True),
        _event(e.PullRequestOpened, 59, url=PULL_REQUEST.url, number=PULL_REQUEST.number, branch=BRANCH),
        _event(e.CommandRefused, 59, **refused, cause=f"{BRANCH} is somebody else's; rename it or delete it"),
        _event(e.EventsMissing, 33, of_attempt=1, first=4, last=6),
    )


SHARES = (e.Share(agent="architect", model="claude", used=SPENT),)


def _facts() -> tuple[Event, ...]:
    task = PLAN.tasks[0]
    work = {"branch": BRANCH, "commit": COMMIT, "base_commit": BASE_COMMIT, "plan_sha256": PLAN_SHA256}
    done = {"task_id": task.id, "commit": COMMIT, "summary": "Rounded once.", "verification_exit": 0}
    said = (
        _event(e.WorkflowStarted, 7, base_commit=BASE_COMMIT),
        _event(e.AgentStarted, 7, agent="architect"),
        _event(e.AgentCompleted, 20, agent="architect", summary=PLAN.summary),
        _event(
            e.TokensUsed,
            20,
            used=SPENT,
            model="claude",
            shares=SHARES,
        ),
        _event(e.WorkflowBlocked, 21, plan_sha256=PLAN_SHA256, plan=PLAN),
        _event(e.TaskStarted, 43, task_id=task.id, title=task.title, description=task.description),
        _event(e.TaskCompleted, 51, status="completed", **done),
        _event(e.ReviewCompleted, 56, verdict=VERDICT),
        _event(e.ArtifactStored, 57, name="diff", claim=claim("artifact", 1_204), media_type="text/x-diff"),
        _event(e.MessageApplied, 57, message_id=MESSAGE_ID, agent="developer", task_id=task.id),
        _event(e.LessonLearnt, 57, topic="tests", text="The tests are run with `python -m unittest`."),
        _event(e.WorkflowTimeout, 57, session_seconds=28_800),
        _event(e.BudgetReached, 57, budget=BUDGET, spent=SPENT),
        _event(e.WorkHandedIn, 57, bundle=claim("bundle", 40_960), **work),
        _event(e.WorkflowCompleted, 58, result="success", summary="One task, reviewed."),
    )
    return tuple(replace(event, fact=number, attempt=_attempt(number)) for number, event in enumerate(said, 1))


def _attempt(fact: int) -> int:
    """The approval ends the first attempt; what follows belongs to the second."""
    return 1 if fact <= 5 else 2


def _progress() -> tuple[Event, ...]:
    tool = {"agent": "developer", "tool": "run_command", "summary": "python -m unittest", "task_id": "round-once"}
    said = (
        _event(e.AgentMessage, 45, agent="developer", content="I round the sum once.", task_id="round-once"),
        _event(e.ToolCalled, 46, **tool),
        _event(e.ToolCompleted, 47, **tool, ok=True),
    )
    numbered = [replace(event, ordinal=number, last_fact=6, attempt=2) for number, event in enumerate(said, 1)]
    beat = _event(e.RuntimeHeartbeat, 48, attempt=2, last_fact=6, last_ordinal=3)
    return (*numbered, beat)


def _others() -> tuple[Any, ...]:
    invocation = Invocation(
        command_id=COMMAND_ID,
        workflow_id=WORKFLOW,
        epoch=2,
        signing_key=attempt_key(MASTER, WORKFLOW, 2).hex(),
        key_version=1,
        highest_fact=5,
        issue=ISSUE,
        repository=REPOSITORY,
        branch=BRANCH,
        base="main",
        profile=PROFILE,
        decision=Decision(kind="approved", block_id=BLOCK_ID, plan_sha256=PLAN_SHA256, by=ACTOR),
        correlation_id=COMMAND_ID,
    )
    return (invocation, Accepted(outcome="accepted", epoch=2, last_fact=5), PLAN, VERDICT, PROFILE)


def examples() -> dict[str, Any]:
    """A message for every name of ``messages.types``."""
    told = (*_commands(), *_control(), *map(_signed, (*_facts(), *_progress())), *views(), *_others())
    by_type = {type(message): message for message in told}
    return {name: by_type[kind] for name, kind in types().items()}


def _signed(event: Event) -> Event:
    assert type(event) not in FROM_THE_CONTROL_PLANE
    return sign(event, attempt_key(MASTER, event.workflow_id, event.attempt))
