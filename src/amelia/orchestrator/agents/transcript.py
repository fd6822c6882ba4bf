"""What was said between an agent and its model so far, kept turn by turn with the worktree of that moment."""

import logging

import msgspec

from ...contract.workflow import ClaimCheck
from ...drivers.base import Label, Message, Usage
from ...ports.agents import ObjectStore
from ...workspace.tree import Tree

log = logging.getLogger(__name__)


class Transcript(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``tree`` names the worktree's content after the last turn; ``worktree`` carries it, None while it is as it
    was at the beginning. ``answer`` is the accepted answer as JSON; ``cause`` says why there will be none."""

    messages: tuple[Message, ...]
    usage: Usage = Usage()
    turns: int = 0
    silent: int = 0
    objections: int = 0
    tree: str = ""
    worktree: ClaimCheck | None = None
    answer: str = ""
    cause: str = ""


class Record:
    """One transcript in the object store, an object for each attempt, so that an attempt that was taken over
    cannot replace what its successor wrote. ``begun`` is the first attempt that may have written it."""

    def __init__(self, objects: ObjectStore, label: Label, begun: int, epoch: int) -> None:
        self._objects = objects
        self._folder = f"{label.workflow_id}/transcript/{'-'.join(filter(None, (label.agent, label.task)))}"
        self._worktrees = f"{label.workflow_id}/worktree"
        self._round = label.round
        self._begun = begun
        self._epoch = epoch

    async def load(self, tree: Tree) -> Transcript | None:
        """The newest transcript, with the worktree put back to its moment; None when there is none."""
        for epoch in range(self._epoch, self._begun - 1, -1):
            data = await self._objects.read(self._key(epoch))
            found = _decoded(data, self._key(epoch)) if data is not None else None
            if found is not None:
                if found.worktree is not None:
                    await tree.restore_snapshot(await self._objects.get(found.worktree))
                return found
        return None

    async def save(self, transcript: Transcript, tree: Tree, *, changed: bool) -> Transcript:
        """The worktree goes first: a transcript never names a worktree that is not there."""
        taken = await tree.snapshot(transcript.tree) if changed else None
        if taken is not None:
            claim = await self._objects.put(self._worktrees, taken.bundle)
            transcript = msgspec.structs.replace(transcript, tree=taken.tree, worktree=claim)
        await self._objects.write(self._key(self._epoch), msgspec.json.encode(transcript))
        return transcript

    def _key(self, epoch: int) -> str:
        return f"{self._folder}/{self._round}/{epoch}.json"


def _decoded(data: bytes, key: str) -> Transcript | None:
    """None for one that was cut off while it was written, when its attempt died: the one before it counts."""
    try:
        return msgspec.json.decode(data, type=Transcript)
    except msgspec.DecodeError as error:
        log.warning("the transcript %s is left aside: %s", key, error)
        return None
