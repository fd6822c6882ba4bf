"""What a person decides holds, whatever is still under way."""

import asyncio
from typing import Any

import pytest

from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.ids import new_id
from amelia.errors import Conflict

from .checks import check_completed, check_rest
from .conftest import Assemble
from .world import Fleet


async def test_a_rejected_plan_ends_as_failed_with_what_was_said(assemble: Assemble) -> None:
    async with assemble(11) as fleet:
        workflow_id = await fleet.start()
        await fleet.until(workflow_id, "blocked")
        said = "the second file is not needed"
        await fleet.execute(c.RejectWorkflow(id=new_id(), workflow_id=workflow_id, actor="ada", feedback=said))
        await check_rest(fleet)
        w = await fleet.look(workflow_id)
        assert (w.status, said in w.reason) == ("failed", True)
        assert not fleet.machines.lives(workflow_id)
        assert not fleet.branches()


async def test_an_approval_of_another_plan_is_refused_and_the_workflow_still_waits(assemble: Assemble) -> None:
    async with assemble(12) as fleet:
        workflow_id = await fleet.start()
        await fleet.until(workflow_id, "blocked")
        await check_rest(fleet)
        w = await fleet.look(workflow_id)
        for names in ({"plan_sha256": "0" * 64}, {"block_id": "another"}):
            stale: dict[str, Any] = {**names}
            with pytest.raises(Conflict, match="decide that"):
                await fleet.execute(c.ApproveWorkflow(id=new_id(), workflow_id=workflow_id, actor="ada", **stale))
        await check_rest(fleet)
        assert await fleet.look(workflow_id) == w
        assert not fleet.machines.lives(workflow_id)
        await fleet.approve(workflow_id)
        await fleet.until(workflow_id, "completed")
        await check_rest(fleet)
        await check_completed(fleet, workflow_id)


async def test_cancelled_before_it_began_it_never_begins(assemble: Assemble) -> None:
    async with assemble(13, dispatching=False) as fleet:
        workflow_id = await fleet.start()
        await fleet.cancel(workflow_id)
        fleet.start_dispatcher()
        await check_rest(fleet)
        await _check_cancelled(fleet, workflow_id)
        assert not fleet.machines.invocations


async def test_cancelled_while_an_agent_works_nothing_it_still_says_changes_anything(assemble: Assemble) -> None:
    """The platform does not obey at first, so that the old attempt goes on to its end."""
    async with assemble(14) as fleet:
        fleet.machines.obeys = False
        points = [("architect", ""), ("developer", "one"), ("developer", "two"), ("reviewer", "")]
        held = {}
        for agent, task in points:
            workflow_id = await fleet.start(auto_approve=True)
            held[workflow_id] = fleet.script.hold(workflow_id, agent, task)

        async def cancel_when_reached(workflow_id: str) -> None:
            """They change the same files, so that each waits for those before it, in whatever order that is."""
            await asyncio.wait_for(held[workflow_id].reached.wait(), 60)
            await fleet.cancel(workflow_id)
            held[workflow_id].go.set()

        await asyncio.gather(*(cancel_when_reached(workflow_id) for workflow_id in held))
        for workflow_id in held:
            await _ended_by_itself(fleet, workflow_id)
            assert fleet.machines.lives(workflow_id)
        fleet.machines.obeys = True
        await check_rest(fleet)
        for workflow_id in held:
            await _check_cancelled(fleet, workflow_id)
            assert not fleet.machines.lives(workflow_id)
        assert not fleet.branches()


async def test_cancelled_while_it_waits_for_approval_it_can_no_longer_be_approved(assemble: Assemble) -> None:
    async with assemble(16) as fleet:
        workflow_id = await fleet.start()
        await fleet.until(workflow_id, "blocked")
        await fleet.cancel(workflow_id)
        with pytest.raises(Conflict, match="cancelled"):
            await fleet.approve(workflow_id)
        await check_rest(fleet)
        await _check_cancelled(fleet, workflow_id)


async def test_cancelled_after_approval_and_before_its_resume_it_never_resumes(assemble: Assemble) -> None:
    async with assemble(17) as fleet:
        workflow_id = await fleet.start()
        await fleet.until(workflow_id, "blocked")
        await fleet.kill_dispatcher()
        assert (await fleet.approve(workflow_id)).status == "approved"
        await fleet.cancel(workflow_id)
        fleet.start_dispatcher()
        await check_rest(fleet)
        await _check_cancelled(fleet, workflow_id)
        assert {asked.epoch for asked in fleet.machines.invocations} == {1}
        assert not fleet.branches()


async def test_cancelled_before_its_delivery_nothing_is_delivered(assemble: Assemble) -> None:
    async with assemble(18) as fleet:
        workflow_id = await fleet.start(auto_approve=True)
        hold = fleet.script.hold(workflow_id, "reviewer")
        await asyncio.wait_for(hold.reached.wait(), 60)
        await fleet.kill_dispatcher()
        hold.go.set()

        async def delivering() -> bool:
            return (await fleet.look(workflow_id)).phase == "delivering"

        await fleet.eventually(delivering, lambda: fleet.told(workflow_id))
        await fleet.cancel(workflow_id)
        fleet.start_dispatcher()
        await check_rest(fleet)
        await _check_cancelled(fleet, workflow_id)
        assert not fleet.branches()


async def _ended_by_itself(fleet: Fleet, workflow_id: str) -> None:
    """The old attempt has said all it had to say: its plan, or the end of its work."""

    async def said() -> bool:
        last = "SELECT 1 FROM held_event WHERE workflow_id = $1 AND kind = 'stale' AND body LIKE $2"
        kinds = ("workflow_blocked", "workflow_completed")
        return any([await fleet.sql(last, workflow_id, f'%"type":"{kind}"%') for kind in kinds])

    await fleet.eventually(said, lambda: fleet.told(workflow_id))


async def _check_cancelled(fleet: Fleet, workflow_id: str) -> None:
    w = await fleet.look(workflow_id)
    assert (w.status, w.reason) == ("cancelled", "cancelled by ada: not wanted")
    said = [event for _, event in await fleet.story(workflow_id)]
    assert isinstance(said[-1], e.WorkflowCancelled)
