"""A conversation file against what this version makes of it."""

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from amelia.errors import Refused
from amelia_replay.conversation import Section
from amelia_replay.reading import read

from .conversing import SUMMARY, Held, Spoken
from .divergence import Divergence, divergences, outcomes, prompts
from .local_plane import LocalPlane
from .recording import document, observe, record
from .replaying import Source, play
from .views import Silent

if TYPE_CHECKING:
    from amelia.client.http import ControlPlane


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """``prompts`` differ in what agents are told to begin with; ``divergences``, the first one first, in what came of
    it. ``result`` is how it ended now."""

    workflow_id: str
    conversations: int
    turns: int
    result: str
    divergences: tuple[Divergence, ...]
    prompts: tuple[Divergence, ...] = ()


def exported(plane: "ControlPlane | LocalPlane", workflow_id: str, folder: Path) -> Path:
    path = folder / f"{workflow_id}.yaml"
    path.write_text(document(record(plane, workflow_id)), encoding="utf-8")
    return path


def compare(path: Path, folder: Path, *, repository: str, base: str, strict: bool) -> Comparison:
    """Raises ``Malformed`` for what is no conversation file, ``Refused`` for one that tells of no workflow."""
    conversation = read(path).conversation
    recorded = conversation.recorded
    if recorded is None:
        raise Refused(
            f"{path} does not say which workflow it is of; give a file that amelia workflows export wrote, or an id"
        )
    before = [_held(section) for section in conversation.conversations if section.agent != SUMMARY]
    turns = {one.name: len(one.turns) for one in before}
    source = Source(file=path, recorded=recorded, turns=turns, repository=repository, base=base)
    now = observe(LocalPlane(folder), play(source, folder, Silent()))
    told = tuple(prompts(before, now.conversations))
    came = (*divergences(before, now.conversations), *outcomes(recorded, now.recorded))
    return Comparison(
        workflow_id=recorded.workflow_id,
        conversations=len(now.conversations),
        turns=sum(len(one.turns) for one in now.conversations),
        result=now.recorded.result,
        divergences=(*told, *came) if strict else came,
        prompts=() if strict else told,
    )


def _held(section: Section) -> Held:
    from amelia.drivers.base import ToolCall

    def call(tool: str, arguments: object) -> ToolCall:
        return ToolCall("", tool, arguments if isinstance(arguments, dict) else {"": arguments})

    turns = tuple(
        Spoken(after=tuple(turn.after), say=turn.say, calls=tuple(call(*one) for one in turn.calls))
        for turn in section.turns
    )
    return Held(
        agent=section.agent,
        task="" if section.task == "*" else section.task,
        round=section.round,
        system="",
        tools=(),
        turns=turns,
        summaries=(),
        ended=tuple(section.ended),
    )
