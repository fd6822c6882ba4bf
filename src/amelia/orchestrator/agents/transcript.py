"""What was said between an agent and its model so far."""

import msgspec

from ...contract.events import Share
from ...contract.workflow import ClaimCheck, Money, Note
from ...drivers.base import Message, Text, ToolCall, ToolResult, Usage
from ..artifacts import Artifact


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """``text`` stands for the messages after the first one and before number ``upto`` (from 0); written after so many
    turns."""

    upto: int
    turn: int
    text: str


class Heard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of one answer of the model beside its words."""

    model: str
    usage: Usage
    stop: str


class Transcript(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``tree`` names the worktree's content at this moment; ``worktree`` carries it, None while it is as it was at the
    beginning. ``answer`` is the accepted answer as JSON; ``cause`` says why there will be none.

    In the middle of a turn, ``results`` are of the first of the model's calls; ``cut`` when its answer was. ``notes``
    were read in this conversation. ``spent`` is what the whole workflow was known to have spent, by attempt, and
    ``shares`` whose that was. ``answers`` are those of the model, in order; ``artifacts`` were made here;
    ``for_people`` says which commands were left to them.

    ``messages`` are all that was said. What the model is shown of them, ``trim.shown`` tells: by the newest of the
    ``summaries``; by ``density``, how many characters a thousand tokens have here (0: not counted yet); and by
    ``tight``, how often the service has found it too long.
    """

    messages: tuple[Message, ...]
    usage: Usage = Usage()
    turns: int = 0
    silent: int = 0
    objections: int = 0
    results: tuple[ToolResult, ...] = ()
    cut: bool = False
    notes: tuple[Note, ...] = ()
    summaries: tuple[Summary, ...] = ()
    density: int = 0
    tight: int = 0
    answers: tuple[Heard, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    for_people: tuple[str, ...] = ()
    spent: dict[int, Money] = {}
    shares: dict[int, tuple[Share, ...]] = {}
    tree: str = ""
    worktree: ClaimCheck | None = None
    answer: str = ""
    cause: str = ""

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """Those of the turn that is under way."""
        last = self.messages[-1]
        return tuple(part for part in last.parts if isinstance(part, ToolCall)) if last.role == "assistant" else ()

    @property
    def pending(self) -> tuple[ToolCall, ...]:
        return self.calls[len(self.results) :]

    @property
    def over(self) -> bool:
        return bool(self.answer or self.cause) and not self.calls


def words(note: Note) -> Text:
    return Text(f"\n\n{note.by}, who follows your work, says: {note.text}\n\nTake it into account.")


def told(said: Transcript, notes: tuple[Note, ...]) -> Transcript:
    """With the notes at the end of what the model reads next: in the newest message of the user, since services want
    the roles to take turns."""
    if not notes:
        return said
    *before, last = said.messages
    messages = (*before, Message(last.role, (*last.parts, *map(words, notes))))
    return msgspec.structs.replace(said, messages=messages, notes=(*said.notes, *notes))
