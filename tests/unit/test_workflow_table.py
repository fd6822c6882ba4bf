"""The table of states, tried pair by pair."""

import subprocess

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.workflow import TERMINAL, Issue, Money, Phase, Status
from amelia.domain.evolve import evolve
from amelia.domain.intake import take
from amelia.domain.table import TRANSITIONS, allows
from amelia.domain.workflow import Block, Workflow
from amelia.workspace.address import check_branch

from ..samples import EVENT_TYPES, FACT_TYPES, HASH, PLAN, PROGRESS_TYPES, variants, workflow

STATUSES: tuple[Status, ...] = (
    "pending",
    "in_progress",
    "blocked",
    "approved",
    "paused",
    "completed",
    "failed",
    "cancelled",
)
COUNTERS = ("sequence", "fact", "ordinal", "spent")


def forms(status: Status) -> list[Workflow]:
    """The workflow in that status as it may look, with and without what it needs to go on."""
    plain = workflow(status=status, epoch=1, open=status == "in_progress")
    planned = msgspec.structs.replace(plain, block=Block(event_id="b", plan_sha256=HASH, plan=PLAN))
    base = planned if status == "blocked" else plain
    handed = evolve(msgspec.structs.replace(base, status="in_progress"), variants(e.WorkHandedIn, plain.id)[0])
    phases: tuple[Phase, ...] = ("executing", "delivering") if status == "in_progress" else ("",)
    done = msgspec.structs.replace(handed, status=status, done=True, phase=phases[-1])
    bare = [] if status == "blocked" else [plain]
    return [*bare, planned, done, *(msgspec.structs.replace(handed, status=status, phase=phase) for phase in phases)]


@pytest.mark.parametrize(("status", "kind"), TRANSITIONS)
def test_a_pair_of_the_table_leads_where_it_says_and_to_each_of_these(status: Status, kind: type[Event]) -> None:
    reached = {
        evolve(w, event).status for w in forms(status) for event in variants(kind, w.id, attempt=1) if allows(w, event)
    }
    assert reached == TRANSITIONS[status, kind]


@pytest.mark.parametrize("status", STATUSES)
def test_a_pair_that_is_not_in_the_table_only_takes_its_place(status: Status) -> None:
    for kind in EVENT_TYPES:
        for w in forms(status):
            for event in variants(kind, w.id, attempt=1):
                if (status, kind) not in TRANSITIONS:
                    after = evolve(w, event)
                    assert after.sequence == w.sequence + 1
                    assert same_but_for_counters(w, after)


def test_nothing_is_delivered_that_was_not_to_be_delivered() -> None:
    w = workflow(status="in_progress", phase="executing", epoch=1, open=True)
    assert evolve(w, variants(e.BranchPushed, w.id)[0]).status == "in_progress"


def test_every_status_that_is_reached_can_be_left_but_the_end_only_by_a_retry() -> None:
    reached = {status for outcomes in TRANSITIONS.values() for status in outcomes}
    left = {status for (status, _), outcomes in TRANSITIONS.items() if outcomes - {status}}
    assert reached - left == {"completed"}
    assert {(s, kind) for s, kind in TRANSITIONS if s in TERMINAL} == {
        ("failed", e.WorkflowRetried),
        ("cancelled", e.WorkflowRetried),
    }


@pytest.mark.parametrize("status", sorted(TERMINAL))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_terminal_status_never_changes_by_any_event_but_a_retry(status: Status, data: st.DataObject) -> None:
    w = workflow(status=status, epoch=2)
    kinds = data.draw(st.lists(st.sampled_from([k for k in EVENT_TYPES if k is not e.WorkflowRetried]), max_size=12))
    attempts = st.integers(0, 4)
    after, numbers = w, iter(range(1, 100))
    for kind in kinds:
        event = data.draw(st.sampled_from(variants(kind, w.id, attempt=data.draw(attempts), fact=next(numbers))))
        after = evolve(after, event)
        after = take(after, [event]).workflow
    assert after.status == status
    assert same_but_for_counters(w, after)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("kind", [*FACT_TYPES, *PROGRESS_TYPES])
def test_events_of_older_attempts_never_change_the_status(status: Status, kind: type[Event]) -> None:
    for w in forms(status):
        now = msgspec.structs.replace(w, epoch=3, fact=4)
        for number in range(1, 8):
            place = {"fact": number} if kind in FACT_TYPES else {"ordinal": number}
            for event in variants(kind, w.id, attempt=2, **place):
                took = take(now, [event])
                assert took.admitted == ()
                assert same_but_for_counters(now, took.workflow)
                assert (took.workflow.fact, took.workflow.sequence) == (now.fact, now.sequence)


def test_an_unknown_event_takes_its_place_and_changes_nothing_else() -> None:
    for status in STATUSES:
        w = workflow(status=status, epoch=1)
        after = evolve(w, e.UnknownEvent(id="1", workflow_id=w.id, attempt=1, fact=1, of_type="workflow_dreamt"))
        assert (after.sequence, after.fact, after.status) == (w.sequence + 1, 1, status)
        assert same_but_for_counters(w, after)


@pytest.mark.parametrize("status", STATUSES)
def test_tokens_are_counted_in_whatever_status_they_are_said(status: Status) -> None:
    w = workflow(status=status, epoch=1)
    event = e.TokensUsed(id="1", workflow_id=w.id, attempt=1, fact=1, used=Money(input_tokens=9))
    assert take(w, [event]).workflow.spent == {1: Money(input_tokens=9)}


def test_success_without_work_is_a_failure_that_says_so() -> None:
    w = workflow(status="in_progress", epoch=1, open=True)
    after = evolve(w, variants(e.WorkflowCompleted, w.id)[0])
    assert (after.status, after.reason) == ("failed", "the runtime completed without handing in any work")


def test_a_failure_without_a_cause_says_that_there_is_none() -> None:
    w = workflow(status="in_progress", epoch=1, open=True)
    after = evolve(w, e.WorkflowCompleted(id="1", workflow_id=w.id, result="failed"))
    assert after.reason == "the runtime gave no cause"


def test_a_new_plan_forgets_the_decision_about_the_one_before() -> None:
    w = workflow(status="in_progress", epoch=1, open=True)
    w = evolve(w, variants(e.WorkflowBlocked, w.id)[0])
    w = evolve(w, variants(e.WorkflowApproved, w.id)[0])
    assert w.decision is not None
    assert w.decision.plan_sha256 == HASH
    w = evolve(evolve(w, variants(e.AttemptOpened, w.id, attempt=2)[0]), variants(e.WorkflowBlocked, w.id)[0])
    assert (w.status, w.decision) == ("blocked", None)


@settings(max_examples=300, deadline=None)
@given(st.text(min_size=1, max_size=200))
def test_a_branch_is_named_as_git_allows_whatever_the_issue_is_called(issue_id: str) -> None:
    w = workflow(issue=Issue(id=issue_id, title="t"))
    assert check_branch(w.branch) == w.branch
    assert len(w.branch.encode()) < 200


def test_git_itself_takes_the_names_of_branches() -> None:
    hostile = ("ISSUE.lock", "-x", "..", "@{", "ß/ü İ 中文", "a" * 200, "\u202e", "refs/heads/x", "²")
    for issue_id in ("PROJ-123", *hostile):
        name = workflow(issue=Issue(id=issue_id, title="t")).branch
        assert subprocess.run(["git", "check-ref-format", "--branch", name], capture_output=True).returncode == 0


def same_but_for_counters(before: Workflow, after: Workflow) -> bool:
    return all(
        getattr(before, name) == getattr(after, name) for name in Workflow.__struct_fields__ if name not in COUNTERS
    )


def test_a_takeover_in_the_middle_of_a_task_shows_its_phase_as_soon_as_an_agent_is_heard() -> None:
    w = workflow(status="in_progress", phase="starting", epoch=2, open=True)
    heard = e.ToolCalled(id="1", workflow_id=w.id, attempt=2, ordinal=1, agent="developer", tool="run", summary="s")
    assert evolve(w, heard).phase == "executing"
