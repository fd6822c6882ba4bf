"""A plan that a person has edited takes the place of the Architect's."""

from collections.abc import Callable

from amelia.contract import events as e
from amelia.contract.plan import Plan, Task, plan_sha256

from .conftest import World

MakeTask = Callable[..., Task]


async def test_an_edited_plan_waits_for_a_decision_about_itself_and_is_what_is_carried_out(
    world: World, make_task: MakeTask
) -> None:
    world.plans(make_task("fix"))
    world.develops("mend", "calc.py", "mended\n")
    world.reviews(approved=True)
    assert (await world.run()).state == "blocked"
    edited = Plan(summary="Mended by hand.", tasks=(make_task("mend"),))
    again = await world.run(world.job(world.decided("revised"), world.last_fact, edited=edited), epoch=2)
    assert again.state == "blocked"
    first, second = world.heard.of(e.WorkflowBlocked)
    assert (second.plan, second.plan_sha256) == (edited, plan_sha256(edited))
    assert first.id != second.id
    assert [agent for agent, *_ in world.driver.asked if agent == "architect"] == ["architect"] * 2, "not asked again"

    ended = await world.run(world.job(world.decided(), world.last_fact), epoch=3)
    assert ended.result == "success"
    assert world.heard.of(e.WorkHandedIn)[0].plan_sha256 == plan_sha256(edited)
    assert (await world.handed_in())["calc.py"] == "mended"
