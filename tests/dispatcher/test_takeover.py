"""Attempts that fall silent or do nothing, and what is sent to those that work."""

import asyncio
from functools import partial

import msgspec
import pytest

from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.workflow import Budget, Money
from amelia.errors import Refused, Unavailable

from ..samples import Voice, arrived, eventually, order, stream
from .conftest import World


async def working(world: World) -> str:
    command = await world.submitted()
    await world.act(command)
    return command.workflow_id


async def test_a_session_that_says_it_works_is_not_taken_over_although_nothing_is_heard_of_it(world: World) -> None:
    workflow_id = await working(world)
    world.runtimes.alive = {workflow_id}
    for asked in range(1, 4):
        await world.pass_time()
        await world.sweep()
        await world.sweep()
        assert len(world.runtimes.asked) == asked, "once in a lease"
    w = await world.workflow(workflow_id)
    assert (w.open, w.epoch, w.lost) == (True, 1, 0)
    assert {asked.purpose for asked in world.runtimes.asked} == {"ask"}
    assert not any(asked.clone_token for asked in world.runtimes.asked)
    world.runtimes.alive = set()
    await world.pass_time()
    await world.sweep()
    assert not (await world.workflow(workflow_id)).open


@pytest.mark.parametrize(("visibility", "over"), [(60, False), (3, True)])
async def test_a_router_that_died_is_waited_for_while_what_it_had_in_hand_is_hidden(
    world: World, visibility: int, over: bool
) -> None:
    settings = msgspec.structs.replace(world.settings, visibility_seconds=visibility)
    world = World(world.journal, world.url, world.objects, settings)
    workflow_id = await working(world)
    await world.pass_time()
    await world.journal.drained("router", 60, "dead")
    await world.sql("UPDATE consumer SET seen_at = now() - interval '9 s' WHERE instance = 'dead'")
    await world.sweep()
    assert (await world.workflow(workflow_id)).open is not over


async def test_a_session_that_cannot_be_asked_is_taken_over_and_keeps_its_place(world: World) -> None:
    workflow_id = await working(world)
    invoke = world.runtimes.invoke

    async def away(session_id: str, payload: bytes) -> bytes:
        raise Unavailable("no route")

    world.runtimes.invoke = away  # type: ignore[method-assign]
    await world.pass_time()
    await world.sweep()
    world.runtimes.invoke = invoke  # type: ignore[method-assign]
    w = await world.workflow(workflow_id)
    assert (w.status, w.admitted, w.lost) == ("pending", True, 1)
    async with world.running():
        await world.until(workflow_id, status="in_progress", epoch=2)
    assert world.runtimes.stopped == [], "what is gone needs no stop"


async def test_an_attempt_that_lives_but_does_nothing_is_taken_over_and_its_session_stopped_first(world: World) -> None:
    workflow_id = await working(world)
    world.runtimes.alive = {workflow_id}
    await world.sql("UPDATE workflow SET progress_at = now() - interval '16 min'")
    await world.journal.drained("router")
    await world.sweep()
    assert world.runtimes.asked == [], "it would say that it works"
    w = await world.workflow(workflow_id)
    assert (w.status, w.stalled, w.lost) == ("pending", True, 1)
    order_of_things: list[str] = []
    stop, invoke = world.runtimes.stop, world.runtimes.invoke

    async def stopping(session_id: str) -> bool:
        order_of_things.append("stop")
        return await stop(session_id)

    async def invoking(session_id: str, payload: bytes) -> bytes:
        order_of_things.append("invoke")
        return await invoke(session_id, payload)

    world.runtimes.stop, world.runtimes.invoke = stopping, invoking  # type: ignore[method-assign]
    async with world.running():
        await world.until(workflow_id, status="in_progress", epoch=2)
        await eventually(lambda: _is("invoke" in order_of_things), "it is invoked")
    assert order_of_things[:2] == ["stop", "invoke"]


async def test_while_the_router_lags_nothing_is_taken_over(world: World) -> None:
    workflow_id = await working(world)
    await world.journal.drained("router", 5)
    await world.sql("UPDATE workflow SET lease_until = now() - interval '1 s' WHERE lease_until IS NOT NULL")
    await world.sweep()
    assert (await world.workflow(workflow_id)).open
    assert world.runtimes.asked == []


async def test_facts_that_stay_missing_are_asked_for_less_and_less_often(world: World) -> None:
    workflow_id = await working(world)
    voice = Voice(workflow_id)
    voice.fact()
    await world.journal.append(arrived(voice.fact()))
    await world.journal.drained("router")
    for _ in range(5):
        await world.sweep()
    assert len(world.runtimes.invocations) == 2, "the first one and one question"


# What a working attempt is told


async def test_a_message_reaches_the_open_attempt_in_the_same_epoch_and_comes_again_until_it_did(world: World) -> None:
    workflow_id = await working(world)
    world.runtimes.answers = [Unavailable("no answer"), Unavailable("no answer")]
    await world.journal.execute(order(c.SendMessage, workflow_id, text="mind the rounding"))
    async with world.running():
        for invocations in (2, 3):
            await eventually(partial(_was_invoked, world, invocations), "it was tried")
            assert len(await world.orders()) == 1
            await world.send_again()
        await eventually(lambda: _nothing_is_ordered(world), "the order is settled")
    told = world.runtimes.invocations[1:]
    assert len(told) == 3
    assert {(asked.epoch, asked.purpose, asked.messages[0].text) for asked in told} == {
        (1, "work", "mind the rounding")
    }
    assert {asked.command_id for asked in told} != {world.runtimes.invocations[0].command_id}
    assert (await world.workflow(workflow_id)).open, "a message that is late ends nothing"
    [note] = told[0].messages
    await world.journal.append(arrived(Voice(workflow_id).fact(e.MessageApplied, message_id=note.id)))
    stale = order(c.AttendWorkflow, workflow_id)
    await world.act(stale)
    assert len(world.runtimes.invocations) == 4, "what was read is not said again"


async def test_a_message_to_a_runtime_that_will_not_take_it_ends_nothing(world: World) -> None:
    workflow_id = await working(world)
    world.runtimes.answers = [Refused("not one of ours")]
    await world.journal.execute(order(c.SendMessage, workflow_id, text="hello"))
    async with world.running():
        await eventually(lambda: _nothing_is_ordered(world), "the order is settled")
    assert (await world.workflow(workflow_id)).open


async def test_an_invocation_says_everything_that_is_new(world: World) -> None:
    command = await world.submitted(budget=Budget(microdollars=9, tokens=100))
    world.forge.token = "reads"
    await world.act(command)
    voice = Voice(command.workflow_id)
    used = voice.fact(e.TokensUsed, used=Money(input_tokens=7, cost_microdollars=3))
    blocked = voice.fact(e.WorkflowBlocked)
    await world.journal.append(arrived(used, blocked))
    for told in (
        order(c.SendMessage, command.workflow_id, text="mind the rounding"),
        order(c.ReviseWorkflow, command.workflow_id, feedback="smaller"),
    ):
        await world.journal.execute(told)
        await world.act(told)
    asked = world.runtimes.invocations[-1]
    assert asked.decision is not None
    assert (asked.decision.kind, asked.decision.feedback) == ("revised", "smaller")
    assert (asked.left.microdollars, asked.left.tokens) == (6, 93)
    assert asked.spent[1].cost_microdollars == 3
    assert [note.text for note in asked.messages] == ["mind the rounding"]
    assert (asked.generation, asked.retries, asked.session_seconds) == (0, 0, 28_800)
    assert asked.clone_token == "reads"
    assert "reads" not in repr(asked)
    for told in (
        order(c.CancelWorkflow, command.workflow_id),
        order(c.RetryWorkflow, command.workflow_id, start=True),
    ):
        await world.journal.execute(told)
        await world.act(told)
    again = world.runtimes.invocations[-1]
    assert (again.generation, again.decision, again.epoch) == (1, None, asked.epoch + 2)


async def test_without_a_credential_to_clone_with_it_waits_and_keeps_its_place(world: World) -> None:
    world.forge.reading_fails = Unavailable("GitHub is away")
    command = await world.submitted()
    await world.act(command)
    w = await world.workflow(command.workflow_id)
    assert (w.status, w.lost, w.reason) == (
        "pending",
        0,
        "there is no credential to clone with yet: GitHub is away",
    )
    assert world.runtimes.invocations == []


# What must not run


async def test_a_paused_workflow_loses_its_session_and_goes_on_when_it_is_resumed(world: World) -> None:
    workflow_id = await working(world)
    async with world.running():
        await world.journal.execute(order(c.PauseWorkflow, workflow_id, reason="lunch"))
        await eventually(lambda: _is(workflow_id in world.runtimes.stopped), "its session is stopped")
        w = await world.workflow(workflow_id)
        assert (w.status, w.epoch, w.open) == ("paused", 2, False)
        await world.journal.execute(order(c.ResumeWorkflow, workflow_id))
        await world.until(workflow_id, status="in_progress", epoch=3)
    kinds = [type(event) for _, event in await stream(world.journal, workflow_id)]
    assert kinds[-4:] == [e.WorkflowPaused, e.WorkflowResumed, e.WorkflowAdmitted, e.AttemptOpened]


async def test_a_stop_that_fails_is_tried_again_at_once_and_then_by_its_order(world: World) -> None:
    workflow_id = await working(world)
    world.runtimes.stop_fails = Unavailable("the platform is away")
    pause = order(c.PauseWorkflow, workflow_id)
    await world.journal.execute(pause)
    acting = asyncio.create_task(world.act(pause))
    await asyncio.wait_for(world.runtimes.stopping.wait(), 10)
    world.runtimes.stop_fails = None
    await acting
    assert world.runtimes.stopped == [workflow_id]
    assert pause.id not in await world.orders()


async def _was_invoked(world: World, times: int) -> bool:
    return len(world.runtimes.invocations) == times


async def _is(what: bool) -> bool:
    return what


async def _nothing_is_ordered(world: World) -> bool:
    return await world.orders() == []


async def test_a_session_that_is_heard_although_nothing_is_to_run_is_stopped_again(world: World) -> None:
    workflow_id = await working(world)
    pause = order(c.PauseWorkflow, workflow_id)
    await world.journal.execute(pause)
    await world.act(pause)
    async with world.running():
        await eventually(lambda: _nothing_is_ordered(world), "the orders of the pause are settled")
    world.runtimes.stopped.clear()
    alive = Voice(workflow_id).heartbeat()
    await world.journal.append(arrived(alive))
    assert await world.orders() == [], "it may be on its way to the end"
    await world.sql("UPDATE workflow SET progress_at = now() - interval '11 s'")
    await world.journal.append(arrived(alive, alive))
    assert len(await world.orders()) == 1
    async with world.running():
        await eventually(lambda: _nothing_is_ordered(world), "the order is settled")
    assert world.runtimes.stopped == [workflow_id]
    assert (await world.workflow(workflow_id)).status == "paused"
