"""A whole fleet by its commands: up, status, down, and what gets killed in between."""

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from amelia.adapters.local import fleet, lock, strays
from amelia.adapters.local.state import StateDirectory, free_port

from .conftest import Amelia

pytestmark = pytest.mark.e2e
Eventually = Callable[[Callable[[], bool]], None]
SERVICES = {"api", "dispatcher", "router"}
CARRIERS = {"postgres", "emulator", "agentcore"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, amelia: Amelia) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("fleet") / "100%s"
    yield root
    assert amelia("down", "--state-dir", str(root)).returncode == 0
    assert strays.find(lock.last_holder(StateDirectory(root)).fleet_id) == []


@pytest.fixture
def running(root: Path, amelia: Amelia) -> StateDirectory:
    """Ready; started anew when an earlier test ended it."""
    state = StateDirectory(root)
    if not lock.is_held(state):
        done = amelia("up", "--detach", "--state-dir", str(root), "--port", str(free_port()))
        assert done.returncode == 0, done.stderr
    return state


def status(amelia: Amelia, state: StateDirectory) -> dict[str, Any]:
    done = amelia("status", "--state-dir", str(state.root), "--output", "json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def test_status_names_every_part(running: StateDirectory, amelia: Amelia) -> None:
    seen = status(amelia, running)

    assert seen["ready"]
    assert {part["name"] for part in seen["parts"]} == {"supervisor"} | CARRIERS | SERVICES
    assert {part["state"] for part in seen["parts"]} == {"RUNNING"}
    record = json.loads(running.fleet_file.read_text())
    assert record["url"] == seen["url"]
    assert Path(record["token_file"]).stat().st_mode & 0o777 == 0o600


def test_everything_listens_on_loopback_only(running: StateDirectory, amelia: Amelia) -> None:
    pids = {part["pid"] for part in status(amelia, running)["parts"]}
    listening = [
        connection.laddr.ip
        for pid in pids
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]

    assert len(listening) >= 4
    assert set(listening) == {"127.0.0.1"}


def test_a_second_up_says_what_runs_already(running: StateDirectory, amelia: Amelia) -> None:
    done = amelia("up", "--detach", "--state-dir", str(running.root))

    assert done.returncode == 5
    assert "already running" in done.stderr
    assert "amelia down" in done.stderr


@pytest.mark.parametrize("name", ["emulator", "postgres", "api"])
def test_a_killed_part_comes_back(running: StateDirectory, amelia: Amelia, eventually: Eventually, name: str) -> None:
    def find() -> dict[str, Any]:
        return next(part for part in status(amelia, running)["parts"] if part["name"] == name)

    before = find()["pid"]
    os.kill(before, signal.SIGKILL)

    eventually(lambda: find()["state"] == "RUNNING" and find()["pid"] != before)
    eventually(lambda: fleet.is_ready(fleet.last_url(running)))


def test_a_supervisor_killed_takes_everything_with_it(
    running: StateDirectory, amelia: Amelia, eventually: Eventually
) -> None:
    holder = lock.last_holder(running)
    postmaster = int((running.postgres / "postmaster.pid").read_text().splitlines()[0])

    os.kill(holder.pid, signal.SIGKILL)

    eventually(lambda: strays.find(holder.fleet_id) == [] and not psutil.pid_exists(postmaster))
    assert amelia("status", "--state-dir", str(running.root)).returncode == 7
    again = amelia("up", "--detach", "--state-dir", str(running.root), "--port", str(free_port()))
    assert again.returncode == 0, again.stderr


def test_down_leaves_nothing_and_may_be_repeated(running: StateDirectory, amelia: Amelia) -> None:
    holder = lock.last_holder(running)

    first = amelia("down", "--state-dir", str(running.root))
    second = amelia("down", "--state-dir", str(running.root))

    assert (first.returncode, second.returncode) == (0, 0)
    assert f"pid {holder.pid}" in first.stdout
    assert "no fleet runs" in second.stdout
    assert strays.find(holder.fleet_id) == []
    assert not running.fleet_file.exists()


def test_a_taken_port_is_named(tmp_path: Path, amelia: Amelia) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = amelia("up", "--detach", "--state-dir", str(tmp_path / "state"), "--port", str(port))

    assert done.returncode == 5
    assert f"port {port} is taken" in done.stderr
    assert "--port" in done.stderr


def test_a_part_that_cannot_start_fails_the_whole_with_its_log(tmp_path: Path, amelia: Amelia) -> None:
    state = StateDirectory.open(tmp_path / "state")
    done = amelia(
        "up",
        "--detach",
        "--state-dir",
        str(state.root),
        "--port",
        str(free_port()),
        AMELIA_AGENTCORE_CONFIG="/none.yaml",
    )

    assert done.returncode == 7
    assert "agentcore keeps failing at start" in done.stderr
    assert "/none.yaml" in done.stderr
    assert not lock.is_held(state)
    assert strays.find(lock.last_holder(state).fleet_id) == []


def test_a_setting_that_only_a_service_understands_is_refused_by_up(tmp_path: Path, amelia: Amelia) -> None:
    state = StateDirectory.open(tmp_path / "state")
    done = amelia(
        *("up", "--detach", "--state-dir", str(state.root), "--port", str(free_port())), AMELIA_CI_TEAMS="garbage"
    )

    assert done.returncode == 2
    assert "AMELIA_CI_TEAMS" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not lock.is_held(state)


@pytest.mark.parametrize("command", ["down", "status"])
def test_nothing_is_made_where_no_fleet_ever_was(tmp_path: Path, amelia: Amelia, command: str) -> None:
    done = amelia(command, "--state-dir", str(tmp_path / "nowhere"))

    assert done.returncode == (0 if command == "down" else 7)
    assert not (tmp_path / "nowhere").exists()


def test_a_setting_that_does_not_fit_is_named(tmp_path: Path, amelia: Amelia) -> None:
    done = amelia("up", "--state-dir", str(tmp_path / "state"), AMELIA_LEASE_SECONDS="soon")

    assert done.returncode == 2
    assert "AMELIA_LEASE_SECONDS" in done.stderr


def test_a_mistake_in_a_conversation_file_is_one_sentence_before_anything_is_started(
    tmp_path: Path, amelia: Amelia
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("version: 1\nconversations:\n  - agent: architect\n    turns: [{sya: x}]\n")
    done = amelia("up", "--state-dir", str(tmp_path / "state"), "--replay", str(bad))

    assert done.returncode == 2
    assert done.stderr.splitlines() == ["amelia: bad.yaml, line 4: a turn has no 'sya'; did you mean 'say'?"]
    assert not (tmp_path / "state").exists()
