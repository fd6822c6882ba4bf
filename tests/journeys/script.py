"""What the agents say: the same small change for every issue, and places where they can be held."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import Any

import msgspec

from amelia.contract.plan import Plan, Task
from amelia.drivers.base import Message, Request, Text, TextDelta, ToolCall, Turn, Usage

MODEL = "claude-sonnet-4-6"
TASKS = ("one", "two")
PLAN = Plan(
    summary="Two files.",
    tasks=(
        Task(id="one", title="Write one", description="The first file."),
        Task(id="two", title="Write two", description="The second file.", dependencies=("one",)),
    ),
)
Asked = tuple[str, str, str, int, int]
"""Workflow, agent, task, round and the number of the turn."""

_LINES: dict[tuple[str, str], tuple[tuple[str, dict[str, Any]], ...]] = {
    ("architect", ""): (
        ("read_file", {"path": "README.md"}),
        ("submit_plan", msgspec.to_builtins(PLAN)),
    ),
    **{
        ("developer", task): (
            ("write_file", {"path": f"{task}.py", "content": f"{task} = '{task} ✓'\n"}),
            ("finish_task", {"summary": f"wrote {task}.py"}),
        )
        for task in TASKS
    },
    ("reviewer", ""): (("submit_review", {"approved": True, "summary": "as it was asked", "comments": []}),),
}


class Hold:
    """Where an agent is held before its first turn, until it is let ``go``."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.go = asyncio.Event()


class Script:
    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self.asked: list[Asked] = []
        self._holds: dict[tuple[str, str, str], Hold] = {}

    def hold(self, workflow_id: str, agent: str, task: str = "") -> Hold:
        return self._holds.setdefault((workflow_id, agent, task), Hold())

    def repeated(self, workflow_id: str) -> int:
        """How many turns of the workflow were asked for more than once."""
        mine = [asked for asked in self.asked if asked[0] == workflow_id]
        return len(mine) - len(set(mine))

    async def answer(self, request: Request) -> Turn:
        label = request.label
        number = sum(message.role == "assistant" for message in request.messages)
        self.asked.append((label.workflow_id, label.agent, label.task, label.round, number))
        hold = self._holds.get((label.workflow_id, label.agent, label.task))
        if hold is not None and number == 0:
            hold.reached.set()
            await hold.go.wait()
        await asyncio.sleep(self._chance.uniform(0, 0.01))
        name, arguments = _LINES[label.agent, label.task][number]
        parts = (Text("Let me see."), ToolCall(f"c{number}", name, arguments))
        return Turn(
            message=Message("assistant", parts), usage=Usage(input_tokens=100, output_tokens=10), stop="tool_calls"
        )


class Agents:
    """Implements ``drivers.base.Driver`` on one machine: ``moment`` comes before and after each of its turns."""

    name = "scripted"

    def __init__(self, script: Script, moment: Callable[[], Awaitable[None]]) -> None:
        self._script = script
        self._moment = moment

    async def stream(self, request: Request) -> AsyncIterator[TextDelta | Turn]:
        await self._moment()
        turn = await self._script.answer(request)
        yield TextDelta("Let me ")
        yield TextDelta("see.")
        await self._moment()
        yield turn

    async def aclose(self) -> None:
        pass
