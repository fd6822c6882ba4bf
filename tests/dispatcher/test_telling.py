"""The tracker hears of a workflow what its profile asks for, each once, and nothing waits for it."""

import asyncio
from typing import Any

import msgspec
import pytest

from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.workflow import Issue, Profile, Tell, TrackerName
from amelia.domain.telling import Telling
from amelia.errors import Limited, Refused, Unauthorised, Unavailable
from amelia.ports.journal import Outgoing
from amelia.trackers.reference import Known, Places, recognised
from amelia.trackers.tracker import Comment
from amelia_dispatcher.relay import Relay
from amelia_dispatcher.telling import Teller

from ..samples import HASH, Voice, arrived, eventually, order, stream
from .conftest import World

ISSUE = Issue(id="acme/shop#7", title="Totals are wrong", url="https://github.com/acme/shop/issues/7")
PROFILE = Profile(tracker="github")


class Heard:
    """A tracker that keeps comments by their key; ``fails`` in turn, after the comment was made if ``late``."""

    def __init__(self, *fails: Exception, late: bool = False) -> None:
        self.said: dict[str, str] = {}
        self.on: list[str] = []
        self.asked = 0
        self.fails = list(fails)
        self.late = late

    def recognised(self, reference: str, tracker: TrackerName, repository: str = "") -> Known | None:
        return recognised(reference, tracker, Places(here="acme/shop" if "acme/shop" in repository else ""))

    async def tell(self, known: Known, comment: Comment) -> str:
        self.asked += 1
        await asyncio.sleep(0)
        failure = self.fails.pop(0) if self.fails else None
        if failure is not None and not self.late:
            raise failure
        if comment.key not in self.said:
            self.said[comment.key] = comment.text
            self.on.append(known.issue)
        if failure is not None:
            raise failure
        return f"https://github.com/{known.issue}"

    def moments(self) -> list[str]:
        return [key.split("/")[1] for key in self.said]


async def begun(world: World, profile: Profile = PROFILE, issue: Issue = ISSUE, **fields: Any) -> Voice:
    command = await world.submitted(profile=profile, issue=issue, **fields)
    await world.act(command)
    return Voice(command.workflow_id)


async def waits(world: World, voice: Voice) -> None:
    said = arrived(voice.fact(e.WorkflowStarted), voice.fact(e.WorkflowBlocked))
    assert await world.journal.append(said) == [None, None]


async def rows(world: World) -> list[Outgoing]:
    """Those for the tracker, as the relay is given them."""
    await world.sql("UPDATE outbox SET next_at = now() WHERE destination = 'tracker'")
    return await world.journal.due(100, 5, "tracker")


async def told(world: World, tracker: Heard, link: str = "") -> list[str]:
    """One pass; the moments that were heard so far."""
    await Teller(world.journal, tracker, link=link).take(await rows(world))
    return tracker.moments()


async def test_start_block_and_completion_are_told_with_the_ways_out(world: World) -> None:
    tracker, voice = Heard(), await begun(world)
    assert await told(world, tracker, "https://amelia.example.com/") == ["start"]
    await waits(world, voice)
    assert await told(world, tracker, "https://amelia.example.com/") == ["start", "block"]
    await world.journal.execute(order(c.CancelWorkflow, voice.workflow_id))
    assert await told(world, tracker, "https://amelia.example.com/") == ["start", "block", "completion"]
    assert set(tracker.on) == {"acme/shop#7"}
    start, block, completion = tracker.said.values()
    link = f"[workflow](https://amelia.example.com/workflows/{voice.workflow_id})"
    assert all(link in text for text in (start, block, completion))
    assert "the branch `amelia/acme-shop-7-" in start
    assert "- Round the total" in block
    assert f"amelia workflows approve {voice.workflow_id}" in block
    assert "cancelled" in completion
    assert await rows(world) == []


async def test_each_moment_can_be_switched_off(world: World) -> None:
    for switched in ("start", "block", "completion"):
        tracker = Heard()
        voice = await begun(world, Profile(tracker="github", tell=Tell(**{switched: False})))
        await waits(world, voice)
        first = await told(world, tracker)
        await world.journal.execute(order(c.CancelWorkflow, voice.workflow_id))
        assert {*first, *await told(world, tracker)} == {"start", "block", "completion"} - {switched}


@pytest.mark.parametrize("tracker", ["noop", "file"])
async def test_trackers_in_which_nothing_can_be_said_cost_nothing(world: World, tracker: TrackerName) -> None:
    await begun(world, Profile(tracker=tracker))
    assert await rows(world) == []


async def test_an_issue_that_is_no_trackers_is_nobodys_to_be_told(world: World) -> None:
    tracker = Heard()
    voice = await begun(world, issue=Issue(id="wrong-total", title="t"))
    assert await told(world, tracker) == []
    assert await rows(world) == []
    assert not [x for _, x in await stream(world.journal, voice.workflow_id) if isinstance(x, e.CommandRefused)]


async def test_a_number_is_an_issue_of_the_repository_that_is_worked_on(world: World) -> None:
    tracker = Heard()
    await begun(world, issue=Issue(id="7", title="t"), repository="https://github.com/acme/shop.git")
    await told(world, tracker)
    assert tracker.on == ["acme/shop#7"]


async def test_an_answer_that_was_lost_makes_no_second_comment(world: World) -> None:
    tracker = Heard(Unavailable("the answer did not arrive"), late=True)
    await begun(world)
    assert await told(world, tracker) == ["start"]
    assert len(await world.sql("SELECT FROM outbox WHERE destination = 'tracker'")) == 1
    assert await told(world, tracker) == ["start"]
    assert tracker.asked == 2
    assert await rows(world) == []


async def test_two_dispatchers_make_one_comment(world: World) -> None:
    tracker = Heard()
    await begun(world)
    there = await rows(world)
    await asyncio.gather(*(Teller(world.journal, tracker).take(there) for _ in range(2)))
    assert tracker.on == ["acme/shop#7"]


async def test_what_nobody_has_to_decide_any_more_is_not_asked(world: World) -> None:
    tracker, voice = Heard(Unavailable("away")), await begun(world)
    await told(world, tracker)
    await waits(world, voice)
    await world.journal.execute(order(c.RejectWorkflow, voice.workflow_id, feedback="no"))
    assert await told(world, tracker) == ["completion"], "a start that comes late is no news either"
    assert "rejected" in tracker.said[next(iter(tracker.said))]


async def test_a_plan_that_is_approved_at_once_is_not_told_as_a_wait(world: World) -> None:
    tracker, voice = Heard(), await begun(world, auto_approve=True)
    await waits(world, voice)
    assert (await world.workflow(voice.workflow_id)).status == "approved"
    assert await told(world, tracker) == ["start"]


async def test_a_tracker_that_refuses_stops_nothing_and_is_said_in_the_events(world: World) -> None:
    tracker, voice = Heard(Refused("give the token issues: write")), await begun(world)
    before = await world.workflow(voice.workflow_id)
    assert await told(world, tracker) == []
    [refused] = [x for _, x in await stream(world.journal, voice.workflow_id) if isinstance(x, e.CommandRefused)]
    assert (refused.command_type, refused.cause, refused.final) == ("tell_issue", "give the token issues: write", False)
    after = await world.workflow(voice.workflow_id)
    assert (after.status, after.reason) == (before.status, before.reason)
    await waits(world, voice)
    assert await told(world, tracker) == ["block"]


async def test_a_limit_is_kept(world: World) -> None:
    tracker = Heard(Limited("too many requests", seconds=600))
    await begun(world)
    await told(world, tracker)
    [row] = await world.sql(
        "SELECT next_at > now() + interval '500 s' AS later FROM outbox WHERE destination = 'tracker'"
    )
    assert row["later"]


@pytest.mark.parametrize("failure", [Unavailable("away"), Unauthorised("set a new one")])
async def test_what_could_not_be_said_for_a_day_is_given_up(world: World, failure: Exception) -> None:
    tracker, voice = Heard(failure, failure), await begun(world)
    [row] = await rows(world)
    await Teller(world.journal, tracker).take([row])
    old = msgspec.structs.replace(msgspec.json.decode(row.body, type=Telling), at="2020-01-01T00:00:00.000Z")
    await Teller(world.journal, tracker).take([msgspec.structs.replace(row, body=msgspec.json.encode(old).decode())])
    [refused] = [x for _, x in await stream(world.journal, voice.workflow_id) if isinstance(x, e.CommandRefused)]
    assert "given up after a day" in refused.cause
    assert await rows(world) == []


async def test_the_relay_brings_it_again_while_everything_else_goes_on(world: World) -> None:
    tracker = Heard(*(Unavailable("away") for _ in range(3)))
    teller = Teller(world.journal, tracker)
    world.relay = Relay(world.journal, world.queue, world.bus, resend_seconds=0.1, tells=teller.take)
    command = await world.submitted(profile=PROFILE, issue=ISSUE)
    async with world.running():
        await world.until(command.workflow_id, status="in_progress")
        voice = Voice(command.workflow_id)
        await world.journal.append(arrived(voice.fact(e.WorkflowStarted)))
        await eventually(lambda: _is(tracker.moments() == ["start"]), "the start is told")


async def test_what_cannot_be_read_or_fails_strangely_is_in_nobodys_way(world: World) -> None:
    tracker, voice = Heard(RuntimeError("a bug")), await begun(world)
    [row] = await rows(world)
    broken = msgspec.structs.replace(row, id="broken", body="{}")
    await Teller(world.journal, tracker).take([broken, row])
    assert tracker.moments() == []
    assert await told(world, tracker) == ["start"]
    assert (await world.workflow(voice.workflow_id)).status == "in_progress"


async def _is(what: bool) -> bool:
    return what


async def test_a_completion_names_the_result(world: World) -> None:
    tracker, voice = Heard(), await begun(world)
    await waits(world, voice)
    approve = order(c.ApproveWorkflow, voice.workflow_id)
    await world.journal.execute(approve)
    await world.act(approve)
    claim = await world.objects.put("work", b"bundle")
    second = Voice(voice.workflow_id, attempt=2, fact=voice.last_fact)
    work = second.fact(e.WorkHandedIn, bundle=claim, plan_sha256=HASH)
    ended = second.fact(e.WorkflowCompleted, summary="Rounded once.", unresolved=("look at @ada",))
    assert await world.journal.append(arrived(work, ended)) == [None, None]
    world.forge.serving = True
    async with world.running():
        w = await world.until(voice.workflow_id, status="completed")
    assert "completion" in await told(world, tracker)
    [said] = [text for key, text in tracker.said.items() if "completion" in key]
    assert w.pull_request is not None
    assert f"[Result]({w.pull_request.url})" in said
    assert "Rounded once." in said
    assert "@ada" not in said, "nobody is called by what an agent wrote"
