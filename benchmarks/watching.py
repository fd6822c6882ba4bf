"""Viewers of streams that note when each event reached them."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from .ground import Ground


class _Seen(msgspec.Struct):
    type: str
    id: str = ""


_decode = msgspec.json.Decoder(_Seen).decode


class Sightings:
    """Event ids, each with the ``perf_counter`` at which it was seen."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self._more = asyncio.Event()

    def note(self, event_id: str) -> None:
        self.at[event_id] = time.perf_counter()
        self._more.set()

    async def all_of(self, ids: Sequence[str], patience: float = 40) -> None:
        """Raises ``TimeoutError`` when some were not seen."""
        async with asyncio.timeout(patience):
            while not all(one in self.at for one in ids):
                self._more.clear()
                await self._more.wait()
                await asyncio.sleep(0.01)


def address(ground: Ground, workflow_id: str) -> str:
    return f"{ground.layout.url.replace('http', 'ws', 1)}/api/v1/workflows/{workflow_id}/events"


@asynccontextmanager
async def watched(ground: Ground, workflows: Sequence[str]) -> AsyncIterator[Sightings]:
    """One viewer a workflow, each caught up."""
    seen, ready = Sightings(), list[asyncio.Event]()
    async with asyncio.TaskGroup() as group:
        tasks = list[asyncio.Task[None]]()
        for workflow_id in workflows:
            caught_up = asyncio.Event()
            ready.append(caught_up)
            tasks.append(group.create_task(_view(ground, workflow_id, seen, caught_up)))
        for caught_up in ready:
            await asyncio.wait_for(caught_up.wait(), 20)
        try:
            yield seen
        finally:
            for task in tasks:
                task.cancel()


async def _view(ground: Ground, workflow_id: str, seen: Sightings, caught_up: asyncio.Event) -> None:
    headers = {"Authorization": f"Bearer {ground.token}"}
    url = address(ground, workflow_id)
    async with connect(url, additional_headers=headers, compression=None, proxy=None) as socket:
        try:
            async for frame in socket:
                found = _decode(frame)
                if found.type == "caught_up":
                    caught_up.set()
                elif found.id:
                    seen.note(found.id)
        except ConnectionClosed as error:
            raise RuntimeError(f"the stream of {workflow_id} closed: {error}") from error
