import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from amelia.drivers import factory
from amelia.drivers.base import Driver, Label, Message, Request, Text, Tool
from amelia.drivers.retries import Patience
from amelia_replay.reading import read

from .peer import Peer, listening
from .published import objections

CONVERSATION = Path(__file__).with_name("conformance.yaml")
COMPATIBLE = "api:openai compatible"
QUICK = Patience(retries=4, first_wait=0.001, longest_wait=0.002)


@pytest.fixture(scope="session")
def peer() -> Iterator[Peer]:
    """A real replay server on a port of its own."""
    with listening([read(CONVERSATION)]) as server:
        yield server


@pytest.fixture(scope="session")
def replay(peer: Peer) -> str:
    return peer.address


@pytest.fixture(autouse=True)
def every_request_is_one_of_the_service(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test is about: what it made a driver ask is checked against what the services publish."""
    if "peer" not in request.fixturenames:
        yield
        return
    server: Peer = request.getfixturevalue("peer")
    server.asked()
    yield
    objected = {path: found for path, body in server.asked() if (found := objections(path, body))}
    assert not objected


@pytest.fixture(scope="session")
def claude(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, as one that can be started by its path."""
    program = tmp_path_factory.mktemp("bin") / "claude"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E {Path(__file__).with_name("claude.py")} "$@"\n')
    program.chmod(0o755)
    return program


def environment(driver: str, address: str, claude: Path) -> dict[str, str]:
    return {
        "api:anthropic": {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": address},
        "api:openai": {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"{address}/v1"},
        "cli:claude": {"ANTHROPIC_BASE_URL": address, "AMELIA_CLAUDE": str(claude), "OPENAI_API_KEY": "not for it"},
        COMPATIBLE: {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"{address}/compatible/v1"},
        "api:bedrock": {
            "AWS_ACCESS_KEY_ID": "k",
            "AWS_SECRET_ACCESS_KEY": "s",
            "AWS_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": address,
        },
    }[driver]


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=(*factory.names(), COMPATIBLE))
async def driver(request: pytest.FixtureRequest, replay: str, claude: Path) -> AsyncIterator[Driver]:
    made = factory.create(
        request.param.partition(" ")[0], environ=environment(request.param, replay, claude), patience=QUICK
    )
    yield made
    await made.aclose()


def tool(name: str) -> Tool:
    return Tool(
        name=name,
        description=f"Does {name}.",
        parameters={"type": "object", "properties": {"path": {"type": "string"}}},
    )


TOOLS = tuple(tool(name) for name in ("read_file", "list_files", "run_command", "submit_plan"))
Ask = Callable[..., Request]


@pytest.fixture
def ask() -> Ask:
    """Requests of a workflow that no other test has, so that injected failures are still to come."""
    workflow = f"wf-{uuid4()}"

    def made(what: str, *messages: Message, must_call: str | None = None) -> Request:
        return Request(
            model="global.anthropic.claude-sonnet-4-6",
            system="You are a test.",
            messages=(Message("user", (Text("Please begin."),)), *messages),
            tools=TOOLS,
            must_call=must_call,
            label=Label(workflow_id=workflow, issue="GH-1: ~café & co.", agent="developer", task=f"{what}, 100 %"),
        )

    return made
