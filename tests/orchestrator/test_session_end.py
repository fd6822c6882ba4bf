"""The end of a session's life is met before it strikes; long silence is told from long work."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from tests.naps import Nap

from amelia.contract import events as e
from amelia.contract.plan import Task
from amelia.drivers.base import Request
from amelia.errors import Unavailable
from amelia.orchestrator.account import Account
from amelia.orchestrator.job import Limits
from amelia.orchestrator.live import Ends, Live

if TYPE_CHECKING:
    from tests.orchestrator.conftest import World

MakeTask = Callable[..., Task]
LONG = 1e9


def ready(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("fix"))
    world.develops("fix", "calc.py", "a = 1\n")
    world.reviews(approved=True)


def test_the_margin_is_ten_minutes_of_eight_hours_and_less_of_a_shorter_life() -> None:
    ends = Ends.of(28_800, begun=100)
    assert (ends.last_turn, ends.cut) == (100 + 28_800 - 600, 100 + 28_800 - 200)
    short = Ends.of(60, begun=0)
    assert (short.last_turn, short.cut) == (57, 59)


async def test_no_turn_begins_when_the_end_is_near_and_the_next_attempt_goes_on_there(
    world: "World", make_task: MakeTask
) -> None:
    ready(world, make_task)
    await world.run()
    now = asyncio.get_running_loop().time
    live = Live(Account(2), ends=Ends(last_turn=LONG, cut=LONG, session_seconds=28_800))

    async def late(request: Request) -> None:
        if len(world.driver.asked) == 4:
            live.ends = Ends(last_turn=now(), cut=LONG, session_seconds=28_800)

    world.driver.before = late
    ended = await world.run(world.job(world.decided(), world.gate), epoch=2, live=live)
    assert ended.state == "paused"
    assert world.heard.types[-2:] == ["tokens_used", "workflow_timeout"]
    assert world.heard.of(e.WorkflowTimeout)[0].session_seconds == 28_800
    world.driver.before = None
    ended = await world.run(world.job(world.decided(), world.last_fact), epoch=3, place="elsewhere")
    assert ended.result == "success"
    assert len(world.driver.asked) == len(set(world.driver.asked)), "the turn that ran was kept"


async def test_a_command_that_still_runs_when_the_limit_would_strike_is_cut_with_all_it_started(
    world: "World", make_task: MakeTask
) -> None:
    world.plans(make_task("fix"))
    nap = Nap()
    command = f"echo half > half.py; {nap.command} & wait"
    lines = (
        {"write_file": {"path": "calc.py", "content": "a = 1\n"}},
        {"edit_file": {"path": "calc.py", "old": "1", "new": "2"}, "run_command": {"command": command}},
        {"finish_task": {"summary": "done"}},
    )
    world.driver.on("developer", *lines, task="fix")
    world.reviews(approved=True)
    await world.run()
    epoch, clock = 1, asyncio.get_running_loop().time
    begun = asyncio.create_task(nap.begun())
    while not begun.done():
        epoch += 1
        live = Live(Account(epoch), ends=Ends(last_turn=LONG, cut=clock() + 2 ** (epoch - 2), session_seconds=60))
        job = world.job(world.decided(), world.last_fact)
        assert (await world.run(job, epoch=epoch, live=live)).state == "paused"
    assert await nap.gone()
    asked = len(world.driver.asked)
    resumed = asyncio.create_task(world.run(world.job(world.decided(), world.last_fact), epoch=99, place="elsewhere"))
    while not nap.count:
        assert not resumed.done()
        await asyncio.sleep(0.01)
    assert len(world.driver.asked) == asked, "the turn whose command was cut is not asked for again"
    half, edited = (world.folder / "workelsewhere" / "lanes" / "fix" / "tree" / name for name in ("half.py", "calc.py"))
    assert edited.read_text() == "a = 2\n", "what was changed in the turn before the command is there"
    assert half.read_text() == "half\n"
    resumed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await resumed


async def test_a_long_silent_command_says_that_it_is_still_at_work_and_nothing_after_its_end(
    world: "World", make_task: MakeTask
) -> None:
    world.limits = Limits(still=0.1)
    world.plans(make_task("fix", verification="sleep 0.5"))
    lines = ({"run_command": {"command": "sleep 1"}}, {"finish_task": {"summary": "done"}})
    world.driver.on("developer", *lines, task="fix")
    world.reviews(approved=True)
    await world.run()
    await world.run(world.job(world.decided(), world.gate), epoch=2)
    kinds = [
        "tick" if isinstance(event, e.AgentMessage) and "still at it" in event.content else type(event).__name__
        for event in world.heard.shown
        if getattr(event, "task_id", "") == "fix"
    ]
    called, completed = kinds.index("ToolCalled"), kinds.index("ToolCompleted")
    assert "tick" in kinds[called:completed]
    said = [event.content for event in world.heard.shown if isinstance(event, e.AgentMessage)]
    assert any(text.startswith("run_command sleep 1: still at it after ") for text in said)
    assert any(text.startswith("finish_task") and "still at it" in text for text in said)
    between = kinds[completed + 1 : len(kinds) - kinds[::-1].index("ToolCalled") - 1]
    assert "tick" not in between


async def test_a_model_that_hangs_is_taken_to_be_away(world: "World", make_task: MakeTask) -> None:
    world.limits = Limits(silence=0.2)
    ready(world, make_task)

    async def hangs(request: Request) -> None:
        await asyncio.Event().wait()

    world.driver.before = hangs
    with pytest.raises(Unavailable, match="the model has said nothing"):
        await world.run()
