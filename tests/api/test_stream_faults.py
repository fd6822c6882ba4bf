"""Peers that misbehave on real sockets: each harms only itself, and the server forgets it."""

import asyncio
import base64
import contextlib
import json
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from amelia.adapters.local.state import free_port
from amelia_api import readers
from amelia_api import serving as ends

from ..conftest import Opener
from ..samples import Voice, eventually
from .conftest import TOKEN, Api, history, read_to, serving, speak


class Raw:
    """A WebSocket by hand, which says and reads what it likes."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self.sock, data)

    async def read(self, size: int = 65_536) -> bytes:
        """Empty at the end, also when it was an abrupt one."""
        try:
            return await asyncio.wait_for(self._loop.sock_recv(self.sock, size), 20)
        except ConnectionError:
            return b""

    async def head(self) -> bytes:
        answer = b""
        while b"\r\n\r\n" not in answer and (more := await self.read(1)):
            answer += more
        return answer

    async def rest(self) -> bytes:
        answer = b""
        while more := await self.read():
            answer += more
        return answer


@asynccontextmanager
async def raw(api: Api, buffer: int = 0) -> AsyncIterator[Raw]:
    host, _, port = api.host.partition(":")
    with socket.socket() as sock:
        sock.setblocking(False)
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
        yield Raw(sock)


def handshake(api: Api, workflow_id: str, after: int = 0) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET /api/v1/workflows/{workflow_id}/events?after={after} HTTP/1.1\r\nHost: {api.host}\r\n"
        f"Authorization: Bearer {TOKEN}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def frame_of(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    """Masked with zeros, as a client's have to be masked."""
    length = struct.pack("!BH", 0x80 | 126, len(payload)) if len(payload) > 125 else bytes([0x80 | len(payload)])
    return bytes([(0x80 if final else 0) | opcode]) + length + bytes(4) + payload


async def all_forgotten(api: Api, but: int = 0) -> None:
    async def forgotten() -> bool:
        return api.readers == but and len(api.server.server_state.connections) <= but

    await eventually(forgotten, f"the server remembers {but} readers")


async def still_works(api: Api, voice: Voice, reached: int) -> None:
    async with api.watching(voice.workflow_id, f"after={reached}") as eager:
        await speak(api.journal, voice, 1)
        assert await read_to(eager, reached + 1) == [reached + 1]


async def test_one_who_never_reads_is_cut_off_and_slows_nobody(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "STALLED_SECONDS", 0.4)
    monkeypatch.setattr(ends, "CLOSING_SECONDS", 0.4)
    voice = await history(api.journal, 3)
    async with raw(api, buffer=4096) as mute, api.watching(voice.workflow_id, "after=3") as eager:
        await mute.send(handshake(api, voice.workflow_id))
        reading = asyncio.create_task(read_to(eager, 1_003))
        for _ in range(20):
            await speak(api.journal, voice, 50, content="x" * 20_000)
        assert await reading == list(range(4, 1_004))
        await all_forgotten(api, but=1)


async def test_one_who_never_reads_a_long_history_is_cut_off(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "STALLED_SECONDS", 0.4)
    voice = await history(api.journal, 600, content="x" * 20_000)
    async with raw(api, buffer=4096) as socket_only, raw(api, buffer=4096) as events_only:
        await socket_only.send(handshake(api, voice.workflow_id))
        plain = f"GET /api/v1/workflows/{voice.workflow_id}/events HTTP/1.1\r\nHost: {api.host}\r\n"
        await events_only.send(f"{plain}Authorization: Bearer {TOKEN}\r\n\r\n".encode())
        await asyncio.gather(socket_only.head(), events_only.head())
        await all_forgotten(api)
    await still_works(api, voice, 600)


async def test_a_reader_at_a_slow_pace_has_everything_in_the_end(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few events at a time, cut off again and again, each time back with its place."""
    monkeypatch.setattr(readers, "MOST_WAITING", 200_000)
    voice = await history(api.journal, 3)
    writing = asyncio.create_task(speak(api.journal, voice, 1_000, content="x" * 20_000, at_once=20))
    seen: list[int] = []
    visits = 0
    while not seen or seen[-1] < 1_003:
        visits += 1
        async with api.watching(voice.workflow_id, f"after={seen[-1] if seen else 0}", max_queue=1) as socket_:
            with contextlib.suppress(ConnectionClosed):
                while not seen or seen[-1] < 1_003:
                    message = json.loads(await asyncio.wait_for(socket_.recv(), 20))
                    if message["type"] not in ("caught_up", "ping"):
                        seen.append(message["sequence"])
                    await asyncio.sleep(0.002)
    await writing
    assert seen == list(range(1, 1_004))


async def test_a_handshake_may_trickle_but_not_for_ever(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "HEAD_SECONDS", 1.5)
    voice = await history(api.journal, 3)
    async with raw(api) as slow, raw(api) as endless:
        await endless.send(b"GET /api/v1/ev")
        asked = handshake(api, voice.workflow_id)
        for first in range(0, len(asked), 8):
            await slow.send(asked[first : first + 8])
            await asyncio.sleep(0.001)
        assert b" 101 " in await slow.head()
        assert await endless.rest() == b""
        await slow.send(frame_of(8, b"\x03\xe8"))
        assert b'"sequence":3' in await slow.rest()
    await all_forgotten(api)


async def test_one_who_is_gone_without_a_word_is_forgotten(api: Api) -> None:
    """Half open: the peer's kernel is not there either, so nothing answers the server's pings."""
    api.server.config.ws_ping_interval = api.server.config.ws_ping_timeout = 0.2
    voice = await history(api.journal, 3)
    async with raw(api) as silent:
        await silent.send(handshake(api, voice.workflow_id))
        await silent.head()
        await all_forgotten(api)


@pytest.mark.parametrize(
    "said", [b"\x81", b"\x81\xfe\x10\x00", frame_of(1, b"x" * 100)[:50], frame_of(1, b"a", final=False)]
)
async def test_one_who_leaves_in_the_middle_of_a_frame_is_forgotten(api: Api, said: bytes) -> None:
    voice = await history(api.journal, 3)
    async with raw(api) as leaving:
        await leaving.send(handshake(api, voice.workflow_id))
        await leaving.head()
        await leaving.send(said)
    await all_forgotten(api)
    await still_works(api, voice, 3)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (frame_of(1, b"\xff\xfe"), 1007),
        (frame_of(3, b""), 1002),
        (b"\x81\x01a", 1002),
        (frame_of(0, b"a"), 1002),
        (b"\x81\xff" + struct.pack("!Q", 2**62) + bytes(4), 1009),
    ],
    ids=["no UTF-8", "unknown opcode", "not masked", "continues nothing", "four exabytes"],
)
async def test_one_who_breaks_the_protocol_is_told_and_cut_off(api: Api, said: bytes, code: int) -> None:
    voice = await history(api.journal, 3)
    async with raw(api) as wrong, api.watching(voice.workflow_id) as right:
        await wrong.send(handshake(api, voice.workflow_id))
        await wrong.head()
        await wrong.send(said)
        assert struct.pack("!H", code) in await wrong.rest()
        assert await read_to(right, 3) == [1, 2, 3]
        await all_forgotten(api, but=1)


async def test_what_is_too_large_is_refused_and_only_to_who_sent_it(api: Api) -> None:
    voice = await history(api.journal, 3)
    async with api.watching(voice.workflow_id) as large, api.watching(voice.workflow_id) as other:
        assert await read_to(large, 3) == [1, 2, 3]
        with pytest.raises(ConnectionClosed) as closing:
            await large.send(b"x" * 70_000)
            while True:
                await asyncio.wait_for(large.recv(), 20)
        assert closing.value.rcvd is not None
        assert closing.value.rcvd.code == 1009
        await speak(api.journal, voice, 1)
        assert await read_to(other, 4) == [1, 2, 3, 4]


async def test_a_flood_from_a_viewer_means_nothing(api: Api) -> None:
    voice = await history(api.journal, 3)
    async with api.watching(voice.workflow_id) as loud, api.watching(voice.workflow_id) as other:
        for n in range(500):
            await loud.send(b"\x00" * 1000 if n % 2 else "x" * 1000)
        await speak(api.journal, voice, 1)
        assert await read_to(other, 4) == [1, 2, 3, 4]
        assert await read_to(loud, 4) == [1, 2, 3, 4]


async def test_two_tabs_of_one_workflow_see_the_same(api: Api) -> None:
    voice = await history(api.journal, 5)
    async with api.watching(voice.workflow_id) as one, api.watching(voice.workflow_id, "after=2") as two:
        writing = asyncio.create_task(speak(api.journal, voice, 200, at_once=7))
        assert await read_to(one, 205) == list(range(1, 206))
        assert await read_to(two, 205) == list(range(3, 206))
        await writing
        await one.close()
        await speak(api.journal, voice, 1)
        assert await read_to(two, 206) == [206]


async def test_a_deploy_sends_everybody_away_at_once_also_those_who_do_not_read(
    open_journal: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ends, "DRAIN_SECONDS", 60)
    api = await serving(await open_journal(size=8), tmp_path)
    voice = await history(api.journal, 600, content="x" * 20_000)
    async with (
        raw(api, buffer=4096) as mute,
        raw(api) as half,
        api.watching(voice.workflow_id, "after=600") as socket_,
        api.client() as client,
        client.stream("GET", f"/workflows/{voice.workflow_id}/events?after=600") as sent,
    ):
        await mute.send(handshake(api, voice.workflow_id))
        await mute.head()
        await half.send(b"GET /api")
        lines = sent.aiter_lines()
        assert await anext(lines) == "event: caught_up"
        assert json.loads(await socket_.recv())["type"] == "caught_up"
        await asyncio.wait_for(api.stop(), 20)
        with pytest.raises(ConnectionClosed) as closing:
            await asyncio.wait_for(socket_.recv(), 20)
        assert closing.value.rcvd is not None
        assert closing.value.rcvd.code == 1012
        assert [line async for line in lines if line][1:] == []


async def test_a_storm_of_readers_survives_a_restart_of_the_server(open_journal: Opener, tmp_path: Path) -> None:
    journal, port = await open_journal(size=8), free_port()
    first = await serving(journal, tmp_path, port)
    voices = [await history(journal, 5) for _ in range(5)]
    here, gone = asyncio.Semaphore(0), asyncio.Event()

    async def read(voice: Voice) -> list[int]:
        seen: list[int] = []
        while not seen or seen[-1] < 40:
            try:
                async with first.watching(voice.workflow_id, f"after={seen[-1] if seen else 0}") as socket_:
                    while seen[-1:] != [40]:
                        seen += await read_to(socket_, (seen[-1] if seen else 0) + 1)
                        if seen[-1] == 5:
                            here.release()
            except (OSError, ConnectionClosed):
                await gone.wait()
        return seen

    reading = [asyncio.create_task(read(voices[n % 5])) for n in range(60)]
    for _ in reading:
        await asyncio.wait_for(here.acquire(), 30)
    await first.stop()
    for voice in voices:
        await speak(journal, voice, 15)
    second = await serving(journal, tmp_path, port)
    gone.set()
    for voice in voices:
        await speak(journal, voice, 20)
    assert await asyncio.gather(*reading) == [list(range(1, 41))] * 60
    await second.stop()


async def test_a_stream_of_server_sent_events_that_breaks_off_is_forgotten(api: Api, http: httpx.AsyncClient) -> None:
    voice = await history(api.journal, 3)
    for _ in range(3):
        async with http.stream("GET", f"/workflows/{voice.workflow_id}/events") as answer:
            await anext(answer.aiter_lines())

    async def forgotten() -> bool:
        return api.readers == 0

    await eventually(forgotten, "the server remembers no readers")
