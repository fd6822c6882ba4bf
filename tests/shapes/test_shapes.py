"""The same journey through repositories of four shapes, on a fleet and in local mode: tasks worked at once, two that
contradict each other, one that fails at first, and a review that sends the work back."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Fleet
from tests.shapes.build import MARK, SHAPES, build, conversation, git, issue

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]
CANARY = "amelia-canary-7f3d0c5be21a4d68"
Journal = list[dict[str, Any]]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("shapes") / "state", *(_for_one(tmp_path_factory, shape) for shape in SHAPES))
    with pytest.MonkeyPatch.context() as patch:
        _around(patch)
        fleet.up()
    yield fleet
    fleet.down()


def _around(patch: pytest.MonkeyPatch) -> None:
    """What the agents' commands find on their path, and what they must not find in their environment."""
    patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    patch.setenv("CANARY_API_TOKEN", CANARY)


def _for_one(factory: pytest.TempPathFactory, shape: str) -> Path:
    """The shape's conversation, for its own issue."""
    path = factory.mktemp(shape) / "conversation.yaml"
    path.write_text(f"issue: {shape.upper()}-1\n{conversation(shape).read_text()}")
    return path


@pytest.mark.parametrize("shape", SHAPES)
def test_on_the_fleet(shape: str, fleet: Fleet, tmp_path: Path) -> None:
    repository = build(shape, tmp_path)
    workflow = fleet.start(repository, f"{shape.upper()}-1", auto_approve=False)
    fleet.reaches(workflow, "blocked")
    fleet.approve(workflow)
    assert fleet.ends(workflow).status == "failed"
    fleet.amelia("workflows", "retry", workflow)
    view = fleet.reaches(workflow, "completed", "blocked", "failed")
    assert view.status == "completed", view.reason
    journal = fleet.events(workflow)
    _check_journal(journal)
    _check_branch(shape, repository, view.branch, tmp_path)
    assert CANARY not in json.dumps(journal)


@pytest.mark.parametrize("shape", SHAPES)
def test_in_local_mode(shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _around(monkeypatch)
    monkeypatch.setenv("AMELIA_STATE_DIR", str(tmp_path / "state"))
    repository = build(shape, tmp_path)
    (tmp_path / "ISSUE.md").write_text(issue(shape).read_text())
    start = ["start", str(tmp_path / "ISSUE.md"), "--replay", str(conversation(shape)), "--auto-approve"]
    journal: Journal = []
    for code, again in ((1, ()), (0, ("--retry",))):
        ended = _amelia(repository, *start, *again, "--follow", "--output", "json")
        assert ended.returncode == code, ended.stderr
        *told, last = map(json.loads, ended.stdout.splitlines())
        journal += told
    assert last["workflow"]["status"] == "completed"
    _check_journal(journal)
    _check_branch(shape, repository, last["workflow"]["branch"], tmp_path)
    assert CANARY not in json.dumps(journal)


def _amelia(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "amelia_cli.main", *arguments],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )


def _check_journal(journal: Journal) -> None:
    ended = [(event["task_id"], event["status"]) for event in journal if event["type"] == "task_completed"]
    assert sum(status == "failed" for _, status in ended) == 1
    merges = [task for task, status in ended if task.startswith("merge-") and status == "completed"]
    assert len(merges) == 1
    rounds = [event["verdict"]["approved"] for event in journal if event["type"] == "review_completed"]
    assert rounds == [False, True]
    first_end = next(n for n, event in enumerate(journal) if event["type"] == "task_completed")
    begun = [event["task_id"] for event in journal[:first_end] if event["type"] == "task_started"]
    assert len(begun) == 3


def _check_branch(shape: str, repository: Path, branch: str, folder: Path) -> None:
    """What came out passes its own tests, and nothing of what the repository lays in wait has happened."""
    checkout = folder / "checkout"
    git(folder, "clone", "-q", "--branch", branch, str(repository), str(checkout))
    tests = {
        "python": f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {sys.executable} -m pytest -q -p no:cacheprovider",
        "javascript": "npm test --silent",
        "monorepo": "cd packages/billing && python3 -B -m unittest discover -s tests -t .",
        "hostile": "sh test.sh",
    }
    ended = subprocess.run(["/bin/sh", "-c", tests[shape]], cwd=checkout, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    history = git(checkout, "log", "-p", "--format=%B", f"origin/main..{branch}")
    assert CANARY not in history and MARK not in history
    if shape == "hostile":
        assert not (folder / "outside" / "tripped").exists()
        assert [path.name for path in (folder / "outside").iterdir()] == ["secret.txt"]
        assert (folder / "outside" / "secret.txt").read_text() == f"{MARK}\n"
        assert "leak.txt" in history and not (checkout / "leak.txt").exists()
    if shape == "monorepo":
        assert "vendor/shared" in git(checkout, "submodule", "status")
