"""What becomes of invocations, and that no workflow is ever left alone."""

import asyncio

import pytest

from amelia.contract import codec
from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.signature import attempt_key
from amelia.errors import Conflict, Exhausted, NotStarted, Refused, Unavailable

from ..samples import CLAIM, HASH, Voice, arrived, eventually, order, start, stream
from .conftest import World


async def test_an_attempt_is_in_the_journal_before_the_runtime_hears_of_it(world: World) -> None:
    command = await world.submitted()
    seen: list[int] = []
    invoke = world.runtimes.invoke

    async def looking(session_id: str, payload: bytes) -> bytes:
        seen.append((await world.workflow(session_id)).epoch)
        return await invoke(session_id, payload)

    world.runtimes.invoke = looking  # type: ignore[method-assign]
    await world.act(command)
    assert seen == [1]
    [invocation] = world.runtimes.invocations
    assert (invocation.epoch, invocation.command_id, invocation.highest_fact) == (1, command.id, 0)
    assert invocation.signing_key == attempt_key(b"master", command.workflow_id, 1).hex()
    assert invocation.signing_key not in repr(invocation)
    assert await world.orders() == []


async def test_what_was_not_started_is_parked_with_its_reason_tried_again_and_not_counted(world: World) -> None:
    command = await world.submitted()
    for attempt in range(1, 6):
        world.runtimes.answers = [NotStarted("the account's quota of sessions is used up")]
        await world.act(command)
        w = await world.workflow(command.workflow_id)
        assert (w.status, w.reason, w.lost, w.epoch) == (
            "pending",
            "the account's quota of sessions is used up",
            0,
            attempt,
        )
        assert w.parked_until
        await world.act(command)
        assert len(world.runtimes.invocations) == attempt, "it is not tried before its time"
        await world.pass_time()
        await world.sweep()
        assert await world.orders() != []
    await world.act(command)
    assert (await world.workflow(command.workflow_id)).status == "in_progress"


async def test_the_wait_grows_with_each_attempt_in_a_row_that_was_not_made(world: World) -> None:
    command = await world.submitted()
    waits: list[float] = []
    for _ in range(5):
        world.runtimes.answers = [NotStarted("throttled")]
        await world.act(command)
        [row] = await world.sql("SELECT extract(epoch FROM wake_at - now()) AS left FROM workflow")
        waits.append(float(row["left"]))
        await world.pass_time()
    assert all(2**n * 0.4 <= seconds <= 2**n * 3.1 for n, seconds in enumerate(waits)), waits
    await world.act(command)
    await world.journal.append(arrived(Voice(command.workflow_id, attempt=6).fact(e.WorkflowStarted)))
    assert (await world.workflow(command.workflow_id)).parks == 0


async def test_a_used_up_quota_gives_the_place_back_and_what_is_lost_or_throttled_keeps_it(world: World) -> None:
    for answer, keeps in ((Exhausted("no room"), False), (NotStarted("throttled"), True), (Unavailable("?"), True)):
        command = await world.submitted()
        world.runtimes.answers = [answer]
        await world.act(command)
        w = await world.workflow(command.workflow_id)
        assert (w.status, w.admitted, bool(w.parked_until)) == ("pending", keeps, True)
        world.gatekeeper._held_until = 0.0
    assert await world.journal.places_taken() == 2


async def test_an_invocation_of_unknown_outcome_is_a_lost_attempt_and_the_next_has_its_own_epoch(world: World) -> None:
    command = await world.submitted()
    world.runtimes.answers = [Unavailable("no answer in time")]
    await world.act(command)
    w = await world.workflow(command.workflow_id)
    assert (w.status, w.epoch, w.lost, bool(w.parked_until)) == ("pending", 1, 1, True)
    await world.pass_time()
    await world.act(command)
    assert [x.epoch for x in world.runtimes.invocations] == [1, 2]
    await world.journal.append(arrived(Voice(command.workflow_id, attempt=1).fact(e.WorkflowBlocked)))
    assert (await world.workflow(command.workflow_id)).status == "in_progress", "the first may run, and says nothing"


async def test_an_answer_that_is_none_of_ours_is_an_unknown_outcome(world: World) -> None:
    command = await world.submitted()
    world.runtimes.answers = [b"<html>"]
    await world.act(command)
    assert (await world.workflow(command.workflow_id)).lost == 1


async def test_what_the_platform_will_never_take_fails_with_its_cause(world: World) -> None:
    command = await world.submitted()
    world.runtimes.answers = [Refused("there is no such runtime; deploy it")]
    await world.act(command)
    w = await world.workflow(command.workflow_id)
    assert (w.status, w.reason) == ("failed", "there is no such runtime; deploy it")
    assert isinstance((await stream(world.journal, w.id))[-1][1], e.CommandRefused)


async def test_a_session_that_winds_down_is_asked_again_and_then_parked(world: World) -> None:
    command = await world.submitted()
    world.runtimes.answers = [Conflict("it winds down"), Conflict("it winds down")]
    await world.act(command)
    assert len(world.runtimes.invocations) == 3
    assert (await world.workflow(command.workflow_id)).status == "in_progress"
    other = await world.submitted()
    world.runtimes.answers = [Conflict("it winds down")] * 3
    await world.act(other)
    w = await world.workflow(other.workflow_id)
    assert (w.status, w.lost, w.reason) == ("pending", 0, "it winds down")


async def test_attempts_that_bring_nothing_end_in_a_failure_with_its_cause(world: World) -> None:
    command = await world.submitted()
    for _ in range(3):
        world.runtimes.answers = [Unavailable("no answer in time")]
        await world.act(command)
        await world.pass_time()
    w = await world.workflow(command.workflow_id)
    assert w.status == "failed"
    assert "attempt 3 was lost: no answer in time; 3 in a row brought nothing new" in w.reason
    await world.act(command)
    assert len(world.runtimes.invocations) == 3


async def test_a_dispatcher_that_dies_between_opening_and_invoking_is_made_good_by_the_sweeper(world: World) -> None:
    command = await world.submitted()
    world.runtimes.may_answer.clear()
    await world.dispatcher.act(command)
    await world.until(command.workflow_id, status="in_progress")
    await world.gatekeeper.drain(0)
    world.runtimes.may_answer.set()
    assert await world.orders() == []
    await world.pass_time()
    await world.sweep()
    async with world.running():
        w = await world.until(command.workflow_id, status="in_progress", epoch=2)
    assert w.open
    assert world.runtimes.invocations[-1].epoch == 2


async def test_the_same_order_twice_at_once_opens_one_attempt(world: World) -> None:
    command = await world.submitted()
    await asyncio.gather(*(world.act(command) for _ in range(4)))
    assert [x.epoch for x in world.runtimes.invocations] == [1]


async def to_the_gate(world: World) -> tuple[str, Voice]:
    command = await world.submitted()
    await world.act(command)
    voice = Voice(command.workflow_id)
    await world.journal.append(arrived(voice.fact(e.WorkflowStarted), voice.fact(e.WorkflowBlocked)))
    return command.workflow_id, voice


async def test_a_session_that_waits_for_a_decision_is_stopped(world: World) -> None:
    workflow_id, _ = await to_the_gate(world)
    async with world.running():
        await eventually(lambda: _is(set(world.runtimes.stopped) == {workflow_id}), "the session is stopped")
        await eventually(lambda: _nothing_is_ordered(world), "the order is settled")


async def _is(what: bool) -> bool:
    return what


async def _nothing_is_ordered(world: World) -> bool:
    return await world.orders() == []


async def test_an_approval_while_the_stop_is_under_way_wakes_the_session_after_it(world: World) -> None:
    workflow_id, _ = await to_the_gate(world)
    world.runtimes.may_stop.clear()
    async with world.running():
        await asyncio.wait_for(world.runtimes.stopping.wait(), 10)
        await world.journal.execute(order(c.ApproveWorkflow, workflow_id))
        await asyncio.sleep(0.1)
        assert len(world.runtimes.invocations) == 1
        world.runtimes.may_stop.set()
        await world.until(workflow_id, status="in_progress", epoch=2)
        await eventually(lambda: _is(len(world.runtimes.invocations) == 2), "it is invoked")
    assert world.runtimes.stopped == [workflow_id]
    decision = world.runtimes.invocations[-1].decision
    assert decision is not None
    assert (decision.kind, decision.plan_sha256) == ("approved", HASH)
    assert world.runtimes.invocations[-1].highest_fact == 2


async def test_a_stop_that_comes_after_the_approval_stops_nothing(world: World) -> None:
    workflow_id, _ = await to_the_gate(world)
    orders = await world.sql("SELECT body FROM outbox WHERE destination = 'commands' AND publishes = 0")
    [resume] = [row for row in orders if '"attend_workflow"' in row["body"]]
    stop = codec.decode_command(resume["body"])
    approve = order(c.ApproveWorkflow, workflow_id)
    await world.journal.execute(approve)
    await world.act(approve)
    await world.act(stop)
    assert world.runtimes.stopped == []
    assert (await world.workflow(workflow_id)).open


async def test_cancel_stops_the_session_and_a_stop_that_fails_is_tried_again(world: World) -> None:
    workflow_id, _ = await to_the_gate(world)
    world.runtimes.stop_fails = Unavailable("the platform is away")
    await world.journal.execute(order(c.CancelWorkflow, workflow_id))
    async with world.running():
        await asyncio.wait_for(world.runtimes.stopping.wait(), 10)
        assert await world.orders() != []
        world.runtimes.stop_fails = None
        await eventually(lambda: _nothing_is_ordered(world), "the order is settled")
    assert set(world.runtimes.stopped) == {workflow_id}


async def test_cancelled_while_it_is_invoked_it_stays_cancelled_whatever_the_answer(world: World) -> None:
    for answer in (NotStarted("x"), Unavailable("x"), Refused("x"), b"{}"):
        command = await world.submitted()
        world.runtimes.may_answer.clear()
        world.runtimes.answers = [answer]
        invoking = asyncio.create_task(world.act(command))
        await world.until(command.workflow_id, status="in_progress")
        await world.journal.execute(order(c.CancelWorkflow, command.workflow_id))
        world.runtimes.may_answer.set()
        await invoking
        assert (await world.workflow(command.workflow_id)).status == "cancelled"


async def test_lost_facts_are_asked_for_in_the_same_epoch(world: World) -> None:
    command = await world.submitted()
    await world.act(command)
    voice = Voice(command.workflow_id)
    voice.fact()
    await world.journal.append(arrived(voice.fact(), voice.progress()))
    await world.journal.drained("router")
    await world.sweep()
    assert [(x.epoch, x.highest_fact) for x in world.runtimes.invocations] == [(1, 0), (1, 0)]
    assert world.runtimes.invocations[0].command_id != world.runtimes.invocations[1].command_id


@pytest.mark.parametrize("answer", [NotStarted("throttled"), Unavailable("no answer"), Refused("no"), Conflict("busy")])
async def test_a_runtime_that_cannot_be_asked_goes_on_working(world: World, answer: Exception) -> None:
    """Whether it lives is its lease's matter."""
    command = await world.submitted()
    await world.act(command)
    voice = Voice(command.workflow_id)
    lost = voice.fact()
    await world.journal.append(arrived(voice.fact()))
    await world.journal.drained("router")
    world.runtimes.answers = [answer] * 3
    await world.sweep()
    w = await world.workflow(command.workflow_id)
    assert (w.status, w.open, w.epoch) == ("in_progress", True, 1)
    await world.journal.append(arrived(lost))
    assert (await world.workflow(command.workflow_id)).fact == 2


async def test_one_runtime_that_does_not_answer_does_not_hold_up_the_sweep_of_others(world: World) -> None:
    commands = [await world.submitted() for _ in range(3)]
    for command in commands:
        await world.act(command)
        voice = Voice(command.workflow_id)
        voice.fact()
        await world.journal.append(arrived(voice.fact()))
    await world.journal.drained("router")
    world.runtimes.may_answer.clear()
    sweeping = asyncio.create_task(world.sweep())
    await eventually(lambda: _is(len(world.runtimes.invocations) == 6), "all are asked")
    world.runtimes.may_answer.set()
    await sweeping


async def test_lost_progress_is_declared_and_nobody_is_asked(world: World) -> None:
    command = await world.submitted()
    await world.act(command)
    voice = Voice(command.workflow_id)
    voice.progress()
    await world.journal.append(arrived(voice.progress()))
    await world.journal.drained("router")
    await world.sweep()
    assert len(world.runtimes.invocations) == 1
    kinds = [type(event) for _, event in await stream(world.journal, command.workflow_id)]
    assert kinds[-2:] == [e.EventsMissing, e.AgentMessage]


async def test_every_workflow_that_has_not_ended_is_leased_ordered_or_parked(world: World) -> None:
    """Whatever became of the invocation."""
    answers: list[Exception | bytes] = [NotStarted("x"), Unavailable("x"), Conflict("x"), b"no", Refused("x")]
    for answer in answers:
        command = await world.submitted()
        world.runtimes.answers = [answer] * 3
        await world.act(command)
    await world.submitted()
    await to_the_gate(world)
    orphans = await world.sql(
        """SELECT id, state FROM workflow w WHERE status NOT IN ('completed', 'failed', 'cancelled', 'blocked')
        AND lease_until IS NULL AND wake_at IS NULL
        AND NOT EXISTS (SELECT FROM outbox WHERE destination = 'commands' AND workflow_id = w.id)"""
    )
    assert orphans == []


# Delivery


async def handed_in(world: World, plan_sha256: str = HASH) -> str:
    workflow_id, voice = await to_the_gate(world)
    approve = order(c.ApproveWorkflow, workflow_id)
    await world.journal.execute(approve)
    await world.act(approve)
    claim = await world.objects.put("work", b"bundle")
    second = Voice(workflow_id, attempt=2, fact=voice.last_fact)
    work = second.fact(e.WorkHandedIn, bundle=claim, plan_sha256=plan_sha256)
    assert await world.journal.append(arrived(work, second.fact(e.WorkflowCompleted))) == [None, None]
    return workflow_id


async def test_work_handed_in_is_delivered_once_and_completes_the_workflow(world: World) -> None:
    workflow_id = await handed_in(world)
    async with world.running():
        w = await world.until(workflow_id, status="completed")
        await eventually(lambda: _nothing_is_ordered(world), "all orders are settled")
    assert world.pushes.pushed == [(w.branch, w.commit)]


async def test_a_repository_that_is_away_is_tried_again_and_one_that_refuses_fails_the_workflow(world: World) -> None:
    workflow_id = await handed_in(world)
    world.pushes.fails = Unavailable("no route to host")
    async with world.running():
        assert (await world.until(workflow_id, reason="no route to host")).phase == "delivering"
        world.pushes.fails = Refused("the branch is somebody else's; delete it")
        await world.send_again()
        w = await world.until(workflow_id, status="failed")
    assert w.reason == "the branch is somebody else's; delete it"


async def test_work_of_another_plan_than_the_approved_one_is_not_delivered(world: World) -> None:
    workflow_id = await handed_in(world, plan_sha256="f" * 64)
    async with world.running():
        w = await world.until(workflow_id, status="failed")
    assert "not of the plan that was approved" in w.reason
    assert world.pushes.pushed == []


async def test_work_that_is_not_in_the_object_store_fails_the_workflow_with_its_cause(world: World) -> None:
    workflow_id, voice = await to_the_gate(world)
    approve = order(c.ApproveWorkflow, workflow_id)
    await world.journal.execute(approve)
    await world.act(approve)
    second = Voice(workflow_id, attempt=2, fact=voice.last_fact)
    facts = (second.fact(e.WorkHandedIn, bundle=CLAIM), second.fact(e.WorkflowCompleted))
    await world.journal.append(arrived(*facts))
    async with world.running():
        w = await world.until(workflow_id, status="failed")
    assert CLAIM.key in w.reason


# The queue


async def test_what_is_no_command_of_ours_becomes_a_dead_letter_and_holds_up_no_other(world: World) -> None:
    command = await world.submitted()
    world.queue.put("{", '{"type":"agent_started"}', codec.encode(start()).decode())
    async with world.running():
        await eventually(lambda: _is(len(world.queue.dead) == 3), "they are dead letters")
        await world.until(command.workflow_id, status="in_progress")
    assert "there is no workflow" in world.queue.dead[2][1]
