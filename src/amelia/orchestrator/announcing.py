"""Checkpoint, then announce: a saver that tells what it has just saved."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from ..failpoints import reach
from ..ports.agents import Announcer
from ..redaction import ours
from .facts import above
from .state import State, values_of

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple


class AnnouncingSaver(BaseCheckpointSaver[str]):
    """Saves with ``inner``; the only place from which facts are announced. ``announced`` is the highest so far."""

    def __init__(self, inner: BaseCheckpointSaver[str], announcer: Announcer, announced: int) -> None:
        super().__init__(serde=inner.serde)
        self._inner = inner
        self._announcer = announcer
        self._announced = announced

    async def announce(self, state: State) -> None:
        facts = above(state, self._announced)
        if facts:
            await self._announcer.facts(facts)
            self._announced = facts[-1].fact

    async def aput(
        self,
        config: "RunnableConfig",
        checkpoint: "Checkpoint",
        metadata: "CheckpointMetadata",
        new_versions: "ChannelVersions",
    ) -> "RunnableConfig":
        saved = await self._inner.aput(config, checkpoint, metadata, new_versions)
        reach("checkpointed")
        state = values_of(checkpoint["channel_values"])
        if state is not None:
            await self.announce(state)
        return saved

    async def aput_writes(
        self, config: "RunnableConfig", writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """What a step failed with is among them, as it was raised."""
        for _, value in writes:
            if isinstance(value, Exception):
                ours().error(value)
        await self._inner.aput_writes(config, writes, task_id, task_path)

    async def aget_tuple(self, config: "RunnableConfig") -> "CheckpointTuple | None":
        return await self._inner.aget_tuple(config)

    async def alist(
        self,
        config: "RunnableConfig | None",
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - the saver's own name for it
        before: "RunnableConfig | None" = None,
        limit: int | None = None,
    ) -> "AsyncIterator[CheckpointTuple]":
        async for found in self._inner.alist(config, filter=filter, before=before, limit=limit):
            yield found

    def get_next_version(self, current: str | None, channel: None) -> str:
        return self._inner.get_next_version(current, channel)
