"""Dead letters as a product: kept, listed, sent again under their own ids, given up."""

import asyncio
from datetime import datetime

import pytest

from amelia.adapters.postgres.journal import PostgresJournal
from amelia.burial import Collector, burying
from amelia.consumer import Consumer, Verdict
from amelia.contract import codec
from amelia.contract.ids import derive_id
from amelia.errors import Conflict, NotFound
from amelia.ports.journal import Burial, DeadLetter
from amelia.ports.queues import Message
from amelia_dispatcher.relay import Relay

from ..inmemory import MemoryBus, MemoryQueue
from ..samples import eventually, start
from .test_journal import sql


def burial(body: str = '{"id":"m","workflow_id":"wf-1","type":"agent_started"}', **fields: object) -> Burial:
    return Burial(**{"source": "events", "queue_id": "q-1", "body": body, "cause": "no", "receives": 3, **fields})  # type: ignore[arg-type]


async def only(journal: PostgresJournal) -> DeadLetter:
    [found] = await journal.dead_letters(limit=10)
    letter = await journal.dead_letter(found.id)
    assert letter is not None
    return letter


async def test_what_the_body_says_is_what_the_dead_letter_is_called(journal: PostgresJournal) -> None:
    inner = '{"id":"m","workflow_id":"wf-1","type":"agent_started"}'
    await journal.bury([burial(inner), burial(f'{{"detail-type":"x","detail":{inner}}}'), burial("{", queue_id="q-2")])
    found = {x.message_id: x for x in await journal.dead_letters(limit=10)}
    assert {(x.workflow_id, x.type, x.receives, x.state) for x in found.values()} == {
        ("wf-1", "agent_started", 3, "waiting"),
        ("", "", 3, "waiting"),
    }
    assert set(found) == {"m", "q-2"}
    assert all(x.body == "" for x in found.values()), "bodies are for those who ask for one"
    assert len(await journal.dead_letters(limit=10)) == 3


async def test_the_same_again_is_the_same_dead_letter(journal: PostgresJournal) -> None:
    """Its consumer died between keeping and acknowledging it: it comes again, received once more."""
    await journal.bury([burial()])
    first = await only(journal)
    await journal.bury([burial(receives=4, cause="still no", queue_id="another"), burial(receives=4)])
    again = await only(journal)
    assert (again.id, again.receives, again.first_at) == (first.id, 4, first.first_at)
    assert again.last_at > first.last_at


async def test_a_redriven_one_leaves_once_with_its_own_body_and_is_settled_when_it_is_sent(
    journal: PostgresJournal, database_url: str
) -> None:
    body = codec.encode(start()).decode()
    await journal.bury([burial(body, source=source) for source in ("commands", "events")])
    ids = [x.id for x in await journal.dead_letters(limit=10)]
    answers = await journal.redrive(ids, "ada")
    assert [(x.id, x.state, x.decided_by) for x in answers if isinstance(x, DeadLetter)] == [
        (id_, "redriven", "ada") for id_ in ids
    ]
    assert all(isinstance(x, Conflict) for x in await journal.redrive(ids, "ben")), "once is enough"
    commands, events = MemoryQueue(), MemoryQueue()
    relay = Relay(journal, commands, MemoryBus(), resend_seconds=5, again={"events": events})
    await relay._pass()
    assert [[x.body for x in queue.sent] for queue in (commands, events)] == [[body]] * 2
    assert await sql(database_url, "SELECT FROM outbox") == []


async def test_one_that_fails_again_is_the_same_with_its_receives_added(journal: PostgresJournal) -> None:
    await journal.bury([burial()])
    letter = await only(journal)
    for round_ in range(2, 4):
        await journal.redrive([letter.id], "ada")
        assert (await only(journal)).state == "redriven"
        await journal.bury([burial(queue_id=f"q-{round_}", cause=f"no for the {round_}. time")])
        again = await only(journal)
        assert (again.id, again.receives, again.state) == (letter.id, 3 * round_, "waiting")
        assert again.cause == f"no for the {round_}. time"
    assert [x.id for x in await journal.due(10, 5, "events")] == [f"redrive/{letter.id}/{n}" for n in (1, 2)]


async def test_a_discarded_one_stays_and_is_not_sent(journal: PostgresJournal) -> None:
    await journal.bury([burial()])
    letter = await only(journal)
    [gone] = await journal.discard([letter.id], "ada")
    assert isinstance(gone, DeadLetter)
    assert (gone.state, gone.decided_by) == ("discarded", "ada")
    [refused, missing] = await journal.redrive([letter.id, "none"], "ada")
    assert isinstance(refused, Conflict)
    assert "is discarded" in str(refused)
    assert isinstance(missing, NotFound)
    assert await journal.due(10, 5) == []
    assert await journal.dead_letters(state="waiting", limit=10) == []
    assert [x.id for x in await journal.dead_letters(state="discarded", limit=10)] == [letter.id]


async def test_of_two_who_redrive_at_the_same_moment_one_does(journal: PostgresJournal, database_url: str) -> None:
    await journal.bury([burial(f'{{"id":"{n}"}}') for n in range(5)])
    ids = [x.id for x in await journal.dead_letters(limit=10)]
    answers = await asyncio.gather(*(journal.redrive(order, "ada") for order in (ids, ids[::-1], ids)))
    assert sum(isinstance(x, DeadLetter) for answer in answers for x in answer) == 5
    assert len(await sql(database_url, "SELECT FROM outbox")) == 5


async def test_what_no_queue_takes_is_kept_readable_and_cannot_be_redriven(journal: PostgresJournal) -> None:
    await journal.bury([burial("a\0b"), burial("a\ud800b", cause="bad \0 \udfff")])
    letters = [await journal.dead_letter(x.id) for x in await journal.dead_letters(limit=10)]
    assert {x.body for x in letters if x} == {"a\\x00b", "a\\ud800b"}
    refused = await journal.redrive([x.id for x in letters if x], "ada")
    assert all("no queue takes" in str(x) for x in refused)
    assert all(isinstance(x, DeadLetter) for x in await journal.discard([x.id for x in letters if x], "ada"))


async def test_pages_follow_each_other(journal: PostgresJournal) -> None:
    for n in range(7):
        await journal.bury([burial(f'{{"id":"{n}"}}')])
    seen: list[str] = []
    before: tuple[datetime, str] | None = None
    while page := await journal.dead_letters(before=before, limit=3):
        seen += [x.message_id for x in page]
        before = (page[-1].last_at, page[-1].id)
    assert seen == [str(n) for n in reversed(range(7))]


async def test_a_command_that_is_given_up_is_not_sent_for_ever(journal: PostgresJournal) -> None:
    command = start()
    await journal.execute(command)
    [row] = await journal.due(10, 0, "commands")
    await burying(journal, "commands")(Message(id="q", body=row.body, receipt="r", receives=3), "no such thing")
    await asyncio.sleep(0.01)
    assert await journal.due(10, 0, "commands") == []
    letter = await only(journal)
    assert (letter.message_id, letter.type) == (command.id, "attend_workflow")


@pytest.mark.parametrize(
    ("attributes", "cause"),
    [
        ({"reason": "not JSON"}, "not JSON"),
        ({"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "denied"}, "NO_PERMISSIONS: denied"),
        ({}, "received too often"),
    ],
)
async def test_a_queue_s_own_dead_letters_are_collected_with_what_is_known_of_their_cause(
    journal: PostgresJournal, attributes: dict[str, str], cause: str
) -> None:
    dead, stop = MemoryQueue(), asyncio.Event()
    dead.ready.append(Message(id="q", body='{"id":"m"}', receipt="q", attributes=attributes))
    collecting = asyncio.create_task(Collector(journal, dead, "events").run(stop))

    async def emptied() -> bool:
        return bool(dead.done)

    await eventually(emptied, "it is collected")
    stop.set()
    await collecting
    letter = await only(journal)
    assert cause in letter.cause
    assert letter.message_id == "m"


async def test_a_message_that_fails_three_times_is_found_and_goes_through_once_it_is_mended(
    journal: PostgresJournal,
) -> None:
    """The whole way: given up, listed, redriven, handled."""
    queue, stop, broken, handled = MemoryQueue(), asyncio.Event(), [True], list[str]()

    async def handle(messages: list[Message]) -> list[Verdict]:
        if broken:
            raise KeyError("a bug")
        handled.extend(m.body for m in messages)
        return [Verdict("done")] * len(messages)

    body = codec.encode(start()).decode()
    queue.put(body)
    consumer = Consumer(queue, handle, in_flight=1, max_receives=3, bury=burying(journal, "commands"))  # type: ignore[arg-type]
    consuming = asyncio.create_task(consumer.run(stop))
    relaying = asyncio.create_task(Relay(journal, queue, MemoryBus(), resend_seconds=5).run(stop))

    async def buried() -> object:
        return await journal.dead_letters(state="waiting", limit=1)

    async def came_through() -> object:
        return handled

    await eventually(buried, "it is given up")
    letter = await only(journal)
    assert (letter.receives, letter.cause) == (3, "KeyError: 'a bug'")
    assert letter.id == derive_id("dead-letter/commands", _sha256(body))
    broken.clear()
    await journal.redrive([letter.id], "ada")
    await eventually(came_through, "it is handled")
    stop.set()
    await asyncio.gather(consuming, relaying)
    assert handled == [body]


def _sha256(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()
