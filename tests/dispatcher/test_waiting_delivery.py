"""A delivery to a repository that is away: it says why it waits, once, and ends when the repository is back."""

import pytest

from amelia.contract import codec
from amelia.contract import events as e
from amelia.contract.commands import DeliverWorkflow
from amelia.errors import Refused, Unavailable

from ..samples import stream
from .conftest import World
from .test_attempts import handed_in


async def the_order(world: World) -> DeliverWorkflow:
    """The outbox's only order to deliver; what else is ordered is taken away."""
    rows = await world.sql("SELECT body FROM outbox WHERE destination = 'commands'")
    [command] = [x for row in rows if isinstance(x := codec.decode_command(row["body"]), DeliverWorkflow)]
    await world.journal.settle([id_ for id_ in await world.orders() if id_ != command.id])
    return command


async def refusals(world: World, workflow_id: str) -> list[e.CommandRefused]:
    return [event for _, event in await stream(world.journal, workflow_id) if isinstance(event, e.CommandRefused)]


async def fails(world: World, command: DeliverWorkflow, cause: str, times: int = 1) -> None:
    world.pushes.fails = Unavailable(cause)
    for _ in range(times):
        with pytest.raises(Unavailable, match=cause):
            await world.act(command)


async def test_a_repository_that_is_away_is_the_reason_once_and_its_return_completes(world: World) -> None:
    workflow_id = await handed_in(world)
    command = await the_order(world)
    await fails(world, command, "no route to host", times=3)
    w = await world.workflow(workflow_id)
    assert (w.status, w.phase, w.reason) == ("in_progress", "delivering", "no route to host")
    assert [(x.final, x.command_id, x.cause) for x in await refusals(world, workflow_id)] == [
        (False, command.id, "no route to host")
    ]
    assert await world.orders() == [command.id], "it is sent again"
    world.pushes.fails = None
    await world.act(command)
    w = await world.workflow(workflow_id)
    assert (w.status, w.reason) == ("completed", "")
    assert world.pushes.pushed == [(w.branch, w.commit)]
    assert await world.orders() == []


async def test_another_cause_is_said_too_each_under_an_id_of_its_own(world: World) -> None:
    workflow_id = await handed_in(world)
    command = await the_order(world)
    for cause in ("no route to host", "it is read-only", "no route to host"):
        await fails(world, command, cause)
    said = await refusals(world, workflow_id)
    assert [x.cause for x in said] == ["no route to host", "it is read-only", "no route to host"]
    assert len({x.id for x in said}) == 3


async def test_a_repository_that_came_back_only_to_refuse_fails_the_workflow(world: World) -> None:
    workflow_id = await handed_in(world)
    command = await the_order(world)
    await fails(world, command, "no route to host")
    world.pushes.fails = Refused("the branch is somebody else's; delete it")
    await world.act(command)
    w = await world.workflow(workflow_id)
    assert (w.status, w.reason) == ("failed", "the branch is somebody else's; delete it")
    assert [x.final for x in await refusals(world, workflow_id)] == [False, True]
    assert command.id not in await world.orders()
