import json
import os
import signal
import subprocess

import pytest

from amelia.contract import events as e

from ..client.pretend_fleet import PretendFleet
from .conftest import AMELIA, Amelia

WORKFLOW = "wf-3f2a0000-0000-4000-8000-000000000000"


@pytest.fixture
def told(fleet: PretendFleet) -> PretendFleet:
    for number in range(1, 4):
        said = e.AgentMessage(
            id=str(number),
            workflow_id=WORKFLOW,
            timestamp="2026-01-01T09:30:00.000Z",
            agent="developer",
            content=f"word {number}\x1b[2J",
        )
        fleet.tell(said, number)
    return fleet


def until_interrupted(lines: int, *arguments: str) -> tuple[list[str], int, str]:
    """So many lines of output, then what Ctrl-C leaves: exit code and stderr."""
    command = [*AMELIA, "workflows", "watch", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as child:
        assert child.stdout is not None
        seen = [child.stdout.readline() for _ in range(lines)]
        os.kill(child.pid, signal.SIGINT)
        _, err = child.communicate(timeout=20)
    return seen, child.returncode, err


def test_the_whole_fleet_is_shown_a_line_each_and_ctrl_c_says_how_to_go_on(told: PretendFleet) -> None:
    told.faults = ["drop 2", "503"]
    seen, code, err = until_interrupted(3, "--after", "0")
    assert [line.split()[:4] for line in seen] == [["09:30:00", "wf-3f2a0000", str(n), "developer:"] for n in (1, 2, 3)]
    assert "\x1b" not in "".join(seen)
    assert code == 130
    assert "to go on: amelia workflows watch --after " in err
    assert "Traceback" not in err


def test_programs_get_the_frames(told: PretendFleet) -> None:
    seen, code, err = until_interrupted(3, "--after", "0", "--output", "json", "--type", "agent_message")
    assert [json.loads(line)["cursor"] for line in seen] == ["1-0", "2-0", "3-0"]
    assert json.loads(seen[0])["workflow_id"] == WORKFLOW
    assert "type=agent_message" in told.asked[0]
    assert code == 130
    assert json.loads(err)["error"]["kind"] == "interrupted"


def test_a_token_that_is_refused_before_the_stream_begins_is_told_as_such(amelia: Amelia, told: PretendFleet) -> None:
    told.faults = ["403"]
    told.refusal = b""
    ran = amelia("workflows", "watch")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith(
        f"amelia: this token is not the fleet's at {told.url}, or none was sent; set AMELIA_TOKEN"
    )


def test_a_status_that_is_none_is_a_usage_error() -> None:
    ran = subprocess.run([*AMELIA, "workflows", "watch", "--status", "running"], capture_output=True, text=True)
    assert ran.returncode == 2
    assert "in_progress" in ran.stderr
