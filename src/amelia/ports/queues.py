"""Queues carry; what they carry may come twice, late or never."""

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """``receipt`` stands for this receive of it; ``receives`` counts them; ``sender`` is who the queue says sent it.

    ``sent_at`` is when the queue took it, in seconds since the epoch, 0 when that is not known. ``attributes`` are what
    its sender put beside the body.
    """

    id: str
    body: str
    receipt: str
    receives: int = 1
    group: str = ""
    sender: str = ""
    sent_at: float = 0
    attributes: dict[str, str] = {}


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """``group`` keeps an order of its own; the same ``deduplication`` is delivered once in five minutes."""

    body: str
    group: str
    deduplication: str


class Queue(Protocol):
    """Every method raises ``Unavailable`` while the queue is away or does not exist yet."""

    async def receive(self, *, most: int, wait_seconds: int) -> list[Message]: ...

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """Best effort: what is not acknowledged comes again."""
        ...

    async def release(self, messages: Sequence[Message], after_seconds: int) -> None:
        """Lets them come again, not before ``after_seconds``."""
        ...

    async def hold(self, messages: Sequence[Message]) -> None:
        """Best effort: keeps them from coming again for another while, as a receive does."""
        ...

    async def send(self, sendings: Sequence[Sending]) -> None: ...

    async def dead_letter(self, message: Message, reason: str) -> None:
        """Moves a message to the dead letters, saying why."""
        ...


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """``body`` is an event as JSON, of the type ``type``."""

    type: str
    body: bytes


class Bus(Protocol):
    async def publish(self, messages: Sequence[Announcement]) -> None:
        """Returns when the bus has taken all. They carry ids, so publishing some of them twice does no harm.

        Raises ``Unavailable`` when some did not get through, ``Refused`` when the bus will never take one.
        """
        ...


class Runtimes(Protocol):
    """The platform that runs sessions: one per workflow."""

    async def invoke(self, session_id: str, payload: bytes) -> bytes:
        """The runtime's answer. Raises ``NotStarted`` when nothing ran, ``Unavailable`` when that is not known, and
        ``Refused`` when the platform will never take it."""
        ...

    async def stop(self, session_id: str) -> bool:
        """True when the session is gone or going, also when there was none. Raises ``Unavailable``."""
        ...


class Keys(Protocol):
    async def current(self) -> tuple[int, bytes]:
        """The version new attempts use, and its master secret."""
        ...

    async def all(self) -> Sequence[bytes]:
        """Every master secret still honoured, the current one first."""
        ...

    async def refresh(self) -> bool:
        """Looks for newer versions, unless it has just done so; true when it looked and was answered."""
        ...
