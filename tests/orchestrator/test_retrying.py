"""A workflow that failed goes on where it failed when somebody wants it to; begun anew, it knows nothing of before."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from amelia.contract import events as e
from amelia.contract.plan import Task
from amelia.drivers.base import Request
from amelia.errors import Unavailable
from amelia.orchestrator.account import Account
from amelia.orchestrator.giving_up import give_up
from amelia.orchestrator.job import Ended
from amelia.orchestrator.live import Live

if TYPE_CHECKING:
    from tests.orchestrator.conftest import World

MakeTask = Callable[..., Task]


async def failed(world: "World") -> Ended:
    await world.run()
    ended = await world.run(world.job(world.decided(), world.last_fact), epoch=2)
    assert ended.result == "failed"
    return ended


async def retried(world: "World", *, epoch: int = 3, retries: int = 1) -> Ended:
    job = world.job(world.decided(), world.last_fact, retries=retries)
    return await world.run(job, epoch=epoch, place=f"elsewhere{epoch}")


async def test_failed_and_skipped_tasks_are_run_again_and_finished_ones_are_kept(
    world: "World", make_task: MakeTask
) -> None:
    world.plans(make_task("one"), make_task("bad", "one"), make_task("last", "bad"))
    world.develops("one", "one.py", "one = 1\n")
    world.driver.on("developer", {"finish_task": {"summary": "no", "gave_up": True}}, task="bad")
    world.develops("bad", "bad.py", "bad = 1\n", round=2)
    world.develops("last", "last.py", "last = 1\n")
    world.reviews(approved=True)
    await failed(world)
    before = len(world.heard.told)
    assert (await retried(world)).result == "success"
    assert set(await world.handed_in()) == {"README.md", "calc.py", "one.py", "bad.py", "last.py"}
    again = world.heard.told[before:]
    begun = [(fact.task_id, fact.round) for fact in again if isinstance(fact, e.TaskStarted)]
    assert begun == [("bad", 2), ("last", 1)]
    assert [fact.fact for fact in world.heard.told] == list(range(1, world.last_fact + 1))
    assert not world.heard.of(e.WorkflowCompleted)[-1].unresolved


async def test_an_attempt_of_the_same_retry_does_not_go_on_again(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("bad"))
    world.driver.on("developer", {"finish_task": {"summary": "no", "gave_up": True}}, task="bad")
    await failed(world)
    again = {"finish_task": {"summary": "still not", "gave_up": True}}
    world.driver.on("developer", again, task="bad", round=2)
    assert (await retried(world)).cause == "the task bad failed: the developer gave up: still not"
    asked = len(world.driver.asked)
    assert (await retried(world, epoch=4)).result == "failed"
    assert len(world.driver.asked) == asked
    world.develops("bad", "bad.py", "bad = 1\n", round=3)
    world.reviews(approved=True)
    assert (await retried(world, epoch=5, retries=2)).result == "success"


async def test_a_clone_that_failed_is_the_repositorys_fault_and_is_tried_again(
    world: "World", make_task: MakeTask
) -> None:
    world.plans(make_task("fix"))
    ended = await world.run(world.job(base="develop"))
    assert (ended.result, world.heard.of(e.WorkflowCompleted)[0].blame) == ("failed", "repository")
    world.git("branch", "develop")
    again = await world.run(world.job(highest_fact=1, base="develop", retries=1), epoch=2)
    assert again.state == "blocked"
    assert [fact.fact for fact in world.heard.told] == list(range(1, world.gate + 1))


async def test_a_plan_that_was_never_made_is_tried_again_in_a_conversation_of_its_own(
    world: "World", make_task: MakeTask
) -> None:
    world.driver.on("architect", *[{"submit_plan": {"summary": "s", "tasks": []}}] * 3)
    world.plans(make_task("fix"), round=2)
    assert (await world.run()).result == "failed"
    again = await world.run(world.job(highest_fact=world.last_fact, retries=1), epoch=2)
    assert again.state == "blocked"


async def test_an_end_that_nobody_heard_of_is_not_said_when_it_goes_on_instead(
    world: "World", make_task: MakeTask
) -> None:
    world.plans(make_task("bad"))
    world.driver.on("developer", {"finish_task": {"summary": "no", "gave_up": True}}, task="bad")
    world.develops("bad", "bad.py", "bad = 1\n", round=2)
    world.reviews(approved=True)
    await failed(world)
    held = world.last_fact - 2
    job = world.job(world.decided(), held, retries=1)
    world.heard.told = world.heard.told[:held]
    assert (await world.run(job, epoch=3)).result == "success"
    assert [fact.fact for fact in world.heard.told] == list(range(1, world.last_fact + 1))
    assert [fact.result for fact in world.heard.of(e.WorkflowCompleted)] == ["success"]


async def test_work_that_was_given_up_in_the_middle_of_a_task_goes_on_there(
    world: "World", make_task: MakeTask
) -> None:
    world.plans(make_task("fix"))
    world.develops("fix", "calc.py", "a = 1\n")
    world.reviews(approved=True)
    await world.run()

    async def away(request: Request) -> None:
        if len(world.driver.asked) == 5:
            raise Unavailable("the model rests")

    world.driver.before = away
    job = world.job(world.decided(), world.gate)
    with pytest.raises(Unavailable) as rests:
        await world.run(job, epoch=2)
    ended = await give_up(
        replace(job, highest_fact=world.last_fact),
        rests.value,
        announcer=world.heard,
        memory=world.memory,
        live=Live(Account(2)),
    )
    assert (ended.result, ended.cause) == ("failed", "the model rests")
    world.driver.before = None
    assert (await retried(world)).result == "success"
    turns = [asked for asked in world.driver.asked if asked[0] == "developer"]
    assert turns == [("developer", "fix", 1, n) for n in (0, 1, 2, 2)]


async def test_begun_anew_nothing_of_before_is_read_and_facts_are_numbered_on(
    world: "World", make_task: MakeTask
) -> None:
    world.plans(make_task("bad"))
    world.driver.on("developer", {"finish_task": {"summary": "no", "gave_up": True}}, task="bad")
    await failed(world)
    last, asked = world.last_fact, len(world.driver.asked)
    world.plans(make_task("good"))
    ended = await world.run(world.job(highest_fact=last, generation=1, retries=1), epoch=3)
    assert ended.state == "blocked"
    assert [turn[0] for turn in world.driver.asked[asked:]] == ["architect", "architect"]
    assert [fact.fact for fact in world.heard.told] == list(range(1, world.last_fact + 1))
    block = world.heard.of(e.WorkflowBlocked)[-1]
    assert block.id == world.decided().block_id
    assert block.plan.tasks[0].id == "good"
    world.develops("good", "good.py", "good = 1\n")
    world.reviews(approved=True)
    job = world.job(world.decided(), world.last_fact, generation=1, retries=1)
    assert (await world.run(job, epoch=4)).result == "success"
    folders = {path.parent.name for path in (world.folder / "objects" / world.workflow_id).rglob("transcript")}
    assert folders == {world.workflow_id, "generation-1"}


async def test_what_failed_before_the_run_was_given_up_is_tried_again_with_the_rest(
    world: "World", make_task: MakeTask
) -> None:
    world.plans(make_task("a"), make_task("b"))
    world.driver.on("developer", {"finish_task": {"summary": "no idea", "gave_up": True}}, task="a")
    world.develops("a", "a.py", "a = 1\n", round=2)
    world.develops("b", "b.py", "b = 1\n")
    world.reviews(approved=True)
    await world.run()

    async def away(request: Request) -> None:
        if request.label.task == "b" and len(request.messages) == 3:
            while not world.heard.of(e.TaskCompleted):
                await asyncio.sleep(0.01)
            raise Unavailable("the model rests")

    world.driver.before = away
    job = world.job(world.decided(), world.gate)
    with pytest.raises(Unavailable) as rests:
        await world.run(job, epoch=2)
    live = Live(Account(2))
    job = replace(job, highest_fact=world.last_fact)
    await give_up(job, rests.value, announcer=world.heard, memory=world.memory, live=live)
    world.driver.before = None
    assert (await retried(world)).result == "success"
    assert {"a.py", "b.py"} <= set(await world.handed_in())
