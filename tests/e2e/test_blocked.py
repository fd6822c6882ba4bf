"""What computes while a person thinks: nothing."""

import time
from collections.abc import Iterable
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from tests.e2e.conftest import Fleet, until

pytestmark = pytest.mark.e2e

_LEASES_SECONDS = 6.0
"""One and a half leases of the fleet that is tested: long enough for anything that beats, polls or is swept."""


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
