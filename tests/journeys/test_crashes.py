"""Runtimes, dispatchers and database connections end at any moment."""

import asyncio

import asyncpg
import pytest

from amelia.contract import events as e
from amelia.contract.invocation import Invocation

from .carriers import Faults
from .checks import check_completed, check_rest
from .conftest import Assemble

_TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
_MOMENTS = 110
"""There are about so many in a workflow."""


@pytest.mark.parametrize("seed", [21, 22, 23])
async def test_a_runtime_that_crashes_anywhere_is_taken_over_and_nothing_finished_is_repeated(
    assemble: Assemble, seed: int
) -> None:
    async with assemble(seed) as fleet:
        workflow_ids = []
        for _ in range(4):
            workflow_id = await fleet.start(auto_approve=True)
            fleet.machines.fuses[workflow_id] = [fleet.chance.randint(1, _MOMENTS)]
            workflow_ids.append(workflow_id)
        for workflow_id in workflow_ids:
            await fleet.until(workflow_id, "completed")
        await check_rest(fleet)
        await check_completed(fleet, *workflow_ids)
        assert fleet.machines.crashes
        for workflow_id in workflow_ids:
            assert fleet.script.repeated(workflow_id) <= 1


async def test_a_runtime_that_crashes_three_times_on_its_way_still_arrives(assemble: Assemble) -> None:
    async with assemble(24, faults=Faults(loss=0.05)) as fleet:
        workflow_id = await fleet.start(auto_approve=True)
        fleet.machines.fuses[workflow_id] = [25, 35, 20]
        await fleet.until(workflow_id, "completed")
        await check_rest(fleet)
        await check_completed(fleet, workflow_id)
        assert fleet.machines.crashes == 3
        assert fleet.script.repeated(workflow_id) <= 3


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


@pytest.mark.parametrize("seed", [28, 29])
async def test_the_database_goes_away_for_a_while_and_everything_completes(assemble: Assemble, seed: int) -> None:
    async with assemble(seed) as fleet:
        workflow_ids = [await fleet.start(auto_approve=True) for _ in range(3)]
        await asyncio.sleep(fleet.chance.uniform(0, 0.5))
        server, _, database = fleet.url.rpartition("/")
        admin = await asyncpg.connect(f"{server}/postgres", command_timeout=30)
        ended = 0
        for _ in range(20):
            ended += len(await admin.fetch(_TERMINATE, database))
            await asyncio.sleep(0.05)
        await admin.close()
        assert ended
        for workflow_id in workflow_ids:
            await fleet.until(workflow_id, "completed")
        await check_rest(fleet)
        await check_completed(fleet, *workflow_ids)
