"""Bad weather in front of SQS and EventBridge: ``python -m tests.chaos.proxy --port P --upstream URL --seed N``.

Every other request passes untouched. ``PUT /_weather`` takes a ``Weather`` as JSON and ``GET /_published`` gives every
event that the bus took, or said it took. Requests are told apart by ``X-Amz-Target``; which one is hit is drawn from
the seed.
"""

import argparse
import asyncio
import json
import random
import uuid
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

_HIT = ("AmazonSQS.", "AWSEvents.PutEvents")
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "content-encoding"}


class Weather(msgspec.Struct, frozen=True, kw_only=True):
    """Probabilities for one request. ``drop``: the connection is reset before anything happened; ``swallow``: after it
    happened; ``double``: it happens twice; ``lose``: it is said to have happened; ``refuse``: 500, 503 or throttling;
    ``partial``: one entry of a batch fails; ``delay`` and ``stall``: it waits up to ``seconds``, or ``stall_seconds``.
    """

    drop: float = 0
    swallow: float = 0
    double: float = 0
    lose: float = 0
    refuse: float = 0
    partial: float = 0
    delay: float = 0
    seconds: float = 0.5
    stall: float = 0
    stall_seconds: float = 4


class Proxy:
    def __init__(self, upstream: str, seed: int) -> None:
        self._upstream = upstream
        self._random = random.Random(seed)
        self._weather = Weather()
        self._hits: dict[str, int] = {}
        self._published: list[dict[str, Any]] = []

    async def run(self, port: int) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=2, sock_read=60)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector, auto_decompress=False) as self._client:
            app = web.Application(client_max_size=2**28)
            app.router.add_put("/_weather", self._change)
            app.router.add_get("/_published", self._tell)
            app.router.add_route("*", "/{path:.*}", self._pass)
            runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.2)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            await asyncio.Event().wait()

    async def _change(self, request: web.Request) -> web.Response:
        self._weather = msgspec.json.decode(await request.read(), type=Weather)
        return web.json_response(self._hits)

    async def _tell(self, _: web.Request) -> web.Response:
        return web.json_response({"published": self._published, "hits": self._hits})

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        target = request.headers.get("X-Amz-Target", "")
        try:
            if not target.startswith(_HIT):
                return await self._forwarded(request, body)
            return await self._exposed(request, target, body)
        except _Cut:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)

    async def _exposed(self, request: web.Request, target: str, body: bytes) -> web.StreamResponse:
        weather, operation = self._weather, target.split(".", 1)[1]
        if self._draws("delay", weather.delay):
            await asyncio.sleep(self._random.random() * weather.seconds)
        if self._draws("stall", weather.stall):
            await asyncio.sleep(weather.stall_seconds)
        if self._draws("drop", weather.drop):
            raise _Cut
        if self._draws("refuse", weather.refuse):
            return self._refusal()
        if self._draws("lose", weather.lose) and (said := _as_if(operation, body)) is not None:
            self._note(operation, body, said)
            return _answer(said)
        if self._draws("partial", weather.partial) and (split := _split(operation, body)) is not None:
            whole = await self._forwarded(request, split)
            self._note(operation, split, whole)
            return _with_failure(operation, whole, json.loads(body)["Entries"][-1])
        answer = await self._forwarded(request, body)
        self._note(operation, body, answer)
        if operation != "ReceiveMessage" and self._draws("double", weather.double):
            await self._forwarded(request, body)
        if self._draws("swallow", weather.swallow):
            raise _Cut
        return answer

    def _draws(self, fault: str, chance: float) -> bool:
        hit = chance > 0 and self._random.random() < chance
        if hit:
            self._hits[fault] = self._hits.get(fault, 0) + 1
        return hit

    def _refusal(self) -> web.Response:
        status, code = self._random.choice(
            [(500, "InternalFailure"), (503, "ServiceUnavailable"), (400, "ThrottlingException")]
        )
        return web.json_response({"__type": code, "message": "bad weather"}, status=status)

    async def _forwarded(self, request: web.Request, body: bytes) -> web.Response:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        url = self._upstream + request.raw_path
        try:
            async with self._client.request(request.method, url, headers=headers, data=body) as answer:
                kept = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP}
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            if request.transport is not None:
                request.transport.abort()
            raise _Cut from None
        return web.Response(status=answer.status, headers=kept, body=content)

    def _note(self, operation: str, body: bytes, answer: web.Response | bytes) -> None:
        """What the bus took. A subscriber may rely on exactly this."""
        if operation != "PutEvents" or (isinstance(answer, web.Response) and answer.status != 200):
            return
        said = json.loads(answer if isinstance(answer, bytes) else bytes(answer.body or b""))  # type: ignore[arg-type]
        for entry, result in zip(json.loads(body)["Entries"], said["Entries"], strict=True):
            if not result.get("ErrorCode"):
                self._published.append({"source": entry["Source"], "detail": json.loads(entry["Detail"])})


class _Cut(Exception):
    pass


def _answer(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/x-amz-json-1.0")


def _as_if(operation: str, body: bytes) -> bytes | None:
    """What a success looks like; None where a lie would be no fault of a queue or a bus."""
    entries = json.loads(body).get("Entries", ())
    match operation:
        case "PutEvents":
            return json.dumps(
                {"FailedEntryCount": 0, "Entries": [{"EventId": str(uuid.uuid4())} for _ in entries]}
            ).encode()
        case "SendMessageBatch":
            done = [{"Id": e["Id"], "MessageId": str(uuid.uuid4()), "MD5OfMessageBody": ""} for e in entries]
            return json.dumps({"Successful": done, "Failed": []}).encode()
        case "DeleteMessageBatch":
            return json.dumps({"Successful": [{"Id": e["Id"]} for e in entries], "Failed": []}).encode()
    return None


def _split(operation: str, body: bytes) -> bytes | None:
    """The batch without its last entry, where there is something to leave."""
    said = json.loads(body)
    if operation not in ("PutEvents", "SendMessageBatch") or len(said["Entries"]) < 2:
        return None
    return json.dumps({**said, "Entries": said["Entries"][:-1]}).encode()


def _with_failure(operation: str, answer: web.Response, entry: dict[str, Any]) -> web.Response:
    said = json.loads(bytes(answer.body or b""))  # type: ignore[arg-type]
    if answer.status != 200:
        return answer
    if operation == "PutEvents":
        said["FailedEntryCount"] = said.get("FailedEntryCount", 0) + 1
        said["Entries"].append({"ErrorCode": "ThrottlingException", "ErrorMessage": "bad weather"})
    else:
        said.setdefault("Failed", []).append({"Id": entry["Id"], "SenderFault": False, "Code": "InternalError"})
    return _answer(json.dumps(said).encode())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.proxy", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    asyncio.run(Proxy(options.upstream, options.seed).run(options.port))


if __name__ == "__main__":
    main()
