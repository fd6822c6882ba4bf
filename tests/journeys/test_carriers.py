"""One issue becomes one branch, whatever the bus and the queue do."""

import asyncio

from .carriers import Faults, FaultyQueue
from .checks import check_completed, check_rest
from .conftest import Assemble, beside
from .world import Fleet


async def test_an_issue_becomes_a_branch_although_everything_comes_twice_and_in_no_order(assemble: Assemble) -> None:
    async def journey(seed: int) -> None:
        async with assemble(seed) as fleet:
            workflow_id = await _approved(fleet)
            await fleet.until(workflow_id, "completed")
            await check_rest(fleet)
            await check_completed(fleet, workflow_id)
            assert fleet.script.repeated(workflow_id) == 0

    await beside(range(1, 4), journey)


async def test_an_issue_becomes_a_branch_although_one_message_in_five_is_lost(assemble: Assemble) -> None:
    """Commands, facts, progress and signs of life alike."""

    async def journey(seed: int) -> None:
        async with assemble(seed, faults=Faults(loss=0.2, throttled=0.1)) as fleet:
            workflow_id = await _approved(fleet)
            await fleet.until(workflow_id, "completed")
            await check_rest(fleet)
            await check_completed(fleet, workflow_id)
            assert fleet.events.lost
            assert fleet.script.repeated(workflow_id) == 0

    await beside(range(1, 4), journey)


async def test_an_issue_becomes_a_branch_although_the_queue_loses_all_commands_again_and_again(
    assemble: Assemble,
) -> None:
    async def journey(seed: int) -> None:
        async with assemble(seed) as fleet:
            losing = asyncio.create_task(_lose_five_times(fleet.commands))
            workflow_id = await fleet.start(auto_approve=True)
            await fleet.until(workflow_id, "completed")
            losing.cancel()
            await check_rest(fleet)
            await check_completed(fleet, workflow_id)
            assert fleet.commands.lost

    await beside(range(1, 4), journey)


async def test_ten_issues_at_once_become_ten_branches(assemble: Assemble) -> None:
    async with assemble(7, faults=Faults(loss=0.05, throttled=0.02)) as fleet:
        workflow_ids = [await fleet.start(auto_approve=True) for _ in range(10)]
        for workflow_id in workflow_ids:
            await fleet.until(workflow_id, "completed")
        await check_rest(fleet)
        await check_completed(fleet, *workflow_ids)
        assert len(fleet.branches()) == 10


async def _approved(fleet: Fleet) -> str:
    workflow_id = await fleet.start()
    await fleet.until(workflow_id, "blocked")
    await fleet.approve(workflow_id)
    return workflow_id


async def _lose_five_times(queue: FaultyQueue) -> None:
    for _ in range(5):
        while queue.idle:
            await asyncio.sleep(0.001)
        queue.lose_everything()
