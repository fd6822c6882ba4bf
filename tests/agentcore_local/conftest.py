import contextlib
import functools
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.config import Config

HERE = Path(__file__).parent
SERVICE = HERE.parents[1] / "services" / "agentcore_local"
ARN = "arn:aws:bedrock-agentcore:us-east-1:123456789012:runtime/sample-abcdefghij"
PATIENCE = 20.0
COMMAND = (sys.executable, "-m", "agentcore_local")


@functools.cache
def _aws() -> Any:
    """One session: it reads the service model, a few hundred kilobytes of JSON, once."""
    return boto3.Session()


def wait_until(true: Callable[[], Any], what: str = "it") -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := true()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE:g} s for {what}")
        time.sleep(0.02)
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Server:
    """A real agentcore-local in a process of its own."""

    def __init__(self, state: Path, **settings: Any) -> None:
        self.state = state
        self.settings = settings
        self.clients: list[Any] = []
        self.port = 0

    def start(self, *options: str) -> "Server":
        config = self.state.with_suffix(".yaml")
        config.write_text(yaml.safe_dump({"port": self.port, "ping_interval": 0.1, **self.settings}))
        with self.state.with_suffix(".log").open("a") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "--state-dir", str(self.state), "--config", str(config), *options],
                env=os.environ | {"PYTHONPATH": f"{SERVICE}:{HERE}"},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert "ready on http://127.0.0.1:" in line, self.state.with_suffix(".log").read_text()
        self.port = int(line.split("127.0.0.1:")[1].split()[0])
        return self

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        assert self.process.stdout
        self.process.stdout.close()
        return status

    def restart(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.end(number)
        self.start()

    def close(self) -> None:
        for client in self.clients:
            client.close()
        if self.process.poll() is None:
            self.end()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, **config: Any) -> Any:
        client = _aws().client(
            "bedrock-agentcore",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="dummy",
            aws_secret_access_key="dummy",
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=30, **config),
        )
        self.clients.append(client)
        return client

    def request(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """Status, headers and content of a bare HTTP request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(body) if body is not None else None, headers or {})
            response = connection.getresponse()
            return response.status, dict(response.headers), json.loads(response.read() or b"null")

    def faults(self, *rules: dict[str, Any], seed: int = 0) -> None:
        status, _, answer = self.request("PUT", "/_faults", {"seed": seed, "rules": list(rules)})
        assert status == 200, answer

    def sessions(self) -> dict[str, Any]:
        return {session["id"]: session for session in self.request("GET", "/_sessions")[2]["sessions"]}


def invoke(client: Any, session: str, **payload: Any) -> Any:
    answer = client.invoke_agent_runtime(
        agentRuntimeArn=ARN, runtimeSessionId=session, payload=json.dumps(payload).encode()
    )
    return json.loads(answer["response"].read())


def new_session() -> str:
    return f"wf-{uuid.uuid4()}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a file that need no settings of their own. It ends with them: whatever sessions they
    left are asked ten times a second how they are."""
    server = Server(tmp_path_factory.mktemp("agentcore") / "state", app="sample_runtime:app", stop_grace=0.5)
    server.start()
    yield server
    server.close()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers with settings; later ones share the first one's state directory."""
    started: list[Server] = []

    def start(**settings: Any) -> Server:
        server = Server(tmp_path / "state", **settings)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.close()


@pytest.fixture(scope="module")
def shared_client(server: Server) -> Any:
    return server.client()


@pytest.fixture
def client(server: Server, shared_client: Any) -> Iterator[Any]:
    """A client of the shared server, which has no fault rules and no sessions before and after the test."""
    yield shared_client
    server.faults()
    for session in server.sessions():
        with contextlib.suppress(shared_client.exceptions.ResourceNotFoundException):
            shared_client.stop_runtime_session(agentRuntimeArn=ARN, runtimeSessionId=session)
