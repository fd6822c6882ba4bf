"""Secrets are planted wherever a secret may be, and looked for afterwards in everything that is left behind."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import Fleet

from amelia.adapters.local import emulator, postgres
from amelia.adapters.local.state import StateDirectory

from . import canaries
from .canaries import COMMIT, ENVIRONMENT, FILES, Recorder, found, found_in_database, found_in_files, found_in_objects

pytestmark = pytest.mark.e2e


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.invalid")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", f"deploy with {COMMIT}")
    return folder


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """The model of whoever is started now, its environment full of canaries."""
    for name in [name for name in os.environ if name.startswith(("AMELIA_", "ANTHROPIC_", "OPENAI_", "AWS_"))]:
        monkeypatch.delenv(name)
    with canaries.model(tmp_path) as (recorder, environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        yield recorder


def check_requests(recorder: Recorder) -> None:
    """The model saw everything but the secrets."""
    bodies = b"\n".join(recorder.bodies)
    assert found("a request", bodies) == []
    for kind in (b"[redacted:password]", b"[redacted:github-token]", b"[redacted:api-key]", b"[redacted:base64]"):
        assert kind in bodies, kind
    assert b"GREETING=good day" in bodies
    assert b"placeholder for a secret that you were not shown" in bodies


def check_delivered(repository: Path, branch: str) -> None:
    """The work is whole: the secret that the agent never saw is where it was, and no placeholder is."""
    assert git(repository, "show", f"{branch}:deploy.py") == FILES["deploy.py"].replace(
        "return connect", "print('Good day.')\n    return connect"
    )
    assert "copy.py" not in git(repository, "ls-tree", "--name-only", branch).split()
    assert found("messages", git(repository, "log", "--format=%B", f"main..{branch}").encode()) == []


def post(fleet: Fleet, repository: Path) -> str:
    """As a client that knows nothing of secrets."""
    issue = {"id": "CANARY-1", "title": f"Greet with {ENVIRONMENT['OPS_TOKEN']}", "body": canaries.BODY}
    body = {"issue": issue, "repository": f"file://{repository}", "profile": {}, "auto_approve": True}
    request = urllib.request.Request(
        f"{fleet.url}/api/v1/workflows",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {fleet.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        told = answer.read()
    assert found("the answer", told) == []
    return str(json.loads(told)["id"])


async def test_a_fleet_leaves_no_secret_behind(asked: Recorder, tmp_path: Path, repository: Path) -> None:
    fleet = Fleet(tmp_path / "state")
    fleet.up()
    try:
        workflow_id = post(fleet, repository)
        view = fleet.ends(workflow_id)
        assert view.status == "completed", view
        check_delivered(repository, view.branch)
        for words in (["show"], ["logs"], ["plan"], ["diff"], ["artifacts"]):
            said = fleet.amelia("workflows", *words, workflow_id)
            assert found(f"amelia {words[0]}", (said.stdout + said.stderr).encode()) == []
        state = StateDirectory.open(tmp_path / "state")
        ports = json.loads(state.fleet_file.read_text())["ports"]
        hits, rows = await found_in_database(postgres.url(state, ports["postgres"]))
        assert (hits, rows > 20) == ([], True)
        hits, count = await found_in_objects(emulator.url(ports["emulator"]))
        assert (hits, count > 5) == ([], True)
        own = [state.secret("postgres-password"), fleet.token, _master_secret(state)]
        logs = b"\n".join(log.read_bytes() for log in state.logs.rglob("*") if log.is_file())
        assert found("what was said", logs + b"\n".join(asked.bodies), own) == []
    finally:
        fleet.down()
    check_requests(asked)
    assert found_in_files(tmp_path / "state") == []


def _master_secret(state: StateDirectory) -> str:
    return str(next(iter(json.loads(state.master_secret_file.read_text())["keys"].values())))


def test_work_in_this_process_leaves_no_secret_behind(
    asked: Recorder, tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    monkeypatch.setenv("AMELIA_STATE_DIR", str(state))
    issue = tmp_path / "greet.md"
    issue.write_text(f"# Greet with {ENVIRONMENT['OPS_TOKEN']}\n\n{canaries.BODY}")
    command = [sys.executable, "-m", "amelia_cli.main", "start", str(issue), "--repo", str(repository)]
    command.append("--auto-approve")
    ended = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=tmp_path, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "what looks like a secret in the issue is left out" in ended.stderr
    assert found("the terminal", (ended.stdout + ended.stderr).encode()) == []
    check_requests(asked)
    [branch] = git(repository, "branch", "--list", "amelia/*", "--format=%(refname:short)").split()
    check_delivered(repository, branch)
    clones = list((state / "local").glob("*/work"))
    assert found_in_files(state, without=clones) == []
    assert any("[redacted:" in file.read_text(errors="replace") for file in state.rglob("events.jsonl"))
