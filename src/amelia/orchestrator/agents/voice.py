"""What an agent is heard saying and seen doing while it works: progress, which may be lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypedDict

import msgspec

from ...contract.envelope import Event
from ...contract.events import AgentMessage, ToolCalled, ToolCompleted
from ...contract.ids import new_id
from ...contract.workflow import Note
from ...drivers.base import Label, ToolCall
from ...ports.agents import Announcer
from ...tools.toolbox import Answer, one_line
from ..facts import now

EVERY_SECONDS = 1.0
LONGEST_MESSAGE = 8_000


class Whose(TypedDict):
    workflow_id: str
    agent: str
    task_id: str


class Voice:
    """Text is gathered to about one message in ``every`` seconds; what is left is said at the end of the turn. While
    something takes long, that it does is said every ``still`` seconds."""

    def __init__(self, announcer: Announcer, label: Label, still: float, every: float = EVERY_SECONDS) -> None:
        self._announcer = announcer
        self._whose = Whose(workflow_id=label.workflow_id, agent=label.agent, task_id=label.task)
        self._still, self._every = still, every
        self._heard: list[str] = []
        self._begun = False
        self._since = time.monotonic()

    @contextmanager
    def answer(self) -> Iterator[None]:
        """Around an answer: said to its end, or, when it fails, forgotten."""
        try:
            yield
        except Exception:
            self.forget()
            raise
        self.flush()
        self._begun = False

    def hear(self, text: str) -> None:
        self._heard.append(text)
        if time.monotonic() - self._since >= self._every:
            self.flush()

    def forget(self) -> None:
        """The answer broke off. What of it was announced cannot be unsaid."""
        self._taken()
        if self._begun:
            self.say("The answer broke off here; what was said of it does not count.")
        self._begun = False

    def flush(self) -> None:
        text = self._taken()
        for start in range(0, len(text) if text.strip() else 0, LONGEST_MESSAGE):
            self._begun = True
            self.say(text[start : start + LONGEST_MESSAGE])

    def say(self, text: str) -> None:
        self._say(AgentMessage(id="", **self._whose, content=text))

    def read(self, note: Note) -> None:
        self.say(f"Read what {note.by} said: {one_line(note.text)}")

    def tool_called(self, call: ToolCall, brief: str) -> None:
        self._say(ToolCalled(id="", **self._whose, tool=call.name, summary=brief))

    def tool_completed(self, call: ToolCall, answer: Answer) -> None:
        self._say(ToolCompleted(id="", **self._whose, tool=call.name, ok=answer.ok, summary=answer.summary))

    @asynccontextmanager
    async def during(self, what: str) -> AsyncIterator[None]:
        """Around ``what``: only while it really goes on is it said to."""
        ticking = asyncio.create_task(self._tick(what))
        try:
            yield
        finally:
            ticking.cancel()

    async def _tick(self, what: str) -> None:
        begun = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(self._still)
            seconds = asyncio.get_running_loop().time() - begun
            self._say(AgentMessage(id="", **self._whose, content=f"{what}: still at it after {seconds:.0f} s"))

    def _taken(self) -> str:
        text = "".join(self._heard)
        self._heard.clear()
        self._since = time.monotonic()
        return text

    def _say(self, event: Event) -> None:
        self._announcer.progress(msgspec.structs.replace(event, id=new_id(), timestamp=now()))
