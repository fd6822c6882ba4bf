"""Runtimes, dispatchers and database connections end at any moment."""

import asyncio

import asyncpg

from amelia.contract import events as e
from amelia.contract.invocation import Invocation

from .checks import check_completed, check_rest
from .conftest import Assemble, beside

_TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
_MOMENTS = 70
"""A workflow has some more."""


async def test_a_runtime_that_crashes_anywhere_is_taken_over_and_nothing_finished_is_repeated(
    assemble: Assemble,
) -> None:
    """The last workflow of each fleet loses three runtimes on its way, the others one."""

    async def journey(seed: int) -> None:
        async with assemble(seed) as fleet:
            fuses = [[fleet.chance.randint(1, _MOMENTS)] for _ in range(3)]
            fuses.append([fleet.chance.randint(10, 30) for _ in range(3)])
            workflow_ids = [await fleet.start(auto_approve=True) for _ in fuses]
            fleet.machines.fuses = dict(zip(workflow_ids, fuses, strict=True))
            for workflow_id in workflow_ids:
                await fleet.until(workflow_id, "completed")
            await check_rest(fleet)
            await check_completed(fleet, *workflow_ids)
            assert fleet.machines.crashes > 3
            for workflow_id in workflow_ids:
                assert fleet.script.repeated(workflow_id) <= fleet.machines.crashed(workflow_id)

    await beside(range(21, 24), journey)


async def test_a_dispatcher_that_dies_between_opening_an_attempt_and_invoking_leaves_it_to_the_lease(
    assemble: Assemble,
) -> None:
    async with assemble(25) as fleet:
        opened = asyncio.Event()

        async def die(asked: Invocation) -> None:
            fleet.machines.before = None
            opened.set()
            acting = asyncio.current_task()
            assert acting is not None
            acting.cancel()
            await asyncio.sleep(0)

        fleet.machines.before = die
        workflow_id = await fleet.start(auto_approve=True)
        await asyncio.wait_for(opened.wait(), 60)
        await fleet.kill_dispatcher()
        assert (await fleet.look(workflow_id)).open
        assert not fleet.machines.invocations
        fleet.start_dispatcher()
        await fleet.until(workflow_id, "completed")
        await check_rest(fleet)
        await check_completed(fleet, workflow_id)
        [lost] = [event for _, event in await fleet.story(workflow_id) if isinstance(event, e.RuntimeLost)]
        assert "lease ran out" in lost.cause
        assert {asked.epoch for asked in fleet.machines.invocations} == {2, 3}


async def test_three_attempts_that_crash_without_a_new_fact_end_it_with_the_cause(assemble: Assemble) -> None:
    async with assemble(26, lease_seconds=1) as fleet:
        workflow_id = await fleet.start(auto_approve=True)
        fleet.machines.fuses[workflow_id] = [1, 2, 2]
        w = await fleet.until(workflow_id, "failed")
        await check_rest(fleet)
        assert "3 in a row brought nothing new" in w.reason
        assert w.epoch == 3
        assert not fleet.machines.lives(workflow_id)


async def test_answers_of_the_platform_that_are_lost_cost_attempts_and_nothing_else(assemble: Assemble) -> None:
    async with assemble(27) as fleet:
        fleet.machines.unanswered = 2
        workflow_ids = [await fleet.start(auto_approve=True) for _ in range(2)]
        for workflow_id in workflow_ids:
            await fleet.until(workflow_id, "completed")
        await check_rest(fleet)
        await check_completed(fleet, *workflow_ids)


async def test_the_database_goes_away_for_a_while_and_everything_completes(assemble: Assemble) -> None:
    async def journey(seed: int) -> None:
        async with assemble(seed) as fleet:
            workflow_ids = [await fleet.start(auto_approve=True) for _ in range(2)]
            await asyncio.sleep(fleet.chance.uniform(0, 0.7))
            assert await _end_connections(fleet.url)
            for workflow_id in workflow_ids:
                await fleet.until(workflow_id, "completed")
            await check_rest(fleet)
            await check_completed(fleet, *workflow_ids)

    await beside(range(28, 30), journey)


async def test_a_runtime_that_crashes_is_taken_over_although_the_others_never_fall_silent(assemble: Assemble) -> None:
    async with assemble(31) as fleet:
        others = [await fleet.start(auto_approve=True) for _ in range(5)]
        holds = [fleet.script.hold(workflow_id, "architect") for workflow_id in others]
        for hold in holds:
            await asyncio.wait_for(hold.reached.wait(), 60)
        workflow_id = await fleet.start(auto_approve=True)
        fleet.machines.fuses[workflow_id] = [30]
        await fleet.until(workflow_id, "completed")
        assert fleet.machines.crashes == 1
        for other in others:
            assert (await fleet.look(other)).phase == "planning"
            await fleet.cancel(other)
        for hold in holds:
            hold.go.set()
        await check_rest(fleet)
        await check_completed(fleet, workflow_id)


async def _end_connections(url: str) -> int:
    """Again and again for a second; answers how many."""
    server, _, database = url.rpartition("/")
    admin = await asyncpg.connect(f"{server}/postgres", command_timeout=30)
    ended = 0
    try:
        for _ in range(20):
            ended += len(await admin.fetch(_TERMINATE, database))
            await asyncio.sleep(0.05)
    finally:
        await admin.close()
    return ended
