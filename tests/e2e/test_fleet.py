"""One issue becomes a reviewed branch through real processes, whoever of them dies on the way."""

import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
from tests.e2e.conftest import Fleet, follow, git, make_repository, until

pytestmark = pytest.mark.e2e
_LEASES_SECONDS = 6.0
"""One and a half leases of the fleet that is tested: long enough for anything that beats, polls or is swept."""


def whole(events: list[dict[str, Any]]) -> None:
    """Dense, each task completed once, nothing after the end. Progress that a dead queue held is said to be missing."""
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    facts = [event["fact"] for event in events if event.get("fact")]
    assert facts == list(range(1, len(facts) + 1))
    done = [event["task_id"] for event in events if event["type"] == "task_completed"]
    assert done == ["greet", "note"]
    assert events[-1]["type"] == "branch_pushed"
    ordinals: dict[int, int] = {}
    for event in events:
        if event["type"] == "events_missing":
            assert event["first"] == ordinals.get(event["of_attempt"], 0) + 1
            ordinals[event["of_attempt"]] = event["last"]
        elif event.get("ordinal"):
            assert event["ordinal"] == ordinals.get(event["attempt"], 0) + 1
            ordinals[event["attempt"]] = event["ordinal"]


def polite(fleet: Fleet, repository: Path, workflow_id: str) -> None:
    """Completed, and the branch does what the plan said, in one commit a task."""
    view = fleet.ends(workflow_id)
    assert view.status == "completed", view
    assert git(repository, "show", f"{view.branch}:greet.sh").endswith("echo 'Good day.'\n")
    assert git(repository, "show", f"{view.branch}:notes.txt") == "polite now\n"
    assert git(repository, "rev-list", "--count", f"main..{view.branch}").strip() == "2"
    assert git(repository, "rev-parse", view.branch).strip() == view.commit
    whole(fleet.events(workflow_id))


def test_an_issue_becomes_a_branch_after_a_person_approved_the_plan(fleet: Fleet, repository: Path) -> None:
    workflow_id = fleet.start(repository, auto_approve=False)
    fleet.reaches(workflow_id, "blocked")
    until(lambda: True if workflow_id not in fleet.sessions() else None, "no session runs while a person thinks")
    fleet.approve(workflow_id)
    polite(fleet, repository, workflow_id)
    until(lambda: True if workflow_id not in fleet.sessions() else None, "no session is left when it has ended")


def test_a_killed_runtime_resumes_in_the_middle_of_its_task(fleet: Fleet, repository: Path) -> None:
    workflow_id = fleet.start(repository)
    fleet.says(workflow_id, "tool_completed", tool="write_file")
    fleet.kill_session(workflow_id)
    polite(fleet, repository, workflow_id)
    events = fleet.events(workflow_id)
    assert [e["type"] for e in events].count("runtime_lost") == 1
    assert sum(e["type"] == "tool_completed" and e["summary"].startswith("exit code 1") for e in events) == 1


def test_a_workflow_whose_runtime_died_leaves_its_usage_its_artifacts_and_a_file_that_plays_it_again(
    fleet: Fleet, repository: Path, tmp_path: Path
) -> None:
    workflow_id = fleet.start(repository)
    fleet.says(workflow_id, "tool_completed", tool="write_file")
    fleet.kill_session(workflow_id)
    assert fleet.ends(workflow_id).status == "completed"
    used = fleet.client.usage(workflow_id)
    assert {(share.agent, share.task_id) for share in used.shares if share.agent} == {
        *(("architect", ""), ("developer", "greet"), ("developer", "note"), ("reviewer", "")),
    }
    assert sum(share.used.tokens for share in used.shares) == used.spent.tokens
    names = [item.name for item in fleet.client.artifacts(workflow_id).items]
    assert len(names) == len(set(names))
    assert {"plan-1.json", "transcript-developer-greet-1.jsonl", "work.bundle", "work.diff"} <= set(names)
    transcript = fleet.client.artifact(workflow_id, "transcript-developer-greet-1.jsonl").splitlines()
    assert transcript[0].startswith(b'{"type":"conversation"')
    assert transcript[-1].startswith(b'{"type":"end","outcome":"accepted"')
    file = tmp_path / "greeting.yaml"
    fleet.amelia("workflows", "export", workflow_id, "-o", str(file))
    again = fleet.amelia("rerun", str(file), ok=False)
    assert (again.returncode, "goes the same way" in again.stdout) == (0, True), again.stdout + again.stderr


@pytest.mark.parametrize("part", ["dispatcher", "router", "api", "postgres", "emulator", "agentcore", "replay"])
def test_a_killed_part_loses_nothing(fleet: Fleet, repository: Path, part: str) -> None:
    workflow_id = fleet.start(repository)
    fleet.says(workflow_id, "tool_completed", tool="write_file")
    fleet.kill(part)
    polite(fleet, repository, workflow_id)


@pytest.mark.parametrize("part", ["dispatcher", "emulator"])
def test_a_part_killed_as_soon_as_the_command_is_accepted_loses_nothing(
    fleet: Fleet, repository: Path, part: str
) -> None:
    workflow_id = fleet.start(repository)
    fleet.kill(part)
    polite(fleet, repository, workflow_id)


def test_a_follower_sees_every_event_once_across_a_restart_of_the_api(fleet: Fleet, repository: Path) -> None:
    workflow_id = fleet.start(repository)
    seen: list[int] = []

    def watch() -> None:
        for frame in follow(fleet.url, fleet.token, workflow_id, after=0):
            if frame.sequence:
                seen.append(frame.sequence)
            if frame.type == "branch_pushed":
                return

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    fleet.says(workflow_id, "task_started", task_id="greet")
    fleet.kill("api")
    polite(fleet, repository, workflow_id)
    watching.join(30)
    assert not watching.is_alive()
    assert seen == list(range(1, len(fleet.events(workflow_id)) + 1))


def test_a_cancelled_workflow_stays_cancelled_and_its_session_goes(fleet: Fleet, repository: Path) -> None:
    workflow_id = fleet.start(repository)
    fleet.says(workflow_id, "task_started", task_id="greet")
    assert fleet.client.cancel(workflow_id, "changed my mind").status == "cancelled"
    until(lambda: True if workflow_id not in fleet.sessions() else None, "the session is gone")
    assert fleet.workflow(workflow_id).status == "cancelled"
    assert "amelia/" not in git(repository, "branch", "--list", "amelia/*")


def test_what_was_accepted_survives_a_fleet_that_goes_down_and_comes_up(
    fleet: Fleet, repository: Path, tmp_path: Path
) -> None:
    elsewhere = make_repository(tmp_path / "elsewhere")
    waiting = fleet.start(elsewhere, auto_approve=False)
    fleet.reaches(waiting, "blocked")
    running = fleet.start(repository)
    fleet.says(running, "task_started", task_id="greet")
    fleet.down()
    fleet.up()
    fleet.approve(waiting)
    polite(fleet, elsewhere, waiting)
    polite(fleet, repository, running)


def test_compute_while_blocked_is_zero(fleet: Fleet, repository: Path) -> None:
    """No session, no process that names the workflow, not a second of CPU, and nothing is written about it."""
    ids = [fleet.start(repository, f"E2E-{number}", auto_approve=False) for number in range(3)]
    for workflow_id in ids:
        fleet.reaches(workflow_id, "blocked")
        until(lambda id_=workflow_id: True if id_ not in fleet.sessions() else None, "its session is gone")  # type: ignore[misc]
    before = {workflow_id: fleet.events(workflow_id) for workflow_id in ids}
    spent, ends = 0.0, time.monotonic() + _LEASES_SECONDS
    while time.monotonic() < ends:
        working = [*processes_of(ids, fleet)]
        assert not working, f"{working} work although nobody has decided"
        spent += sum(cpu_seconds(process) for process in working)
        time.sleep(0.5)
    assert spent == 0.0
    assert not set(ids) & set(fleet.sessions())
    assert {workflow_id: fleet.events(workflow_id) for workflow_id in ids} == before
    for workflow_id in ids:
        fleet.client.cancel(workflow_id)


def processes_of(workflow_ids: Iterable[str], fleet: Fleet) -> Iterable[psutil.Process]:
    """Sessions, and whatever was given a workflow's id on its command line, in its environment or as its directory."""
    sessions = {pid for workflow_id, pid in fleet.sessions().items() if workflow_id in workflow_ids}
    for process in psutil.process_iter():
        try:
            told = " ".join([*process.cmdline(), process.cwd(), *process.environ().values()])
        except (psutil.Error, OSError):
            continue
        if process.pid in sessions or any(workflow_id in told for workflow_id in workflow_ids):
            yield process


def cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)
