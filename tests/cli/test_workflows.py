import json

import msgspec
import pytest

from amelia.contract import events as e
from amelia.contract.plan import plan_sha256
from amelia.contract.views import PlanView, UsageView, WorkflowPage, WorkflowView

from ..client.pretend_fleet import PLAN, PretendFleet
from .conftest import Amelia


@pytest.fixture
def blocked(fleet: PretendFleet) -> WorkflowView:
    view = fleet.add(status="blocked", block_id="the-block", plan_sha256=plan_sha256(PLAN), reason="the plan waits")
    fleet.plans[view.id] = PLAN
    return view


def test_a_list_has_a_line_for_each_workflow(amelia: Amelia, blocked: WorkflowView) -> None:
    ran = amelia("workflows", "list")
    assert ran.code == 0
    head, line = ran.out.splitlines()
    assert head.split() == ["ID", "STATUS", "ISSUE", "TITLE", "AGE"]
    assert line.split()[:3] == [blocked.id, "blocked", "wrong-total"]


@pytest.mark.usefixtures("fleet")
def test_an_empty_list_says_how_to_begin(amelia: Amelia) -> None:
    assert "amelia start ISSUE --remote" in amelia("workflows", "list", "--remote").out


def test_a_list_goes_on_with_its_cursor(amelia: Amelia, fleet: PretendFleet) -> None:
    ids = [fleet.add().id for _ in range(3)]
    page = msgspec.json.decode(amelia("workflows", "list", "--limit", "2", "--output", "json").out, type=WorkflowPage)
    assert [view.id for view in page.items] == ids[:2]
    rest = amelia("workflows", "list", "--limit", "2", "--cursor", page.next)
    assert ids[2] in rest.out


def test_every_reading_command_has_a_document_for_programs(amelia: Amelia, blocked: WorkflowView) -> None:
    def told(*arguments: str) -> str:
        ran = amelia("workflows", *arguments, blocked.id, "--output", "json")
        assert ran.code == 0
        return ran.out

    assert msgspec.json.decode(told("show"), type=WorkflowView) == blocked
    assert msgspec.json.decode(told("plan"), type=PlanView).plan == PLAN
    assert msgspec.json.decode(told("usage"), type=UsageView).spent == blocked.spent
    assert json.loads(told("diff"))["workflow_id"] == blocked.id


def test_every_reading_command_has_text_for_people(amelia: Amelia, blocked: WorkflowView) -> None:
    short = blocked.id[3:12]
    assert "amelia workflows plan" in amelia("workflows", "show", short).out
    assert "1. Round the total  [round]" in amelia("workflows", "plan", short).out
    assert "$0.0081" in amelia("workflows", "usage", short).out
    assert "+++ b/total.py" in amelia("workflows", "diff", short).out


def test_an_approval_names_the_block_and_the_plan_that_were_seen(
    amelia: Amelia, fleet: PretendFleet, blocked: WorkflowView
) -> None:
    ran = amelia("workflows", "approve", blocked.id, "--yes")
    assert (ran.code, "is approved" in ran.out) == (0, True)
    assert (fleet.decisions[0].block_id, fleet.decisions[0].plan_sha256) == ("the-block", plan_sha256(PLAN))


@pytest.mark.parametrize(
    ("status", "way"), [("paused", "resume"), ("completed", "diff"), ("failed", "retry"), ("cancelled", "retry")]
)
def test_what_cannot_be_decided_says_what_can_be_done(
    amelia: Amelia, fleet: PretendFleet, status: str, way: str
) -> None:
    view = fleet.add(status=status)
    ran = amelia("workflows", "reject", view.id)
    assert (
        ran.code,
        f"is {status}; only blocked workflows can be decided: amelia workflows {way} {view.id}" in ran.err,
    ) == (5, True)


def test_another_plan_than_the_one_named_is_a_conflict(
    amelia: Amelia, fleet: PretendFleet, blocked: WorkflowView
) -> None:
    for verb in ("approve", "reject"):
        ran = amelia("workflows", verb, blocked.id, "--plan-sha256", "0" * 64)
        assert (ran.code, "look at it again" in ran.err) == (5, True)
    assert not fleet.decisions


def test_a_rejection_carries_its_feedback(amelia: Amelia, fleet: PretendFleet, blocked: WorkflowView) -> None:
    assert amelia("workflows", "reject", blocked.id, "--feedback", "too large").code == 0
    assert fleet.decisions[0].feedback == "too large"


def test_what_is_not_blocked_cannot_be_approved(amelia: Amelia, fleet: PretendFleet) -> None:
    view = fleet.add()
    fleet.plans[view.id] = PLAN
    ran = amelia("workflows", "approve", view.id)
    assert (ran.code, ran.err) == (
        5,
        f"amelia: {view.id} is in_progress; only blocked workflows can be decided\n",
    )


def test_a_cancellation_tells_its_reason(amelia: Amelia, fleet: PretendFleet) -> None:
    view = fleet.add()
    ran = amelia("workflows", "cancel", view.id, "--reason", "no longer")
    assert ran.out == f"{view.id} is cancelled by you: no longer\n"


def test_what_has_ended_cannot_be_cancelled(amelia: Amelia, fleet: PretendFleet) -> None:
    assert amelia("workflows", "cancel", fleet.add(status="completed").id).code == 5


@pytest.fixture
def talkative(fleet: PretendFleet) -> str:
    workflow_id = fleet.add().id
    fleet.say(
        workflow_id,
        e.AttemptOpened(id="1", workflow_id=workflow_id, attempt=1, lease_seconds=20, key_version=1),
        {"id": "2", "type": "colour_changed", "workflow_id": workflow_id, "limit": 7},
        e.AgentMessage(id="3", workflow_id=workflow_id, agent="developer", content="evil \x1b[2Jwords\nhere"),
    )
    return workflow_id


def test_logs_print_what_there_is_and_end(amelia: Amelia, talkative: str) -> None:
    ran = amelia("workflows", "logs", talkative)
    assert [line.split(maxsplit=1)[1].strip() for line in ran.out.splitlines()] == [
        "1  attempt 1 begins",
        "2  colour_changed",
        "3  developer: evil  [2Jwords here",
    ]


def test_logs_begin_after_the_event_named(amelia: Amelia, talkative: str) -> None:
    ran = amelia("workflows", "logs", talkative, "--after", "2", "--output", "json")
    assert [json.loads(line)["sequence"] for line in ran.out.splitlines()] == [3]


def test_logs_for_programs_pass_on_what_this_version_does_not_know(amelia: Amelia, talkative: str) -> None:
    lines = amelia("workflows", "logs", talkative, "--output", "json").out.splitlines()
    assert json.loads(lines[1])["limit"] == 7


def test_logs_follow_to_the_end_over_lost_connections(amelia: Amelia, fleet: PretendFleet, talkative: str) -> None:
    fleet.say(talkative, e.WorkflowCancelled(id="4", workflow_id=talkative, cancelled_by="me"))
    fleet.change(talkative, status="cancelled")
    fleet.faults = ["drop 1", "503", "drop 1"]
    ran = amelia("workflows", "logs", talkative, "--follow")
    assert ran.code == 0
    assert [int(line.split()[1]) for line in ran.out.splitlines()] == [1, 2, 3, 4]
    assert "trying again" in ran.err
