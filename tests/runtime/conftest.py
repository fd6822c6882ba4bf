import asyncio
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvicorn

from amelia.contract.ids import new_workflow_id
from amelia.contract.invocation import Invocation
from amelia.contract.workflow import Issue
from amelia.errors import AmeliaError
from amelia.orchestrator.job import Ended
from amelia.orchestrator.live import Live
from amelia.ports.agents import Announcer
from amelia.ports.queues import Announcement
from amelia.settings import Settings

PATIENCE = 30.0
KEY = "5a" * 32


def wait_until(true: Callable[[], Any], what: str = "it") -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := true()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE:g} s for {what}")
        time.sleep(0.01)
    return found


class Post:
    """A bus in memory. ``away`` is raised by every publish while it is set; ``held`` keeps publishes waiting."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.batches: list[int] = []
        self.away: AmeliaError | None = None
        self.refused: frozenset[str] = frozenset()
        self.held = threading.Event()
        self.held.set()
        self.tried = 0

    async def publish(self, messages: Sequence[Announcement]) -> None:
        self.tried += 1
        while not self.held.is_set():
            await asyncio.sleep(0.005)
        if self.away:
            raise self.away
        from amelia.errors import Refused

        if any(message.type in self.refused for message in messages):
            raise Refused("the bus does not take this")
        self.batches.append(len(messages))
        self.bodies += [message.body for message in messages]
        self.taken += [json.loads(message.body) for message in messages]

    def said(self, *kinds: str) -> list[dict[str, Any]]:
        return [event for event in self.taken if not kinds or event["type"] in kinds]

    @property
    def facts(self) -> list[int]:
        return [event["fact"] for event in self.taken if "fact" in event]


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def asked() -> Callable[..., Invocation]:
    """Invocations of one workflow."""
    workflow_id = new_workflow_id()

    def make(epoch: int = 1, **changes: Any) -> Invocation:
        fields: dict[str, Any] = {
            "command_id": f"c-{epoch}",
            "workflow_id": workflow_id,
            "epoch": epoch,
            "signing_key": KEY,
            "key_version": 1,
            "highest_fact": 0,
            "issue": Issue(id="ISSUE-1", title="Say hello", body="There should be a greeting."),
            "repository": "https://git.invalid/repo",
            "branch": "amelia/issue-1",
            "heartbeat_seconds": 1,
        }
        return Invocation(**(fields | changes))

    return make


Work = Callable[[Invocation, Announcer, Live], Awaitable[Ended]]


class Caller:
    """What AgentCore does with a container."""

    def __init__(self, port: int) -> None:
        self.port = port

    def send(self, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def invoke(self, asked: Invocation) -> dict[str, Any]:
        status, answer = self.send("POST", "/invocations", msgspec.json.encode(asked))
        assert status == 200, answer
        assert isinstance(answer, dict)
        return answer

    @property
    def ping(self) -> str:
        return str(self.send("GET", "/ping")[1]["status"])


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@pytest.fixture
def serve(post: Post) -> Iterator[Callable[[Work], Caller]]:
    """The real app on a port of its own, around a work and a bus of the test's."""
    from amelia_runtime.app import build
    from amelia_runtime.attempt import Parts

    with ExitStack() as running:

        def start(work: Work) -> Caller:
            @asynccontextmanager
            async def open_parts() -> AsyncIterator[Parts]:
                yield Parts(bus=post, work=work)

            listener = socket.create_server(("127.0.0.1", 0))
            server = _Server(uvicorn.Config(build(open_parts), log_config=None))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()

            def stop() -> None:
                server.should_exit = True
                thread.join()

            running.callback(stop)
            wait_until(lambda: server.started, "the server")
            return Caller(listener.getsockname()[1])

        yield start


@contextmanager
def program(command: Sequence[str], ready: str, **environ: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process and what it said after ``ready``, once it has said it."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environ})
    assert process.stdout
    try:
        found = None
        while found is None:
            line = process.stdout.readline()
            assert line, f"{command} ended"
            found = re.search(ready, line)
        yield process, found.group(1)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
        process.stdout.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    """The address of a real emulator of SQS, EventBridge and S3."""
    port = free_port()
    environ = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "SERVICES": "sqs,events,s3,secretsmanager",
        "LOG_LEVEL": "ERROR",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "ministack"], env={**os.environ, **environ}, stdout=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: _listens(port), "the emulator")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


CONVERSATION = """
version: 1
conversations:
  - agent: architect
    turns:
      - say: I read it first.
        call: {read_file: {path: src/hello.txt}}
      - call:
          submit_plan:
            summary: Say hello.
            tasks: [{id: greet, title: Say hello, description: Write it., verification: grep -q hello src/hello.txt}]
  - agent: architect
    round: 2
    turns:
      - call:
          submit_plan:
            summary: Say hello, and nothing else.
            tasks: [{id: greet, title: Only greet, description: Write it., verification: grep -q hello src/hello.txt}]
  - agent: developer
    task: greet
    turns:
      - call: {edit_file: {path: src/hello.txt, old: nothing yet, new: hello}}
      - call: {finish_task: {summary: It says hello.}}
  - agent: reviewer
    turns:
      - call: {submit_review: {approved: true, summary: Fine., comments: []}}
"""


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server that plays the model."""
    conversation = tmp_path_factory.mktemp("model") / "conversation.yaml"
    conversation.write_text(CONVERSATION)
    command = [sys.executable, "-m", "amelia_replay", "--port", "0", "--conversation", str(conversation)]
    with program(command, r"listens on (http://\S+)") as (_, url):
        yield url


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where sessions keep their worktrees."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def agentcore(tmp_path_factory: pytest.TempPathFactory, emulator: str, model: str, scratch: Path) -> Iterator[str]:
    """The address of a real stand-in for AgentCore, which runs the app in sessions. It ends with the tests of a file:
    what sessions they left are asked ten times a second how they are."""
    home, port = tmp_path_factory.mktemp("agentcore"), free_port()
    environ = {
        "ANTHROPIC_API_KEY": "replayed",
        "ANTHROPIC_BASE_URL": model,
        "AMELIA_AWS_ENDPOINT_URL": emulator,
        "AMELIA_AGENTCORE_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "TMPDIR": str(scratch),
    }
    config = home / "agentcore.yaml"
    config.write_text(json.dumps({"ping_interval": 0.1, "environment": environ}))
    told = ["--port", str(port), "--app", "amelia_runtime.app:app", "--config", str(config)]
    command = [sys.executable, "-m", "agentcore_local", "--state-dir", str(home / "state"), *told]
    with program(command, r"ready on (http://\S+)") as (_, url):
        yield url


@pytest.fixture
def settings(agentcore: str, emulator: str) -> Settings:
    return Settings(agentcore_endpoint_url=agentcore, aws_endpoint_url=emulator)


@pytest.fixture
def start_program() -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    with ExitStack() as running:
        yield lambda *command, ready, **environ: running.enter_context(program(command, ready, **environ))


@pytest.fixture
def patient() -> Callable[..., Any]:
    return wait_until


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit on ``main``."""
    home = tmp_path / "repository"
    (home / "src").mkdir(parents=True)
    (home / "src" / "hello.txt").write_text("nothing yet\n")
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.invalid")
    for words in (("init", "-q", "-b", "main"), ("add", "."), (*identity, "commit", "-q", "-m", "start")):
        subprocess.run(["git", *words], cwd=home, check=True)
    return home
