"""What the orchestrator needs from where it runs: somebody to tell, and somewhere to keep large things."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ..contract.envelope import Event
from ..contract.workflow import ClaimCheck


class Announcer(Protocol):
    """Takes what a run has to say. Facts come numbered and already checkpointed; progress is unnumbered."""

    async def facts(self, facts: Sequence[Event]) -> None:
        """Called after the checkpoint that holds them was written. May be called again with the same facts."""
        ...

    def progress(self, event: Event) -> None:
        """Never blocks and never fails; what cannot be kept may be dropped."""
        ...


class ObjectStore(Protocol):
    """Large payloads. Raises ``Unavailable`` when the store is away and ``NotFound`` for a key it does not hold."""

    async def put(self, prefix: str, data: bytes) -> ClaimCheck:
        """Content-addressed: the key is ``prefix`` and the sha256 of the data."""
        ...

    async def get(self, claim: ClaimCheck) -> bytes:
        """Verifies size and sha256; raises ``Malformed`` when they differ."""
        ...

    async def write(self, key: str, data: bytes) -> None:
        """A named, replaceable object: the transcript of a task, the bundle of its worktree."""
        ...

    async def read(self, key: str) -> bytes | None: ...

    async def put_file(self, prefix: str, path: Path) -> ClaimCheck: ...
