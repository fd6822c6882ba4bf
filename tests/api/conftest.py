"""The api on a real server over a real journal."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from litestar import Litestar
from websockets.asyncio.client import ClientConnection, connect

from amelia.adapters.local.objects import FolderObjects
from amelia.adapters.postgres.journal import PostgresJournal
from amelia.domain.crowd import Limits
from amelia.domain.effects import Arrived
from amelia.trackers.submitted import IssueReader
from amelia_api.app import create_app
from amelia_api.depends import Caller
from amelia_api.serving import Server

from ..conftest import Opener
from ..samples import Voice, arrived, started

TOKEN = "token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
BODY = {"issue": {"id": "PROJ-123", "title": "A cent short"}, "repository": "https://example.org/r.git"}


class Api:
    def __init__(self, app: Litestar, server: uvicorn.Server, journal: PostgresJournal, objects: FolderObjects) -> None:
        self.app, self.server, self.journal, self.objects = app, server, journal, objects
        self.serving: asyncio.Task[None] = asyncio.create_task(server.serve())
        self.host = ""

    async def wait(self) -> None:
        while not self.server.started:
            assert not self.serving.done(), self.serving.result()
            await asyncio.sleep(0.005)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.host = f"127.0.0.1:{port}"

    @property
    def readers(self) -> int:
        readers: int = self.app.state.broadcaster.readers
        return readers

    def client(self, **arguments: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            **{
                "base_url": f"http://{self.host}/api/v1",
                "headers": BEARER,
                "trust_env": False,
                "timeout": 20,
                **arguments,
            }
        )

    @asynccontextmanager
    async def watching(
        self, workflow_id: str, query: str = "after=0", **arguments: Any
    ) -> AsyncIterator[ClientConnection]:
        """The stream of a workflow, or of the fleet when none is named."""
        path = f"/workflows/{workflow_id}/events" if workflow_id else "/events"
        address = f"ws://{self.host}/api/v1{path}?{query}"
        options = {"additional_headers": BEARER, "proxy": None, "compression": None, "close_timeout": 0.02, **arguments}
        async with connect(address, **options) as socket:
            yield socket

    async def stop(self) -> None:
        self.server.should_exit = True
        await self.serving


async def serving(
    journal: PostgresJournal,
    folder: Path,
    port: int = 0,
    limits: Limits = Limits(),  # noqa: B008
    issues: IssueReader | None = None,
) -> Api:
    objects = FolderObjects(folder)
    caller = Caller(name="ada", team="local")
    app = create_app(
        journal,
        objects,
        token=TOKEN,
        caller=caller,
        allow_file=False,
        max_body_bytes=50_000,
        limits=limits,
        issues=issues,
    )
    api = Api(app, Server(app, host="127.0.0.1", port=port), journal, objects)
    await api.wait()
    return api


@pytest.fixture
async def api(open_journal: Opener, tmp_path: Path) -> AsyncIterator[Api]:
    api = await serving(await open_journal(size=8), tmp_path)
    yield api
    await api.stop()


@pytest.fixture
async def http(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as client:
        yield client


async def history(journal: PostgresJournal, length: int, content: str = "…") -> Voice:
    """A workflow with ``length`` events, and who said them."""
    row = await started(journal)
    voice = Voice(row.workflow.id)
    await speak(journal, voice, length - 2, content)
    return voice


async def speak(journal: PostgresJournal, voice: Voice, many: int, content: str = "…", at_once: int = 500) -> None:
    said: list[Arrived] = arrived(*(voice.progress(content) for _ in range(many)))
    for first in range(0, many, at_once):
        assert set(await journal.append(said[first : first + at_once])) == {None}


async def read_to(socket: ClientConnection, sequence: int) -> list[int]:
    """The sequences of all events up to this one, in the order they came."""
    seen: list[int] = []
    while not seen or seen[-1] < sequence:
        message = json.loads(await asyncio.wait_for(socket.recv(), 20))
        events = message if isinstance(message, list) else [message]
        seen += [event["sequence"] for event in events if event["type"] not in ("caught_up", "ping")]
    return seen


def cursor_of(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
