"""A model that stays away, and the one that is asked in its place."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from amelia.contract import events as e
from amelia.contract.plan import Task
from amelia.contract.workflow import Left
from amelia.drivers.base import Request
from amelia.drivers.cast import Cast, Choice, Missing
from amelia.drivers.prices import price_list
from amelia.errors import Refused, Unavailable
from amelia.orchestrator.account import Account
from amelia.orchestrator.live import Live

if TYPE_CHECKING:
    from tests.orchestrator.conftest import ScriptedDriver, World

MakeTask = Callable[..., Task]
CHOSEN, SPARE = "claude-sonnet-4-6", "gpt-6-luna"


def with_fallback(world: "World") -> "ScriptedDriver":
    """The chosen driver and its fallback know the same lines."""
    spare = type(world.driver)()
    spare.lines = world.driver.lines
    world.cast = Cast(Choice(world.driver, CHOSEN), fallback=Choice(spare, SPARE))
    return spare


def away(world: "World", error: Exception) -> None:
    async def before(request: Request) -> None:
        raise error

    world.driver.before = before


async def test_an_overloaded_model_is_replaced_for_the_rest_of_the_step(world: "World", make_task: MakeTask) -> None:
    spare = with_fallback(world)
    world.plans(make_task("fix"))
    away(world, Unavailable("Anthropic did not answer after 6 tries (529: overloaded); try again later"))
    assert (await world.run()).state == "blocked"
    assert [request.model for request in world.driver.requests] == [CHOSEN]
    assert [request.model for request in spare.requests] == [SPARE, SPARE]
    said = [event.content for event in world.heard.shown if isinstance(event, e.AgentMessage)]
    assert [text for text in said if "stays away" in text and f"{SPARE} is asked in its place" in text]


async def test_what_the_fallback_answers_costs_what_the_fallback_costs(world: "World", make_task: MakeTask) -> None:
    with_fallback(world)
    world.plans(make_task("fix"))
    away(world, Unavailable("overloaded"))
    await world.run()
    price = price_list().models[SPARE]
    assert world.spent[1].cost_microdollars == 2 * -(-(100 * price.input + 10 * price.output) // 1_000_000)
    assert world.heard.of(e.TokensUsed)[-1].model == SPARE


async def test_the_next_step_asks_the_chosen_model_again(world: "World", make_task: MakeTask) -> None:
    spare = with_fallback(world)
    world.plans(make_task("fix"))
    world.develops("fix", "calc.py", "x = 1\n")
    world.reviews(approved=True)
    away(world, Unavailable("overloaded"))
    assert (await world.run()).state == "blocked"
    world.driver.before, before = None, len(spare.requests)
    ended = await world.run(world.job(world.decided(), world.last_fact), epoch=2)
    assert (ended.result, len(spare.requests)) == ("success", before)


async def test_a_refusal_is_no_reason_to_ask_another_model(world: "World", make_task: MakeTask) -> None:
    spare = with_fallback(world)
    world.plans(make_task("fix"))
    away(world, Refused("Anthropic refused the key (bad); set ANTHROPIC_API_KEY to one that may use the model"))
    ended = await world.run()
    assert (ended.result, spare.requests) == ("failed", [])
    assert "set ANTHROPIC_API_KEY" in ended.cause


async def test_when_nobody_answers_both_are_named_and_a_later_run_goes_on(world: "World", make_task: MakeTask) -> None:
    spare = with_fallback(world)
    world.plans(make_task("fix"))
    away(world, Unavailable("the chosen is away"))
    world.cast = Cast(Choice(world.driver, CHOSEN), fallback=Choice(Missing("it needs OPENAI_API_KEY"), SPARE))
    with pytest.raises(Unavailable, match=r"the chosen is away; nor does .* OPENAI_API_KEY"):
        await world.run()
    world.driver.before = None
    assert (await world.run(epoch=2)).state == "blocked"
    assert spare.requests == []


async def test_agents_ask_models_of_their_own(world: "World", make_task: MakeTask) -> None:
    reviewer = type(world.driver)()
    reviewer.lines = world.driver.lines
    world.cast = Cast(Choice(world.driver, CHOSEN), {"reviewer": Choice(reviewer, SPARE)})
    world.plans(make_task("fix"))
    world.develops("fix", "calc.py", "x = 1\n")
    world.reviews(approved=True)
    assert (await world.approved()).result == "success"
    assert {request.label.agent for request in reviewer.requests} == {"reviewer"}
    assert {request.label.agent for request in world.driver.requests} == {"architect", "developer"}
    assert {request.model for request in reviewer.requests} == {SPARE}


async def test_a_fallback_that_is_too_dear_is_not_asked(world: "World", make_task: MakeTask) -> None:
    spare = type(world.driver)()
    spare.lines = world.driver.lines
    world.cast = Cast(Choice(world.driver, SPARE), fallback=Choice(spare, "claude-opus-4-6"))
    world.plans(make_task("fix"))
    away(world, Unavailable("overloaded"))
    with pytest.raises(Unavailable, match="no room for the fallback claude-opus-4-6"):
        await world.run(live=Live(Account(1, Left(microdollars=2_000))))
    assert spare.requests == []
