"""What people say reaches the agents before their next turn, once."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.plan import Task
from amelia.contract.workflow import Note
from amelia.drivers.base import Request, Text
from amelia.orchestrator.account import Account
from amelia.orchestrator.live import Live

if TYPE_CHECKING:
    from tests.orchestrator.conftest import World

MakeTask = Callable[..., Task]
NOTE = Note(id="m-1", text="use four spaces", by="rosa")


def ready(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("fix"))
    world.develops("fix", "calc.py", "a = 1\n")
    world.reviews(approved=True)


def heard_in(request: Request, note: Note) -> int:
    return sum(note.text in part.text for m in request.messages for part in m.parts if isinstance(part, Text))


async def test_a_message_is_read_before_the_next_turn_of_whoever_works(world: "World", make_task: MakeTask) -> None:
    ready(world, make_task)
    await world.run()
    live = Live(Account(2))

    async def arrives(request: Request) -> None:
        if len(world.driver.asked) == 3:
            live.notes = (NOTE,)

    world.driver.before = arrives
    await world.run(world.job(world.decided(), world.gate), epoch=2, live=live)
    turns = [heard_in(r, NOTE) for r in world.driver.requests if r.label.agent == "developer"]
    assert turns == [0, 1, 1]
    [applied] = world.heard.of(e.MessageApplied)
    assert (applied.message_id, applied.agent, applied.task_id) == ("m-1", "developer", "fix")
    shown = [s.content for s in world.heard.shown if isinstance(s, e.AgentMessage) and "rosa" in s.content]
    assert shown == ["Read what rosa said: use four spaces"]
    later = next(r for r in world.driver.requests if r.label.agent == "reviewer")
    assert heard_in(later, NOTE) == 1, "the Reviewer is told what the Developer was"


async def test_a_message_that_came_while_nothing_ran_is_read_by_the_first_turn(
    world: "World", make_task: MakeTask
) -> None:
    ready(world, make_task)
    await world.run(live=Live(Account(1), [NOTE]))
    assert heard_in(world.driver.requests[0], NOTE) == 1
    assert [message.role for message in world.driver.requests[0].messages] == ["user"]
    assert world.heard.of(e.MessageApplied)[0].agent == "architect"


async def test_a_message_is_not_applied_again_by_the_attempt_that_takes_over(
    world: "World", make_task: MakeTask
) -> None:
    ready(world, make_task)
    await world.run()
    decision = world.decided()
    running = asyncio.create_task(world.run(world.job(decision, world.gate), epoch=2, live=Live(Account(2), [NOTE])))

    def look(event: Event) -> None:
        if isinstance(event, e.ToolCalled) and event.tool == "write_file":
            running.cancel()

    world.heard.on_progress = look
    with contextlib.suppress(asyncio.CancelledError):
        await running
    world.heard.on_progress = lambda event: None
    assert not world.heard.of(e.MessageApplied)
    await world.run(world.job(decision, world.last_fact), epoch=3, live=Live(Account(3), [NOTE]))
    assert all(heard_in(r, NOTE) == 1 for r in world.driver.requests if r.label.agent == "developer")
    assert [fact.message_id for fact in world.heard.of(e.MessageApplied)] == ["m-1"]
