"""What a change of a workflow has to tell."""

import pytest
from msgspec.structs import replace

from amelia.contract.workflow import Profile, PullRequest, Status, Tell
from amelia.domain.telling import linked, stale, tellings
from amelia.domain.workflow import Block, Workflow

from ..samples import HASH, NOW, PLAN, workflow

BLOCK = Block(event_id="b1", plan_sha256=HASH, plan=PLAN)


def told(before: Workflow, after: Workflow) -> list[tuple[str, str]]:
    return [(one.moment, one.status) for one in tellings(before, after, NOW)]


@pytest.fixture
def pending() -> Workflow:
    return workflow(profile=Profile(tracker="github"))


def test_only_the_first_attempt_is_a_start(pending: Workflow) -> None:
    working = replace(pending, status="in_progress", epoch=1, open=True)
    assert told(pending, working) == [("start", "in_progress")]
    assert told(working, replace(working, epoch=2)) == []
    cancelled = replace(pending, status="cancelled", epoch=1)
    assert told(pending, cancelled) == [("completion", "cancelled")], "a cancel fences off an attempt that never was"


def test_each_block_is_told_and_its_reminder_is_not(pending: Workflow) -> None:
    working = replace(pending, status="in_progress", epoch=1)
    blocked = replace(working, status="blocked", block=BLOCK)
    assert told(working, blocked) == [("block", "blocked")]
    assert told(blocked, replace(blocked, block=replace(BLOCK, reminder="", deadline="later"))) == []
    assert told(blocked, replace(blocked, block=replace(BLOCK, event_id="b2"))) == [("block", "blocked")]
    assert told(working, replace(working, status="paused", reason="no budget")) == [("block", "paused")]


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_every_end_is_told_once(pending: Workflow, status: Status) -> None:
    working = replace(pending, status="in_progress", epoch=1)
    ended = replace(working, status=status, commit="c" * 40)
    assert told(working, ended) == [("completion", status)]
    assert told(ended, replace(ended, sequence=9)) == []


def test_what_is_switched_off_and_who_cannot_be_told(pending: Workflow) -> None:
    quiet = replace(pending, profile=Profile(tracker="jira", tell=Tell(start=False)))
    assert told(quiet, replace(quiet, status="in_progress", epoch=1, open=True)) == []
    nobody = workflow()
    assert told(nobody, replace(nobody, status="in_progress", epoch=1, open=True)) == []


def test_a_telling_has_a_name_of_its_own_and_the_ways_out(pending: Workflow) -> None:
    pull = PullRequest(url="https://example.org/r/pull/7", number=7, draft=True)
    ended = replace(
        pending, status="completed", sequence=40, commit="c" * 40, pull_request=pull, unresolved=("x @ada",)
    )
    [one] = tellings(pending, ended, NOW)
    assert one.key == f"{pending.id}/completion/40"
    assert tellings(pending, ended, NOW) == (one,)
    said = linked(one, "https://amelia.example.com")
    assert "pull request 7 (a draft)" in said
    assert "[Result](https://example.org/r/pull/7)" in said
    assert f"https://amelia.example.com/workflows/{pending.id}" in said
    assert "@ada" not in said
    assert "](" not in linked(replace(one, url=""), "")


def test_what_is_over_is_no_news(pending: Workflow) -> None:
    blocked = replace(pending, status="blocked", block=BLOCK)
    [asks] = tellings(pending, blocked, NOW)
    assert not stale(asks, blocked, tried=True)
    assert stale(asks, replace(blocked, status="approved"), tried=False)
    assert stale(asks, replace(blocked, block=replace(BLOCK, event_id="b2")), tried=False)
    [begun] = tellings(pending, replace(pending, status="in_progress", epoch=1, open=True), NOW)
    failed = replace(pending, status="failed", epoch=1)
    assert not stale(begun, failed, tried=False)
    assert stale(begun, failed, tried=True)
    [ended] = tellings(replace(pending, epoch=1), failed, NOW)
    assert stale(ended, replace(failed, status="pending"), tried=True)
