"""What a heartbeat writes: its lease and its gap, and not the state, which may be large."""

from amelia.adapters.postgres.journal import PostgresJournal
from amelia.contract import events as e

from ..samples import Voice, arrived, started, stream, the
from .test_journal import sql

_STATE = "SELECT state, sequence, updated_at, created_at, status, epoch FROM workflow WHERE id = $1"
_EARLIER = "UPDATE workflow SET lease_until = now() + interval '1 s', updated_at = now() - interval '1 hour'"


async def test_heartbeats_alone_renew_the_lease_and_leave_the_state_as_it_is(
    journal: PostgresJournal, database_url: str
) -> None:
    rows = [await started(journal) for _ in range(2)]
    ids = [row.workflow.id for row in rows]
    await sql(database_url, "UPDATE workflow SET state = state || ' '")
    await sql(database_url, _EARLIER)
    before = [await sql(database_url, _STATE, id_) for id_ in ids]
    leases = [(await the(journal, id_)).lease_until for id_ in ids]
    voices = [Voice(id_) for id_ in ids]
    beats = [voice.heartbeat() for voice in voices for _ in range(3)]
    assert await journal.append(arrived(*beats)) == [None] * 6
    assert [await sql(database_url, _STATE, id_) for id_ in ids] == before
    for id_, lease in zip(ids, leases, strict=True):
        renewed = (await the(journal, id_)).lease_until
        assert lease is not None
        assert renewed is not None
        assert (renewed - lease).total_seconds() > 15
        assert len(await stream(journal, id_)) == 2


async def test_heartbeats_say_that_a_fact_is_missing(journal: PostgresJournal, database_url: str) -> None:
    row = await started(journal)
    voice = Voice(row.workflow.id)
    nothing_said = voice.heartbeat()
    fact = voice.fact()
    before = await sql(database_url, _STATE, row.workflow.id)
    gap = "SELECT gap_since FROM workflow"
    await journal.append(arrived(voice.heartbeat()))
    assert (await the(journal, row.workflow.id)).behind
    [since] = await sql(database_url, gap)
    await journal.append(arrived(voice.heartbeat(), nothing_said))
    assert await sql(database_url, gap) == [since], "it is behind since it was first noticed"
    await journal.append(arrived(nothing_said))
    assert await sql(database_url, gap) == [since], "an older one that comes late does not take it back"
    assert await sql(database_url, _STATE, row.workflow.id) == before
    await journal.append(arrived(fact, voice.heartbeat()))
    now = await the(journal, row.workflow.id)
    assert (now.behind, now.workflow.fact) == (False, 1)
    assert await sql(database_url, _STATE, row.workflow.id) != before


async def test_an_older_attempt_s_heartbeat_and_one_after_the_end_write_no_lease(
    journal: PostgresJournal, database_url: str
) -> None:
    row = await started(journal)
    voice = Voice(row.workflow.id)
    await sql(database_url, _EARLIER)
    before = await the(journal, row.workflow.id)
    await journal.append(arrived(Voice(row.workflow.id, attempt=0).heartbeat()))
    assert await the(journal, row.workflow.id) == before
    await journal.append(arrived(voice.fact(e.WorkflowBlocked)))
    await journal.append(arrived(voice.heartbeat()))
    blocked = await the(journal, row.workflow.id)
    assert (blocked.workflow.status, blocked.lease_until, blocked.behind) == ("blocked", None, False)


async def test_early_progress_waits_beside_the_state_and_the_closed_gap_says_what_is_missing(
    journal: PostgresJournal, database_url: str
) -> None:
    row = await started(journal)
    voice = Voice(row.workflow.id)
    before = await sql(database_url, _STATE, row.workflow.id)
    voice.progress()
    await journal.append(arrived(voice.progress("early"), voice.heartbeat()))
    assert await sql(database_url, _STATE, row.workflow.id) == before
    await journal.append(arrived(voice.heartbeat()))
    assert (await the(journal, row.workflow.id)).behind, "a heartbeat does not forget what waits"
    closed = await journal.close_gap(row.workflow.id)
    assert closed is not None
    assert (closed.behind, closed.workflow.ordinal, closed.workflow.sequence) == (False, 2, 4)
    [(_, missing), (_, early)] = (await stream(journal, row.workflow.id))[2:]
    assert isinstance(missing, e.EventsMissing)
    assert (missing.first, missing.last) == (1, 1)
    assert isinstance(early, e.AgentMessage)
    assert early.content == "early"
    assert (await the(journal, row.workflow.id)) == closed
    assert await sql(database_url, "SELECT FROM held_event WHERE kind = 'early'") == []
