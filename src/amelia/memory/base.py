"""Where a workflow's graph keeps its checkpoints."""

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver


class Memory(Protocol):
    def checkpoints(self, workflow_id: str, epoch: int) -> "AbstractAsyncContextManager[BaseCheckpointSaver[str]]":
        """A saver for the thread ``workflow_id``, as attempt ``epoch`` may see and write it.

        What an attempt writes, an older one can neither change nor hide; a new attempt starts from the newest
        checkpoint of the attempts before it. Raises ``Unavailable`` when the memory is away.
        """
        ...
