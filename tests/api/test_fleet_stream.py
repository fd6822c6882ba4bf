"""The stream of the whole fleet: once each, in one order, by WebSocket, server-sent events and pages."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

import amelia_api.broadcaster as broadcasting
from amelia.contract import commands as c
from amelia.ports.journal import Cursor, FleetPage
from amelia_api import carrying, readers

from ..conftest import Opener
from ..samples import Voice, arrived, eventually, order, started
from .conftest import BEARER, Api, history, serving, speak

Message = dict[str, Any]


async def next_of(socket: ClientConnection) -> Message:
    message: Message = json.loads(await asyncio.wait_for(socket.recv(), 20))
    return message


async def read_until(socket: ClientConnection, done: Callable[[Message], bool]) -> list[Message]:
    """The events up to the message for which it is done."""
    seen: list[Message] = []
    while True:
        message = await next_of(socket)
        if message["type"] not in ("caught_up", "ping"):
            seen.append(message)
        if done(message):
            return seen


def caught_up(message: Message) -> bool:
    return str(message["type"]) == "caught_up"


def named(events: list[Message]) -> list[tuple[str, int]]:
    return [(event["workflow_id"], event["sequence"]) for event in events]


def in_order(events: list[Message]) -> bool:
    """Each workflow's sequences dense from 1."""
    reached: Counter[str] = Counter()
    for workflow_id, sequence in named(events):
        if sequence != reached[workflow_id] + 1:
            return False
        reached[workflow_id] = sequence
    return True


async def test_everything_from_the_beginning_then_caught_up_then_live(api: Api) -> None:
    voices = [await history(api.journal, 10) for _ in range(3)]
    async with api.watching("", "after=begin") as socket:
        seen = await read_until(socket, caught_up)
        await speak(api.journal, voices[1], 1)
        live = await next_of(socket)
    assert len(seen) == 30
    assert in_order(seen)
    assert (live["workflow_id"], live["sequence"], live["type"]) == (voices[1].workflow_id, 11, "agent_message")


async def test_without_a_cursor_it_begins_now(api: Api) -> None:
    voice = await history(api.journal, 10)
    async with api.watching("", "") as socket:
        first = await next_of(socket)
        assert first["type"] == "caught_up"
        await speak(api.journal, voice, 1)
        assert (await next_of(socket))["sequence"] == 11
    await speak(api.journal, voice, 1)
    async with api.watching("", f"after={first['cursor']}") as socket:
        assert [event["sequence"] for event in await read_until(socket, caught_up)] == [11, 12]


async def test_a_reader_may_come_back_at_every_cursor(api: Api) -> None:
    for _ in range(3):
        await history(api.journal, 8)
    async with api.watching("", "after=0") as socket:
        whole = await read_until(socket, caught_up)
    for place, event in enumerate(whole, 1):
        async with api.watching("", f"after={event['cursor']}") as socket:
            assert await read_until(socket, caught_up) == whole[place:]


async def holding(url: str, until: asyncio.Event, chance: random.Random) -> None:
    """Transactions that are open for a while, and write nothing."""
    connection = await asyncpg.connect(url)
    while not until.is_set():
        async with connection.transaction():
            await connection.execute("SELECT pg_current_xact_id()")
            await asyncio.sleep(chance.random() * 0.05)
    await connection.close()


async def test_flapping_readers_see_each_event_once_while_transactions_overlap(
    api: Api, open_journal: Opener, database_url: str
) -> None:
    chance, over = random.Random(5), asyncio.Event()
    others = [api.journal, await open_journal(), await open_journal()]
    voices = [Voice((await started(api.journal)).workflow.id) for _ in range(6)]
    total = 6 * 2 + 6 * 60

    async def write(mine: list[Voice], number: int) -> None:
        for _ in range(60):
            said = [voice.progress("…") for voice in chance.sample(mine, len(mine))]
            assert set(await others[number].append(arrived(*said))) == {None}

    async def read() -> list[Message]:
        seen: list[Message] = []
        while len(seen) < total:
            stay = chance.choice((1, 5, 60, total))
            async with api.watching("", f"after={seen[-1]['cursor'] if seen else 'begin'}") as socket:
                while stay and len(seen) < total:
                    message = await next_of(socket)
                    if "sequence" in message:
                        seen.append(message)
                        stay -= 1
        return seen

    holders = [asyncio.create_task(holding(database_url, over, chance)) for _ in range(2)]
    reading = [asyncio.create_task(read()) for _ in range(5)]
    await asyncio.gather(*(write(voices[n::3], n) for n in range(3)))
    histories = await asyncio.gather(*reading)
    over.set()
    await asyncio.gather(*holders)
    assert in_order(histories[0])
    assert all(seen == histories[0] for seen in histories)
    assert len({event["id"] for event in histories[0]}) == total


async def test_an_event_behind_an_open_transaction_lags_and_is_not_skipped(
    api: Api, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "IDLE_SECONDS", 0.2)
    voice = await history(api.journal, 3)
    connection = await asyncpg.connect(database_url)
    async with api.watching("", "") as socket:
        await read_until(socket, caught_up)
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT pg_current_xact_id()")
        await speak(api.journal, voice, 1)
        assert await read_until(socket, lambda m: m["type"] == "ping" and m["lag_seconds"] >= 1) == []
        await transaction.rollback()
        assert (await read_until(socket, lambda m: m.get("sequence") == 4))[-1]["workflow_id"] == voice.workflow_id
        assert await read_until(socket, lambda m: m["type"] == "ping" and m["lag_seconds"] == 0) == []
    await connection.close()


async def test_what_is_asked_for_comes_and_nothing_else(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "IDLE_SECONDS", 0.2)
    ones = [(await started(api.journal, repository=f"https://example.org/{n}.git")).workflow.id for n in range(3)]
    await api.journal.execute(order(c.CancelWorkflow, ones[2]))

    async def asked(query: str) -> list[tuple[str, int]]:
        async with api.watching("", f"after=begin&{query}") as socket:
            return named(await read_until(socket, caught_up))

    assert await asked("type=workflow_submitted") == [(w, 1) for w in ones]
    assert await asked("type=attempt_opened&repository=https://example.org/1.git") == [(ones[1], 2)]
    assert {w for w, _ in await asked("status=cancelled")} == {ones[2]}
    assert {w for w, _ in await asked("status=cancelled&status=in_progress")} == set(ones)
    assert await asked("repository=https://example.org") == []


async def test_a_ping_moves_a_reader_on_past_what_is_not_for_it(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "IDLE_SECONDS", 0.2)
    async with api.watching("", "type=workflow_cancelled") as socket:
        await read_until(socket, caught_up)
        voice = await history(api.journal, 5)
        cursor = (await api.journal.fleet_events((0, 0), 100)).items[-1].place
        await read_until(socket, lambda m: m["type"] == "ping" and tuple(map(int, m["cursor"].split("-"))) > cursor)
        await api.journal.execute(order(c.CancelWorkflow, voice.workflow_id))
        assert (await read_until(socket, lambda m: "sequence" in m))[0]["workflow_id"] == voice.workflow_id


NO_CURSORS = ("x", "1", "-1-2", "1-2-3", "1-", f"{'9' * 17}-1", "9" * 40, "%00", "1-%00", "٣-٣")
NO_FILTERS = ("status=running", "type=Workflow%20Blocked", "type=", "&".join(f"repository={n}" for n in range(60)))


async def test_what_is_no_cursor_and_no_filter_is_refused(api: Api, http: httpx.AsyncClient) -> None:
    await history(api.journal, 3)
    for query in (*(f"after={text}" for text in NO_CURSORS), *NO_FILTERS):
        async with api.watching("", query) as socket:
            with pytest.raises(ConnectionClosed) as closing:
                await asyncio.wait_for(socket.recv(), 20)
        assert closing.value.rcvd is not None
        assert closing.value.rcvd.code == 4400, query
        assert (await http.get(f"/events?{query}")).status_code == 422, query


async def test_the_fleets_stream_asks_for_the_token(api: Api) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with api.watching("", additional_headers={}):
            raise AssertionError("it was let in")
    assert refused.value.response.status_code == 401
    async with api.client(headers={}) as client:
        assert (await client.get("/events", headers={"accept": "application/json"})).status_code == 401


async def test_pages_give_everything_once(api: Api, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amelia_api.fleet_stream._MOST", 7)
    voices = [await history(api.journal, 10) for _ in range(3)]
    cursor, seen = "begin", list[Message]()
    while True:
        answer = await http.get(f"/events?after={cursor}&type=agent_message", headers={"accept": "application/json"})
        page = answer.json()
        seen, cursor = seen + page["items"], page["cursor"]
        if page["caught_up"]:
            break
    assert Counter(w for w, _ in named(seen)) == {voice.workflow_id: 8 for voice in voices}
    assert len({event["id"] for event in seen}) == 24
    now = (await http.get("/events", headers={"accept": "application/json"})).json()
    assert (now["items"], now["caught_up"]) == ([], True)


# Server-sent events


async def sse(api: Api, done: Callable[[Message], bool], last: str = "", **query: str) -> list[tuple[str, Message]]:
    """Ids and data up to the one for which it is done, or to the end of the answer."""
    headers = {**BEARER, **({"Last-Event-ID": last} if last else {})}
    seen: list[tuple[str, Message]] = []
    async with api.client(headers=headers) as client, client.stream("GET", "/events", params=query) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-store", "no")
        place = ""
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            place = value if name == "id" else place
            if name == "data":
                seen.append((place, json.loads(value)))
                if done(seen[-1][1]):
                    break
    return seen


async def test_server_sent_events_have_their_cursor_as_id_and_go_on_from_it(api: Api) -> None:
    voice = await history(api.journal, 20)
    seen = await sse(api, caught_up, after="begin")
    assert [message.get("sequence", 0) for _, message in seen] == [*range(1, 21), 0]
    assert all(place == message["cursor"] for place, message in seen)
    again = await sse(api, caught_up, last=seen[14][0], after="begin")
    assert again[:-1] == seen[15:20]
    reading = asyncio.create_task(sse(api, lambda m: m.get("sequence") == 23, last=seen[-1][0]))
    await speak(api.journal, voice, 3)
    assert [m["sequence"] for _, m in await reading if "sequence" in m] == [21, 22, 23]


# Many readers


async def counting(api: Api, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    read, calls = api.journal.fleet_events, 0

    async def counted(after: Cursor | None, limit: int) -> FleetPage:
        nonlocal calls
        calls += 1
        return await read(after, limit)

    monkeypatch.setattr(api.journal, "fleet_events", counted)
    return lambda: calls


async def test_live_readers_cost_the_database_nothing_each(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    voice = await history(api.journal, 3)
    calls = await counting(api, monkeypatch)

    async def read(begun: asyncio.Barrier) -> list[Message]:
        async with api.watching("", "") as socket:
            await read_until(socket, caught_up)
            await begun.wait()
            return await read_until(socket, lambda m: m.get("sequence") == 23)

    begun = asyncio.Barrier(31)
    reading = [asyncio.create_task(read(begun)) for _ in range(30)]
    await begun.wait()
    before = calls()
    for _ in range(20):
        await speak(api.journal, voice, 1)
    histories = await asyncio.gather(*reading)
    assert all(named(seen) == [(voice.workflow_id, n) for n in range(4, 24)] for seen in histories)
    assert calls() - before <= 20 * 3


async def test_nothing_is_read_while_nobody_watches(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async with api.watching("", "") as socket:
        await read_until(socket, caught_up)

    async def nobody() -> bool:
        return api.readers == 0

    await eventually(nobody, "the reader is forgotten")
    calls = await counting(api, monkeypatch)
    voice = await history(api.journal, 5)
    async with api.watching(voice.workflow_id) as socket:
        await read_until(socket, caught_up)
    assert calls() == 0


async def test_a_slow_reader_is_closed_with_its_cursor_and_comes_back(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "MOST_WAITING", 2_000_000)
    voice = await history(api.journal, 3)
    async with api.watching("", "", max_queue=1) as lazy, api.watching("", "") as eager:
        await read_until(lazy, caught_up)
        reading = asyncio.create_task(read_until(eager, lambda m: m.get("sequence") == 1_503))
        for _ in range(30):
            await speak(api.journal, voice, 50, content="x" * 20_000)
            await asyncio.sleep(0.01)
        assert len(await reading) == 1_500
        seen: list[Message] = []
        with pytest.raises(ConnectionClosed) as closing:
            while True:
                seen.append(await next_of(lazy))
    assert closing.value.rcvd is not None
    assert closing.value.rcvd.code == 4408
    cursor = closing.value.rcvd.reason.rpartition("=")[2]
    assert cursor == seen[-1]["cursor"]
    async with api.watching("", f"after={cursor}") as back:
        seen += await read_until(back, caught_up)
    assert [event["sequence"] for event in seen] == list(range(4, 1_504))


async def test_what_waits_for_all_together_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MOST_WAITING", 1_000)
    monkeypatch.setattr(readers, "MOST_WAITING_IN_ALL", 2_500)
    room = readers.Room()
    slow = [readers.Reader[int](room) for _ in range(4)]
    for number in range(3):
        for reader in slow:
            reader.offer([(number, "x")], 450)
    assert room.waiting <= 2_500
    lost = 0
    for reader in slow:
        try:
            assert [n for n, _ in await reader.take(0)] == [0, 1]
        except readers.TooSlow:
            lost += 1
    assert lost
    assert room.waiting == 0


# Restarts


async def test_a_server_that_stops_sends_its_readers_away_and_the_next_one_goes_on(
    open_journal: Opener, tmp_path: Path
) -> None:
    first = await serving(await open_journal(size=8), tmp_path)
    voice = await history(first.journal, 5)
    async with first.watching("", "after=begin") as socket:
        seen = await read_until(socket, caught_up)
        sent = asyncio.create_task(sse(first, lambda m: False, after="begin"))
        await eventually(lambda: _readers(first, 2), "both are followed")
        await first.stop()
        with pytest.raises(ConnectionClosed) as closing:
            await next_of(socket)
    assert closing.value.rcvd is not None
    assert closing.value.rcvd.code == 1012
    places = await sent
    assert [m["sequence"] for _, m in places if "sequence" in m] == [1, 2, 3, 4, 5]
    await speak(first.journal, voice, 3)
    second = await serving(first.journal, tmp_path)
    async with second.watching("", f"after={seen[-1]['cursor']}") as socket:
        assert [event["sequence"] for event in await read_until(socket, caught_up)] == [6, 7, 8]
    again = await sse(second, caught_up, last=places[-1][0])
    assert [m["sequence"] for _, m in again if "sequence" in m] == [6, 7, 8]
    await second.stop()


async def _readers(api: Api, number: int) -> bool:
    return api.readers == number


async def test_a_broadcaster_that_dies_is_told_and_begins_again(
    api: Api, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcasting, "AGAIN_SECONDS", 0.3)
    monkeypatch.setattr(broadcasting, "_LOOK_SECONDS", 0.3)
    voice = await history(api.journal, 3)
    read: Callable[..., Awaitable[FleetPage]] = api.journal.fleet_events
    fails = False

    async def failing(after: Cursor | None, limit: int) -> FleetPage:
        nonlocal fails
        if fails:
            fails = False
            raise RuntimeError("a bug")
        return await read(after, limit)

    monkeypatch.setattr(api.journal, "fleet_events", failing)
    async with api.watching("", "") as socket, api.watching(voice.workflow_id, "after=3") as other:
        await read_until(socket, caught_up)
        await read_until(other, caught_up)
        fails = True
        await speak(api.journal, voice, 1)

        async def unready() -> bool:
            answer = await http.get("/health/ready")
            return answer.status_code == 503 and "a bug" in answer.json()["checks"]["streams"]

        async def ready() -> bool:
            return (await http.get("/health/ready")).status_code == 200

        await eventually(unready, "readiness tells of the bug")
        assert (await read_until(socket, lambda m: m.get("sequence") == 4))[0]["sequence"] == 4
        assert (await read_until(other, lambda m: m.get("sequence") == 4))[0]["sequence"] == 4
        await eventually(ready, "it is ready again")
