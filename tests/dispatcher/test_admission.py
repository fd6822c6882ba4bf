"""Who is admitted, on a real journal. The rules themselves are in tests/unit."""

import asyncio
import time
from typing import Any

import pytest
from msgspec.structs import replace

from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.plan import Plan, Task, plan_sha256
from amelia.contract.workflow import Budget, Money
from amelia.domain.admission import places
from amelia.domain.crowd import Crowd, Limits
from amelia.errors import Exhausted
from amelia.limits import limits_of

from ..conftest import Opener
from ..samples import Voice, arrived, order, stream
from .conftest import World

DOLLAR = 1_000_000


@pytest.fixture
def limited(world: World) -> Any:
    """The same world under other settings."""

    def under(**settings: Any) -> World:
        return World(world.journal, world.url, world.objects, replace(world.settings, **settings))

    return under


async def crowd(world: World) -> Crowd:
    return await world.journal.crowd(100, limits_of(world.settings))


async def limit(world: World, workflow_id: str) -> str:
    return places(await crowd(world), limits_of(world.settings))[workflow_id].limit


async def submitted(world: World, *owners: str, **fields: Any) -> list[str]:
    commands = [await world.submitted(owner=owner, team="blue", **fields) for owner in owners]
    for command in commands:
        await world.dispatcher.act(command)
    await world.gatekeeper.looked()
    return [command.workflow_id for command in commands]


async def statuses(world: World, ids: list[str]) -> list[str]:
    return [(await world.workflow(id_)).status for id_ in ids]


async def test_one_who_is_admitted_has_a_place_and_an_attempt_in_one_step(world: World) -> None:
    [workflow_id] = await submitted(world, "ada")
    said = await stream(world.journal, workflow_id)
    assert [type(event) for _, event in said] == [e.WorkflowSubmitted, e.WorkflowAdmitted, e.AttemptOpened]
    assert await world.orders() == []
    assert await world.journal.places_taken() == 1


async def test_no_more_are_in_progress_than_the_fleet_the_user_and_the_repository_may_have(limited: Any) -> None:
    world = limited(max_in_progress=5, max_in_progress_per_user=3, max_in_progress_per_repository=4)
    ids = await submitted(world, *["ada"] * 5)
    assert (await statuses(world, ids)).count("in_progress") == 3
    assert await limit(world, ids[-1]) == "3 of 3 workflows of ada are in progress"
    more = await submitted(world, "bob", "bob")
    assert (await statuses(world, more)).count("in_progress") == 1
    assert (await limit(world, more[-1])).startswith("4 of 4 workflows in the repository https://example.org/r.git")
    last = await submitted(world, "cy", "bob", repository="https://example.org/other.git")
    assert await statuses(world, last) == ["in_progress", "pending"]
    assert await limit(world, last[-1]) == "5 of 5 workflows are in progress"
    assert len(world.runtimes.invocations) == 5
    assert await world.orders() == [], "who waits is in the queue itself"


async def test_a_place_that_is_given_back_is_taken_by_the_next_one(limited: Any) -> None:
    world = limited(max_in_progress=1)
    first, second = await submitted(world, "ada", "bob")
    cancel = order(c.CancelWorkflow, first)
    await world.journal.execute(cancel)
    await world.act(cancel)
    assert await statuses(world, [first, second]) == ["cancelled", "in_progress"]
    admitted = [x for _, x in await stream(world.journal, second) if isinstance(x, e.WorkflowAdmitted)]
    assert [x.waited_for for x in admitted] in (["1 of 1 workflows are in progress"], [""])


async def test_a_place_that_was_given_back_while_nobody_looked_is_found_by_the_sweep(limited: Any) -> None:
    world = limited(max_in_progress=1)
    first, second = await submitted(world, "ada", "bob")
    await world.journal.execute(order(c.CancelWorkflow, first))
    await world.sweep()
    assert await statuses(world, [second]) == ["in_progress"]


async def test_two_dispatchers_at_once_do_not_pass_the_limit(world: World, open_journal: Opener) -> None:
    settings = replace(world.settings, max_in_progress=4)
    worlds = [World(await open_journal(size=6), world.url, world.objects, settings) for _ in range(3)]
    commands = [await world.submitted() for _ in range(12)]
    for number, command in enumerate(commands):
        await worlds[number % 3].dispatcher.act(command)
    await asyncio.gather(*(one.gatekeeper.looked() for one in worlds))
    assert await world.journal.places_taken() == 4
    assert sum(len(one.runtimes.invocations) for one in worlds) == 4


async def test_a_plan_that_waits_for_a_person_holds_no_place_and_needs_one_again(limited: Any) -> None:
    world = limited(max_in_progress=1)
    [first] = await submitted(world, "ada")
    voice = Voice(first)
    await world.journal.append(arrived(voice.fact(e.WorkflowStarted), voice.fact(e.WorkflowBlocked)))
    [second] = await submitted(world, "bob")
    approve = order(c.ApproveWorkflow, first)
    await world.journal.execute(approve)
    await world.act(approve)
    assert await statuses(world, [first, second]) == ["approved", "in_progress"]
    assert world.runtimes.stopped == [first], "who waits for its place does so without a session"


async def test_plans_that_change_the_same_file_follow_each_other(world: World) -> None:
    plan = Plan(summary="a", tasks=(Task(id="a", title="a", description="a", files=("src/app.py",)),))
    ids = await submitted(world, "ada", "bob")
    for workflow_id in ids:
        voice = Voice(workflow_id)
        blocked = voice.fact(e.WorkflowBlocked, plan=plan, plan_sha256=plan_sha256(plan))
        await world.journal.append(arrived(blocked))
        approve = order(c.ApproveWorkflow, workflow_id)
        await world.journal.execute(approve)
        await world.act(approve)
    assert await statuses(world, ids) == ["in_progress", "approved"]
    said = await limit(world, ids[1])
    assert said == f"{ids[0]} changes src/app.py of the same repository; waits until it ends"


async def test_a_repository_whose_clones_fail_is_left_alone_and_the_others_go_on(world: World) -> None:
    bad, cause = "https://example.org/bad.git", "could not resolve host"
    ids = await submitted(world, "ada", "ada", "ada", repository=bad)
    for workflow_id in ids:
        failed = Voice(workflow_id).fact(e.WorkflowCompleted, result="failed", cause=cause, blame="repository")
        await world.journal.append(arrived(failed))
    [fourth] = await submitted(world, "ada", repository=bad)
    [other] = await submitted(world, "ada")
    assert await statuses(world, [fourth, other]) == ["pending", "in_progress"]
    said = await limit(world, fourth)
    assert said.startswith(f"repository {bad} is quarantined until ")
    assert said.endswith(f": 3 clones failed, the last: {cause}")
    await world.sql("UPDATE repository_failure SET at = at - interval '11 min'")
    await world.sweep()
    assert await statuses(world, [fourth]) == ["in_progress"]


async def test_a_workflow_with_nothing_left_of_its_budget_is_paused_and_says_so(world: World) -> None:
    command = await world.submitted(budget=Budget(microdollars=5 * DOLLAR))
    await world.act(command)
    spent = Money(cost_microdollars=5 * DOLLAR)
    await world.journal.append(arrived(Voice(command.workflow_id).fact(e.TokensUsed, used=spent)))
    pause, resume = (order(kind, command.workflow_id) for kind in (c.PauseWorkflow, c.ResumeWorkflow))
    for told in (pause, resume):
        await world.journal.execute(told)
        await world.act(told)
    w = await world.workflow(command.workflow_id)
    assert w.status == "paused"
    assert "nothing is left of its budget of $5.00; resume it with a larger one" in w.reason
    more = order(c.ResumeWorkflow, command.workflow_id, budget=Budget(microdollars=8 * DOLLAR))
    await world.journal.execute(more)
    await world.act(more)
    assert await statuses(world, [w.id]) == ["in_progress"]
    assert world.runtimes.invocations[-1].left.microdollars == 3 * DOLLAR


async def test_a_month_is_reserved_at_admission_and_settled_by_what_was_spent(limited: Any) -> None:
    world = limited(monthly_budget_dollars=10, workflow_budget_dollars=6)
    first, second = await submitted(world, "ada", "ada")
    assert await statuses(world, [first, second]) == ["in_progress", "pending"]
    assert world.runtimes.invocations[0].left.microdollars == 6 * DOLLAR
    assert "ada has $4.00 left of $10.00 for" in await limit(world, second)
    assert (await limit(world, second)).endswith("beside $6.00 reserved for what is in progress")
    used = Voice(first).fact(e.TokensUsed, used=Money(cost_microdollars=2 * DOLLAR))
    await world.journal.append(arrived(used))
    cancel = order(c.CancelWorkflow, first)
    await world.journal.execute(cancel)
    await world.act(cancel)
    assert await statuses(world, [second]) == ["in_progress"]
    assert world.runtimes.invocations[-1].left.microdollars == 6 * DOLLAR
    [third] = await submitted(world, "ada")
    assert "ada has $2.00 left" in await limit(world, third)
    assert await statuses(world, await submitted(world, "bob")) == ["in_progress"], "a month is one owner's"


async def test_an_owner_whose_month_is_spent_waits_for_the_next_one(limited: Any) -> None:
    world = limited(monthly_budget_dollars=10)
    [first] = await submitted(world, "ada")
    used = Voice(first).fact(e.TokensUsed, used=Money(cost_microdollars=10 * DOLLAR))
    await world.journal.append(arrived(used))
    cancel = order(c.CancelWorkflow, first)
    await world.journal.execute(cancel)
    await world.act(cancel)
    [second] = await submitted(world, "ada")
    assert await statuses(world, [second]) == ["pending"]
    assert "ada has $0.00 left of $10.00" in await limit(world, second)
    await world.sql("UPDATE spending SET month = month - interval '1 month'")
    await world.sweep()
    assert await statuses(world, [second]) == ["in_progress"]


async def test_no_more_sessions_are_started_in_a_second_than_the_account_allows(limited: Any) -> None:
    world = limited(session_starts_per_second=5)
    began = time.monotonic()
    await submitted(world, *["ada"] * 12)
    assert len(world.runtimes.invocations) == 12
    assert time.monotonic() - began > 1.3, "five at once, and the other seven one after the other"


async def test_while_the_platform_has_no_room_the_others_are_not_turned_away_one_by_one(world: World) -> None:
    world.runtimes.answers = [Exhausted("the quota of sessions is used up")] * 50
    ids = await submitted(world, "ada", "bob", "cy", "di")
    await submitted(world, "ed", "fay")
    assert 1 <= len(world.runtimes.invocations) <= 4
    for workflow_id in ids[:1]:
        w = await world.workflow(workflow_id)
        assert (w.status, w.admitted, w.reason) == ("pending", False, "the quota of sessions is used up")
    assert await world.journal.places_taken() == 0, "what was turned away gives its place back"


async def test_ten_thousand_who_wait_do_not_hold_up_one_who_comes(limited: Any) -> None:
    world = limited(max_in_progress=2, max_in_progress_per_user=1)
    await submitted(world, "ada")
    await world.sql(
        """INSERT INTO workflow (id, team, owner, status, repository, epoch, sequence, state, queued_since)
        SELECT 'wf-' || gen_random_uuid(), team, owner, 'pending', repository, 0, 1, state, now() - interval '1 h'
        FROM workflow, generate_series(1, 10000)"""
    )
    await world.sql("ANALYZE workflow")
    [mine] = await submitted(world, "bob")
    assert await statuses(world, [mine]) == ["in_progress"]
    found = await world.journal.crowd(10, limits_of(world.settings), of="")
    assert (found.queued, len(found.waiting)) == (10_000, 10)
    last = await world.journal.crowd(0, limits_of(world.settings), of=found.waiting[-1].id)
    assert [w.position for w in last.waiting] == [10]


async def test_what_has_ended_costs_admission_nothing(world: World) -> None:
    """The plans of its questions use the indexes of those that run and wait."""
    [mine] = await submitted(world, "ada")
    await world.sql(
        """INSERT INTO workflow (id, team, owner, status, repository, epoch, sequence, state)
        SELECT 'wf-' || gen_random_uuid(), team, owner, 'completed', repository, 1, 9, state
        FROM workflow, generate_series(1, 5000)"""
    )
    await world.sql("ANALYZE workflow")
    slot = "(status = 'in_progress' OR (status = 'pending' AND admitted))"
    for question in (
        f"SELECT count(*) FROM workflow WHERE {slot}",
        "SELECT * FROM workflow WHERE queued_since IS NOT NULL",
    ):
        plan = [row["QUERY PLAN"] for row in await world.sql(f"EXPLAIN {question}")]
        assert not any("Seq Scan" in line for line in plan), plan
    found = await world.journal.crowd(10, Limits())
    assert [r.id for r in found.running] == [mine]
