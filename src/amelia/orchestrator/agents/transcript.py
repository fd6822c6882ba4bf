"""What was said between an agent and its model so far."""

import msgspec

from ...contract.workflow import ClaimCheck, Money, Note
from ...drivers.base import Message, Text, ToolCall, ToolResult, Usage


class Transcript(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``tree`` names the worktree's content at this moment; ``worktree`` carries it, None while it is as it was at the
    beginning. ``answer`` is the accepted answer as JSON; ``cause`` says why there will be none.

    In the middle of a turn, ``results`` are of the first of the model's calls; ``cut`` when its answer was. ``notes``
    were read in this conversation. ``spent`` is what the whole workflow was known to have spent, by attempt.
    """

    messages: tuple[Message, ...]
    usage: Usage = Usage()
    turns: int = 0
    silent: int = 0
    objections: int = 0
    results: tuple[ToolResult, ...] = ()
    cut: bool = False
    notes: tuple[Note, ...] = ()
    spent: dict[int, Money] = {}
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


def told(said: Transcript, notes: tuple[Note, ...]) -> Transcript:
    """With the notes at the end of what the model reads next: in the newest message of the user, since services want
    the roles to take turns."""
    if not notes:
        return said
    *before, last = said.messages
    words = tuple(
        Text(f"\n\n{note.by}, who follows your work, says: {note.text}\n\nTake it into account.") for note in notes
    )
    messages = (*before, Message(last.role, (*last.parts, *words)))
    return msgspec.structs.replace(said, messages=messages, notes=(*said.notes, *notes))
