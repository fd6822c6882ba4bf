"""The loop every agent runs: the model's turn, the tools it calls, their results, until its answer is accepted."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

import msgspec
from msgspec.structs import replace

from ...contract.workflow import Note
from ...drivers.base import Label, Message, Request, Text, Tool, ToolCall, ToolResult, Turn, Usage
from ...errors import Refused
from ...failpoints import reach
from ...tools.schema import parameters
from ...tools.toolbox import CHANGING, Answer, Skill, Toolbox, one_line
from ...workspace.tree import Tree
from ..estimates import next_call
from ..site import Site
from ..state import Work
from .ear import Ear
from .record import Record
from .transcript import Transcript, told
from .trim import trimmed
from .voice import Voice

MOST_TURNS = 60
REMINDERS = 2
MAX_TOKENS = 16_384
SLOW = frozenset({"run_command"})
"""Tools that may take minutes: what led to their call is kept before they begin."""

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
    """``answer`` is None when the agent gave none that was accepted; ``cause`` then says why. ``notes`` were read."""

    answer: T | None
    usage: Usage
    turns: int = 0
    notes: tuple[Note, ...] = ()
    cause: str = ""


async def talk(site: Site, work: Work, part: Part[T], *, tree: Tree | None = None, begun: int = 0) -> Outcome[T]:
    """Continues where an earlier attempt stopped. Raises ``Unavailable`` when the model stays away, ``Stopped`` before
    a turn that must not begin. ``tree`` is the main worktree when none is given, ``begun`` the step's first attempt."""
    tree = tree or await site.tree(work)
    async with Record(site.shelf(begun or work.begun, part.label), tree, site.account) as record:
        said = await record.load() or Transcript(messages=(Message("user", (Text(part.opening),)),))
        loop = Loop(site, part, tree, record, frozenset(note.id for note in (*work.notes, *said.notes)))
        while not said.over:
            said, changed = await loop.turn(said)
            reach("turned")
            await record.save(said, changed=changed)
            reach("transcribed")
    answer = msgspec.json.decode(said.answer, type=part.answer) if said.answer else None
    return Outcome(answer=answer, usage=said.usage, turns=said.turns, notes=said.notes, cause=said.cause)


class Loop(Generic[T]):
    """``read`` are the ids of the notes that are no news any more."""

    def __init__(self, site: Site, part: Part[T], tree: Tree, record: Record, read: frozenset[str]) -> None:
        self._site = site
        self._part = part
        self._record = record
        self._read = read
        self._box = Toolbox(dict(part.skills), tree)
        self._voice = Voice(site.announcer, part.label, site.limits.still)
        self._ear = Ear(site, part.label, self._voice)
        answer = Tool(name=part.tool, description=part.tool_description, parameters=parameters(part.answer))
        self._tools = (*self._box.tools, answer)

    async def turn(self, said: Transcript) -> tuple[Transcript, bool]:
        """One answer of the model and what came of it, or the rest of a turn that broke off; whether the worktree may
        have changed."""
        if said.calls:
            return await self._use_tools(said)
        if said.turns >= MOST_TURNS:
            return replace(said, cause=f"the {self._part.label.agent} did not finish within {MOST_TURNS} turns"), False
        self._site.check_time()
        said = told(said, self._unread(said))
        try:
            turn = await self._ask(said)
        except Refused as error:
            return replace(said, cause=str(error)), False
        said = replace(
            said,
            messages=(*said.messages, _spoken(turn.message)),
            usage=said.usage + turn.usage,
            turns=said.turns + 1,
            cut=turn.stop == "max_tokens",
        )
        return await self._use_tools(said) if turn.tool_calls else (self._remind(said), False)

    def _unread(self, said: Transcript) -> tuple[Note, ...]:
        read = self._read.union(note.id for note in said.notes)
        return tuple(note for note in self._site.live.notes if note.id not in read)

    async def _ask(self, said: Transcript) -> Turn:
        request = Request(
            model=self._ear.model,
            system=self._part.system,
            messages=trimmed(said.messages),
            tools=self._tools,
            must_call=self._part.tool if said.silent > REMINDERS else None,
            max_tokens=MAX_TOKENS,
            label=self._part.label,
        )

        def check(asked: Request) -> None:
            self._site.check_budget(next_call(asked, said.usage, said.turns, self._site.prices))
            self._say_read(said)

        return await self._ear.hear(request, check)

    def _say_read(self, said: Transcript) -> None:
        for note in said.notes:
            if note.id not in self._read:
                self._voice.read(note)
        self._read = self._read.union(note.id for note in said.notes)

    async def _use_tools(self, said: Transcript) -> tuple[Transcript, bool]:
        changed = False
        for call in said.pending:
            changes = call.name in CHANGING or call.name == self._part.tool
            if changes and (changed or call.name in SLOW or call.name == self._part.tool):
                self._record.soon(said, changed=changed)
                await self._record.still()
                changed = False
            said, answer = await self._carry_out(said, call)
            said = replace(said, results=(*said.results, ToolResult(call.id, answer.content, not answer.ok)))
            changed |= changes
        messages = (*said.messages, Message("user", tuple(said.results)))
        return replace(said, silent=0, cut=False, results=(), messages=messages), changed

    async def _carry_out(self, said: Transcript, call: ToolCall) -> tuple[Transcript, Answer]:
        if said.answer or said.cause:
            return said, Answer("not done: the work had ended before this call", ok=False)
        brief = self._box.brief(call)
        self._voice.tool_called(call, brief)
        async with self._voice.during(f"{call.name} {brief}".strip()):
            if said.cut:
                answer = Answer(
                    "not done: your answer was cut off at its length limit; do it in smaller parts", ok=False
                )
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

    def _remind(self, said: Transcript) -> Transcript:
        if said.silent > REMINDERS:
            return replace(said, cause=f"the {self._part.label.agent} ended its turn without calling {self._part.tool}")
        cut = "Your answer was cut off at its length limit. " if said.cut else ""
        words = f"{cut}Go on with the tools, and call {self._part.tool} when you are done; only that ends the work."
        return replace(said, silent=said.silent + 1, messages=(*said.messages, Message("user", (Text(words),))))


def _spoken(message: Message) -> Message:
    """Model services refuse a message that says nothing."""
    parts = tuple(part for part in message.parts if not (isinstance(part, Text) and not part.text.strip()))
    return Message(message.role, parts or (Text("…"),))
