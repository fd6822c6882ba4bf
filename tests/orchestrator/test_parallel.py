"""Tasks that do not depend on each other are worked at once, and what becomes of one of them does not stop the rest."""

import asyncio
from collections.abc import Callable

import pytest

from amelia.contract import events as e
from amelia.contract.plan import Task
from amelia.contract.workflow import Profile
from amelia.drivers.base import Request
from amelia.errors import Unavailable

from .conftest import World

MakeTask = Callable[..., Task]


def statuses(world: World) -> dict[str, str]:
    return {fact.task_id: fact.status for fact in world.heard.of(e.TaskCompleted)}


async def test_tasks_that_depend_on_nothing_are_worked_at_once(world: World, make_task: MakeTask) -> None:
    world.plans(make_task("a"), make_task("b"), make_task("c", "a", "b", verification="grep -q x a.txt b.txt"))
    for name in "abc":
        world.develops(name, f"{name}.txt", "x\n")
    world.reviews(approved=True)
    together, both = set[str](), asyncio.Event()

    async def meet(request: Request) -> None:
        """Neither goes on before the other has begun."""
        if request.label.task in ("a", "b"):
            together.add(request.label.task)
            if together == {"a", "b"}:
                both.set()
            await asyncio.wait_for(both.wait(), 20)

    world.driver.before = meet
    assert (await world.approved()).result == "success"
    assert statuses(world) == dict.fromkeys("abc", "completed")
    files = await world.handed_in()
    assert [files[f"{name}.txt"] for name in "abc"] == ["x", "x", "x"]
    top = world.heard.of(e.WorkHandedIn)[-1]
    log = world.git("log", "--format=%s", f"{top.base_commit}..{top.commit}").splitlines()
    assert sorted(log) == ["Do a", "Do b", "Do c"]
    assert log[0] == "Do c"


async def test_no_more_are_worked_at_once_than_the_profile_says(world: World, make_task: MakeTask) -> None:
    world.profile = Profile(parallel_tasks=2)
    world.plans(*(make_task(name) for name in "abcde"))
    for name in "abcde":
        world.develops(name, f"{name}.txt", "x\n")
    world.reviews(approved=True)
    assert (await world.approved()).result == "success"
    active, most = 0, 0
    for fact in world.heard.told:
        active += isinstance(fact, e.TaskStarted) - isinstance(fact, e.TaskCompleted)
        most = max(most, active)
    assert most == 2


async def test_a_failed_task_stops_what_depends_on_it_and_nothing_else(world: World, make_task: MakeTask) -> None:
    world.plans(make_task("a"), make_task("b", "a"), make_task("c"))
    world.driver.on("developer", {"finish_task": {"summary": "no idea", "gave_up": True}}, task="a")
    world.develops("c", "c.txt", "x\n")
    ended = await world.approved()
    assert (ended.result, statuses(world)) == ("failed", {"a": "failed", "b": "skipped", "c": "completed"})
    assert "the task a failed" in ended.cause


def contradicting(world: World, make_task: MakeTask) -> None:
    """Both write the same line, and neither has seen the other's."""
    world.plans(make_task("a"), make_task("b", verification="grep -q bee calc.py"))
    met = asyncio.Barrier(2)

    async def meet(request: Request) -> None:
        if request.label.task in ("a", "b") and len(request.messages) == 3:
            await asyncio.wait_for(met.wait(), 20)

    world.driver.before = meet
    world.develops("a", "calc.py", "def add(ay):\n    return ay\n")
    world.develops("b", "calc.py", "def add(bee):\n    return bee\n")
    world.reviews(approved=True)


@pytest.mark.parametrize("died", [False, True])
async def test_a_conflict_is_work_for_the_developer(world: World, make_task: MakeTask, died: bool) -> None:
    contradicting(world, make_task)
    merged = "def add(ay, bee):\n    return ay + bee\n"
    done = {"finish_task": {"summary": "both"}}
    both = [{"read_file": {"path": "calc.py"}}, {"write_file": {"path": "calc.py", "content": merged}}, done]
    for task in ("merge-a", "merge-b"):
        world.driver.on("developer", done, *both, task=task)
    if died:
        before = world.driver.before
        deaths = iter([True])

        async def die(request: Request) -> None:
            assert before is not None
            await before(request)
            if request.label.task.startswith("merge-") and len(request.messages) == 7 and next(deaths, False):
                raise Unavailable("the machine is gone")

        world.driver.before = die
        assert (await world.run()).state == "blocked"
        with pytest.raises(Unavailable):
            await world.run(world.job(world.decided(), world.last_fact), epoch=2)
        ended = await world.run(world.job(world.decided(), world.last_fact), epoch=3, place="elsewhere")
    else:
        ended = await world.approved()
    assert ended.result == "success"
    merge = next(name for name in statuses(world) if name.startswith("merge-"))
    assert statuses(world) == {"a": "completed", "b": "completed", merge: "completed"}
    asked = next(r for r in world.driver.requests if r.label.task == merge)
    assert "calc.py" in asked.messages[0].parts[0].text  # type: ignore[union-attr]
    refused = next(r for r in world.driver.requests if r.label.task == merge and len(r.messages) == 3)
    assert "conflict markers" in refused.messages[-1].parts[0].content  # type: ignore[union-attr]
    seen = next(r for r in world.driver.requests if r.label.task == merge and len(r.messages) == 5)
    text = seen.messages[-1].parts[0].content  # type: ignore[union-attr]
    assert "<<<<<<<" in text and "return ay" in text and "return bee" in text
    assert (await world.handed_in())["calc.py"] == merged.strip()
    top = world.heard.of(e.WorkHandedIn)[-1]
    log = world.git("log", "--format=%s", f"{top.base_commit}..{top.commit}").splitlines()
    assert sorted(log) == ["Do a", "Do b"]


async def test_after_a_death_finished_tasks_stay_finished_and_the_others_go_on(
    world: World, make_task: MakeTask
) -> None:
    world.plans(*(make_task(name) for name in "abc"))
    for name in "abc":
        world.develops(name, f"{name}.txt", "x\n")
    world.reviews(approved=True)

    async def die(request: Request) -> None:
        turn = (len(request.messages) + 1) // 2
        if request.label.task == "c" and turn == 3:
            while "a" not in statuses(world):
                await asyncio.sleep(0.01)
            raise Unavailable("the machine is gone")

    world.driver.before = die
    assert (await world.run()).state == "blocked"
    with pytest.raises(Unavailable):
        await world.run(world.job(world.decided(), world.last_fact), epoch=2)
    world.driver.before = None
    ended = await world.run(world.job(world.decided(), world.last_fact), epoch=3, place="elsewhere")
    assert (ended.result, statuses(world)) == ("success", dict.fromkeys("abc", "completed"))
    assert len(world.heard.of(e.TaskCompleted)) == 3
    turns = [asked for asked in world.driver.asked if asked[:2] == ("developer", "c")]
    assert turns == [("developer", "c", 1, n) for n in (0, 1, 2, 2)]
    assert len(await world.handed_in()) == 5
