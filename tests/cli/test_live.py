"""The live view of a terminal: what was said and asked above the picture stays, whatever becomes of the picture."""

import re

import pytest

from amelia.contract import events as e
from amelia.contract.views import StartRequest

from ..client.pretend_fleet import PretendFleet, Refusal
from .conftest import Answering
from .test_start_remote import blocks, ends

pytestmark = pytest.mark.usefixtures("repository")

_PIECE = re.compile(r"\x1b\[\??([\d;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


def on_screen(written: str) -> list[str]:
    """What a terminal without end shows of the bytes it was sent: lines, the cursor going up, and erasing."""
    lines, row, column = [""], 0, 0
    for number, order, moved, text in _PIECE.findall(written):
        if order == "A":
            row = max(0, row - int(number or 1))
        elif order == "K":
            lines[row] = "" if number == "2" else lines[row][:column]
        elif moved == "\r":
            column = 0
        elif moved == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif text:
            lines[row] = lines[row].ljust(column)[:column] + text + lines[row][column + len(text) :]
            column += len(text)
    return [line.rstrip() for line in lines]


def begins_tasks(fleet: PretendFleet, workflow_id: str) -> None:
    for name in ("t1", "t2", "t3", "t4"):
        fleet.say(workflow_id, e.TaskStarted(id=name, workflow_id=workflow_id, task_id=name, title="T"))


@pytest.fixture
def working(fleet: PretendFleet) -> PretendFleet:
    """Has begun tasks and blocks; completes once it is approved."""

    def begin(workflow_id: str, request: StartRequest) -> None:
        begins_tasks(fleet, workflow_id)
        blocks(fleet, workflow_id)

    fleet.on_start = begin
    fleet.on_decision = lambda workflow_id, kind: ends(fleet, workflow_id)
    return fleet


def test_what_was_asked_and_answered_stays_on_the_screen(working: PretendFleet, answering: Answering) -> None:
    code, written = answering(["start", "issue.md", "--remote"], [("Approve this plan?", "a")])
    seen = on_screen(written)
    assert code == 0
    assert next(line for line in seen if line.startswith("Approve this plan?")).endswith("leave it waiting: a"), seen
    assert "Round once, at the end." in seen
    assert "tests: pytest" in seen


def test_that_somebody_else_has_decided_stays_on_the_screen(working: PretendFleet, answering: Answering) -> None:
    def first(workflow_id: str, kind: str) -> None:
        ends(working, workflow_id)
        raise Refusal(409, f"{workflow_id} is decided")

    working.on_decision = first
    code, written = answering(["start", "issue.md", "--remote"], [("Approve this plan?", "a")])
    assert code == 0
    assert any(line.startswith("decided meanwhile: wf-") for line in on_screen(written)), on_screen(written)


def test_a_fleet_that_is_away_is_said_once_above_the_picture_of_which_nothing_stays(
    fleet: PretendFleet, answering: Answering
) -> None:
    def begin(workflow_id: str, request: StartRequest) -> None:
        begins_tasks(fleet, workflow_id)
        ends(fleet, workflow_id)

    fleet.on_start = begin
    fleet.faults = ["drop 4", "503", "503", "503", "503"]
    code, written = answering(["start", "issue.md", "--remote"], [])
    seen = on_screen(written)
    assert code == 0
    assert sum(line.startswith("the fleet does not answer (") for line in seen) == 1, seen
    assert not [line for line in seen if line.startswith("▸") or "pending, " in line], seen


def test_without_colour_the_picture_is_plain(
    working: PretendFleet, answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    _, written = answering(["start", "issue.md", "--remote"], [("Approve this plan?", "a")])
    assert "· Round the total" in written
    assert not re.search(r"\x1b\[[\d;]+m", written)
