"""The loop every agent runs: the model's turn, the tools it calls, their results, until its answer is accepted."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

import msgspec
from msgspec.structs import replace

from ...drivers.base import (
    Label,
    Message,
    Request,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    Usage,
)
from ...errors import Refused, Unavailable
from ...failpoints import reach
from ...tools.schema import parameters
from ...tools.toolbox import CHANGING, Answer, Skill, Toolbox, one_line
from ...workspace.tree import Tree
from ..site import Site
from ..state import Work
from .transcript import Record, Transcript
from .trim import trimmed
from .voice import Voice

MOST_TURNS = 60
REMINDERS = 2
MAX_TOKENS = 16_384

T = TypeVar("T", bound=msgspec.Struct)


class Part(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """An agent's part in a workflow. It ends when ``accept`` has no objection ("") to an answer, or has had
    ``most_objections``."""

    label: Label
    system: str
    opening: str
    skills: Mapping[str, Skill]
    tool: str
    tool_description: str
    answer: type[T]
    accept: Callable[[T], Awaitable[str]]
    most_objections: int = 3


class Outcome(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """``answer`` is None when the agent gave none that was accepted; ``cause`` then says why."""

    answer: T | None
    usage: Usage
    cause: str = ""


async def talk(site: Site, work: Work, part: Part[T]) -> Outcome[T]:
    """Continues where an earlier attempt stopped. Raises ``Unavailable`` when the model stays away."""
    tree = await site.tree(work)
    record = Record(site.objects, part.label, work.begun, site.epoch)
    loop = Loop(site, part, tree)
    said = await record.load(tree) or Transcript(messages=(Message("user", (Text(part.opening),)),))
    while not said.answer and not said.cause:
        said, changed = await loop.turn(said)
        reach("turned")
        said = await record.save(said, tree, changed=changed)
        reach("transcribed")
    answer = msgspec.json.decode(said.answer, type=part.answer) if said.answer else None
    return Outcome(answer=answer, usage=said.usage, cause=said.cause)


class Loop(Generic[T]):
    def __init__(self, site: Site, part: Part[T], tree: Tree) -> None:
        self._site = site
        self._part = part
        self._box = Toolbox(dict(part.skills), tree)
        self._voice = Voice(site.announcer, part.label)
        answer = Tool(name=part.tool, description=part.tool_description, parameters=parameters(part.answer))
        self._tools = (*self._box.tools, answer)

    async def turn(self, said: Transcript) -> tuple[Transcript, bool]:
        """One answer of the model and what came of it; whether the worktree may have changed."""
        if said.turns >= MOST_TURNS:
            return replace(said, cause=f"the {self._part.label.agent} did not finish within {MOST_TURNS} turns"), False
        try:
            turn = await self._ask(said)
        except Refused as error:
            return replace(said, cause=str(error)), False
        said = replace(
            said,
            messages=(*said.messages, _spoken(turn.message)),
            usage=said.usage + turn.usage,
            turns=said.turns + 1,
        )
        if not turn.tool_calls:
            return self._remind(said, turn), False
        results: list[ToolResult] = []
        for call in turn.tool_calls:
            said, answer = await self._carry_out(said, call, cut=turn.stop == "max_tokens")
            results.append(ToolResult(call.id, answer.content, not answer.ok))
        changed = any(call.name in CHANGING or call.name == self._part.tool for call in turn.tool_calls)
        return replace(said, silent=0, messages=(*said.messages, Message("user", tuple(results)))), changed

    async def _ask(self, said: Transcript) -> Turn:
        request = Request(
            model=self._site.model,
            system=self._part.system,
            messages=trimmed(said.messages),
            tools=self._tools,
            must_call=self._part.tool if said.silent > REMINDERS else None,
            max_tokens=MAX_TOKENS,
            label=self._part.label,
        )
        whole: Turn | None = None
        async for piece in self._site.driver.stream(request):
            match piece:
                case TextDelta(text):
                    self._voice.hear(text)
                case Turn():
                    whole = piece
        self._voice.flush()
        if whole is None:
            raise Unavailable("the model's answer ended before its turn was whole; try again")
        return whole

    async def _carry_out(self, said: Transcript, call: ToolCall, *, cut: bool) -> tuple[Transcript, Answer]:
        if said.answer or said.cause:
            return said, Answer("not done: the work had ended before this call", ok=False)
        self._voice.tool_called(call, self._box.brief(call))
        if cut:
            answer = Answer("not done: your answer was cut off at its length limit; do it in smaller parts", ok=False)
        elif call.name == self._part.tool:
            said, answer = await self._judge(said, call)
        else:
            answer = await self._box.use(call)
        self._voice.tool_completed(call, answer)
        return said, answer

    async def _judge(self, said: Transcript, call: ToolCall) -> tuple[Transcript, Answer]:
        try:
            given = msgspec.convert(call.arguments, self._part.answer)
            objection = await self._part.accept(given)
        except msgspec.ValidationError as error:
            objection = f"the arguments of {call.name} do not fit: {error}"
        if not objection:
            return replace(said, answer=msgspec.json.encode(given).decode()), Answer("accepted")
        count = said.objections + 1
        final = count >= self._part.most_objections
        cause = f"{self._part.tool} was not accepted in {count} attempts: {one_line(objection, 400)}" if final else ""
        return replace(said, objections=count, cause=cause), Answer(objection, ok=False)

    def _remind(self, said: Transcript, turn: Turn) -> Transcript:
        if said.silent > REMINDERS:
            return replace(said, cause=f"the {self._part.label.agent} ended its turn without calling {self._part.tool}")
        cut = "Your answer was cut off at its length limit. " if turn.stop == "max_tokens" else ""
        words = f"{cut}Go on with the tools, and call {self._part.tool} when you are done; only that ends the work."
        return replace(said, silent=said.silent + 1, messages=(*said.messages, Message("user", (Text(words),))))


def _spoken(message: Message) -> Message:
    """Model services refuse a message that says nothing."""
    parts = tuple(part for part in message.parts if not (isinstance(part, Text) and not part.text.strip()))
    return Message(message.role, parts or (Text("…"),))
