"""A transcript and the worktree of its moment, kept where the next machine finds them."""

import asyncio
import logging
from types import TracebackType

import msgspec

from ...contract.workflow import ClaimCheck
from ...drivers.base import Label
from ...errors import AmeliaError
from ...ports.agents import ObjectStore
from ...workspace.tree import Tree
from ..account import Account
from .transcript import Transcript

log = logging.getLogger(__name__)


class Shelf:
    """One conversation's objects: one for each attempt, so that an attempt that was taken over cannot replace what its
    successor wrote. ``begun`` is the first attempt that may have written one."""

    def __init__(self, objects: ObjectStore, folder: str, label: Label, begun: int, epoch: int) -> None:
        self.objects = objects
        self.worktrees = f"{folder}/worktree"
        self._place = f"{folder}/transcript/{'-'.join(filter(None, (label.agent, label.task)))}/{label.round}"
        self._begun = begun
        self._epoch = epoch

    async def newest(self) -> Transcript | None:
        for epoch in range(self._epoch, self._begun - 1, -1):
            data = await self.objects.read(self._key(epoch))
            found = _decoded(data, self._key(epoch)) if data is not None else None
            if found is not None:
                return found
        return None

    async def write(self, transcript: Transcript) -> None:
        await self.objects.write(self._key(self._epoch), msgspec.json.encode(transcript))

    def _key(self, epoch: int) -> str:
        return f"{self._place}/{epoch}.json"


def _decoded(data: bytes, key: str) -> Transcript | None:
    """None for one that was cut off while it was written, when its attempt died: the one before it counts."""
    try:
        return msgspec.json.decode(data, type=Transcript)
    except msgspec.DecodeError as error:
        log.warning("the transcript %s is left aside: %s", key, error)
        return None


class Record:
    """Keeps one conversation. ``soon`` in the middle of a turn, beside the work and as often as there is time for;
    ``save`` at its end."""

    def __init__(self, shelf: Shelf, tree: Tree, account: Account) -> None:
        self._shelf = shelf
        self._worktree_now = tree
        self._account = account
        self._tree = ""
        self._worktree: ClaimCheck | None = None
        self._changed = False
        self._captured = asyncio.Event()
        self._captured.set()
        self._newest: Transcript | None = None
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Record":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])

    async def load(self) -> Transcript | None:
        """The newest transcript, with the worktree put back to its moment; None when there is none."""
        found = await self._shelf.newest()
        if found is not None:
            self._tree, self._worktree = found.tree, found.worktree
            self._account.learn(found.spent, found.shares)
            if found.worktree is not None:
                await self._worktree_now.restore_snapshot(await self._shelf.objects.get(found.worktree))
        return found

    def soon(self, transcript: Transcript, *, changed: bool) -> None:
        """``changed``: the worktree may have, since it was kept. What cannot be kept now is kept by ``save``."""
        self._newest = transcript
        if changed:
            self._changed = True
            self._captured.clear()
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_on())

    async def still(self) -> None:
        """Returns when the worktree may change again."""
        await self._captured.wait()

    async def save(self, transcript: Transcript, *, changed: bool) -> None:
        """It is kept when this returns."""
        self._newest = None
        if self._writing is not None:
            await self._writing
        self._changed |= changed
        await self._write(transcript)

    async def _write_on(self) -> None:
        try:
            while self._newest is not None:
                transcript, self._newest = self._newest, None
                await self._write(transcript)
        except AmeliaError as error:
            log.warning("kept at the end of the turn, not before: %s", error)
        finally:
            self._captured.set()

    async def _write(self, transcript: Transcript) -> None:
        """The worktree goes first: a transcript never names a worktree that is not there."""
        if self._changed:
            await self._keep_worktree()
        spent, shares = self._account.spent, self._account.all_shares
        kept = msgspec.structs.replace(transcript, tree=self._tree, worktree=self._worktree, spent=spent, shares=shares)
        await self._shelf.write(kept)

    async def _keep_worktree(self) -> None:
        self._changed = False
        try:
            try:
                taken = await self._worktree_now.snapshot(self._tree)
            finally:
                self._captured.set()
            if taken is not None:
                self._worktree = await self._shelf.objects.put(self._shelf.worktrees, taken.bundle)
                self._tree = taken.tree
        except BaseException:
            self._changed = True
            raise
