"""What may be spent bounds what is spent, and every attempt's spending is counted once."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.plan import Task
from amelia.contract.workflow import Left, Money
from amelia.drivers.base import Usage
from amelia.drivers.cast import Cast, Choice
from amelia.drivers.prices import price_list
from amelia.orchestrator.account import Account
from amelia.orchestrator.live import Live

if TYPE_CHECKING:
    from tests.orchestrator.conftest import World

MakeTask = Callable[..., Task]
CHEAP, DEAR = "gpt-6-luna", "claude-opus-4-6"
TURN = Money(input_tokens=100, output_tokens=10, cost_microdollars=100 * 3 + 10 * 15)


def ready(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("fix"))
    world.develops("fix", "calc.py", "a = 1\n")
    world.reviews(approved=True)


@pytest.mark.parametrize(("kind", "amount"), [("tokens", 1_500), ("microdollars", 4_000)])
async def test_the_call_that_would_pass_the_budget_is_not_made_and_a_larger_one_goes_on_there(
    world: "World", make_task: MakeTask, kind: str, amount: int
) -> None:
    ready(world, make_task)
    await world.run()
    decision, journal = world.decided(), world.spent
    live = Live(Account(2, Left(**{kind: amount}), journal))
    ended = await world.run(world.job(decision, world.gate), epoch=2, live=live)
    assert ended.state == "paused"
    reached = world.heard.told[-1]
    assert isinstance(reached, e.BudgetReached)
    assert world.heard.types[-2:] == ["tokens_used", "budget_reached"]
    spent, budget = reached.spent, reached.budget
    assert budget.tokens or budget.microdollars
    assert spent.tokens <= (budget.tokens or spent.tokens)
    assert spent.cost_microdollars <= (budget.microdollars or spent.cost_microdollars)
    before = len(world.driver.asked)
    ended = await world.run(world.job(decision, world.last_fact), epoch=3, live=Live(Account(3, Left(), world.spent)))
    assert ended.result == "success"
    assert len(world.driver.asked) == len(set(world.driver.asked)), "no turn was repeated"
    assert len(world.driver.asked) > before
    assert sum(used.tokens for used in world.spent.values()) == 110 * len(world.driver.asked)


async def test_without_anything_left_not_one_call_is_made(world: "World", make_task: MakeTask) -> None:
    ready(world, make_task)
    ended = await world.run(live=Live(Account(1, Left(tokens=0))))
    assert (ended.state, world.driver.asked) == ("paused", [])
    again = await world.run(world.job(highest_fact=world.last_fact), epoch=2, live=Live(Account(2, Left(tokens=0))))
    assert (again.state, world.driver.asked) == ("paused", [])


async def test_a_pause_that_nobody_heard_of_is_said_again_and_nothing_goes_on_behind_it(
    world: "World", make_task: MakeTask
) -> None:
    ready(world, make_task)
    await world.run(live=Live(Account(1, Left(tokens=0))))
    said, held = list(world.heard.told), world.last_fact - 1
    ended = await world.run(world.job(highest_fact=held), epoch=2)
    assert (ended.state, world.driver.asked) == ("paused", [])
    assert world.heard.told == [*said, said[-1]]


async def test_what_an_attempt_that_died_had_spent_is_said_when_the_next_one_begins(
    world: "World", make_task: MakeTask
) -> None:
    ready(world, make_task)
    await world.run()
    decision = world.decided()
    running = asyncio.create_task(world.run(world.job(decision, world.gate), epoch=2))

    def look(event: Event) -> None:
        if isinstance(event, e.ToolCompleted) and event.tool == "finish_task":
            running.cancel()

    world.heard.on_progress = look
    with contextlib.suppress(asyncio.CancelledError):
        await running
    world.heard.on_progress = lambda event: None
    assert 2 not in world.spent
    known, place = world.spent, len(world.heard.told)
    await world.run(world.job(decision, world.last_fact), epoch=3, live=Live(Account(3, Left(), known)))
    first = world.heard.told[place]
    assert isinstance(first, e.TokensUsed)
    assert first.of_attempt == 2
    assert first.used.tokens in (2 * TURN.tokens, 3 * TURN.tokens), "as many turns as were kept before it ended"
    late = {2: Money(input_tokens=300, output_tokens=30, cost_microdollars=3 * TURN.cost_microdollars)}
    account = Account(4, Left(), world.spent)
    account.learn(late)
    account.learn(world.spent)
    assert account.all.tokens == 110 * 2 + 110 * 3 + account.spent[3].tokens, "a late word is not added but compared"


async def test_what_the_journal_knows_of_this_attempt_before_its_process_died_is_not_lost(world: "World") -> None:
    account = Account(2, Left(tokens=1_000), {1: TURN, 2: TURN})
    account.learn({2: Money(input_tokens=50)})
    account.pay(TURN)
    assert account.used.tokens == 2 * TURN.tokens
    assert account.has_room_for(Money(input_tokens=1_000 - TURN.tokens))
    assert not account.has_room_for(Money(input_tokens=1_001 - TURN.tokens))
    assert account.budget.tokens == 1_000 + 2 * TURN.tokens


async def test_a_plan_comes_with_what_it_will_probably_cost(world: "World", make_task: MakeTask) -> None:
    import msgspec

    world.plans(make_task("fix"), msgspec.structs.replace(make_task("more"), estimate_minutes=20))
    await world.run()
    [blocked] = world.heard.of(e.WorkflowBlocked)
    turns = 10 + 40 + 2
    assert blocked.estimated_microdollars == turns * TURN.cost_microdollars


@pytest.mark.parametrize("spare", [None, DEAR, CHEAP])
async def test_each_agent_is_foreseen_at_the_price_of_its_own_models(
    world: "World", make_task: MakeTask, spare: str | None
) -> None:
    fallback = Choice(world.driver, spare) if spare else None
    agents = {"architect": Choice(world.driver, CHEAP), "reviewer": Choice(world.driver, CHEAP)}
    world.cast = Cast(Choice(world.driver, world.model), agents, fallback)
    world.plans(make_task("fix"))
    await world.run()
    planning = Usage(input_tokens=200, output_tokens=20)
    developer, reviewer = (DEAR, DEAR) if spare == DEAR else (world.model, CHEAP)
    working, price = 10 // 2, price_list()
    [blocked] = world.heard.of(e.WorkflowBlocked)
    assert blocked.estimated_microdollars == working * price.cost(developer, planning) + price.cost(reviewer, planning)
    assert price.cost(CHEAP, planning) < price.cost(world.model, planning) < price.cost(DEAR, planning)


async def test_a_model_without_a_price_is_counted_at_the_highest(
    world: "World", make_task: MakeTask, caplog: pytest.LogCaptureFixture
) -> None:
    ready(world, make_task)
    world.model = "somebody-elses-1"
    await world.run()
    unknown = price_list().unknown
    assert world.spent[1].cost_microdollars == (200 * unknown.input + 20 * unknown.output) // 1_000_000
    assert "somebody-elses-1 has no price" in caplog.text
