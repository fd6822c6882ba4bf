"""Whatever stops a run, the next one goes on where it was."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from tests.naps import Nap

from amelia.contract import events as e
from amelia.contract.envelope import Event
from amelia.contract.plan import Task
from amelia.drivers.base import Request
from amelia.errors import Unavailable
from amelia.orchestrator.account import Account
from amelia.orchestrator.job import Job
from amelia.orchestrator.live import Live

if TYPE_CHECKING:
    from tests.orchestrator.conftest import World

MakeTask = Callable[..., Task]


def three_tasks(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("one"), make_task("two", "one", verification="test -f two.py"), make_task("three", "two"))
    for name in ("one", "two", "three"):
        world.driver.on(
            "developer",
            {"write_file": {"path": f"{name}.py", "content": f"{name} = 1\n"}},
            {"run_command": {"command": f"cat {name}.py && echo '# more' >> {name}.py"}},
            {"edit_file": {"path": f"{name}.py", "old": "# more", "new": "# done"}},
            {"finish_task": {"summary": name}},
            task=name,
        )
    world.reviews(approved=True)


async def crash(world: "World", job: Job, epoch: int, stop: Callable[[Event], bool]) -> None:
    """Cancels the run at the first progress that ``stop`` chooses."""
    running = asyncio.create_task(world.run(job, epoch=epoch))

    def look(event: Event) -> None:
        if stop(event):
            running.cancel()

    world.heard.on_progress = look
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert running.cancelled()
    world.heard.on_progress = lambda event: None


@pytest.mark.parametrize(
    ("tool", "kind"),
    [
        ("write_file", e.ToolCalled),
        ("run_command", e.ToolCompleted),
        ("edit_file", e.ToolCalled),
        ("finish_task", e.ToolCompleted),
    ],
)
async def test_a_crash_inside_a_task_repeats_at_most_one_turn(
    world: "World", make_task: MakeTask, tool: str, kind: type[e.ToolCalled] | type[e.ToolCompleted]
) -> None:
    three_tasks(world, make_task)
    await world.run()
    decision = world.decided()

    def in_two(event: Event) -> bool:
        return isinstance(event, kind) and event.task_id == "two" and event.tool == tool

    await crash(world, world.job(decision, world.gate), 2, in_two)
    ended = await world.run(world.job(decision, world.heard.told[-1].fact), epoch=3, place="elsewhere")
    assert ended.result == "success"
    files = await world.handed_in()
    assert [files[f"{name}.py"] for name in ("one", "two", "three")] == [
        f"{n} = 1\n# done" for n in ("one", "two", "three")
    ]
    turns = [asked for asked in world.driver.asked if asked[0] == "developer"]
    assert len(turns) - len(set(turns)) <= 1
    assert [t.task_id for t in world.heard.of(e.TaskCompleted)] == ["one", "two", "three"]
    assert [fact.fact for fact in world.heard.told] == list(range(1, ended.last_fact + 1))


async def test_tokens_of_turns_before_a_crash_are_counted_once_and_for_the_attempt_that_spent_them(
    world: "World", make_task: MakeTask
) -> None:
    three_tasks(world, make_task)
    await world.run()
    decision = world.decided()
    await crash(
        world,
        world.job(decision, world.gate),
        2,
        lambda event: isinstance(event, e.ToolCalled) and event.tool == "edit_file",
    )
    await world.run(world.job(decision, world.heard.told[-1].fact), epoch=3)
    assert sum(used.input_tokens for used in world.spent.values()) == 100 * (len(world.driver.asked) - 1)


async def test_tokens_the_journal_has_not_heard_of_are_said_by_the_next_attempt(
    world: "World", make_task: MakeTask
) -> None:
    world.plans(make_task("fix"))
    world.develops("fix", "calc.py", "a = 1\n")
    world.reviews(approved=True)
    await world.run()
    await world.run(world.job(world.decided(), highest_fact=3), epoch=2)
    said = [(fact.of_attempt, fact.used.input_tokens) for fact in world.heard.of(e.TokensUsed)]
    assert said == [(1, 200), (1, 200), (2, 300), (2, 400)]


async def test_facts_above_the_journals_are_announced_again(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("fix"))
    await world.run()
    first = list(world.heard.told)
    world.heard.told.clear()
    assert (await world.run(world.job(highest_fact=2), epoch=2)).state == "blocked"
    assert world.heard.told == first[2:]
    world.heard.told.clear()
    await world.run(world.job(highest_fact=first[-1].fact), epoch=3)
    assert world.heard.told == []
    assert len(world.driver.asked) == 2


async def test_a_workflow_that_has_ended_only_repeats_its_facts(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("fix"))
    world.develops("fix", "calc.py", "a = 1\n")
    world.reviews(approved=True)
    ended = await world.approved()
    last = world.heard.told[-2:]
    world.heard.told.clear()
    asked = len(world.driver.asked)
    again = await world.run(world.job(highest_fact=ended.last_fact - 2), epoch=3, place="nowhere")
    assert again == ended
    assert world.heard.told == last
    assert len(world.driver.asked) == asked
    assert not (world.folder / "worknowhere").exists()


async def test_a_model_that_is_away_is_asked_again_by_the_next_run(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("fix"))

    async def away(request: Request) -> None:
        raise Unavailable("the model rests")

    world.driver.before = away
    with pytest.raises(Unavailable, match="rests"):
        await world.run()
    assert world.heard.types == ["workflow_started", "agent_started"]
    world.driver.before = None
    assert (await world.run(world.job(highest_fact=2))).state == "blocked"


async def test_a_run_after_something_was_away_needs_no_second_clone(world: "World", make_task: MakeTask) -> None:
    three_tasks(world, make_task)
    live = Live(Account(1))
    await world.run(live=live)
    decision, live = world.decided(), Live(Account(2))

    async def away(request: Request) -> None:
        if len(world.driver.asked) in (5, 8):
            raise Unavailable("the model rests")

    world.driver.before = away
    for _ in range(2):
        with pytest.raises(Unavailable):
            await world.run(world.job(decision, world.last_fact), epoch=2, live=live)
        (world.folder / "work2" / "tree" / "leftover").write_text("of a turn that was not kept")
        world.repository.rename(world.folder / "away") if world.repository.exists() else None
    ended = await world.run(world.job(decision, world.last_fact), epoch=2, live=live)
    assert ended.result == "success"
    (world.folder / "away").rename(world.repository)
    files = await world.handed_in()
    assert files["two.py"] == "two = 1\n# done"
    assert "leftover" not in files


async def test_an_announcer_that_is_away_loses_no_fact(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("fix"))
    told = world.heard.facts

    async def away(facts: object) -> None:
        raise Unavailable("the bus rests")

    world.heard.facts = away  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="bus rests"):
        await world.run()
    world.heard.facts = told  # type: ignore[method-assign]
    assert (await world.run(epoch=2)).state == "blocked"
    assert [fact.fact for fact in world.heard.told] == list(range(1, world.gate + 1))


async def test_cancelling_ends_what_the_agent_had_started(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("fix"))
    nap = Nap()
    command = f"{nap.command} & {nap.command} & wait"
    world.driver.on("developer", {"run_command": {"command": command, "timeout_seconds": 300}}, task="fix")
    await world.run()
    running = asyncio.create_task(world.run(world.job(world.decided(), world.gate), epoch=2))
    await nap.begun(2)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert await nap.gone()


async def test_an_older_attempt_neither_changes_nor_hides_what_a_newer_wrote(
    world: "World", make_task: MakeTask
) -> None:
    world.plans(make_task("fix"))
    world.develops("fix", "calc.py", "a = 1\n")
    world.reviews(approved=True)
    await world.run()
    decision, gate = world.decided(), world.gate
    ended = await world.run(world.job(decision, gate), epoch=3)
    world.heard.told.clear()
    await world.run(world.job(decision, gate), epoch=2)
    world.heard.told.clear()
    again = await world.run(world.job(decision, ended.last_fact), epoch=3)
    assert again == ended
    assert world.heard.told == []
