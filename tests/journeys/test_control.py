"""What people do to a workflow while it waits or runs, and what that leaves undone or done once."""

import asyncio
import json

from amelia.adapters.postgres.journal import PostgresJournal
from amelia.consumer import Consumer
from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.ids import derived_workflow_id
from amelia.ports.queues import Message
from amelia_dispatcher.ci import Intake, teams_of

from ..inmemory import MemoryQueue
from .checks import check_completed, check_rest
from .conftest import Assemble
from .script import TASKS
from .world import Fleet


async def told(fleet: Fleet, workflow_id: str, kind: type[Event]) -> list[Event]:
    return [event for _, event in await fleet.story(workflow_id) if isinstance(event, kind)]


async def test_no_more_are_in_progress_than_may_be_and_all_get_their_turn(assemble: Assemble) -> None:
    async with assemble(61, max_in_progress=3, max_in_progress_per_user=2) as fleet:
        owners = ["ada", "ada", "ada", "ada", "bob", "cy"]
        workflow_ids = [await fleet.start(auto_approve=True, owner=owner) for owner in owners]
        for workflow_id in workflow_ids:
            await fleet.until(workflow_id, "completed")
        assert 2 <= fleet.watch.most <= 3
        await check_rest(fleet)
        await check_completed(fleet, *workflow_ids)


async def test_paused_while_an_agent_works_it_goes_on_where_it_was(assemble: Assemble) -> None:
    async with assemble(62) as fleet:
        workflow_id = await fleet.start(auto_approve=True)
        hold = fleet.script.hold(workflow_id, "developer", "two")
        await asyncio.wait_for(hold.reached.wait(), 60)
        await fleet.order(c.PauseWorkflow, workflow_id, reason="lunch")
        hold.go.set()

        async def gone() -> bool:
            return not fleet.machines.lives(workflow_id)

        await fleet.eventually(gone, lambda: fleet.told(workflow_id))
        await check_rest(fleet)
        w = await fleet.look(workflow_id)
        assert (w.status, w.reason, w.admitted) == ("paused", "paused by ada: lunch", False)
        await fleet.order(c.ResumeWorkflow, workflow_id)
        await fleet.until(workflow_id, "completed")
        await check_rest(fleet)
        await check_completed(fleet, workflow_id)
        assert fleet.script.repeated(workflow_id) <= 1


async def test_cancelled_and_tried_again_it_repeats_nothing_that_was_finished(assemble: Assemble) -> None:
    async with assemble(63) as fleet:
        workflow_id = await fleet.start(auto_approve=True)
        hold = fleet.script.hold(workflow_id, "developer", "two")
        await asyncio.wait_for(hold.reached.wait(), 60)
        await fleet.cancel(workflow_id)
        hold.go.set()
        await check_rest(fleet)
        await fleet.order(c.RetryWorkflow, workflow_id)
        await fleet.until(workflow_id, "completed")
        assert await told(fleet, workflow_id, e.WorkflowRetried)
        done = await told(fleet, workflow_id, e.TaskCompleted)
        assert [event.task_id for event in done if isinstance(event, e.TaskCompleted)] == [*TASKS]
        assert fleet.script.repeated(workflow_id) <= 1
        await check_rest(fleet)


async def test_a_plan_that_nobody_decides_in_time_is_rejected_and_can_be_taken_up_again(assemble: Assemble) -> None:
    async with assemble(64) as fleet:
        workflow_id = await fleet.start()
        await fleet.until(workflow_id, "blocked")
        await _pass(fleet, workflow_id, "reminder")

        async def reminded() -> bool:
            return bool(await told(fleet, workflow_id, e.ApprovalReminder))

        await fleet.eventually(reminded, lambda: fleet.told(workflow_id))
        assert (await fleet.look(workflow_id)).status == "blocked"
        await _pass(fleet, workflow_id, "deadline")
        w = await fleet.until(workflow_id, "failed")
        assert "nobody decided the plan until" in w.reason
        await check_rest(fleet)
        await fleet.order(c.RetryWorkflow, workflow_id)
        await fleet.until(workflow_id, "blocked")
        await fleet.approve(workflow_id)
        await fleet.until(workflow_id, "completed")
        await check_rest(fleet)


async def _pass(fleet: Fleet, workflow_id: str, timer: str) -> None:
    """The moment has come."""
    past = "2020-01-01T00:00:00.000Z"
    await fleet.sql(
        f"""UPDATE workflow SET wake_at = '{past}',
        state = jsonb_set(state::jsonb, '{{block,{timer}}}', '"{past}"')::text WHERE id = $1""",
        workflow_id,
    )


async def test_a_revised_plan_is_planned_again_and_only_the_new_one_can_be_approved(assemble: Assemble) -> None:
    async with assemble(65) as fleet:
        workflow_id = await fleet.start()
        first = await fleet.until(workflow_id, "blocked")
        assert first.block is not None
        await fleet.order(c.ReviseWorkflow, workflow_id, feedback="smaller", block_id=first.block.event_id)

        async def planned_again() -> bool:
            w = await fleet.look(workflow_id)
            return w.status == "blocked" and w.block is not None and w.block.event_id != first.block.event_id  # type: ignore[union-attr]

        await fleet.eventually(planned_again, lambda: fleet.told(workflow_id))
        rounds = {asked[3] for asked in fleet.script.asked if asked[:2] == (workflow_id, "architect")}
        assert rounds == {1, 2}
        await fleet.approve(workflow_id)
        await fleet.until(workflow_id, "completed")
        await check_rest(fleet)
        assert len(await told(fleet, workflow_id, e.WorkflowBlocked)) == 2
        assert len(await told(fleet, workflow_id, e.BranchPushed)) == 1


async def test_a_message_is_read_before_the_next_turn_by_the_agent_that_works(assemble: Assemble) -> None:
    async with assemble(66) as fleet:
        workflow_id = await fleet.start(auto_approve=True)
        hold = fleet.script.hold(workflow_id, "developer", "one")
        await asyncio.wait_for(hold.reached.wait(), 60)
        before = (await fleet.look(workflow_id)).epoch
        await fleet.order(c.SendMessage, workflow_id, text="mind the rounding")

        async def arrived() -> bool:
            return any(asked.messages for asked in fleet.machines.invocations)

        await fleet.eventually(arrived, lambda: fleet.told(workflow_id))
        hold.go.set()
        w = await fleet.until(workflow_id, "completed")
        await check_rest(fleet)
        await check_completed(fleet, workflow_id)
        [applied] = await told(fleet, workflow_id, e.MessageApplied)
        assert isinstance(applied, e.MessageApplied)
        assert (applied.agent, applied.task_id, w.messages) == ("developer", "one", ())
        assert w.epoch == before, "nobody had to begin again"


async def test_an_order_of_ci_becomes_a_branch(assemble: Assemble) -> None:
    async with assemble(67) as fleet:
        queue, stop = MemoryQueue(), asyncio.Event()
        journal: PostgresJournal = fleet.journal
        intake = Intake(journal, teams_of("AROAEXAMPLE=blue"), allow_file=True, judges=True)
        taking = asyncio.create_task(Consumer(queue, intake.handle, in_flight=1, max_receives=3).run(stop))
        body = {
            "type": "start_workflow",
            "id": "run-1",
            "repository": f"file://{fleet.repository}",
            "issue": {"id": "PROJ-7", "title": "Two files"},
            "auto_approve": True,
        }
        for number in range(3):
            queue.ready.append(
                Message(id=f"{number}", body=json.dumps(body), receipt=f"{number}", sender="AROAEXAMPLE:x")
            )
        queue.return_all()
        workflow_id = derived_workflow_id("blue", "run-1")

        async def begun() -> bool:
            return len(queue.done) == 3

        await fleet.eventually(begun, lambda: _why(queue))
        await fleet.until(workflow_id, "completed")
        stop.set()
        await taking
        await check_rest(fleet)
        await check_completed(fleet, workflow_id)
        assert (await fleet.look(workflow_id)).owner == "ci/blue"


async def _why(queue: MemoryQueue) -> str:
    return f"the orders were not taken: {queue.dead}"
