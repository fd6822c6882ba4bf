"""What the tests of the control plane say: commands, and a runtime's voice that numbers as the contract asks."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, get_args

import msgspec

from amelia.contract import codec
from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.ids import derive_id, new_id, new_workflow_id
from amelia.contract.plan import Plan, Task, Verdict, plan_sha256
from amelia.contract.workflow import Budget, ClaimCheck, Issue, Money
from amelia.domain.effects import Arrived
from amelia.domain.evolve import submitted
from amelia.domain.workflow import Workflow
from amelia.ports.journal import Journal, Row

ISSUE = Issue(id="PROJ-123", title="The total is a cent short")
PLAN = Plan(summary="Round once.", tasks=(Task(id="round", title="Round the total", description="At the end."),))
HASH = plan_sha256(PLAN)
CLAIM = ClaimCheck(key="work/1", size=1, sha256="0" * 64)
NOW = "2026-11-22T12:00:00.000Z"

CONTROL_TYPES: tuple[type[Event], ...] = get_args(e.ControlFact)
FACT_TYPES: tuple[type[Event], ...] = get_args(e.RuntimeFact)
PROGRESS_TYPES: tuple[type[Event], ...] = get_args(e.RuntimeProgress)
EVENT_TYPES: tuple[type[Event], ...] = (*CONTROL_TYPES, *FACT_TYPES, *PROGRESS_TYPES, e.RuntimeHeartbeat)

_FIELDS: dict[type[Event], list[dict[str, Any]]] = {
    e.WorkflowSubmitted: [{"issue": ISSUE, "repository": "https://example.org/r.git"}],
    e.WorkflowAdmitted: [{"waited_for": "its turn"}],
    e.WorkflowParked: [{"reason": "no capacity", "until": NOW}],
    e.AttemptOpened: [{"lease_seconds": 20, "key_version": 1}],
    e.RuntimeLost: [{"cause": "gone"}, {"cause": "gone", "final": True}],
    e.WorkflowApproved: [{"block_id": "b", "plan_sha256": HASH, "approved_by": "ada"}],
    e.WorkflowRejected: [{"block_id": "b", "plan_sha256": HASH, "rejected_by": "ada", "feedback": "no"}],
    e.WorkflowRevised: [{"block_id": "b", "plan_sha256": HASH, "revised_by": "ada", "feedback": "smaller"}],
    e.ApprovalVote: [{"block_id": "b", "plan_sha256": HASH, "voter": "policy", "rule": "touches CI"}],
    e.ApprovalReminder: [{"block_id": "b", "deadline": NOW}],
    e.ApprovalDeadlinePassed: [{"block_id": "b", "plan_sha256": HASH, "deadline": NOW}],
    e.WorkflowPaused: [{"kind": "operator", "paused_by": "ada"}],
    e.WorkflowResumed: [{"resumed_by": "ada"}],
    e.WorkflowRetried: [{"retried_by": "ada"}, {"retried_by": "ada", "start": True}],
    e.BudgetChanged: [{"budget": Budget(microdollars=5), "changed_by": "ada"}],
    e.MessageSent: [{"text": "mind the rounding", "sent_by": "ada"}],
    e.WorkflowCancelled: [{"cancelled_by": "ada"}],
    e.DeliveryStarted: [{"branch": "amelia/x", "commit": "c" * 40, "repository": "https://example.org/r.git"}],
    e.BranchPushed: [
        {"branch": "amelia/x", "commit": "c" * 40, "repository": "https://example.org/r.git"},
        {
            "branch": "amelia/x",
            "commit": "c" * 40,
            "repository": "https://example.org/r.git",
            "pull_request": True,
        },
    ],
    e.PullRequestOpened: [{"url": "https://example.org/r/pull/7", "number": 7, "branch": "amelia/x"}],
    e.CommandRefused: [
        {"command_id": "1", "command_type": "start_workflow", "cause": "no"},
        {"command_id": "1", "command_type": "start_workflow", "cause": "no", "final": True},
    ],
    e.EventsMissing: [{"of_attempt": 1, "first": 1, "last": 2}],
    e.WorkflowStarted: [{"base_commit": "b" * 40}],
    e.WorkflowBlocked: [{"plan_sha256": HASH, "plan": PLAN}, {"plan_sha256": "0" * 64, "plan": PLAN}],
    e.AgentStarted: [{"agent": "developer"}],
    e.AgentCompleted: [{"agent": "developer"}],
    e.TaskStarted: [{"task_id": "round", "title": "Round"}],
    e.TaskCompleted: [{"task_id": "round", "status": "completed"}],
    e.ReviewCompleted: [{"verdict": Verdict(approved=True, summary="good")}],
    e.TokensUsed: [{"used": Money(input_tokens=7, cost_microdollars=3)}],
    e.ArtifactStored: [{"name": "log", "claim": CLAIM}],
    e.WorkHandedIn: [
        {"bundle": CLAIM, "branch": "b", "commit": "c" * 40, "base_commit": "d" * 40, "plan_sha256": HASH},
    ],
    e.LessonLearnt: [{"topic": "tests", "text": "t"}],
    e.MessageApplied: [{"message_id": "m", "agent": "developer"}],
    e.WorkflowTimeout: [{"session_seconds": 28_800}],
    e.BudgetReached: [{"budget": Budget(microdollars=5), "spent": Money(cost_microdollars=4)}],
    e.WorkflowCompleted: [{"result": "success"}, {"result": "failed", "cause": "tests fail"}],
    e.AgentMessage: [{"agent": "developer", "content": "…"}],
    e.ToolCalled: [{"agent": "developer", "tool": "run", "summary": "pytest"}],
    e.ToolCompleted: [{"agent": "developer", "tool": "run", "ok": True}],
    e.RuntimeHeartbeat: [{}],
}


def variants(kind: type[Event], workflow_id: str, **envelope: Any) -> list[Event]:
    """The event in each of the forms that lead to different places."""
    return [kind(id=new_id(), workflow_id=workflow_id, **{**fields, **envelope}) for fields in _FIELDS[kind]]


def workflow(**fields: Any) -> Workflow:
    """One that was just submitted, changed by ``fields``."""
    id_ = fields.pop("id", "") or new_workflow_id()
    [event] = variants(e.WorkflowSubmitted, id_)
    assert isinstance(event, e.WorkflowSubmitted)
    return msgspec.structs.replace(submitted(event), **fields)


def start(workflow_id: str = "", **fields: Any) -> c.StartWorkflow:
    return c.StartWorkflow(
        **{
            "id": new_id(),
            "workflow_id": workflow_id or new_workflow_id(),
            "actor": "ada",
            "issue": ISSUE,
            "repository": "https://example.org/r.git",
            **fields,
        }
    )


def order(kind: type[c.AnyCommand], workflow_id: str, **fields: Any) -> Any:
    return kind(**{"id": new_id(), "workflow_id": workflow_id, "actor": "ada", **fields})


class Voice:
    """One attempt of a runtime: everything it says is numbered, and its facts go on where the last attempt ended."""

    def __init__(self, workflow_id: str, attempt: int = 1, fact: int = 0) -> None:
        self.workflow_id, self.attempt, self.last_fact, self.ordinal = workflow_id, attempt, fact, 0

    def fact(self, kind: type[Event] = e.AgentStarted, **fields: Any) -> Event:
        self.last_fact += 1
        known = {**_FIELDS[kind][0], **fields}
        id_ = derive_id(self.workflow_id, f"fact/{self.last_fact}")
        return kind(
            **{"id": id_, "workflow_id": self.workflow_id, "attempt": self.attempt, "fact": self.last_fact, **known}
        )

    def progress(self, content: str = "…", **fields: Any) -> e.AgentMessage:
        self.ordinal += 1
        return e.AgentMessage(
            **{
                "id": derive_id(self.workflow_id, f"progress/{self.attempt}/{self.ordinal}"),
                "workflow_id": self.workflow_id,
                "attempt": self.attempt,
                "ordinal": self.ordinal,
                "last_fact": self.last_fact,
                "agent": "developer",
                "content": content,
                **fields,
            }
        )

    def heartbeat(self) -> e.RuntimeHeartbeat:
        return e.RuntimeHeartbeat(
            id=new_id(),
            workflow_id=self.workflow_id,
            attempt=self.attempt,
            last_fact=self.last_fact,
            last_ordinal=self.ordinal,
        )


def arrived(*events: Event) -> list[Arrived]:
    return [Arrived(event=event, body=codec.encode(event).decode()) for event in events]


def opening(w: Workflow) -> e.AttemptOpened:
    return e.AttemptOpened(
        id=derive_id(w.id, f"attempt/{w.epoch + 1}"),
        workflow_id=w.id,
        attempt=w.epoch + 1,
        lease_seconds=20,
        key_version=1,
    )


async def started(journal: Journal, **fields: Any) -> Row:
    """A workflow whose first attempt is open."""
    command = start(**fields)
    await journal.execute(command)
    return await opened(journal, command.workflow_id)


async def opened(journal: Journal, workflow_id: str) -> Row:
    row = await journal.record(workflow_id, lambda w, _: (opening(w),))
    assert row is not None
    return row


async def blocked(journal: Journal, **fields: Any) -> tuple[Row, Voice]:
    """A workflow whose plan waits for a decision, and who said so."""
    row = await started(journal, **fields)
    voice = Voice(row.workflow.id)
    said: Sequence[Event] = (voice.fact(e.WorkflowStarted), voice.fact(e.WorkflowBlocked))
    assert await journal.append(arrived(*said)) == [None, None]
    return await the(journal, row.workflow.id), voice


async def the(journal: Journal, workflow_id: str) -> Row:
    row = await journal.get(workflow_id)
    assert row is not None
    return row


async def stream(journal: Journal, workflow_id: str) -> list[tuple[int, Event]]:
    rows = await journal.events({workflow_id: 0}, 100_000)
    return [(row.sequence, codec.decode_event(row.body)) for row in rows]


async def eventually(holds: Callable[[], Awaitable[object]], what: str, seconds: float = 20) -> None:
    """Waits until ``holds`` answers with something true; the time is only the end of patience."""
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, f"it did not come true that {what}"
        await asyncio.sleep(0.02)
