"""A fleet of real processes, with short leases, and somebody to kill them."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from amelia.client.http import ControlPlane
from amelia.client.stream import follow
from amelia.contract.views import DecisionRequest, StartRequest, WorkflowView
from amelia.contract.workflow import TERMINAL, Issue, Profile
from amelia.errors import Unavailable
from amelia.workspace.address import resolve

T = TypeVar("T")
HERE = Path(__file__).parent
_QUICK = {
    "AMELIA_LEASE_SECONDS": "4",
    "AMELIA_HEARTBEAT_SECONDS": "1",
    "AMELIA_SWEEP_SECONDS": "0.5",
    "AMELIA_GAP_SECONDS": "1",
    "AMELIA_RESEND_SECONDS": "1",
    "AMELIA_VISIBILITY_SECONDS": "3",
}


class Fleet:
    """``amelia up`` in a state directory of its own."""

    def __init__(self, state_dir: Path, *replays: Path) -> None:
        self.state_dir = state_dir
        self._replays = replays
        self.port = _free_port()

    def up(self) -> None:
        replays = [argument for file in self._replays for argument in ("--replay", str(file))]
        self.amelia("up", "--detach", "--port", str(self.port), *replays)
        found = json.loads((self.state_dir / "fleet.json").read_text())
        self.url = found["url"]
        self.token = Path(found["token_file"]).read_text().strip()
        self._ports = found["ports"]
        self.client = ControlPlane(self.url, self.token)

    def down(self) -> None:
        self.amelia("down")

    def amelia(self, *arguments: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [sys.executable, "-m", "amelia_cli.main", *arguments],
            env={**os.environ, **_QUICK, "AMELIA_STATE_DIR": str(self.state_dir)},
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
        assert not ok or ended.returncode == 0, f"{arguments}: {ended.stdout}\n{ended.stderr}"
        return ended

    def kill(self, part: str) -> None:
        """As the machine would: without a word. The supervisor starts it again."""
        status = json.loads(self.amelia("status", "--output", "json", ok=False).stdout)
        [pid] = [p["pid"] for p in status["parts"] if p["name"] == part]
        os.kill(pid, signal.SIGKILL)

    def kill_session(self, workflow_id: str) -> None:
        os.kill(until(lambda: self.sessions().get(workflow_id), "the session runs"), signal.SIGKILL)

    def sessions(self) -> dict[str, int]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._ports['agentcore']}/_sessions") as answer:
            return {session["id"]: session["pid"] for session in json.load(answer)["sessions"]}

    def start(self, repository: Path, issue: str = "E2E-1", *, auto_approve: bool = True) -> str:
        request = StartRequest(
            issue=Issue(id=issue, title="Say hello politely"),
            repository=resolve(str(repository)),
            profile=Profile(),
            auto_approve=auto_approve,
        )
        return self.client.start(request, key=f"{issue}-{time.monotonic_ns()}").id

    def approve(self, workflow_id: str) -> None:
        plan = self.client.plan(workflow_id)
        self.client.approve(workflow_id, DecisionRequest(block_id=plan.block_id, plan_sha256=plan.plan_sha256))

    def workflow(self, workflow_id: str) -> WorkflowView:
        return until(lambda: _unless_away(lambda: self.client.workflow(workflow_id)), "the api answers")

    def reaches(self, workflow_id: str, *statuses: str, seconds: float = 90) -> WorkflowView:
        def there() -> WorkflowView | None:
            view = self.workflow(workflow_id)
            return view if view.status in statuses else None

        return until(there, f"{workflow_id} is {' or '.join(statuses)}", seconds)

    def ends(self, workflow_id: str) -> WorkflowView:
        return self.reaches(workflow_id, *TERMINAL)

    def says(self, workflow_id: str, kind: str, **fields: object) -> dict[str, Any]:
        """Waits for an event of that type with those fields."""

        def said() -> dict[str, Any] | None:
            return next((event for event in self.events(workflow_id) if _fits(event, kind, fields)), None)

        return until(said, f"{workflow_id} says {kind} {fields}")

    def events(self, workflow_id: str) -> list[dict[str, Any]]:
        """The whole journal of a workflow, over HTTP."""
        url = f"{self.url}/api/v1/workflows/{workflow_id}/events"
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        request = urllib.request.Request(url, headers=headers)

        def read() -> list[dict[str, Any]] | None:
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    found: list[dict[str, Any]] = json.load(answer)
                    return found
            except OSError:
                return None

        return until(read, "the api answers")


def _fits(event: dict[str, Any], kind: str, fields: dict[str, object]) -> bool:
    return event["type"] == kind and all(event.get(name) == value for name, value in fields.items())


def _unless_away(ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except Unavailable:
        return None


def until(look: Callable[[], T | None], what: str, seconds: float = 60) -> T:
    """What ``look`` finds, as soon as it finds something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found is not None:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_repository(folder: Path) -> Path:
    """Not the sample: a shell script that is rude, and a test that says so."""
    folder.mkdir(parents=True)
    (folder / "greet.sh").write_text("#!/bin/sh\necho oi\n")
    (folder / "test.sh").write_text('#!/bin/sh\n[ "$(sh greet.sh)" = "Good day." ]\n')
    (folder / "notes.txt").write_text("nothing yet\n")
    identity = ("-c", "user.name=Tester", "-c", "user.email=tester@example.invalid")
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], [*identity, "commit", "-q", "-m", "rude"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def git(repository: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=repository, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repository")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("fleet"), HERE / "greeting.yaml")
    fleet.up()
    try:
        yield fleet
    finally:
        fleet.down()


__all__ = ["Fleet", "follow", "git", "make_repository", "until"]
