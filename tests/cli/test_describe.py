from typing import Any, get_args

import msgspec
import pytest

from amelia.contract import events as e
from amelia.contract.plan import Plan, Task, Verdict
from amelia.contract.workflow import Budget, ClaimCheck, Issue, Money
from amelia_cli.describe import Narrator, describe
from amelia_cli.printing import ago, cells, clean, duration
from amelia_cli.seen import Seen, advance
from amelia_cli.views import LiveView

TASKS = (Task(id="one", title="One", description="d"), Task(id="two", title="Two", description="d"))
PLAN = Plan(summary="s", tasks=TASKS)
VALUES: dict[str, Any] = {
    "issue": Issue(id="1", title="T"),
    "plan": PLAN,
    "verdict": Verdict(approved=False, summary="not yet"),
    "used": Money(input_tokens=1, output_tokens=2, cost_microdollars=3),
    "claim": ClaimCheck(key="k", size=1, sha256="0"),
    "bundle": ClaimCheck(key="k", size=1, sha256="0"),
    "result": "failed",
    "status": "completed",
    "kind": "operator",
    "budget": Budget(microdollars=5),
    "spent": Money(cost_microdollars=3),
    "topic": "tests",
    "text": "a\nword\x1b",
}


def example(kind: type[Any]) -> Any:
    fields = {}
    for field in msgspec.structs.fields(kind):
        if field.name in VALUES:
            fields[field.name] = VALUES[field.name]
        elif field.required:
            fields[field.name] = {str: "a\nword\x1b", int: 3, bool: True}[field.type]
    return kind(**fields)


@pytest.mark.parametrize("kind", get_args(e.AnyEvent), ids=lambda kind: kind.__name__)
def test_every_event_is_one_printable_line_and_can_be_watched(kind: type[Any]) -> None:
    event = example(kind)
    assert describe(event).isprintable()
    assert describe(event)
    advance(Seen(), event)


def test_a_watcher_knows_the_tasks_the_phase_and_the_cost() -> None:
    def of(**fields: Any) -> dict[str, Any]:
        return {"id": "x", "workflow_id": "wf", **fields}

    seen = Seen()
    for event in (
        e.WorkflowBlocked(**of(plan_sha256="h", plan=PLAN)),
        e.AgentStarted(**of(agent="developer", task_id="one")),
        e.TaskStarted(**of(task_id="one", title="One")),
        e.TokensUsed(**of(attempt=1, used=Money(cost_microdollars=5))),
        e.TokensUsed(**of(attempt=1, used=Money(cost_microdollars=7))),
        e.TokensUsed(**of(attempt=2, used=Money(cost_microdollars=1))),
        e.TaskCompleted(**of(task_id="one", status="completed")),
        e.TaskStarted(**of(task_id="two", title="Two")),
    ):
        seen = advance(seen, event)
    assert [step.status for step in seen.steps.values()] == ["completed", "working"]
    assert (seen.phase, seen.cost_microdollars) == ("executing", 8)


def test_a_watcher_hears_everybody_who_works_at_once() -> None:
    def of(**fields: Any) -> dict[str, Any]:
        return {"id": "x", "workflow_id": "wf", **fields}

    seen = Seen()
    event: Any
    for event in (
        e.WorkflowBlocked(**of(plan_sha256="h", plan=PLAN)),
        e.AgentStarted(**of(agent="developer", task_id="one")),
        e.AgentStarted(**of(agent="developer", task_id="two")),
        e.AgentMessage(**of(agent="developer", task_id="two", content="second")),
        e.ToolCalled(**of(agent="developer", task_id="one", tool="search", summary="first")),
    ):
        seen = advance(seen, event)
    assert [(v.task, v.words) for v in seen.voices.values()] == [("one", "search first"), ("two", "second")]
    seen = advance(seen, e.AgentCompleted(**of(agent="developer", task_id="one")))
    assert [voice.task for voice in seen.voices.values()] == ["two"]
    for event in (
        e.AgentCompleted(**of(agent="developer", task_id="two")),
        e.AgentStarted(**of(agent="reviewer")),
        e.AgentMessage(**of(agent="reviewer", task_id="security", content="a")),
        e.AgentMessage(**of(agent="reviewer", task_id="usability", content="b")),
    ):
        seen = advance(seen, event)
    assert [voice.task for voice in seen.voices.values()] == ["security", "usability"]
    assert advance(seen, e.AgentCompleted(**of(agent="reviewer"))).voices == {}


def test_tasks_stay_as_they_are_when_the_work_waits_for_a_person() -> None:
    def of(**fields: Any) -> dict[str, Any]:
        return {"id": "x", "workflow_id": "wf", **fields}

    seen = advance(Seen(), e.WorkflowBlocked(**of(plan_sha256="h", plan=PLAN)))
    seen = advance(seen, e.TaskCompleted(**of(task_id="one", status="completed")))
    seen = advance(seen, e.WorkflowBlocked(**of(plan_sha256="h", plan=PLAN, requires="review")))
    assert (seen.phase, seen.steps["one"].status) == ("blocked", "completed")
    revised = advance(seen, e.WorkflowRevised(**of(block_id="x", plan_sha256="h", revised_by="root", feedback="f")))
    assert (revised.phase, revised.steps["one"].status) == ("pending", "completed")


def test_a_decision_about_work_is_told_apart_from_one_about_a_plan() -> None:
    told = Narrator()
    decided: dict[str, Any] = {"workflow_id": "wf", "plan_sha256": "h"}
    revised = {**decided, "revised_by": "root", "feedback": "smaller"}
    approved = {**decided, "approved_by": "root"}
    told.tell(e.WorkflowBlocked(id="plan", workflow_id="wf", plan_sha256="h", plan=PLAN))
    told.tell(e.WorkflowBlocked(id="work", workflow_id="wf", plan_sha256="h", requires="review"))
    assert told.tell(e.WorkflowRevised(id="1", block_id="plan", **revised)) == "back to the architect by root: smaller"
    assert told.tell(e.WorkflowRevised(id="2", block_id="work", **revised)) == "back to the developer by root: smaller"
    assert told.tell(e.WorkflowRevised(id="3", block_id="before", **revised)) == "sent back by root: smaller"
    assert told.tell(e.WorkflowApproved(id="4", block_id="plan", **approved)) == "approved by root: plan h"
    assert told.tell(e.WorkflowApproved(id="5", block_id="work", **approved)) == "the work is accepted as it is by root"


def test_the_picture_shows_each_task_with_what_is_heard_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    monkeypatch.setenv("COLUMNS", "60")
    view = LiveView()
    for event in (
        e.TaskStarted(id="x", workflow_id="wf", task_id="one", title="One"),
        e.AgentMessage(id="x", workflow_id="wf", agent="developer", task_id="one", content="word " * 40 + "last"),
    ):
        view.seen = advance(view.seen, event)
    console = Console(width=60, record=True)
    with console.capture() as taken:
        console.print(view._picture())
    lines = taken.get().splitlines()
    assert lines[0].strip() == "▸ One"
    assert lines[1].endswith("word last")


def test_nobody_s_text_can_steer_the_terminal() -> None:
    assert clean("a\x1b[31mb\r\nc\x00‮") == "a [31mb  c  "


def test_times_are_told_roughly() -> None:
    assert [duration(s) for s in (-1, 5, 65, 3700, 90_000)] == ["0s", "5s", "1m", "1h", "1d"]
    assert ago("nonsense") == ago("") == ""


def test_columns_are_as_wide_as_their_widest_and_colour_does_not_count() -> None:
    rows = [("a", "\x1b[31mred\x1b[0m"), ("bbb", "x")]
    assert list(cells(("H", "I"), rows)) == ["H    I", "a    \x1b[31mred\x1b[0m", "bbb  x"]
