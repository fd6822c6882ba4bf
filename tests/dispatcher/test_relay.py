"""The outbox reaches the queue and the bus whatever these do."""

import asyncio
import json

from amelia.adapters.postgres.journal import PostgresJournal
from amelia.contract import commands as c
from amelia.errors import Refused, Unavailable

from ..conftest import Opener
from ..samples import eventually, order
from .conftest import World


async def is_delivered(world: World, many: int) -> bool:
    return len(world.queue.done) >= many


async def nothing_is_left(world: World) -> bool:
    return await world.sql("SELECT FROM outbox") == []


async def test_a_queue_that_loses_everything_loses_nothing(impatient: World) -> None:
    commands = [await impatient.submitted() for _ in range(5)]
    impatient.queue.loses = True
    async with impatient.running():
        await eventually(lambda: sent_often(impatient, 3), "each was sent several times")
        assert impatient.runtimes.invocations == []
        impatient.queue.loses = False
        for command in commands:
            await impatient.until(command.workflow_id, status="in_progress")
        await eventually(lambda: nothing_is_left(impatient), "all is settled")
    deduplications = [sending.deduplication for sending in impatient.queue.sent]
    assert len(deduplications) == len(set(deduplications)), "FIFO drops a repeated one"
    assert {sending.group for sending in impatient.queue.sent} == {command.workflow_id for command in commands}


async def sent_often(world: World, times: int) -> bool:
    return len(world.queue.sent) >= 5 * times


async def test_a_command_that_was_received_and_never_acted_upon_is_sent_again(impatient: World) -> None:
    """Its dispatcher died with it in hand, after it had acknowledged."""
    command = await impatient.submitted()
    await impatient.relay._pass()
    await impatient.queue.acknowledge(await impatient.queue.receive(most=10, wait_seconds=1))
    async with impatient.running():
        await impatient.until(command.workflow_id, status="in_progress")


async def test_a_queue_that_is_away_gets_everything_when_it_is_back(world: World) -> None:
    world.queue.fails["send"] = Unavailable("the queue is away")
    command = await world.submitted()
    async with world.running():
        await asyncio.sleep(0.2)
        world.queue.fails.clear()
        await world.until(command.workflow_id, status="in_progress")


async def test_a_bus_that_is_away_gets_everything_when_it_is_back(world: World) -> None:
    world.bus.fails = Unavailable("the bus is away")
    command = await world.submitted()
    async with world.running():
        await world.until(command.workflow_id, status="in_progress")
        assert world.bus.published == []
        world.bus.fails = None
        await eventually(lambda: nothing_is_left(world), "all is settled")
    said = [(x.type, json.loads(x.body)["workflow_id"]) for x in world.bus.published]
    kinds = ("attempt_opened", "workflow_admitted", "workflow_submitted")
    assert sorted(set(said)) == [(kind, command.workflow_id) for kind in kinds]


async def test_what_the_bus_will_never_take_keeps_nothing_else_from_it(world: World) -> None:
    commands = [await world.submitted() for _ in range(3)]
    bad = commands[1].workflow_id.encode()
    world.bus.refuses = lambda message: Refused("too large") if bad in message.body else None
    await world.relay._pass()
    published = {json.loads(x.body)["workflow_id"] for x in world.bus.published}
    assert published == {commands[0].workflow_id, commands[2].workflow_id}
    assert await world.sql("SELECT FROM outbox WHERE destination = 'bus'") == []


async def test_a_row_nobody_can_read_keeps_nothing_else_in_the_outbox(world: World) -> None:
    await world.sql("INSERT INTO outbox (id, destination, workflow_id, body) VALUES ('x', 'bus', 'wf', '{')")
    command = await world.submitted()
    async with world.running():
        await world.until(command.workflow_id, status="in_progress")
        await eventually(lambda: nothing_is_left(world), "all is settled")


async def test_a_burst_larger_than_one_pass_goes_out_at_once(world: World, open_journal: Opener) -> None:
    other: PostgresJournal = await open_journal()
    commands = await asyncio.gather(*(world.submitted() for _ in range(120)))
    await asyncio.gather(*(other.execute(order(c.CancelWorkflow, command.workflow_id)) for command in commands))
    async with world.running():
        await eventually(lambda: nothing_is_left(world), "all is settled")
    assert len({x.body for x in world.bus.published}) == 240
    assert world.runtimes.invocations == []
