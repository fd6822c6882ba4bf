"""The rules of a plan."""

from collections.abc import Callable

import pytest

from amelia.contract.plan import Plan, Task
from amelia.domain.plan import blocked_by, check_plan, ready
from amelia.errors import Refused

MakeTask = Callable[..., Task]


def plan(*tasks: Task) -> Plan:
    return Plan(summary="s", tasks=tasks)


def test_a_plan_that_breaks_a_rule_is_refused_with_the_rule(make_task: MakeTask) -> None:
    t = make_task
    broken = {
        "no tasks": plan(),
        "two tasks have the id 'a'": plan(t("a"), t("a")),
        "reserved": plan(t("review")),
        "depends on itself": plan(t("a", "a")),
        "no task of the plan": plan(t("a", "b")),
        "a, b depend on each other": plan(t("a", "b"), t("b", "a"), t("c")),
        "relative to the repository's root": plan(Task(id="a", title="A", description="", files=("../x",))),
    }
    for reason, wrong in broken.items():
        with pytest.raises(Refused, match=reason):
            check_plan(wrong)
    check_plan(plan(t("b", "a"), t("a")))


def test_tasks_are_ready_when_all_they_depend_on_is_done(make_task: MakeTask) -> None:
    whole = plan(make_task("c", "a", "b"), make_task("a"), make_task("b", "a"))
    assert [t.id for t in ready(whole, frozenset())] == ["a"]
    assert [t.id for t in ready(whole, frozenset({"a"}))] == ["b"]
    assert [t.id for t in ready(whole, frozenset({"a", "b"}))] == ["c"]


def test_what_depends_on_a_failed_task_is_blocked_by_it_however_far(make_task: MakeTask) -> None:
    whole = plan(make_task("c", "b"), make_task("a"), make_task("b", "a"), make_task("free"))
    assert blocked_by(whole, {"a": "failed"}) == {"c": "b", "b": "a"}
    assert blocked_by(whole, {"a": "completed"}) == {}
