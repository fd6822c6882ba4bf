"""A plan that is sent back is really planned again; of a plan, a part may be approved."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from amelia.contract import events as e
from amelia.contract.plan import Task, plan_sha256
from amelia.contract.workflow import Decision
from amelia.domain.plan import part_of

if TYPE_CHECKING:
    from tests.orchestrator.conftest import World

MakeTask = Callable[..., Task]


async def sent_back(world: "World", feedback: str, *, epoch: int) -> None:
    decision = world.decided("revised", feedback)
    assert (await world.run(world.job(decision, world.last_fact), epoch=epoch)).state == "blocked"


async def test_a_plan_that_is_sent_back_is_planned_again_round_after_round(world: "World", make_task: MakeTask) -> None:
    for number, name in enumerate(("one", "two", "three"), 1):
        world.plans(make_task(name), round=number)
    world.develops("three", "calc.py", "a = 3\n")
    world.reviews(approved=True)
    await world.run()
    await sent_back(world, "smaller, please", epoch=2)
    await sent_back(world, "name it three", epoch=3)
    blocks = world.heard.of(e.WorkflowBlocked)
    assert [block.plan.tasks[0].id for block in blocks] == ["one", "two", "three"]
    assert len({block.id for block in blocks}) == len({block.plan_sha256 for block in blocks}) == 3
    assert [fact.round for fact in world.heard.of(e.AgentStarted)] == [1, 2, 3]
    ended = await world.run(world.job(world.decided(), world.last_fact), epoch=4)
    assert ended.result == "success"
    assert world.heard.of(e.WorkHandedIn)[0].plan_sha256 == blocks[2].plan_sha256


async def test_the_architect_sees_its_old_plan_and_all_that_was_said_of_it(world: "World", make_task: MakeTask) -> None:
    for number in (1, 2, 3):
        world.plans(make_task(f"try-{number}"), round=number)
    await world.run()
    await sent_back(world, "smaller, please", epoch=2)
    await sent_back(world, "and faster", epoch=3)
    opening = next(str(r.messages[0]) for r in world.driver.requests if r.label.round == 3)
    assert '"try-2"' in opening
    assert '"try-1"' not in opening
    assert "smaller, please" in opening
    assert "<feedback>\\nand faster\\n</feedback>" in opening
    assert "calc.py" in opening
    assert all(len(r.messages) <= 3 for r in world.driver.requests), "each round is a conversation of its own"


async def test_a_plan_that_was_replaced_can_no_longer_be_approved(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("one"))
    world.plans(make_task("one"), round=2)
    await world.run()
    old = world.decided()
    await sent_back(world, "look again", epoch=2)
    assert world.heard.of(e.WorkflowBlocked)[1].plan_sha256 == old.plan_sha256
    assert (await world.run(world.job(old, world.last_fact), epoch=3)).state == "blocked"


async def test_an_attempt_that_dies_while_it_plans_again_does_not_forget_why(
    world: "World", make_task: MakeTask
) -> None:
    from amelia.drivers.base import Request
    from amelia.errors import Unavailable

    world.plans(make_task("one"))
    world.plans(make_task("two"), round=2)
    await world.run()
    decision = world.decided("revised", "smaller")

    async def away(request: Request) -> None:
        raise Unavailable("the model rests")

    world.driver.before = away
    with pytest.raises(Unavailable):
        await world.run(world.job(decision, world.last_fact), epoch=2)
    world.driver.before = None
    assert (await world.run(world.job(decision, world.last_fact), epoch=3)).state == "blocked"
    assert "smaller" in str(world.driver.requests[-1].messages[0])
    assert world.heard.of(e.WorkflowBlocked)[-1].plan.tasks[0].id == "two"


def part(world: "World", *tasks: str) -> Decision:
    block = world.heard.of(e.WorkflowBlocked)[-1]
    return replace(world.decided(), tasks=tasks, plan_sha256=plan_sha256(part_of(block.plan, tasks)))


async def test_only_the_tasks_that_were_approved_are_carried_out_and_the_rest_is_said(
    world: "World", make_task: MakeTask
) -> None:
    world.plans(make_task("one"), make_task("two"), make_task("three", "one"))
    for name in ("one", "three"):
        world.develops(name, f"{name}.py", "x = 1\n")
    world.reviews(approved=True)
    await world.run()
    decision = part(world, "one", "three")
    ended = await world.run(world.job(decision, world.last_fact), epoch=2)
    assert ended.result == "success"
    assert [fact.task_id for fact in world.heard.of(e.TaskCompleted)] == ["one", "three"]
    assert set(await world.handed_in()) == {"README.md", "calc.py", "one.py", "three.py"}
    assert world.heard.of(e.WorkHandedIn)[0].plan_sha256 == decision.plan_sha256
    assert "Not approved, and not done: Do two." in world.heard.of(e.WorkflowCompleted)[0].summary


async def test_a_part_under_another_hash_decides_nothing(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("one"), make_task("two", "one"))
    await world.run()
    right = part(world, "one")
    for wrong in (
        replace(right, tasks=("one", "two")),
        replace(right, tasks=()),
        replace(right, tasks=("two",)),
        replace(right, tasks=("nine",)),
        replace(right, plan_sha256="0" * 64),
    ):
        assert (await world.run(world.job(wrong, world.gate), epoch=2)).state == "blocked"
    assert len(world.heard.told) == world.gate
