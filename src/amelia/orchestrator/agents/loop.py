"""The loop every agent runs: the model's turn, the tools it calls, their results, until its answer is accepted."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from typing import Generic, TypeVar

import msgspec
from msgspec.structs import replace

from ...contract.workflow import Note
from ...drivers.base import Label, Message, Request, Text, Tool, ToolCall, ToolResult, Turn, Usage
from ...errors import Refused
from ...failpoints import reach
from ...tools.schema import parameters
from ...tools.toolbox import CHANGING, Answer, Skill, Toolbox, one_line
from ...tools.workshop import Workshop
from ...workspace.tree import Tree
from ..artifacts import JSON_LINES, Artifact, Basket
from ..estimates import next_call
from ..site import Site
from ..state import Work
from .ear import Ear
from .lessons import learnt
from .lines import lines
from .record import Record
from .repeats import circle
from .summing import is_due, is_too_long, summarised
from .transcript import Heard, Transcript, told
from .trim import shown
from .voice import Voice
from .window import USUAL, density, window

MOST_TURNS = 60
REMINDERS = 2
MAX_TOKENS = 16_384
TIGHTEST = 4
"""How often less is sent because the service finds it too long: each time half of it."""
SLOW = frozenset({"run_command"})
"""Tools that may take minutes: what led to their call is kept before they begin."""

T = TypeVar("T", bound=msgspec.Struct)


class Part(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """An agent's part in a workflow. It ends when ``accept`` has no objection ("") to an answer, or has had
    ``most_objections``. An ``opening`` that takes time is made when there is no transcript to go on from."""

    label: Label
    system: str
    opening: str | Callable[[], Awaitable[str]]
    skills: Mapping[str, Skill]
    tool: str
    tool_description: str
    answer: type[T]
    accept: Callable[[T], Awaitable[str]]
    most_objections: int = 3
    basket: Basket | None = None


class Outcome(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """``answer`` is None when the agent gave none that was accepted; ``cause`` then says why. ``notes`` were read. Of
    several agents with one answer, ``said`` is what each of them came to."""

    answer: T | None
    usage: Usage
    turns: int = 0
    notes: tuple[Note, ...] = ()
    cause: str = ""
    said: Mapping[str, str] = {}


async def talk(site: Site, work: Work, part: Part[T], *, tree: Tree | None = None, begun: int = 0) -> Outcome[T]:
    """Continues where an earlier attempt stopped. Raises ``Unavailable`` when the model stays away, ``Stopped`` before
    a turn that must not begin. ``tree`` is the main worktree when none is given, ``begun`` the step's first attempt."""
    tree = tree or await site.tree(work)
    basket = part.basket or site.basket(part.label)
    async with Record(site.shelf(begun or work.begun, part.label), tree, site.account) as record:
        said = await record.load() or await _opened(part, basket)
        basket.resume(said.artifacts)
        loop = Loop(site, part, tree, record, basket, frozenset(note.id for note in (*work.notes, *said.notes)))
        while not said.over:
            said, changed = await loop.turn(said)
            reach("turned")
            await record.save(said, changed=changed)
            reach("transcribed")
        site.artifacts.add(*said.artifacts, await loop.transcribed(said))
        site.leave_to_people(said.for_people)
        site.learn(learnt(said))
    answer = msgspec.json.decode(said.answer, type=part.answer) if said.answer else None
    return Outcome(answer=answer, usage=said.usage, turns=said.turns, notes=said.notes, cause=said.cause)


class Loop(Generic[T]):
    """``read`` are the ids of the notes that are no news any more."""

    def __init__(
        self, site: Site, part: Part[T], tree: Tree, record: Record, basket: Basket, read: frozenset[str]
    ) -> None:
        self._site = site
        self._part = part
        self._record = record
        self._read = read
        self._box = Toolbox(dict(part.skills), Workshop(tree, keep=basket.keep))
        self._voice = Voice(site.announcer, part.label, site.limits.still)
        self._ear = Ear(site, part.label, self._voice)
        answer = Tool(name=part.tool, description=part.tool_description, parameters=parameters(part.answer))
        self._tools = (*self._box.tools, answer)
        self._basket = basket
        self._changing = CHANGING | {part.tool} if CHANGING & part.skills.keys() else frozenset[str]()

    async def turn(self, said: Transcript) -> tuple[Transcript, bool]:
        """One answer of the model and what came of it, or the rest of a turn that broke off; whether the worktree may
        have changed."""
        if said.calls:
            return await self._use_tools(said)
        if said.turns >= MOST_TURNS:
            return replace(said, cause=f"the {self._part.label.agent} did not finish within {MOST_TURNS} turns"), False
        self._site.check_time()
        said = told(said, self._unread(said))
        if is_due(said, self._most(said)):
            return await self._summarise(said), False
        request = self._request(said)
        try:
            turn = await self._hear(said, request)
        except Refused as error:
            return self._refused(said, error), False
        said = replace(
            said,
            messages=(*said.messages, _spoken(turn.message)),
            usage=said.usage + turn.usage,
            turns=said.turns + 1,
            cut=turn.stop == "max_tokens",
            density=said.density or density(request, turn.usage),
            answers=(*said.answers, Heard(model=self._ear.model, usage=turn.usage, stop=turn.stop)),
        )
        return await self._use_tools(said) if turn.tool_calls else (self._remind(said), False)

    async def transcribed(self, said: Transcript) -> Artifact:
        name = f"transcript-{self._basket.conversation}.jsonl"
        data = lines(self._part.label, self._part.system, self._tools, said)
        return await self._site.artifacts.store(name, data, JSON_LINES)

    def _unread(self, said: Transcript) -> tuple[Note, ...]:
        read = self._read.union(note.id for note in said.notes)
        return tuple(note for note in self._site.live.notes if note.id not in read)

    def _request(self, said: Transcript) -> Request:
        return Request(
            model=self._ear.model,
            system=self._part.system,
            messages=shown(said, self._most(said)),
            tools=self._tools,
            must_call=self._part.tool if said.silent > REMINDERS else None,
            max_tokens=self._answer_tokens,
            label=replace(self._part.label, turn=said.turns + 1) if said.summaries else self._part.label,
        )

    async def _hear(self, said: Transcript, request: Request) -> Turn:
        with ExitStack() as promises:

            def check(asked: Request) -> None:
                promises.close()
                price = next_call(asked, said.usage, said.turns, self._site.prices)
                self._site.check_budget(price)
                promises.enter_context(self._site.account.promised(price))
                self._say_read(said)

            return await self._ear.hear(request, check)

    @property
    def _window(self) -> int:
        return window(self._ear.model, self._site.limits.context_tokens)

    @property
    def _answer_tokens(self) -> int:
        return min(MAX_TOKENS, self._window // 4)

    def _most(self, said: Transcript) -> int:
        """Characters of the conversation that are sent: half of what the model can read."""
        tokens = (self._window - self._answer_tokens) // 2 >> said.tight
        return tokens * (said.density or USUAL) // 1_000

    async def _summarise(self, said: Transcript) -> Transcript:
        async def ask(label: Label, messages: tuple[Message, ...]) -> Turn:
            return await self._hear(said, replace(self._request(said), label=label, messages=messages, must_call=None))

        self._voice.say(
            "The conversation has become long: what is known is written down, and the work goes on from it."
        )
        return await summarised(said, self._most(said), self._part.label, ask)

    def _refused(self, said: Transcript, error: Refused) -> Transcript:
        if is_too_long(error) and said.tight < TIGHTEST:
            return replace(said, tight=said.tight + 1)
        return replace(said, cause=str(error))

    def _say_read(self, said: Transcript) -> None:
        for note in said.notes:
            if note.id not in self._read:
                self._voice.read(note)
        self._read = self._read.union(note.id for note in said.notes)

    async def _use_tools(self, said: Transcript) -> tuple[Transcript, bool]:
        changed = False
        for call in said.pending:
            changes = call.name in self._changing
            if changes and (changed or call.name in SLOW or call.name == self._part.tool):
                self._record.soon(said, changed=changed)
                await self._record.still()
                changed = False
            said, answer = await self._carry_out(said, call)
            said = replace(
                said,
                results=(*said.results, ToolResult(call.id, answer.content, not answer.ok)),
                artifacts=(*said.artifacts, *self._basket.taken()),
                for_people=tuple(dict.fromkeys((*said.for_people, *self._box.needs_person))),
            )
            changed |= changes
        messages = (*said.messages, Message("user", tuple(said.results)))
        said = replace(said, silent=0, cut=False, results=(), messages=messages)
        return self._out_of_the_circle(said), changed

    def _out_of_the_circle(self, said: Transcript) -> Transcript:
        found = None if said.answer or said.cause else circle(said.messages)
        if found is None:
            return said
        if found.ends:
            return replace(said, cause=found.cause)
        *before, last = said.messages
        note = Text(f"\n\n{found.note(self._part.tool)}")
        return replace(said, messages=(*before, Message(last.role, (*last.parts, note))))

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


async def _opened(part: Part[T], basket: Basket) -> Transcript:
    opening = part.opening if isinstance(part.opening, str) else await part.opening()
    return Transcript(messages=(Message("user", (Text(opening),)),), artifacts=basket.taken())


def _spoken(message: Message) -> Message:
    """Model services refuse a message that says nothing."""
    parts = tuple(part for part in message.parts if not (isinstance(part, Text) and not part.text.strip()))
    return Message(message.role, parts or (Text("…"),))
