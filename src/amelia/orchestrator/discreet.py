"""The walls around a run: what goes to a model, comes from one, is kept or is said has no secret in it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from ..contract.envelope import Event
from ..contract.workflow import ClaimCheck
from ..drivers.base import Driver, Message, Part, Request, TextDelta, ToolCall, Turn
from ..drivers.cast import Cast, Choice
from ..errors import AmeliaError
from ..ports.agents import Announcer, ObjectStore
from ..redaction import Redactor, Stream
from .facts import clean

_LARGE = 65_536


class DiscreetDriver:
    """Implements ``drivers.base.Driver`` by another. Text is passed on as far as no secret can be in it; an
    empty piece still says that the model is at it. A password that the model made up for a tool's arguments stays:
    what is run or written would not work without it."""

    def __init__(self, inner: Driver, redactor: Redactor) -> None:
        self.name = inner.name
        self._inner = inner
        self._redactor = redactor

    async def stream(self, request: Request) -> AsyncIterator[TextDelta | Turn]:
        heard = Stream(self._redactor)
        try:
            async for piece in self._inner.stream(self._asked(request)):
                anew = isinstance(piece, TextDelta) and piece.anew
                heard = Stream(self._redactor) if anew else heard
                said = heard.flush() if isinstance(piece, Turn) else heard.feed(piece.text)
                if said or isinstance(piece, TextDelta):
                    yield TextDelta(said, anew=anew)
                if isinstance(piece, Turn):
                    yield replace(piece, message=self._message(piece.message))
        except AmeliaError as error:
            self._redactor.error(error)
            raise

    def _asked(self, request: Request) -> Request:
        clean = self._redactor.value(replace(request, messages=()))
        return replace(clean, messages=tuple(self._message(message) for message in request.messages))

    def _message(self, message: Message) -> Message:
        return replace(message, parts=tuple(self._part(part) for part in message.parts))

    def _part(self, part: Part) -> Part:
        return (self._redactor.invented if isinstance(part, ToolCall) else self._redactor).value(part)

    async def aclose(self) -> None:
        await self._inner.aclose()


class DiscreetCast(Cast):
    """Another cast, every driver of it behind its wall."""

    def __init__(self, inner: Cast, redactor: Redactor) -> None:
        self._inner = inner
        self._redactor = redactor

    def of(self, agent: str) -> tuple[Choice, ...]:
        return tuple(
            Choice(DiscreetDriver(choice.driver, self._redactor), choice.model) for choice in self._inner.of(agent)
        )

    @property
    def models(self) -> tuple[str, ...]:
        return self._inner.models

    async def aclose(self) -> None:
        await self._inner.aclose()


class DiscreetAnnouncer:
    """Implements ``ports.agents.Announcer``."""

    def __init__(self, inner: Announcer, redactor: Redactor) -> None:
        self._inner = inner
        self._redactor = redactor

    async def facts(self, facts: Sequence[Event]) -> None:
        await self._inner.facts([clean(fact, self._redactor) for fact in facts])

    def progress(self, event: Event) -> None:
        self._inner.progress(self._redactor.value(event))


class DiscreetObjects:
    """Implements ``ports.agents.ObjectStore``. Claim checks are of what was kept. Git bundles are kept as they are."""

    def __init__(self, inner: ObjectStore, redactor: Redactor) -> None:
        self._inner = inner
        self._redactor = redactor

    async def put(self, prefix: str, data: bytes) -> ClaimCheck:
        return await self._inner.put(prefix, await self._clean(data))

    async def get(self, claim: ClaimCheck) -> bytes:
        return await self._inner.get(claim)

    async def write(self, key: str, data: bytes) -> None:
        await self._inner.write(key, await self._clean(data))

    async def read(self, key: str) -> bytes | None:
        return await self._inner.read(key)

    async def put_file(self, prefix: str, path: Path) -> ClaimCheck:
        return await self.put(prefix, await asyncio.to_thread(path.read_bytes))

    async def _clean(self, data: bytes) -> bytes:
        """What is large is looked through beside the event loop."""
        if len(data) < _LARGE:
            return self._redactor.data(data)
        return await asyncio.to_thread(self._redactor.data, data)
