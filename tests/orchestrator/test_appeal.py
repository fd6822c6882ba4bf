"""Work that the Reviewer does not accept waits for a person."""

from collections.abc import Callable

import pytest

from amelia.contract import events as e
from amelia.contract.plan import Task
from amelia.contract.workflow import Profile

from .conftest import World

MakeTask = Callable[..., Task]


async def refused(world: World, make_task: MakeTask, rounds: int = 2) -> None:
    """Two rounds of review, neither satisfied."""
    world.profile = Profile(max_iterations=2)
    world.plans(make_task("fix"))
    world.develops("fix", "calc.py", "a = 1\n")
    for number in range(2, rounds + 1):
        world.develops("review", "calc.py", f"a = {number}\n", round=number)
    for number in range(1, rounds + 1):
        world.reviews(approved=False, round=number)
    ended = await world.approved()
    assert ended.state == "blocked"


async def test_reviews_that_never_approve_ask_a_person(world: World, make_task: MakeTask) -> None:
    await refused(world, make_task)
    plan, block = world.heard.of(e.WorkflowBlocked)
    assert (plan.requires, block.requires) == ("approval", "review")
    assert block.unresolved == ("major: say more",)
    assert (block.plan, block.plan_sha256) == (plan.plan, plan.plan_sha256)
    assert b"+a = 2" in await world.objects.get(block.diff)
    assert "work_handed_in" not in world.heard.types


async def test_accepted_as_it_is_the_work_is_handed_in_with_what_is_unresolved(
    world: World, make_task: MakeTask
) -> None:
    await refused(world, make_task)
    ended = await world.run(world.job(world.decided(), world.last_fact), epoch=3, place="elsewhere")
    assert ended.result == "success"
    assert world.heard.of(e.WorkflowCompleted)[0].unresolved == ("major: say more",)
    assert (await world.handed_in())["calc.py"] == "a = 2"


async def test_sent_back_it_is_worked_with_what_the_person_says_and_reviewed_as_often_again(
    world: World, make_task: MakeTask
) -> None:
    await refused(world, make_task, rounds=4)
    again = await world.run(world.job(world.decided("revised", "count to three"), world.last_fact), epoch=3)
    assert again.state == "blocked"
    asked = [r for r in world.driver.requests if (r.label.task, r.label.round) == ("review", 3)]
    assert "count to three" in asked[0].messages[0].parts[0].text  # type: ignore[union-attr]
    assert [fact.round for fact in world.heard.of(e.ReviewCompleted)] == [1, 2, 3, 4]
    blocks = world.heard.of(e.WorkflowBlocked)
    assert len({block.id for block in blocks}) == len(blocks) == 3
    world.develops("review", "calc.py", "a = 5\n", round=5)
    world.reviews(approved=True, round=5)
    ended = await world.run(world.job(world.decided("revised", "and on"), world.last_fact), epoch=4)
    assert (ended.result, (await world.handed_in())["calc.py"]) == ("success", "a = 5")
    assert world.heard.of(e.WorkflowCompleted)[0].unresolved == ()


async def test_rejected_it_fails_and_what_was_done_is_kept(world: World, make_task: MakeTask) -> None:
    await refused(world, make_task)
    ended = await world.run(world.job(world.decided("rejected", "not this way"), world.last_fact), epoch=3)
    assert (ended.result, ended.cause) == ("failed", "the work was rejected by rosa: not this way")
    assert [a.name for a in world.heard.of(e.ArtifactStored)][-2:] == ["work.bundle", "work.diff"]


@pytest.mark.parametrize("kind", ["approved", "revised"])
async def test_the_plans_own_approval_decides_nothing_here(world: World, make_task: MakeTask, kind: str) -> None:
    plan_block = None
    await refused(world, make_task)
    plan_block = world.heard.of(e.WorkflowBlocked)[0]
    stale = world.decided(kind)
    stale = type(stale)(kind=stale.kind, block_id=plan_block.id, plan_sha256=stale.plan_sha256, by="rosa")
    ended = await world.run(world.job(stale, world.last_fact), epoch=3)
    assert ended.state == "blocked"
    assert "work_handed_in" not in world.heard.types
