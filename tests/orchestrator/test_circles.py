"""An agent that does the same thing again and again is told, then stopped."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from amelia.contract import events as e
from amelia.contract.plan import Task
from amelia.drivers.base import Message, Text, ToolCall, ToolResult
from amelia.orchestrator.agents.repeats import ENDED, NOTED, NOTED_WELL, circle

if TYPE_CHECKING:
    from tests.orchestrator.conftest import World

MakeTask = Callable[..., Task]
Did = tuple[str, dict[str, Any], str, bool]

TEST: Did = ("run_command", {"command": "make test"}, "exit code 1\n2 failed in 0.31 s", False)
BROKEN: Did = ("edit_file", {"path": "a", "old": "x", "new": "y"}, "the text does not occur in a", True)
READ: Did = ("read_file", {"path": "a"}, "a = 1", False)


def talked(*did: Did) -> tuple[Message, ...]:
    messages = [Message("user", (Text("go"),))]
    for number, (name, arguments, result, is_error) in enumerate(did):
        messages.append(Message("assistant", (ToolCall(f"c{number}", name, arguments),)))
        messages.append(Message("user", (ToolResult(f"c{number}", result, is_error),)))
    return tuple(messages)


def edit(text: str) -> Did:
    return ("write_file", {"path": "a", "content": text}, f"wrote {text}", False)


@pytest.mark.parametrize("did", [TEST, BROKEN])
def test_the_same_failure_is_told_once_and_then_ends_the_work(did: Did) -> None:
    said = [circle(talked(*[did] * times)) for times in range(1, ENDED + 1)]
    assert [one is not None for one in said] == [times in (NOTED, ENDED) for times in range(1, ENDED + 1)]
    told, ended = said[NOTED - 1], said[-1]
    assert told is not None and ended is not None
    assert not told.ends
    assert "3 times" in told.note("finish_task") and "finish_task" in told.note("finish_task")
    assert ended.ends
    assert ended.cause.startswith(f"the agent went in circles: {did[0]} failed in the same way 5 times: ")


def test_times_and_addresses_in_the_output_make_no_difference() -> None:
    runs = [
        (
            "run_command",
            {"command": "t"},
            f"exit code 1\nfailed in 0.{n}1 s at 0x7f{n}a, {n}s\n(output-b-{n}.txt)",
            False,
        )
        for n in range(5)
    ]
    found = circle(talked(*runs))
    assert found is not None and found.ends


def test_another_failure_begins_anew() -> None:
    other = ("run_command", {"command": "make test"}, "exit code 1\n1 failed in 0.3 s", False)
    assert circle(talked(TEST, TEST, other, TEST, TEST)) is None


def test_what_is_changed_in_between_gives_twice_the_patience() -> None:
    tries = [did for n in range(9) for did in (edit(str(n)), TEST)]
    assert circle(talked(*tries[: 2 * ENDED - 2])) is None
    told = circle(talked(*tries[: 2 * ENDED]))
    assert told is not None and not told.ends
    ended = circle(talked(*tries))
    assert ended is not None and ended.ends and ended.times == 9


def test_writing_the_same_again_changes_nothing() -> None:
    found = circle(talked(*[did for _ in range(ENDED) for did in (edit("same"), TEST)]))
    assert found is not None and found.ends and found.tool == "run_command"


def test_two_failures_in_turn_are_a_circle_too() -> None:
    found = circle(talked(*[did for _ in range(NOTED) for did in (BROKEN, TEST)]))
    assert found is not None and found.tool == "run_command"


def test_tests_that_pass_after_every_change_are_no_circle() -> None:
    passes: Did = ("run_command", {"command": "make test"}, "exit code 0\n9 passed", False)
    assert circle(talked(*[did for n in range(20) for did in (edit(str(n)), passes)])) is None


def test_reading_the_same_for_nothing_is_told() -> None:
    assert circle(talked(*[READ] * (NOTED_WELL - 2))) is None
    notes = [n for n in range(1, 20) if (c := circle(talked(*[READ] * n))) and not c.ends]
    assert len(notes) == 1


async def test_a_developer_in_a_circle_is_told_and_its_task_fails_with_that_cause(
    world: "World", make_task: MakeTask
) -> None:
    world.plans(make_task("fix"))
    world.driver.on("developer", *[{"read_file": {"path": "not-there.py"}}] * 9, task="fix")
    ended = await world.approved()
    assert ended.result == "failed"
    [done] = world.heard.of(e.TaskCompleted)
    assert done.status == "failed"
    assert "the agent went in circles: read_file failed in the same way 5 times: there is no file" in done.summary
    asked = [request for request in world.driver.requests if request.label.agent == "developer"]
    assert len(asked) == ENDED
    last = asked[NOTED].messages[-1].parts[-1]
    assert isinstance(last, Text) and "3 times" in last.text


async def test_a_developer_that_heeds_the_note_goes_on(world: "World", make_task: MakeTask) -> None:
    world.plans(make_task("fix"))
    missing = {"read_file": {"path": "not-there.py"}}
    written = {"write_file": {"path": "calc.py", "content": "a = 1\n"}}
    world.driver.on("developer", missing, missing, missing, written, {"finish_task": {"summary": "done"}}, task="fix")
    world.reviews(approved=True)
    assert (await world.approved()).result == "success"
