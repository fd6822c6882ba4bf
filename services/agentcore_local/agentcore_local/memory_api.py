"""AgentCore Memory's operations on events."""

import asyncio
import sqlite3
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from agentcore_local.errors import Invalid, NotFound, StartError, TooMany
from agentcore_local.events import (
    MAX_EVENT_BYTES,
    ActorId,
    EventId,
    ListEvents,
    ListSessions,
    MemoryId,
    NewEvent,
    Page,
    SessionId,
    check,
    parse,
)
from agentcore_local.pace import Pace
from agentcore_local.settings import Settings
from agentcore_local.store import EventStore, Place
from agentcore_local.wire import Reply, Request, json_reply

_T = TypeVar("_T")


class MemoryApi:
    """All work on the store happens on one thread of its own, so a slow disk delays no stream."""

    def __init__(self, settings: Settings) -> None:
        self._known = frozenset(settings.memories)
        self._rate = settings.limits.events_per_second
        self._paces: dict[Place, Pace] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="events")
        self._path: Path = settings.state_dir / "memory.sqlite3"
        self._store: EventStore | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._store = await loop.run_in_executor(self._thread, EventStore, self._path)
        except sqlite3.Error as error:
            raise StartError(f"the events in {self._path} cannot be read ({error}); move it away") from error

    async def close(self) -> None:
        if self._store is not None:
            await self._run(self._store.close)
        self._thread.shutdown()

    async def create_event(self, request: Request) -> Reply:
        if len(request.body) > MAX_EVENT_BYTES:
            raise Invalid(f"the event is larger than {MAX_EVENT_BYTES} bytes; split its payload")
        event = parse(request.body, NewEvent)
        place = Place(memory=self._memory(request), actor=event.actor_id, session=event.session_id or str(uuid.uuid4()))
        self._admit(place)
        stored = await self._run(lambda: self._opened.create(place, event))
        return json_reply({"event": stored}, status=201)

    async def get_event(self, request: Request) -> Reply:
        place, event_id = self._place(request), check(request.path["event"], EventId, "eventId")
        stored = await self._run(lambda: self._opened.get(place, event_id))
        return json_reply({"event": stored})

    async def delete_event(self, request: Request) -> Reply:
        place, event_id = self._place(request), check(request.path["event"], EventId, "eventId")
        await self._run(lambda: self._opened.delete(place, event_id))
        return json_reply({"eventId": event_id})

    async def list_events(self, request: Request) -> Reply:
        place, asked = self._place(request), parse(request.body, ListEvents)
        events, token = await self._run(lambda: self._opened.list_events(place, asked))
        return json_reply({"events": events, **_next(token)})

    async def list_sessions(self, request: Request) -> Reply:
        memory, actor = self._memory(request), check(request.path["actor"], ActorId, "actorId")
        asked = parse(request.body, ListSessions)
        sessions, token = await self._run(lambda: self._opened.list_sessions(memory, actor, asked))
        return json_reply({"sessionSummaries": sessions, **_next(token)})

    async def list_actors(self, request: Request) -> Reply:
        memory, asked = self._memory(request), parse(request.body, Page)
        actors, token = await self._run(lambda: self._opened.list_actors(memory, asked))
        return json_reply({"actorSummaries": [{"actorId": actor} for actor in actors], **_next(token)})

    @property
    def _opened(self) -> EventStore:
        if self._store is None:
            raise RuntimeError("the memory store is not started")
        return self._store

    async def _run(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _memory(self, request: Request) -> str:
        """A memory's id; its ARN is the same memory."""
        memory = check(request.path["memory"], MemoryId, "memoryId").rpartition("/")[2]
        if self._known and memory not in self._known:
            raise NotFound(f"there is no memory {memory}; name it under `memories` in the configuration")
        return memory

    def _place(self, request: Request) -> Place:
        return Place(
            memory=self._memory(request),
            actor=check(request.path["actor"], ActorId, "actorId"),
            session=check(request.path["session"], SessionId, "sessionId"),
        )

    def _admit(self, place: Place) -> None:
        if self._rate is None:
            return
        if not self._paces.setdefault(place, Pace(self._rate)).allows():
            raise TooMany(f"more than {self._rate:g} events/s in session {place.session}", plane="memory")


def _next(token: str | None) -> dict[str, str]:
    return {"nextToken": token} if token else {}
