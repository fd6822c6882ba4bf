"""What a list looks like on a terminal that is narrow."""

import pytest

from amelia.contract.workflow import Issue

from ..client.pretend_fleet import PretendFleet
from .conftest import AMELIA, Amelia
from .test_control import letter
from .test_errors import on_a_terminal

LONG = Issue(id="acme/a-shop-with-a-long-name#1234", title="Totals are wrong by a cent, " * 4)


def narrow(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[str]:
    monkeypatch.setenv("NO_COLOR", "1")
    return on_a_terminal([*AMELIA, *arguments], {"COLUMNS": "80"}).decode().splitlines()


@pytest.fixture
def many(fleet: PretendFleet) -> PretendFleet:
    fleet.add(id="wf-12345678-0000-4000-8000-000000000001", phase="executing", issue=LONG)
    fleet.add(id="wf-12345678-1000-4000-8000-000000000002")
    return fleet


def test_a_workflow_is_one_line_and_its_id_as_short_as_it_is_unique(
    many: PretendFleet, amelia: Amelia, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = narrow(monkeypatch, "workflows", "list")
    assert len(lines) == 3
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines] == ["ID", "wf-12345678-0", "wf-12345678-1"]
    assert "…" in lines[1]
    assert amelia("workflows", "show", lines[1].split()[0]).code == 0


def test_what_reads_the_list_is_given_whole_ids(many: PretendFleet, amelia: Amelia) -> None:
    out = amelia("workflows", "list").out
    assert all(id_ in out for id_ in many.views)
    assert "…" not in out


def test_a_dead_letter_is_one_line(fleet: PretendFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        one = letter(number, cause="there is no such command, and so nobody can act upon it; " * 2)
        fleet.letters[one.id] = one
    lines = narrow(monkeypatch, "dead-letters", "list")
    assert len(lines) == 3
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("00000001-00")
