"""The rules a plan keeps, and which of its tasks may begin."""

from collections.abc import Collection, Mapping
from difflib import unified_diff
from pathlib import PurePosixPath

from msgspec.structs import replace

from ..contract.plan import Plan, Task
from ..errors import Refused

MOST_TASKS = 50
RESERVED = frozenset({"review"})
"""Names of rounds of work that are no task of the plan."""
MERGE = "merge-"
"""What the name of the work begins with that a task's conflict with others makes; the task's own follows."""


def check_plan(plan: Plan) -> None:
    """Raises ``Refused`` with what is wrong, in words its author can act on."""
    _check_shape(plan)
    ids = {task.id for task in plan.tasks}
    for task in plan.tasks:
        _check_task(task, ids)
    if circle := _circle(plan):
        raise Refused(f"the tasks {', '.join(circle)} depend on each other in a circle; remove one of the dependencies")


def ready(plan: Plan, done: frozenset[str]) -> tuple[Task, ...]:
    """Tasks not yet done whose dependencies are met, in the plan's order."""
    return tuple(t for t in plan.tasks if t.id not in done and done.issuperset(t.dependencies))


def blocked_by(plan: Plan, outcomes: Mapping[str, str]) -> dict[str, str]:
    """Tasks without an outcome that can never begin, each with the dependency that failed or was skipped."""
    lost = {id_ for id_, status in outcomes.items() if status != "completed"}
    found: dict[str, str] = {}
    for _ in plan.tasks:
        for task in plan.tasks:
            broken = next((d for d in task.dependencies if d in lost), "")
            if broken and task.id not in outcomes and task.id not in found:
                found[task.id] = broken
                lost.add(task.id)
    return {task.id: found[task.id] for task in plan.tasks if task.id in found}


def _check_shape(plan: Plan) -> None:
    if not plan.tasks:
        raise Refused("the plan has no tasks; give it at least one")
    if len(plan.tasks) > MOST_TASKS:
        raise Refused(f"the plan has {len(plan.tasks)} tasks; join them into at most {MOST_TASKS}")
    ids = {task.id for task in plan.tasks}
    seen: set[str] = set()
    for task in plan.tasks:
        if task.id in seen:
            raise Refused(f"two tasks have the id {task.id!r}; give each its own")
        if task.id in RESERVED or (task.id.startswith(MERGE) and task.id.removeprefix(MERGE) in ids):
            raise Refused(f"the id {task.id!r} is reserved; choose another one")
        seen.add(task.id)


def _check_task(task: Task, ids: set[str]) -> None:
    for dependency in task.dependencies:
        if dependency == task.id:
            raise Refused(f"task {task.id!r} depends on itself; remove that dependency")
        if dependency not in ids:
            raise Refused(f"task {task.id!r} depends on {dependency!r}, which is no task of the plan")
    for name in task.files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise Refused(f"task {task.id!r} names the file {name!r}; name files relative to the repository's root")


def _circle(plan: Plan) -> tuple[str, ...]:
    """The ids that are left when all that can be ordered has been."""
    done: frozenset[str] = frozenset()
    while layer := ready(plan, done):
        done |= {task.id for task in layer}
    return tuple(task.id for task in plan.tasks if task.id not in done)


def part_of(plan: Plan, tasks: Collection[str]) -> Plan:
    """The plan with only these tasks, in the plan's order. Raises ``Refused`` when they cannot stand alone."""
    chosen = set(tasks)
    if unknown := chosen - {task.id for task in plan.tasks}:
        raise Refused(
            f"the plan has no task {', '.join(sorted(unknown))}; it has {', '.join(t.id for t in plan.tasks)}"
        )
    kept = tuple(task for task in plan.tasks if task.id in chosen)
    for task in kept:
        if missing := [d for d in task.dependencies if d not in chosen]:
            raise Refused(f"task {task.id} depends on {', '.join(missing)}; approve those too, or leave {task.id} out")
    return plan if len(kept) == len(plan.tasks) else replace(plan, tasks=kept)


def changes(before: Plan, after: Plan) -> str:
    """A unified diff of the two plans as people read them; empty when they say the same."""
    lines = unified_diff(_lines(before), _lines(after), "the plan before", "the plan now", lineterm="", n=2)
    return "\n".join(lines)


def _lines(plan: Plan) -> list[str]:
    said = [plan.summary, f"tests: {plan.test_command}", ""]
    for task in plan.tasks:
        said += [f"{task.id}: {task.title}", *(f"  {line}" for line in task.description.splitlines())]
        said += [f"  after {', '.join(task.dependencies)}"] if task.dependencies else []
        said += [f"  files: {', '.join(task.files)}"] if task.files else []
        said += [f"  verified by: {task.verification}"] if task.verification else []
        said += [""]
    return said
