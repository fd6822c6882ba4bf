"""Orders of CI's that were refused, and are taken once what was wrong is mended."""

import asyncio
import json
from typing import Any

import pytest

from amelia.adapters.memory.journal import MemoryJournal
from amelia.adapters.postgres.journal import PostgresJournal
from amelia.burial import Collector, burying
from amelia.consumer import Consumer
from amelia.contract.ids import derived_workflow_id
from amelia.errors import Conflict, Unavailable
from amelia.ports.journal import DeadLetter
from amelia.ports.queues import Message
from amelia_dispatcher.ci import Intake, teams_of
from amelia_dispatcher.redriven import Redriven
from amelia_dispatcher.relay import Relay

from ..conftest import Opener
from ..inmemory import MemoryBus, MemoryQueue
from ..samples import eventually

Journal = PostgresJournal | MemoryJournal
SENDER = "AROANEW:session"
BODY = json.dumps(
    {
        "type": "start_workflow",
        "id": "run-1",
        "repository": "https://example.org/r.git",
        "issue": {"id": "PROJ-7", "title": "Totals are a cent short"},
    }
)
OURS = derived_workflow_id("blue", "run-1")
_RESEND_SECONDS = 0.05


@pytest.fixture(params=["postgresql", "memory"])
async def journal(request: pytest.FixtureRequest, open_journal: Opener) -> Journal:
    return MemoryJournal() if request.param == "memory" else await open_journal()


def relay(journal: Journal, teams: str) -> Relay:
    """Of a dispatcher that was started with these teams."""
    intake = Intake(journal, teams_of(teams), allow_file=False, judges=True)
    orders = Redriven(journal, intake.handle).take
    return Relay(journal, MemoryQueue(), MemoryBus(), resend_seconds=_RESEND_SECONDS, orders=orders)


async def refused(journal: Journal, *, body: str = BODY, sender: str = SENDER) -> DeadLetter:
    """What becomes of it on the queue, while nobody of blue is known."""
    queue, stop = MemoryQueue(), asyncio.Event()
    queue.ready.append(Message(id="1", body=body, receipt="1", receives=0, sender=sender))
    intake = Intake(journal, {"AROAOTHER": "red"}, allow_file=False, judges=True)
    consumer = Consumer(queue, intake.handle, in_flight=1, max_receives=3, bury=burying(journal, "ci"))
    await _until_done(queue, asyncio.create_task(consumer.run(stop)), stop)
    return (await letters(journal))[0]


async def letters(journal: Journal) -> list[DeadLetter]:
    return await journal.dead_letters(limit=10)


async def only(journal: Journal) -> DeadLetter:
    [letter] = await letters(journal)
    return letter


async def nothing_is_owed(journal: Journal) -> bool:
    await asyncio.sleep(2 * _RESEND_SECONDS)
    return await journal.due(10, 0, "ci") == []


async def test_an_unknown_sender_s_order_begins_their_team_s_workflow_once_they_are_known(journal: Journal) -> None:
    letter = await refused(journal)
    assert (letter.sender, letter.state) == (SENDER, "waiting")
    assert "add AROANEW=TEAM" in letter.cause
    await journal.redrive([letter.id], "ada")
    await relay(journal, "AROANEW=blue,AROACONTROL=red")._pass()
    [row] = await journal.page(before=None, limit=10)
    assert (row.workflow.id, row.workflow.team, row.workflow.owner) == (OURS, "blue", "ci/blue")
    assert (await only(journal)).state == "redriven"
    assert await nothing_is_owed(journal)


async def test_refused_again_it_waits_again_with_its_cause_and_its_receives_added(journal: Journal) -> None:
    letter = await refused(journal)
    for receives in (2, 3):
        await journal.redrive([letter.id], "ada")
        await relay(journal, "")._pass()
        again = await only(journal)
        assert (again.id, again.state, again.receives, again.sender) == (letter.id, "waiting", receives, SENDER)
        assert "add AROANEW=TEAM" in again.cause
        assert await nothing_is_owed(journal)
    assert await journal.page(before=None, limit=10) == []
    await journal.redrive([letter.id], "ada")
    await relay(journal, "AROANEW=blue")._pass()
    assert await journal.get(OURS)


async def test_redriven_twice_it_is_taken_once(journal: Journal) -> None:
    letter = await refused(journal)
    await journal.redrive([letter.id], "ada")
    [answer] = await journal.redrive([letter.id], "ben")
    assert isinstance(answer, Conflict)
    await relay(journal, "AROANEW=blue")._pass()
    [answer] = await journal.redrive([letter.id], "ben")
    assert isinstance(answer, Conflict)
    await refused(journal)
    await journal.redrive([letter.id], "ada")
    await relay(journal, "AROANEW=blue")._pass()
    [row] = await journal.page(before=None, limit=10)
    assert (row.workflow.id, row.workflow.sequence) == (OURS, 1)


@pytest.mark.parametrize("dies_at", ["due", "execute", "settle"])
async def test_a_dispatcher_that_dies_on_the_way_leaves_it_to_the_next(
    journal: Journal, dies_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = await refused(journal)
    await journal.redrive([letter.id], "ada")
    if dies_at == "due":
        assert await journal.due(10, _RESEND_SECONDS, "ci")
    else:
        with monkeypatch.context() as patch, pytest.raises(asyncio.CancelledError):
            patch.setattr(journal, dies_at, _dies)
            await relay(journal, "AROANEW=blue")._pass()
    await asyncio.sleep(2 * _RESEND_SECONDS)
    await relay(journal, "AROANEW=blue")._pass()
    [row] = await journal.page(before=None, limit=10)
    assert (row.workflow.id, row.workflow.sequence) == (OURS, 1)
    assert (await only(journal)).state == "redriven"
    assert await nothing_is_owed(journal)


async def test_one_that_waits_again_is_not_taken_behind_the_back_of_who_discards_it(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its dispatcher died between keeping it and settling its row."""
    letter = await refused(journal)
    await journal.redrive([letter.id], "ada")
    with monkeypatch.context() as patch, pytest.raises(asyncio.CancelledError):
        patch.setattr(journal, "settle", _dies)
        await relay(journal, "")._pass()
    await journal.discard([letter.id], "ada")
    await asyncio.sleep(2 * _RESEND_SECONDS)
    await relay(journal, "AROANEW=blue")._pass()
    assert await journal.get(OURS) is None


async def test_a_database_that_is_away_buries_nothing(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    letter = await refused(journal)
    await journal.redrive([letter.id], "ada")

    async def away(*_: Any) -> None:
        raise Unavailable("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "execute", away)
        await relay(journal, "AROANEW=blue")._pass()
    assert (await only(journal)).state == "redriven"
    await asyncio.sleep(0.15)
    await relay(journal, "AROANEW=blue")._pass()
    assert await journal.get(OURS)


async def test_what_breaks_the_intake_is_a_dead_letter_again_and_holds_up_no_other(journal: Journal) -> None:
    bad, good = await refused(journal, body=BODY.replace("run-1", "bad")), await refused(journal)
    await journal.redrive([bad.id, good.id], "ada")
    intake = Intake(journal, teams_of("AROANEW=blue"), allow_file=False, judges=True)

    async def handle(messages: Any) -> Any:
        if "bad" in messages[0].body:
            raise KeyError("a bug")
        return await intake.handle(messages)

    orders = Redriven(journal, handle).take
    await Relay(journal, MemoryQueue(), MemoryBus(), resend_seconds=5, orders=orders)._pass()
    assert await journal.get(OURS)
    [again] = await journal.dead_letters(state="waiting", limit=10)
    assert (again.id, again.cause) == (bad.id, "KeyError: 'a bug'")


async def test_nobody_puts_himself_in_the_place_of_who_sent_it(journal: Journal) -> None:
    """Who may send sees an order that waits, and sends the same."""
    theirs = await refused(journal)
    mine = await refused(journal, sender="AROAMINE:session")
    assert mine.id != theirs.id
    await journal.redrive([theirs.id, mine.id], "ada")
    await relay(journal, "AROANEW=blue,AROAMINE=green")._pass()
    rows = await journal.page(before=None, limit=10)
    assert {row.workflow.id for row in rows} == {OURS, derived_workflow_id("green", "run-1")}


async def test_what_the_body_says_of_its_sender_is_not_believed(journal: Journal) -> None:
    told = {**json.loads(BODY), "owner": "ci/red", "team": "red", "actor": "AROAOTHER"}
    letter = await refused(journal, body=json.dumps(told))
    await journal.redrive([letter.id], "ada")
    await relay(journal, "AROANEW=blue,AROAOTHER=red")._pass()
    [row] = await journal.page(before=None, limit=10)
    assert (row.workflow.id, row.workflow.team) == (OURS, "blue")


async def test_one_from_the_queue_s_own_dead_letters_has_its_sender_too(journal: Journal) -> None:
    dead, stop = MemoryQueue(), asyncio.Event()
    said = {"sender": "AROAOTHER:x", "SenderId": "AROAOTHER:x"}
    dead.ready.append(Message(id="1", body=BODY, receipt="1", sender=SENDER, attributes=said))
    await _until_done(dead, asyncio.create_task(Collector(journal, dead, "ci").run(stop)), stop)
    await journal.redrive([(await only(journal)).id], "ada")
    await relay(journal, "AROANEW=blue,AROAOTHER=red")._pass()
    [row] = await journal.page(before=None, limit=10)
    assert row.workflow.id == OURS


async def test_a_running_relay_is_woken_for_it(journal: Journal) -> None:
    letter, stop = await refused(journal), asyncio.Event()
    relaying = asyncio.create_task(relay(journal, "AROANEW=blue").run(stop))
    await journal.redrive([letter.id], "ada")

    async def begun() -> object:
        return await journal.get(OURS)

    await eventually(begun, "it begins")
    stop.set()
    await relaying


async def _dies(*_: Any) -> None:
    raise asyncio.CancelledError


async def _until_done(queue: MemoryQueue, running: asyncio.Task[None], stop: asyncio.Event) -> None:
    async def done() -> object:
        return queue.done

    await eventually(done, "it is settled")
    stop.set()
    await running
