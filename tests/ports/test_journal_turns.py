"""What the journal keeps beside the state: turns, progress, months, answers; and what it does about lost ends."""

import asyncio
import json

import msgspec
import pytest

from amelia.adapters.postgres.journal import PostgresJournal
from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.plan import Plan, Task, plan_sha256
from amelia.contract.workflow import Issue, Money
from amelia.domain.draft import MOST_EARLY
from amelia.errors import Refused
from amelia.ports.journal import MonthlySpending

from ..conftest import Opener
from ..samples import Voice, arrived, blocked, opened, order, start, started, stream, the
from .test_journal import sql

_TURN = "SELECT queued_since, admitted, paths, admitted_at, released_at, progress_at, title, priority FROM workflow"


async def test_a_workflow_s_turn_is_in_columns(journal: PostgresJournal, database_url: str) -> None:
    command = start(priority=7)
    await journal.execute(command)
    [queued] = await sql(database_url, _TURN)
    assert queued["queued_since"] is not None
    assert (queued["admitted"], queued["admitted_at"], queued["released_at"]) == (False, None, None)
    assert (queued["title"], queued["priority"]) == ("The total is a cent short", 7)
    await opened(journal, command.workflow_id)
    [running] = await sql(database_url, _TURN)
    assert (running["queued_since"], running["released_at"]) == (None, None)
    assert running["admitted_at"] is not None
    lost = e.RuntimeLost(id="l", workflow_id=command.workflow_id, cause="gone")
    await journal.record(command.workflow_id, lambda w, _: (lost,))
    [taken_over] = await sql(database_url, _TURN)
    assert taken_over["admitted_at"] == running["admitted_at"], "a takeover keeps its place"
    await journal.execute(order(c.CancelWorkflow, command.workflow_id))
    [ended] = await sql(database_url, _TURN)
    assert ended["released_at"] > ended["admitted_at"]


async def test_a_nul_in_a_title_is_no_reason_to_refuse_it(journal: PostgresJournal) -> None:
    done = await journal.execute(start(issue=Issue(id="1", title="nul\0nul")))
    assert done.row.workflow.issue.title == "nul\0nul"


async def test_paths_are_there_from_the_approval_to_the_end(journal: PostgresJournal, database_url: str) -> None:
    tasks = (
        Task(id="a", title="A", description="a", files=("b.py", "a.py")),
        Task(id="b", title="B", description="b", files=("a.py", "c/d.py")),
    )
    plan = Plan(summary="two", tasks=tasks)
    row = await started(journal)
    voice = Voice(row.workflow.id)
    told = voice.fact(e.WorkflowBlocked, plan=plan, plan_sha256=plan_sha256(plan))
    await journal.append(arrived(told))
    paths = [(await sql(database_url, _TURN))[0]["paths"]]
    await journal.execute(order(c.ApproveWorkflow, row.workflow.id))
    paths += [(await sql(database_url, _TURN))[0]["paths"]]
    await journal.execute(order(c.CancelWorkflow, row.workflow.id))
    paths += [(await sql(database_url, _TURN))[0]["paths"]]
    assert paths == [None, ["a.py", "b.py", "c/d.py"], None]


async def test_an_attempt_that_shows_life_and_does_nothing_is_stalled(
    journal: PostgresJournal, database_url: str
) -> None:
    row = await started(journal)
    voice, id_ = Voice(row.workflow.id), row.workflow.id
    await sql(database_url, "UPDATE workflow SET progress_at = now() - interval '100 s'")
    await journal.append(arrived(voice.heartbeat()))
    await journal.drained("router")
    assert (await journal.overdue(gap_seconds=9, limit=9, progress_seconds=200)).stalled == ()
    assert (await journal.overdue(gap_seconds=9, limit=9)).stalled == ()
    found = await journal.overdue(gap_seconds=9, limit=9, progress_seconds=50)
    assert (found.stalled, found.leases) == ((id_,), ())
    assert await journal.expire([id_], 3) == [], "it shows life"
    assert await journal.expire([id_], 3, progress_seconds=200) == []
    [lost] = await journal.expire([id_], 3, progress_seconds=50)
    assert (lost.workflow.status, lost.workflow.stalled) == ("pending", True)
    assert "did nothing for 100 seconds" in lost.workflow.reason


async def test_what_the_router_has_not_read_may_be_progress(journal: PostgresJournal, database_url: str) -> None:
    await started(journal)
    await sql(database_url, "UPDATE workflow SET progress_at = now() - interval '100 s'")
    assert (await journal.overdue(gap_seconds=9, limit=9, progress_seconds=50)).stalled == ()
    await journal.drained("router", 80)
    assert (await journal.overdue(gap_seconds=9, limit=9, progress_seconds=50)).stalled == ()
    await journal.drained("router", 40)
    assert len((await journal.overdue(gap_seconds=9, limit=9, progress_seconds=50)).stalled) == 1


async def test_whatever_is_admitted_is_progress_and_a_heartbeat_is_none(
    journal: PostgresJournal, database_url: str
) -> None:
    row = await started(journal)
    voice = Voice(row.workflow.id)
    await sql(database_url, "UPDATE workflow SET progress_at = now() - interval '100 s'")
    for sign, moves in ((voice.heartbeat(), False), (voice.progress(), True), (voice.fact(), True)):
        [(before,)] = await sql(database_url, "SELECT progress_at FROM workflow")
        await journal.append(arrived(sign))
        [(after,)] = await sql(database_url, "SELECT progress_at FROM workflow")
        assert (after > before) == moves


async def test_a_session_that_was_asked_and_works_has_its_lease_renewed(open_journal: Opener) -> None:
    journal = await open_journal(lease_seconds=0.05)
    row = await started(journal)
    await asyncio.sleep(0.1)
    long = await open_journal(lease_seconds=60)
    assert not await long.renew(row.workflow.id, 2)
    assert await long.renew(row.workflow.id, 1)
    assert await journal.expire([row.workflow.id], 3) == []
    await journal.execute(order(c.CancelWorkflow, row.workflow.id))
    assert not await journal.renew(row.workflow.id, 1)


async def test_a_month_is_what_all_of_an_owner_s_workflows_spent(journal: PostgresJournal) -> None:
    rows = [await started(journal, owner="ada", team="blue") for _ in range(3)]
    voices = [Voice(row.workflow.id) for row in rows]
    tokens = [v.fact(e.TokensUsed, used=Money(input_tokens=7, cost_microdollars=3)) for v in voices]
    await journal.append(arrived(*tokens, *tokens))
    assert await journal.month("blue", "ada") == MonthlySpending(microdollars=9, tokens=21)
    more = [v.fact(e.TokensUsed, used=Money(input_tokens=8, cost_microdollars=3)) for v in voices[:1]]
    beat = msgspec.structs.replace(voices[1].heartbeat(), used=Money(input_tokens=10, cost_microdollars=13))
    await journal.append(arrived(*more, beat))
    assert await journal.month("blue", "ada") == MonthlySpending(microdollars=19, tokens=25)
    assert await journal.month("red", "ada") == MonthlySpending()


async def test_months_add_up_while_several_write_them(open_journal: Opener) -> None:
    journals = [await open_journal() for _ in range(3)]
    rows = [await started(journals[0], owner=f"o{n % 2}") for n in range(8)]
    voices = [Voice(row.workflow.id) for row in rows]

    async def spend(journal: PostgresJournal, turn: int) -> None:
        for n in range(8):
            said = [v.fact(e.TokensUsed, used=Money(input_tokens=100 * turn + n + 1)) for v in voices[turn::3]]
            await journal.append(arrived(*(said if n % 2 else said[::-1])))

    await asyncio.gather(*(spend(journal, turn) for turn, journal in enumerate(journals)))
    spent = [await the(journals[0], row.workflow.id) for row in rows]
    for owner in ("o0", "o1"):
        whole = sum(m.tokens for x in spent if x.workflow.owner == owner for m in x.workflow.spent.values())
        assert (await journals[0].month("", owner)).tokens == whole > 0


async def test_a_repository_that_failed_is_noted_with_the_cause(journal: PostgresJournal, database_url: str) -> None:
    for blame in ("repository", ""):
        row = await started(journal)
        said = Voice(row.workflow.id).fact(e.WorkflowCompleted, result="failed", cause="no such host", blame=blame)
        await journal.append(arrived(said, said))
    found = await sql(database_url, "SELECT repository, cause FROM repository_failure")
    assert [tuple(x) for x in found] == [("https://example.org/r.git", "no such host")]


async def test_a_repeat_gets_the_first_answer_whatever_has_happened_since(journal: PostgresJournal) -> None:
    issue = Issue(id="1", title="t", body="long " * 100)
    command = start(issue=issue)
    first = await journal.execute(command, "print")
    await opened(journal, command.workflow_id)
    again = await journal.execute(command, "print")
    assert (again.repeated, again.row.workflow.status) == (True, "in_progress")
    answer = json.loads(again.answer)
    assert (answer["status"], answer["sequence"]) == ("pending", first.row.workflow.sequence)
    assert answer["issue"] == {"id": "1", "title": "t"}, "the body is in the row"
    with pytest.raises(Refused, match="use a new key"):
        await journal.execute(command, "another")


async def test_an_order_that_had_nothing_left_to_do_is_remembered_too(journal: PostgresJournal) -> None:
    row, _ = await blocked(journal)
    await journal.execute(order(c.CancelWorkflow, row.workflow.id))
    twice = order(c.CancelWorkflow, row.workflow.id)
    assert not (await journal.execute(twice, "print")).repeated
    await journal.execute(order(c.RetryWorkflow, row.workflow.id))
    again = await journal.execute(twice, "print")
    assert again.repeated, "it does not cancel what was retried since"
    assert json.loads(again.answer)["status"] == "cancelled"
    with pytest.raises(Refused):
        await journal.execute(twice, "another")


async def test_one_key_used_twice_at_the_same_moment_has_one_answer(journal: PostgresJournal) -> None:
    command = start()
    answers = await asyncio.gather(*(journal.execute(command, "print") for _ in range(5)))
    assert sum(not x.repeated for x in answers) == 1
    assert len({x.answer for x in answers if x.repeated}) == 1
    assert all(x.answer for x in answers if x.repeated)


# Lost ends


async def test_progress_lost_at_the_very_end_of_an_attempt_is_said_to_be_missing(journal: PostgresJournal) -> None:
    row = await started(journal)
    voice = Voice(row.workflow.id)
    first, _, _ = voice.progress(), voice.progress(), voice.progress()
    await journal.append(arrived(first, voice.fact(e.WorkflowBlocked), voice.heartbeat()))
    assert (await the(journal, row.workflow.id)).behind
    closed = await journal.close_gap(row.workflow.id)
    assert closed is not None
    assert not closed.behind
    [*_, (_, missing)] = await stream(journal, row.workflow.id)
    assert isinstance(missing, e.EventsMissing)
    assert (missing.first, missing.last) == (2, 3)


async def test_what_a_lost_attempt_had_said_is_said_to_be_missing_before_the_next_begins(
    journal: PostgresJournal, database_url: str
) -> None:
    row = await started(journal)
    voice = Voice(row.workflow.id)
    lost, waiting = voice.progress(), voice.progress()
    voice.fact()
    behind_a_fact = voice.progress()
    del lost
    await journal.append(arrived(waiting, behind_a_fact))
    await journal.record(row.workflow.id, lambda w, _: (e.RuntimeLost(id="l", workflow_id=w.id, cause="gone"),))
    now = await opened(journal, row.workflow.id)
    assert not now.behind
    kinds = [type(event) for _, event in await stream(journal, row.workflow.id)][2:]
    assert kinds == [e.RuntimeLost, e.EventsMissing, e.AgentMessage, e.EventsMissing, e.AttemptOpened]
    assert await sql(database_url, "SELECT FROM held_event WHERE kind = 'early'") == []


async def test_what_waits_is_bounded_and_all_is_there_in_the_end(journal: PostgresJournal, database_url: str) -> None:
    """A fact is lost, and its attempt goes on for long."""
    row = await started(journal)
    voice = Voice(row.workflow.id)
    lost = voice.fact()
    said = [voice.progress() if n % 2 else voice.fact() for n in range(2 * MOST_EARLY)]
    for first in range(0, len(said), 50):
        await journal.append(arrived(*said[first : first + 50]))
    [(held,)] = await sql(database_url, "SELECT count(*) FROM held_event")
    assert MOST_EARLY / 2 <= held <= MOST_EARLY
    facts = [lost, *(event for event in said if event.fact)]
    for _ in range(3):
        for first in range(0, len(facts), 50):
            await journal.append(arrived(*facts[first : first + 50]))
    closed = await journal.close_gap(row.workflow.id)
    assert closed is not None
    assert not closed.behind
    assert closed.workflow.fact == voice.last_fact
    shown = [event for _, event in await stream(journal, row.workflow.id)][2:]
    assert [x.fact for x in shown if x.fact] == list(range(1, voice.last_fact + 1))
    expected = 1
    for event in shown:
        if isinstance(event, e.EventsMissing):
            assert event.first == expected
            expected = event.last + 1
        elif event.ordinal:
            assert event.ordinal == expected
            expected += 1
    assert expected == voice.ordinal + 1
    assert await sql(database_url, "SELECT FROM held_event WHERE kind = 'early'") == []


async def test_an_instance_that_is_heard_counts_until_it_leaves(open_journal: Opener, database_url: str) -> None:
    journal = await open_journal(lease_seconds=0.05)
    row = await started(journal)
    await asyncio.sleep(0.1)
    await journal.drained("router", 60, "slow")
    await journal.drained("router", 0, "fast")
    assert (await journal.overdue(gap_seconds=3, limit=10)).leases == ()
    await journal.leave("router", "slow")
    assert (await journal.overdue(gap_seconds=3, limit=10)).leases == (row.workflow.id,)
    await journal.drained("router", 60, "slow")
    await sql(database_url, "UPDATE consumer SET seen_at = now() - interval '16 s' WHERE instance = 'slow'")
    assert (await journal.overdue(gap_seconds=3, limit=10)).leases == (row.workflow.id,), "it is heard no more"
    patient = await journal.overdue(gap_seconds=3, limit=10, silence_seconds=60)
    assert patient.leases == (), "it may still have something in hand"
    await sql(database_url, "UPDATE consumer SET seen_at = now() - interval '16 s'")
    assert (await journal.overdue(gap_seconds=3, limit=10)).leases == (), "nobody knows what waits to be read"


async def test_what_could_not_be_sent_is_due_again_soon_as_if_never_claimed(journal: PostgresJournal) -> None:
    await journal.execute(start())
    [row] = await journal.due(10, 60, "commands")
    await journal.unsent([row.id], 0)
    assert await journal.due(10, 60, "commands") == [row]


async def test_what_was_never_sent_goes_before_a_crowd_of_repeats(journal: PostgresJournal, database_url: str) -> None:
    old = [start() for _ in range(20)]
    await asyncio.gather(*(journal.execute(command) for command in old))
    await journal.due(100, 0, "commands")
    await sql(database_url, "UPDATE outbox SET next_at = now() - interval '1 hour'")
    new = [start() for _ in range(8)]
    await asyncio.gather(*(journal.execute(command) for command in new))
    claimed = await journal.due(8, 5, "commands")
    assert len(claimed) == 8
    assert sum(row.publishes == 0 for row in claimed) == 6
