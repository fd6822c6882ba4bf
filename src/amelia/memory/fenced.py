"""A checkpoint saver whose attempts cannot disturb each other.

An attempt begins by copying the newest checkpoint of the attempts before it, with the writes that wait on it (an
interrupt, the finished tasks of an unfinished step), to an actor of its own; from then on it reads and writes
nothing else. What an older attempt still writes is seen by nobody, and one that dies before its copy is complete
leaves no trace: a copy is one event of the memory, or ends with the checkpoint that makes the rest visible.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple
from langgraph.checkpoint.serde.types import ERROR, INTERRUPT, RESUME
from langgraph_checkpoint_aws import AgentCoreMemorySaver  # type: ignore[import-untyped]
from langgraph_checkpoint_aws.checkpoint.agentcore.constants import AgentCoreMemoryError  # type: ignore[import-untyped]
from langgraph_checkpoint_aws.checkpoint.deferred_saver import PendingWrite  # type: ignore[import-untyped]

from ..adapters.aws.session import translated
from ..errors import Unavailable

_REPLACED = frozenset({ERROR, INTERRUPT, RESUME})
"""Channels of which a task has one value; the memory appends where other savers replace."""


class FencedSaver(AgentCoreMemorySaver):  # type: ignore[misc]
    """Ignores the ``actor_id`` it is given. Its errors are ours."""

    def __init__(self, memory_id: str, *, epoch: int, **options: Any) -> None:
        super().__init__(memory_id, **options)
        self._epoch = epoch
        self._settled: set[tuple[str, str]] = set()

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        wanted = config["configurable"].get("checkpoint_id")
        first = self._settle(config)
        if first and wanted in (None, first.checkpoint["id"]):
            return first
        return self._read(config, self._epoch, wanted)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - the name is langgraph's
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        if config is None:
            raise ValueError("a fenced saver lists the checkpoints of one thread")
        self._settle(config)
        with _said("listing the checkpoints"):
            yield from super().list(self._mine(config), filter=filter, before=before, limit=limit)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        with _said("keeping a task's writes"):
            super().put_writes(self._mine(config), writes, task_id, task_path)

    def put_with_writes(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
        pending_writes: Sequence[PendingWrite],
    ) -> RunnableConfig:
        with _said("keeping a checkpoint"):
            mine = self._mine(config)
            kept: RunnableConfig = super().put_with_writes(mine, checkpoint, metadata, new_versions, pending_writes)
            return kept

    def _mine(self, config: RunnableConfig) -> RunnableConfig:
        return _under(config, self._epoch, config["configurable"].get("checkpoint_id"))

    def _settle(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Once: makes the newest checkpoint of the nearest attempt that has one this attempt's, and gives it."""
        key = config["configurable"]["thread_id"], config["configurable"].get("checkpoint_ns", "")
        if key in self._settled:
            return None
        found = None
        for epoch in range(self._epoch, 0, -1):
            if found := self._read(config, epoch):
                if epoch != self._epoch:
                    found = self._adopt(config, found)
                break
        self._settled.add(key)
        return found

    def _adopt(self, config: RunnableConfig, found: CheckpointTuple) -> CheckpointTuple:
        """The checkpoint goes last: until it is there, the writes copied before it belong to nothing.

        An answer to an interrupt is not copied: this attempt has its own.
        """
        mine = _under(config, self._epoch, found.checkpoint["id"])
        pending = [write for write in found.pending_writes or () if write[1] != RESUME]
        for task_id, writes in groupby(pending, key=lambda write: write[0]):
            self.put_writes(mine, [(channel, value) for _, channel, value in writes], task_id)
        versions = found.checkpoint["channel_versions"]
        self.put_with_writes(_under(config, self._epoch), found.checkpoint, found.metadata, versions, ())
        return found._replace(config=mine, parent_config=None, pending_writes=pending)

    def _read(self, config: RunnableConfig, epoch: int, wanted: str | None = None) -> CheckpointTuple | None:
        """The newest is the one of the highest step: ids carry the clocks of the machines that wrote them."""
        with _said("reading the checkpoints"):
            found = [*super().list(_under(config, epoch, wanted))]
        newest = max(found, key=_age, default=None)
        return newest and newest._replace(pending_writes=_once(newest.pending_writes or ()))


def _under(config: RunnableConfig, epoch: int, checkpoint_id: str | None = None) -> RunnableConfig:
    place = {name: value for name, value in config["configurable"].items() if name != "checkpoint_id"}
    at = {"checkpoint_id": checkpoint_id} if checkpoint_id else {}
    return {**config, "configurable": {**place, **at, "actor_id": f"epoch-{epoch}"}}


def _age(found: CheckpointTuple) -> tuple[int, str]:
    return found.metadata.get("step", -2), found.checkpoint["id"]


def _once(writes: Sequence[tuple[str, str, Any]]) -> list[tuple[str, str, Any]]:
    """``writes`` come newest first."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for write in writes:
        task_id, channel, _ = write
        if channel in _REPLACED and (task_id, channel) in seen:
            continue
        seen.add((task_id, channel))
        kept.append(write)
    return kept


@contextmanager
def _said(doing: str) -> Iterator[None]:
    try:
        with translated(doing):
            yield
    except AgentCoreMemoryError as error:
        raise Unavailable(f"{doing}: {error}; try again later") from error
