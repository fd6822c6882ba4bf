"""The journal on a real PostgreSQL: orders, appends, the outbox, leases and gaps."""

import asyncio
from typing import Any

import asyncpg
import msgspec
import pytest

from amelia.adapters.memory.journal import MemoryJournal
from amelia.adapters.postgres.journal import PostgresJournal
from amelia.contract import codec
from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.commands import AttendWorkflow
from amelia.contract.envelope import Event
from amelia.contract.ids import new_workflow_id
from amelia.contract.workflow import ClaimCheck
from amelia.domain.effects import Arrived
from amelia.errors import Conflict, Malformed, NotFound, Refused
from amelia.ports.journal import Executed, Outgoing

from ..conftest import Opener
from ..samples import Voice, arrived, blocked, eventually, opened, order, start, started, stream, the


async def sql(url: str, statement: str, *arguments: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(statement, *arguments))
    finally:
        await connection.close()


# Orders


async def test_a_start_is_recorded_with_its_event_and_an_order_to_the_dispatcher(journal: PostgresJournal) -> None:
    command = start()
    done = await journal.execute(command)
    assert (done.row.workflow.status, done.row.workflow.sequence, done.repeated) == ("pending", 1, False)
    [(_, submitted)] = await stream(journal, command.workflow_id)
    assert submitted.timestamp.endswith("Z")
    due = await journal.due(10, 5)
    assert {(row.destination, row.publishes) for row in due} == {("commands", 0), ("bus", 0)}
    order = codec.decode_command(next(r.body for r in due if r.destination == "commands"))
    assert isinstance(order, AttendWorkflow)
    assert (order.id, order.workflow_id) == (command.id, command.workflow_id)


async def test_the_same_command_again_changes_nothing_and_says_so(journal: PostgresJournal) -> None:
    command = start()
    await journal.execute(command, "print")
    again = await journal.execute(command, "print")
    assert (again.repeated, again.row.workflow.sequence) == (True, 1)
    assert len(await journal.due(10, 5)) == 2


async def test_the_same_command_id_with_another_body_is_refused(journal: PostgresJournal) -> None:
    command = start()
    await journal.execute(command, "one")
    with pytest.raises(Refused, match="use a new key"):
        await journal.execute(command, "another")


async def test_the_same_command_at_the_same_moment_is_executed_once(open_journal: Opener) -> None:
    journals = [await open_journal() for _ in range(3)]
    commands = [start() for _ in range(10)]
    answers = await asyncio.gather(*(j.execute(x, "print") for x in commands for j in journals for _ in range(2)))
    assert sum(not answer.repeated for answer in answers) == len(commands)
    for command in commands:
        assert [n for n, _ in await stream(journals[0], command.workflow_id)] == [1]


async def test_of_two_decisions_at_the_same_moment_one_counts(open_journal: Opener) -> None:
    one, two = await open_journal(), await open_journal()
    for _ in range(8):
        row, _ = await blocked(one)
        id_ = row.workflow.id
        answers = await asyncio.gather(
            one.execute(order(c.ApproveWorkflow, id_)),
            two.execute(order(c.RejectWorkflow, id_)),
            return_exceptions=True,
        )
        refused = [x for x in answers if isinstance(x, Conflict)]
        assert len(refused) == 1
        kinds = [type(event) for _, event in await stream(one, id_)]
        assert kinds.count(e.WorkflowApproved) + kinds.count(e.WorkflowRejected) == 1


async def test_one_refused_command_in_a_crowd_hurts_no_other(journal: PostgresJournal) -> None:
    lonely = order(c.ApproveWorkflow, new_workflow_id())
    poison = start(owner="nul\0")
    good = [start() for _ in range(20)]
    commands: list[c.AnyCommand] = [*good[:10], lonely, poison, *good[10:]]
    answers = await asyncio.gather(*(journal.execute(x) for x in commands), return_exceptions=True)
    assert isinstance(answers[10], NotFound)
    assert isinstance(answers[11], Exception)
    assert all(isinstance(x, Executed) for i, x in enumerate(answers) if i not in (10, 11))


async def test_cancel_has_effect_at_once_and_later_events_have_none(journal: PostgresJournal) -> None:
    row = await started(journal)
    voice = Voice(row.workflow.id)
    await journal.execute(order(c.CancelWorkflow, row.workflow.id))
    assert await journal.append(arrived(voice.fact(), voice.progress(), voice.heartbeat())) == [None] * 3
    now = await the(journal, row.workflow.id)
    assert (now.workflow.status, now.workflow.sequence, now.lease_until) == ("cancelled", 3, None)


# Appends


async def test_two_journals_on_one_workflow_keep_the_sequence_dense(open_journal: Opener) -> None:
    one, two = await open_journal(), await open_journal()
    rows = [await started(one) for _ in range(3)]
    voices = [Voice(row.workflow.id) for row in rows]
    said = [[v.fact() if i % 4 == 0 else v.progress() for i in range(60)] for v in voices]

    async def bring(journal: PostgresJournal, events: list[list[Event]]) -> None:
        for mixed in zip(*events, strict=True):
            await journal.append(arrived(*mixed))

    backwards = [events[::-1] for events in said]
    await asyncio.gather(bring(one, said), bring(two, backwards))
    for row, events in zip(rows, said, strict=True):
        shown = await stream(one, row.workflow.id)
        assert [n for n, _ in shown] == list(range(1, 63))
        assert sorted(x.id for _, x in shown[2:]) == sorted(x.id for x in events)
        assert [x.fact for _, x in shown if x.fact] == [x.fact for x in events if x.fact]
        assert [x.ordinal for _, x in shown if x.ordinal] == [x.ordinal for x in events if x.ordinal]
        assert not (await the(one, row.workflow.id)).behind


async def test_the_number_of_statements_does_not_grow_with_the_batch(open_journal: Opener) -> None:
    journal = await open_journal(size=1)
    rows = [await started(journal) for _ in range(30)]
    counts = []
    for workflows, events in ((1, 2), (1, 1), (30, 1), (30, 20)):
        voices = [Voice(row.workflow.id, fact=(await the(journal, row.workflow.id)).workflow.fact) for row in rows]
        batch = [x for v in voices[:workflows] for x in arrived(*(v.fact() for _ in range(events)))]
        counts.append(await statements(journal, batch))
    assert counts[1] == counts[2] == counts[3], "the first also learns the types of the database"
    assert counts[1] <= 10


async def statements(journal: PostgresJournal, batch: list[Arrived]) -> int:
    """How many the append sends, transaction control included, whichever connection it takes."""
    seen: list[str] = []

    def note(record: Any) -> None:
        seen.append(record.query)

    pool = journal._engine.pool
    assert pool is not None
    connections: list[Any] = [await pool.acquire() for _ in range(pool.get_max_size())]
    raw = [connection._con for connection in connections]
    for connection in connections:
        await pool.release(connection)
    for one in raw:
        one.add_query_logger(note)
    assert set(await journal.append(batch)) == {None}
    for one in raw:
        one.remove_query_logger(note)
    return len(seen)


def lie(event: Event, **fields: object) -> Arrived:
    """An event that PostgreSQL refuses although the contract would let it pass."""
    return Arrived(event=msgspec.structs.replace(event, **fields), body=codec.encode(event).decode())


async def test_a_poison_is_alone_in_its_misery(journal: PostgresJournal) -> None:
    """Also beside events of its own workflow, and when it waits for others first."""
    rows = [await started(journal) for _ in range(4)]
    voices = [Voice(row.workflow.id) for row in rows]
    good = [[v.fact(), v.progress()] for v in voices]
    poison = lie(voices[1].progress(), workflow_id=rows[1].workflow.id, ordinal=2**40)
    lost = Arrived(event=Voice("wf-nul\0").fact(), body="{}")
    batch = [*arrived(*good[0]), poison, *arrived(*good[1]), lost, *arrived(*good[2]), *arrived(*good[3])]
    answers = await journal.append(batch)
    assert [i for i, x in enumerate(answers) if x is not None] == [2, 5]
    assert isinstance(answers[2], Malformed)
    for row in rows:
        assert len(await stream(journal, row.workflow.id)) == 4


@pytest.mark.parametrize("later", [False, True])
async def test_nul_characters_survive_wherever_they_are(journal: PostgresJournal, later: bool) -> None:
    row = await started(journal)
    voice = Voice(row.workflow.id)
    first = voice.progress()
    second = msgspec.structs.replace(voice.progress("a\0b"), id="i\0d")
    third = e.UnknownEvent(id="u\0", workflow_id=row.workflow.id, attempt=1, ordinal=3, of_type="ty\0pe")
    third_body = codec.encode(third).decode().replace('"unknown_event"', '"ty\\u0000pe"')
    rest = [*arrived(second), Arrived(event=third, body=third_body)]
    if later:
        assert await journal.append(rest) == [None, None]
        assert await journal.append(arrived(first)) == [None]
    else:
        assert await journal.append([*arrived(first), *rest]) == [None] * 3
    shown = [event for _, event in await stream(journal, row.workflow.id)]
    assert shown[3] == second
    assert codec.type_of(shown[4]) == "ty\0pe"


async def test_events_of_a_workflow_that_is_not_there_are_not_taken_and_hold_up_no_others(
    journal: PostgresJournal,
) -> None:
    row = await started(journal)
    answers = await journal.append(arrived(Voice(new_workflow_id()).fact(), Voice(row.workflow.id).fact()))
    assert isinstance(answers[0], NotFound)
    assert answers[1] is None


async def test_the_policy_s_decision_is_part_of_the_transaction_that_records_the_plan(journal: PostgresJournal) -> None:
    row, _ = await blocked(journal, auto_approve=True, owner="ada")
    assert row.workflow.status == "approved"
    shown = [event for _, event in await stream(journal, row.workflow.id)]
    assert isinstance(shown[-2], e.WorkflowBlocked)
    assert isinstance(shown[-1], e.WorkflowApproved)
    assert (shown[-1].policy, shown[-1].block_id) == ("auto_approve", shown[-2].id)


async def test_events_of_an_older_attempt_are_kept_apart(journal: PostgresJournal, database_url: str) -> None:
    row = await started(journal)
    old = Voice(row.workflow.id)
    await journal.append(arrived(old.fact()))
    await journal.record(row.workflow.id, lambda w, _: (e.RuntimeLost(id="l", workflow_id=w.id, cause="gone"),))
    await opened(journal, row.workflow.id)
    before = (await the(journal, row.workflow.id)).workflow
    late = [old.fact(e.WorkflowBlocked), old.progress()]
    assert await journal.append(arrived(*late, *late)) == [None] * 4
    assert (await the(journal, row.workflow.id)).workflow == before
    held = await sql(database_url, "SELECT kind, fact, ordinal FROM held_event ORDER BY fact")
    assert [tuple(x) for x in held] == [("stale", 0, 1), ("stale", 2, 0)]


# The outbox


async def test_what_is_due_is_claimed_and_sent_again_with_growing_pauses_until_settled(
    journal: PostgresJournal, database_url: str
) -> None:
    command = start()
    await journal.execute(command)
    pauses = []
    for publishes in range(15):
        due = {row.destination: row for row in await journal.due(10, 5)}
        assert due["commands"].publishes == publishes
        assert await journal.due(10, 5) == []
        [(pause,)] = await sql(
            database_url, "SELECT extract(epoch FROM next_at - now()) FROM outbox WHERE destination = 'commands'"
        )
        pauses.append(pause / 5)
        await sql(database_url, "UPDATE outbox SET next_at = now()")
    expected = [1, 2, 4, 8, *[16] * 11]
    assert all(0.5 * x <= pause <= 1.26 * x for pause, x in zip(pauses, expected, strict=True)), pauses
    assert len({round(pause, 3) for pause in pauses[4:]}) > 1, "rows that failed together do not come back together"
    await journal.settle([command.id])
    assert [row.destination for row in await journal.due(10, 5)] == ["bus"]


async def test_two_relays_claim_each_row_once(open_journal: Opener) -> None:
    one, two = await open_journal(), await open_journal()
    await asyncio.gather(*(one.execute(start()) for _ in range(40)))
    claimed: list[list[Outgoing]] = await asyncio.gather(*(j.due(10, 5) for j in (one, two) * 6))
    ids = [row.id for rows in claimed for row in rows]
    assert len(ids) == len(set(ids)) == 80


async def test_an_outcome_settles_the_command_in_its_transaction(journal: PostgresJournal) -> None:
    command = start()
    await journal.execute(command)
    await journal.record(command.workflow_id, lambda w, _: (), settles=[command.id])
    assert [row.destination for row in await journal.due(10, 5)] == ["bus"]


async def test_a_reading_that_fails_settles_nothing(journal: PostgresJournal) -> None:
    command = start()
    await journal.execute(command)

    def reading(w: object, now: str) -> tuple[Event, ...]:
        raise Refused("not now")

    with pytest.raises(Refused, match="not now"):
        await journal.record(command.workflow_id, reading, settles=[command.id])
    assert len(await journal.due(10, 5)) == 2


# Leases


async def test_a_lease_is_renewed_by_any_sign_of_life_of_the_attempt_and_by_no_older_one(
    journal: PostgresJournal, database_url: str
) -> None:
    row = await started(journal)
    await journal.record(row.workflow.id, lambda w, _: (e.RuntimeLost(id="l", workflow_id=w.id, cause="gone"),))
    await opened(journal, row.workflow.id)
    voice, old = Voice(row.workflow.id, attempt=2), Voice(row.workflow.id)
    voice.fact()
    for sign in (voice.heartbeat(), voice.fact(), voice.progress()):
        await sql(database_url, "UPDATE workflow SET lease_until = now() + interval '1 s'")
        before = (await the(journal, row.workflow.id)).lease_until
        await journal.append(arrived(old.heartbeat(), old.fact(), old.progress()))
        assert (await the(journal, row.workflow.id)).lease_until == before
        await journal.append(arrived(sign))
        after = (await the(journal, row.workflow.id)).lease_until
        assert before is not None
        assert after is not None
        assert (after - before).total_seconds() > 15


async def test_a_lease_runs_out_only_after_the_router_has_read_everything(open_journal: Opener) -> None:
    journal = await open_journal(lease_seconds=0.05)
    row = await started(journal)
    await asyncio.sleep(0.1)
    assert (await journal.overdue(gap_seconds=3, limit=10)).leases == ()
    await journal.drained("router")
    assert (await journal.overdue(gap_seconds=3, limit=10)).leases == (row.workflow.id,)
    [lost] = await journal.expire([row.workflow.id], 3)
    assert (lost.workflow.status, lost.workflow.lost, lost.lease_until) == ("pending", 1, None)
    assert await journal.overdue(gap_seconds=3, limit=10) == await journal.overdue(gap_seconds=3, limit=0)


async def test_what_the_router_had_not_read_when_it_last_looked_is_waited_for(open_journal: Opener) -> None:
    """It read the queue empty, then spent a while (a database outage, say) on what it had: signs of life may wait."""
    journal = await open_journal(lease_seconds=0.05)
    row = await started(journal)
    await asyncio.sleep(0.1)
    await journal.drained("router", seconds_ago=30)
    assert (await journal.overdue(gap_seconds=3, limit=10)).leases == ()
    await journal.drained("router")
    await journal.drained("router", seconds_ago=30)
    assert (await journal.overdue(gap_seconds=3, limit=10)).leases == (row.workflow.id,)


async def test_a_lease_that_was_renewed_meanwhile_is_left_alone(journal: PostgresJournal) -> None:
    row = await started(journal)
    assert await journal.expire([row.workflow.id], 3) == []
    assert (await the(journal, row.workflow.id)).workflow.open


async def test_a_workflow_without_an_attempt_has_no_lease(journal: PostgresJournal) -> None:
    row, _ = await blocked(journal)
    assert row.lease_until is None
    await journal.execute(order(c.ApproveWorkflow, row.workflow.id))
    assert (await the(journal, row.workflow.id)).lease_until is None


async def test_a_parked_workflow_is_woken_once_when_its_time_has_come(
    journal: PostgresJournal, database_url: str
) -> None:
    row = await started(journal)
    parked = e.WorkflowParked(id="p", workflow_id=row.workflow.id, reason="quota", until="2026-01-01T00:00:00.000Z")
    await journal.record(row.workflow.id, lambda w, _: (parked,))
    await sql(database_url, "DELETE FROM outbox")
    assert (await journal.overdue(gap_seconds=3, limit=10)).wakes == (row.workflow.id,)
    await journal.wake([row.workflow.id])
    await journal.wake([row.workflow.id])
    [woken] = await journal.due(10, 5)
    assert isinstance(codec.decode_command(woken.body), c.AttendWorkflow)
    await opened(journal, row.workflow.id)
    assert (await journal.overdue(gap_seconds=3, limit=10)).wakes == ()


# Gaps


async def test_a_gap_is_closed_by_saying_so_and_what_waited_behind_it_follows(journal: PostgresJournal) -> None:
    row = await started(journal)
    voice = Voice(row.workflow.id)
    first, second, third = voice.progress(), voice.progress(), voice.progress()
    await journal.append(arrived(first, third))
    await journal.drained("router")
    assert (await the(journal, row.workflow.id)).behind
    assert (await journal.overdue(gap_seconds=0, limit=10)).gaps == (row.workflow.id,)
    closed = await journal.close_gap(row.workflow.id)
    assert closed is not None
    assert not closed.behind
    await journal.append(arrived(second))
    shown = [event for _, event in await stream(journal, row.workflow.id)][2:]
    assert [type(x) for x in shown] == [e.AgentMessage, e.EventsMissing, e.AgentMessage]
    assert (await journal.overdue(gap_seconds=0, limit=10)).gaps == ()


async def test_a_lost_last_fact_is_noticed_by_the_heartbeat_that_names_it(journal: PostgresJournal) -> None:
    row = await started(journal)
    voice = Voice(row.workflow.id)
    lost = voice.fact()
    await journal.append(arrived(voice.heartbeat()))
    closed = await journal.close_gap(row.workflow.id)
    assert closed is not None
    assert closed.behind, "a fact cannot be declared missing"
    await journal.append(arrived(lost))
    assert not (await the(journal, row.workflow.id)).behind


@pytest.mark.parametrize("kind", [c.ApproveWorkflow, c.RejectWorkflow, c.CancelWorkflow])
async def test_what_waits_is_not_forgotten_by_a_decision(
    journal: PostgresJournal, kind: type[c.ApproveWorkflow], database_url: str
) -> None:
    row = await started(journal)
    voice = Voice(row.workflow.id)
    lost, waiting = voice.progress(), voice.progress()
    await journal.append(arrived(waiting, voice.fact(e.WorkflowBlocked)))
    await journal.execute(order(kind, row.workflow.id))
    assert (await the(journal, row.workflow.id)).behind == (kind is c.ApproveWorkflow)
    await journal.append(arrived(lost))
    shown = [event for _, event in await stream(journal, row.workflow.id)]
    if kind is c.ApproveWorkflow:
        assert [x.ordinal for x in shown if x.ordinal] == [1, 2]
    else:
        assert [type(x) for x in shown[3:5]] == [e.EventsMissing, e.AgentMessage], "said while it could be, and shown"
    assert await sql(database_url, "SELECT * FROM held_event WHERE kind = 'early'") == []


async def test_what_waits_of_a_lost_attempt_is_cleared_when_the_gap_is_looked_at(
    open_journal: Opener, database_url: str
) -> None:
    journal = await open_journal(lease_seconds=0.05)
    row = await started(journal)
    voice = Voice(row.workflow.id)
    voice.fact()
    await journal.append(arrived(voice.fact()))
    await asyncio.sleep(0.1)
    await journal.expire([row.workflow.id], 1)
    await journal.drained("router")
    for id_ in (await journal.overdue(gap_seconds=0, limit=10)).gaps:
        await journal.close_gap(id_)
    assert (await journal.overdue(gap_seconds=0, limit=10)).gaps == ()
    assert [x["kind"] for x in await sql(database_url, "SELECT kind FROM held_event")] == ["stale"]


# Lists and locks


async def test_pages_follow_each_other_without_repeat_or_hole_while_more_are_started(journal: PostgresJournal) -> None:
    made = await asyncio.gather(*(journal.execute(start()) for _ in range(25)))
    seen: list[str] = []
    before = None
    while rows := await journal.page(statuses=("pending",), before=before, limit=7):
        seen += [row.workflow.id for row in rows]
        before = (rows[-1].created_at, rows[-1].workflow.id)
        await journal.execute(start())
    assert sorted(seen) == sorted(x.row.workflow.id for x in made)


async def test_each_journal_of_a_process_reads_its_own_database(
    open_journal: Opener, postgres_server: object, journal: PostgresJournal
) -> None:
    elsewhere = await PostgresJournal.open(await postgres_server.fresh(), lease_seconds=20)  # type: ignore[attr-defined]
    await journal.execute(start())
    assert len(await journal.page(before=None, limit=9)) == 1
    assert await elsewhere.page(before=None, limit=9) == []
    await elsewhere.close()
    assert len(await journal.page(before=None, limit=9)) == 1


async def test_a_lock_is_one_s_alone_also_among_processes(open_journal: Opener) -> None:
    one, two = await open_journal(), await open_journal()
    order_: list[str] = []

    async def hold() -> None:
        async with two.exclusively("x"):
            order_.append("second")

    async with one.exclusively("x") as mine:
        assert mine
        async with two.exclusively("x", wait=False) as theirs, two.exclusively("y", wait=False) as another:
            assert (theirs, another) == (False, True)
        waiting = asyncio.create_task(hold())
        await asyncio.sleep(0.05)
        order_.append("first")
    await waiting
    assert order_ == ["first", "second"]


async def test_a_waiter_that_gives_up_takes_no_lock_with_it(journal: PostgresJournal) -> None:
    async def want() -> None:
        async with journal.exclusively("x"):
            raise AssertionError

    async with journal.exclusively("x"):
        task = asyncio.create_task(want())
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])

    async def is_free() -> bool:
        async with journal.exclusively("x", wait=False) as mine:
            return mine

    await eventually(is_free, "the lock is free")


# Events of one type


async def test_events_are_sought_by_type_in_their_order_and_page_by_page(open_journal: Opener) -> None:
    for journal in (await open_journal(), MemoryJournal()):
        row = await started(journal)
        voice = Voice(row.workflow.id)
        claim = ClaimCheck(key="k", size=1, sha256="0" * 64)
        stored = [voice.fact(e.ArtifactStored, name=f"{n}.txt", claim=claim) for n in range(3)]
        await journal.append(arrived(*(each for fact in stored for each in (fact, voice.progress()))))
        id_ = row.workflow.id
        first = await journal.sought(id_, "artifact_stored", limit=2)
        rest = await journal.sought(id_, "artifact_stored", first[-1].sequence, 2)
        events = [codec.decode_event(one.body) for one in (*first, *rest)]
        assert [(type(event), event.fact) for event in events] == [(e.ArtifactStored, fact.fact) for fact in stored]
        assert [one.sequence for one in (*first, *rest)] == sorted(one.sequence for one in (*first, *rest))
        assert await journal.sought(id_, "workflow_blocked") == []
        assert await journal.sought("wf-none", "tokens_used") == []


async def test_seeking_reads_the_index_that_holds_only_what_is_sought(
    journal: PostgresJournal, database_url: str
) -> None:
    plan = await sql(
        database_url,
        "EXPLAIN SELECT body FROM event WHERE workflow_id = 'wf' AND type = 'tokens_used' AND sequence > 0 ORDER BY 1",
    )
    assert journal
    assert any("event_by_type" in row[0] for row in plan), plan
