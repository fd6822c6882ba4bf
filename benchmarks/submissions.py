"""Submissions accepted: recorded with their event and their order to the dispatcher."""

import asyncio
import time

import asyncpg
import msgspec

from . import told
from .ground import Ground
from .reading import Reading

_IN_PROCESS, _OVER_HTTP, _CONNECTIONS, _BARE = 3_000, 2_000, 64, 500
_TARGET = "1,000/s"


async def measure(ground: Ground) -> list[Reading]:
    bare = await _bare(ground)
    return [
        Reading(
            measure="submissions over HTTP",
            value=await _over_http(ground),
            unit="1/s",
            what="1/s, bare inserts, a commit each",
            beside=bare,
            built_for=_TARGET,
        ),
        Reading(measure="submissions in process", value=await _in_process(ground), unit="1/s", built_for=_TARGET),
    ]


async def _in_process(ground: Ground) -> float:
    commands = [told.start() for _ in range(_IN_PROCESS)]
    began = time.perf_counter()
    await asyncio.gather(*(ground.journal.execute(command) for command in commands))
    return len(commands) / (time.perf_counter() - began)


async def _bare(ground: Ground) -> float:
    """One row and one commit at a time over one connection: what the disk and the wire allow without grouping."""
    connection = await asyncpg.connect(ground.database_url)
    try:
        began = time.perf_counter()
        for number in range(_BARE):
            await connection.execute(
                "INSERT INTO command (id, workflow_id, type, actor, fingerprint) VALUES ($1, '', '', '', '')",
                f"bare-{number}",
            )
        return _BARE / (time.perf_counter() - began)
    finally:
        await connection.close()


async def _over_http(ground: Ground) -> float:
    await _burst(ground, 200)
    began = time.perf_counter()
    await _burst(ground, _OVER_HTTP)
    return _OVER_HTTP / (time.perf_counter() - began)


async def _burst(ground: Ground, count: int) -> None:
    share = [count // _CONNECTIONS + (n < count % _CONNECTIONS) for n in range(_CONNECTIONS)]
    await asyncio.gather(*(_client(ground, requests) for requests in share))


async def _client(ground: Ground, requests: int) -> None:
    """A client so plain that nearly all of the work is the server's."""
    host, port = ground.layout.url.removeprefix("http://").split(":")
    issue = {"id": "bench", "title": "Totals are a cent short", "body": "Rounded before they are summed."}
    body = msgspec.json.encode({"issue": issue, "repository": "https://git.example.com/a.git"})
    head = (
        f"POST /api/v1/workflows HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {ground.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        for _ in range(requests):
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            content = await reader.readexactly(int(length.split(b":")[1]))
            if b" 202 " not in answer.split(b"\r\n", 1)[0]:
                raise RuntimeError(f"a submission was answered with {content.decode()}")
    finally:
        writer.close()
