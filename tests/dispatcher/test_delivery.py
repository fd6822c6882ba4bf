"""Delivery: the intent is recorded first, what is there is adopted, and nothing stays of what was cancelled."""

import pytest

from amelia.contract import codec
from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.errors import Refused, Unavailable

from ..samples import order, stream
from .conftest import World
from .test_attempts import handed_in
from .test_waiting_delivery import the_order


async def told(world: World, workflow_id: str) -> list[Event]:
    return [event for _, event in await stream(world.journal, workflow_id)]


async def test_the_intent_is_recorded_before_the_repository_is_touched(world: World) -> None:
    workflow_id = await handed_in(world)
    seen: list[str] = []

    async def pushing() -> None:
        seen.extend(codec.type_of(event) for event in await told(world, workflow_id))

    world.pushes.pushing = pushing
    await world.act(await the_order(world))
    assert seen[-1] == "delivery_started"
    assert (await world.workflow(workflow_id)).status == "completed"


async def test_a_pull_request_completes_the_workflow_where_there_is_a_forge(world: World) -> None:
    world.forge.serving = True
    workflow_id = await handed_in(world)
    await world.act(await the_order(world))
    w = await world.workflow(workflow_id)
    assert (w.status, w.pull_request and w.pull_request.number) == ("completed", 7)
    [opened] = [x for x in await told(world, workflow_id) if isinstance(x, e.PullRequestOpened)]
    assert (opened.adopted, opened.branch) == (False, w.branch)
    proposed = world.forge.there[w.branch]
    assert w.issue.title in proposed["title"]
    assert workflow_id in proposed["body"]
    assert await world.orders() == []


async def test_a_pull_request_whose_answer_was_lost_is_adopted(world: World) -> None:
    world.forge.serving = True
    workflow_id = await handed_in(world)
    command = await the_order(world)
    world.forge.fails = Unavailable("the answer did not arrive")
    with pytest.raises(Unavailable):
        await world.act(command)
    w = await world.workflow(workflow_id)
    assert (w.status, w.phase, w.reason) == ("in_progress", "delivering", "the answer did not arrive")
    world.forge.fails = None
    await world.act(command)
    [opened] = [x for x in await told(world, workflow_id) if isinstance(x, e.PullRequestOpened)]
    assert opened.adopted
    assert len(world.forge.there) == 1
    assert len([x for x in await told(world, workflow_id) if isinstance(x, e.BranchPushed)]) == 1
    assert len([x for x in await told(world, workflow_id) if isinstance(x, e.DeliveryStarted)]) == 1


@pytest.mark.parametrize("serving", [False, True])
async def test_what_was_pushed_while_its_workflow_was_cancelled_is_taken_back(world: World, serving: bool) -> None:
    """Only a delivery that lost its lock can meet a cancel; then the branch goes, and no pull request follows."""
    world.forge.serving = serving
    workflow_id = await handed_in(world)
    command = await the_order(world)

    async def pushing() -> None:
        await world.journal.execute(order(c.CancelWorkflow, workflow_id))

    world.pushes.pushing = pushing
    await world.act(command)
    w = await world.workflow(workflow_id)
    assert w.status == "cancelled"
    assert world.pushes.withdrawn == world.pushes.pushed
    assert not world.forge.there
    assert not [x for x in await told(world, workflow_id) if isinstance(x, e.BranchPushed)]


async def test_a_push_whose_dispatcher_died_is_taken_back_when_the_workflow_is_cancelled(world: World) -> None:
    workflow_id = await handed_in(world)
    command = await the_order(world)

    async def dies() -> None:
        raise RuntimeError("the dispatcher died here")

    world.pushes.pushing = dies
    with pytest.raises(RuntimeError):
        await world.act(command)
    await world.journal.execute(order(c.CancelWorkflow, workflow_id))
    await world.act(c.AttendWorkflow(id="1", workflow_id=workflow_id, actor="amelia"))
    assert world.pushes.withdrawn == world.pushes.pushed
    assert (await world.workflow(workflow_id)).status == "cancelled"


async def test_a_push_of_a_delivery_that_was_paused_is_taken_back_when_its_next_turn_is_cancelled(world: World) -> None:
    workflow_id = await handed_in(world)

    async def dies() -> None:
        raise RuntimeError("the dispatcher died here")

    world.pushes.pushing = dies
    with pytest.raises(RuntimeError):
        await world.act(await the_order(world))
    await world.journal.execute(order(c.PauseWorkflow, workflow_id))
    resumed = order(c.ResumeWorkflow, workflow_id)
    await world.journal.execute(resumed)
    await world.act(resumed)
    await world.until(workflow_id, phase="delivering")
    await world.journal.execute(order(c.CancelWorkflow, workflow_id))
    await world.act(c.AttendWorkflow(id="1", workflow_id=workflow_id, actor="amelia"))
    assert world.pushes.withdrawn == world.pushes.pushed != []


async def test_a_delivery_that_stays_impossible_becomes_a_pause_and_its_end_a_delivery(world: World) -> None:
    workflow_id = await handed_in(world)
    command = await the_order(world)
    world.pushes.fails = Unavailable("no route to host")
    with pytest.raises(Unavailable):
        await world.act(command)
    long_ago = "to_jsonb('2020-01-01T00:00:00.000Z'::text)"
    await world.sql(f"UPDATE workflow SET state = jsonb_set(state::jsonb, '{{delivering_since}}', {long_ago})::text")
    with pytest.raises(Unavailable):
        await world.act(command)
    w = await world.workflow(workflow_id)
    assert (w.status, w.admitted) == ("paused", False)
    assert "no route to host" in w.reason
    await world.act(command)
    world.pushes.fails = None
    resumed = order(c.ResumeWorkflow, workflow_id)
    await world.journal.execute(resumed)
    await world.act(resumed)
    await world.act(await the_order(world))
    w = await world.workflow(workflow_id)
    assert (w.status, world.pushes.pushed) == ("completed", [(w.branch, w.commit)])


async def test_a_failed_delivery_is_retried_without_working_again(world: World) -> None:
    workflow_id = await handed_in(world)
    command = await the_order(world)
    world.pushes.fails = Refused("the branch is somebody else's; delete it")
    await world.act(command)
    before = await world.workflow(workflow_id)
    assert before.status == "failed"
    world.pushes.fails = None
    retried = order(c.RetryWorkflow, workflow_id)
    await world.journal.execute(retried)
    await world.act(retried)
    await world.act(await the_order(world))
    w = await world.workflow(workflow_id)
    assert (w.status, w.epoch) == ("completed", before.epoch)
