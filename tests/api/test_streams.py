"""Streams: every reader sees each event once, in order, whatever happens."""

import asyncio
import json
import random
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

import amelia_api.readers as readers
from amelia.errors import Unavailable
from amelia.ports.journal import Stored

from ..samples import Voice, arrived, started
from .conftest import BEARER, TOKEN, Api, history, read_to, speak

if TYPE_CHECKING:
    from ..conftest import Server


async def closed_with(api: Api, workflow_id: str, query: str) -> int:
    async with api.watching(workflow_id, query) as socket:
        with pytest.raises(ConnectionClosed) as closing:
            await asyncio.wait_for(socket.recv(), 20)
    assert closing.value.rcvd is not None
    return closing.value.rcvd.code


async def test_from_any_place_the_rest_is_replayed_and_then_comes_caught_up(api: Api) -> None:
    voice = await history(api.journal, 30)
    for after in range(31):
        async with api.watching(voice.workflow_id, f"after={after}") as socket:
            messages = [json.loads(await asyncio.wait_for(socket.recv(), 20)) for _ in range(31 - after)]
        assert [m["sequence"] for m in messages] == [*range(after + 1, 31), 30]
        assert messages[-1] == {"type": "caught_up", "sequence": 30}
        assert all(m["workflow_id"] == voice.workflow_id for m in messages[:-1])


async def test_readers_that_come_at_any_moment_see_each_event_once_while_it_is_written(api: Api) -> None:
    voice = await history(api.journal, 50)
    total = written = 50
    total += 2_000
    chance = random.Random(7)

    async def write() -> None:
        nonlocal written
        while written < total:
            await speak(api.journal, voice, many := min(chance.choice((1, 2, 40)), total - written))
            written += many
            coming = [moment for moment in waiting if moment <= written]
            waiting.difference_update(coming)
            readers.extend(asyncio.create_task(read()) for _ in coming)

    async def read() -> None:
        after = chance.choice((0, 0, 20, written, written - 5))
        batch = chance.choice(("", "&batch=1"))
        async with api.watching(voice.workflow_id, f"after={after}{batch}") as socket:
            assert await read_to(socket, total) == list(range(after + 1, total + 1))

    waiting = set(chance.sample(range(written, total - 100), 12))
    readers: list[asyncio.Task[None]] = []
    await write()
    assert len(await asyncio.gather(*readers)) == 12


async def test_a_reader_that_reconnects_with_its_place_sees_every_event_once(api: Api) -> None:
    voice = await history(api.journal, 10)
    seen: list[int] = []

    async def read() -> None:
        chance = random.Random(3)
        while not seen or seen[-1] < 600:
            async with api.watching(voice.workflow_id, f"after={seen[-1] if seen else 0}") as socket:
                for _ in range(chance.randint(1, 60)):
                    message = json.loads(await asyncio.wait_for(socket.recv(), 20))
                    if message["type"] not in ("caught_up", "ping"):
                        seen.append(message["sequence"])
                    if seen and seen[-1] == 600:
                        return

    async def write() -> None:
        for _ in range(59):
            await speak(api.journal, voice, 10)

    await asyncio.gather(read(), write())
    assert seen[:600] == list(range(1, 601))


async def test_a_long_history_is_replayed_in_full_while_more_is_written(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than may wait for a reader: it has to come from the journal, at the reader's own pace."""
    monkeypatch.setattr(readers, "MOST_WAITING", 500_000)
    voice = await history(api.journal, 7_000)
    writing = asyncio.create_task(speak(api.journal, voice, 500, at_once=5))
    async with api.watching(voice.workflow_id, "after=0", max_queue=1) as socket:
        seen: list[int] = []
        while not seen or seen[-1] < 7_500:
            seen += await read_to(socket, (seen[-1] if seen else 0) + 250)
            await asyncio.sleep(0.02)
    await writing
    assert seen == list(range(1, 7_501))


async def test_batches_are_arrays_and_single_events_are_not(api: Api) -> None:
    voice = await history(api.journal, 1_500)
    async with api.watching(voice.workflow_id, "after=0&batch=1") as socket:
        first = json.loads(await socket.recv())
        assert isinstance(first, list)
        assert [event["sequence"] for event in first] == list(range(1, len(first) + 1))
        assert await read_to(socket, 1_500) == list(range(len(first) + 1, 1501))
        assert json.loads(await socket.recv())["type"] == "caught_up"
        await api.journal.append(arrived(voice.fact()))
        assert json.loads(await socket.recv())["sequence"] == 1_501


async def test_no_frame_is_larger_than_a_client_takes_however_large_the_events_are(api: Api) -> None:
    voice = await history(api.journal, 200, content="x" * 30_000)
    async with api.watching(voice.workflow_id, "after=0&batch=1", max_size=2**20) as socket:
        assert await read_to(socket, 200) == list(range(1, 201))


async def test_a_reader_that_does_not_read_is_closed_and_the_others_go_on(api: Api) -> None:
    voice = await history(api.journal, 3)
    async with (
        api.watching(voice.workflow_id, "after=3", max_queue=1) as lazy,
        api.watching(voice.workflow_id, "after=3") as eager,
    ):
        assert json.loads(await lazy.recv())["type"] == "caught_up"
        reading = asyncio.create_task(read_to(eager, 1_503))
        for _ in range(30):
            await speak(api.journal, voice, 50, content="x" * 20_000)
            await asyncio.sleep(0.01)
        assert await reading == list(range(4, 1_504))
        seen: list[int] = []
        with pytest.raises(ConnectionClosed) as closing:
            while True:
                seen.append(json.loads(await asyncio.wait_for(lazy.recv(), 30))["sequence"])
    assert closing.value.rcvd is not None
    assert closing.value.rcvd.code == 4408
    assert closing.value.rcvd.reason == f"too slow; come back with after={seen[-1]}"
    assert seen == list(range(4, 4 + len(seen)))
    async with api.watching(voice.workflow_id, f"after={seen[-1]}") as back:
        assert await read_to(back, 1_503) == list(range(seen[-1] + 1, 1_504))


async def test_a_reader_is_not_told_that_all_is_well_when_the_journal_is_away(
    api: Api, postgres_server: "Server"
) -> None:
    """A close in good order would end it for good."""
    voice = await history(api.journal, 5)
    postgres_server.stop()
    try:
        async with api.watching(voice.workflow_id) as socket:
            with pytest.raises(ConnectionClosed) as closing:
                await asyncio.wait_for(socket.recv(), 20)
        code = closing.value.rcvd.code if closing.value.rcvd is not None else 1006
        assert code not in (1000, 1001)
        assert not 4400 <= code < 4408
    except InvalidStatus as refused:
        assert refused.response.status_code >= 500
    finally:
        postgres_server.start()


async def test_a_replay_that_breaks_off_is_not_closed_in_good_order(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    voice = await history(api.journal, 1_500)
    read = api.journal.events

    async def once(after: dict[str, int], limit: int) -> list[Stored]:
        if after[voice.workflow_id]:
            raise Unavailable("the database is away")
        return await read(after, limit)

    monkeypatch.setattr(api.journal, "events", once)
    async with api.watching(voice.workflow_id) as socket:
        with pytest.raises(ConnectionClosed) as closing:
            while True:
                await asyncio.wait_for(socket.recv(), 20)
    assert closing.value.rcvd is not None
    assert closing.value.rcvd.code == 1013


async def test_watched_when_the_database_goes_a_stream_goes_on_when_it_is_back(
    api: Api, postgres_server: "Server"
) -> None:
    voice = await history(api.journal, 5)
    async with api.watching(voice.workflow_id) as socket:
        assert await read_to(socket, 5) == [1, 2, 3, 4, 5]
        postgres_server.stop()
        await asyncio.sleep(0.3)
        postgres_server.start()
        connection = await asyncpg.connect(postgres_server.url())
        await connection.close()
        batch = arrived(voice.progress())
        for _ in range(20):
            try:
                await api.journal.append(batch)
                break
            except Exception:
                await asyncio.sleep(0.05)
        assert await read_to(socket, 6) == [6]


NO_PLACES = ("4", "-1", "x", "", "1.0", "9" * 30, "%00", "0x1")


async def test_what_is_no_place_in_the_stream_is_refused(api: Api) -> None:
    voice = await history(api.journal, 3)
    codes = {place: await closed_with(api, voice.workflow_id, f"after={place}") for place in NO_PLACES}
    assert codes == dict.fromkeys(NO_PLACES, 4400)


async def test_the_stream_of_a_workflow_that_is_not_there_is_not_found(api: Api) -> None:
    for workflow_id in ("wf-none", "%00", "%ff"):
        assert await closed_with(api, workflow_id, "after=0") == 4404


async def test_a_stream_asks_for_the_token_too(api: Api) -> None:
    voice = await history(api.journal, 3)
    for headers in ({}, {"Authorization": "Bearer no"}, {"Cookie": f"amelia_token={TOKEN}", "Origin": "http://e.vil"}):
        with pytest.raises(InvalidStatus) as refused:
            async with api.watching(voice.workflow_id, additional_headers=headers):
                raise AssertionError("it was let in")
        answer = refused.value.response
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
        assert b"send the token as 'Authorization: Bearer" in (answer.body or b"")
    async with api.watching(voice.workflow_id, f"after=0&token={TOKEN}", additional_headers={}) as socket:
        assert await read_to(socket, 3) == [1, 2, 3]


async def test_what_a_viewer_sends_means_nothing(api: Api) -> None:
    voice = await history(api.journal, 3)
    async with api.watching(voice.workflow_id) as socket:
        await socket.send("hello")
        await socket.send(b"\x00\xff")
        await socket.send("{" * 1000)
        assert await read_to(socket, 3) == [1, 2, 3]
        await speak(api.journal, voice, 1)
        assert await read_to(socket, 4) == [4]


async def test_a_viewer_that_leaves_is_forgotten(api: Api) -> None:
    voice = await history(api.journal, 3)
    for _ in range(5):
        async with api.watching(voice.workflow_id) as socket:
            await read_to(socket, 3)
    async with api.watching(voice.workflow_id) as socket:
        await speak(api.journal, voice, 1)
        assert await read_to(socket, 4) == [1, 2, 3, 4]


# Server-sent events


async def sse(api: Api, workflow_id: str, sequence: int, **arguments: str) -> list[tuple[int, int]]:
    """Pairs of the id and the sequence of each event up to this one."""
    headers = {**BEARER, **({"Last-Event-ID": arguments.pop("last")} if "last" in arguments else {})}
    seen: list[tuple[int, int]] = []
    async with (
        api.client(headers=headers) as client,
        client.stream("GET", f"/workflows/{workflow_id}/events", params=arguments) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        place = 0
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "id":
                place = int(value)
            elif name == "data" and "sequence" in (message := json.loads(value)):
                if message["type"] == "caught_up":
                    continue
                seen.append((place, message["sequence"]))
                if place >= sequence:
                    break
    return seen


async def test_server_sent_events_say_the_same_and_go_on_from_the_last_one_seen(api: Api) -> None:
    voice = await history(api.journal, 20)
    assert await sse(api, voice.workflow_id, 20) == [(n, n) for n in range(1, 21)]
    assert await sse(api, voice.workflow_id, 20, after="15") == [(n, n) for n in range(16, 21)]
    assert await sse(api, voice.workflow_id, 20, after="2", last="18") == [(19, 19), (20, 20)]
    reading = asyncio.create_task(sse(api, voice.workflow_id, 40))
    await speak(api.journal, voice, 20, at_once=3)
    assert await reading == [(n, n) for n in range(1, 41)]


async def test_events_of_a_page_are_given_to_who_takes_json(api: Api, http: httpx.AsyncClient) -> None:
    voice = await history(api.journal, 20)
    answer = await http.get(f"/workflows/{voice.workflow_id}/events?after=17", headers={"accept": "application/json"})
    assert [x["sequence"] for x in answer.json()] == [18, 19, 20]


async def test_server_sent_events_from_no_place_are_refused(api: Api, http: httpx.AsyncClient) -> None:
    voice = await history(api.journal, 20)
    for query, status in (("after=-1", 422), ("after=21", 422), ("after=x", 400)):
        assert (await http.get(f"/workflows/{voice.workflow_id}/events?{query}")).status_code == status


# The end


async def test_the_server_ends_soon_although_streams_are_open(api: Api) -> None:
    row = await started(api.journal)
    voice = Voice(row.workflow.id)
    async with (
        api.client() as client,
        api.watching(voice.workflow_id) as socket,
        api.watching(voice.workflow_id),
        client.stream("GET", f"/workflows/{voice.workflow_id}/events") as answer,
    ):
        await anext(answer.aiter_lines())
        await read_to(socket, 2)
        await asyncio.wait_for(api.stop(), 10)
        with pytest.raises(ConnectionClosed) as closing:
            while True:
                await socket.recv()
    assert closing.value.rcvd is not None
    assert closing.value.rcvd.code in (1001, 1012)
