"""The replay server: three services' endpoints over one script. Keys and signatures are not looked at."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from amelia.errors import Refused
from amelia_replay.answer import answer
from amelia_replay.anthropic_wire import AnthropicWire
from amelia_replay.asked import Asked, as_labelled
from amelia_replay.bedrock_wire import BedrockWire
from amelia_replay.conversation import Fault
from amelia_replay.faults import Faults
from amelia_replay.openai_wire import OpenAIWire
from amelia_replay.playing import Playing, Torn, message_of
from amelia_replay.reading import File
from amelia_replay.script import Line, Script
from amelia_replay.wire import Wire, encoded

REMEMBERED_REQUESTS = 200


class Player:
    """Answers one request after the other; keeps nothing between them but the counts of injected failures and, for
    debugging, the last requests."""

    def __init__(self, files: Sequence[File]) -> None:
        self._files = files
        self._script = Script(files)
        self._faults = Faults()
        self._requests: deque[dict[str, Any]] = deque(maxlen=REMEMBERED_REQUESTS)

    async def play(self, request: Request, wire: Wire) -> Response:
        asked: Asked | None = None
        try:
            body = msgspec.json.decode(await request.body(), type=dict[str, Any])
            asked = as_labelled(wire.asked(body, request.headers, request.url.path))
            line = self._script.find(asked)
        except (msgspec.DecodeError, ValueError, AttributeError, TypeError, KeyError) as error:
            return self._refuse(wire, asked, 400, f"the body is not a request of this protocol: {error}")
        except Refused as error:
            return self._refuse(wire, asked, 400, str(error))
        return await self._answer(wire, asked, line)

    async def _answer(self, wire: Wire, asked: Asked, line: Line) -> Response:
        fault = self._faults.next(asked, line.turn)
        if fault is not None and fault.cut is None:
            return self._fail(wire, asked, fault)
        self._note(wire, asked, 200, "" if fault is None else f"cut after {fault.cut} characters")
        whole = answer(line.turn, asked)
        if asked.stream:
            return Playing(wire.frames(whole, asked), line, wire, fault)
        await asyncio.sleep(line.latency)
        content = encoded(wire.whole(whole, asked))
        return (Response if fault is None else Torn)(content, media_type="application/json")

    def _fail(self, wire: Wire, asked: Asked, fault: Fault) -> Response:
        response = self._refuse(wire, asked, fault.status or 500, message_of(fault))
        if fault.retry_after is not None:
            response.headers["retry-after"] = f"{fault.retry_after:g}"
        return response

    def _refuse(self, wire: Wire, asked: Asked | None, status: int, message: str) -> Response:
        self._note(wire, asked, status, message)
        body, headers = wire.refusal(status, message)
        return JSONResponse(body, status_code=status, headers=headers)

    def _note(self, wire: Wire, asked: Asked | None, status: int, message: str) -> None:
        label = asked.label if asked else None
        self._requests.append(
            {
                "service": wire.service,
                "label": msgspec.to_builtins(label),
                "turn": asked.turn if asked else None,
                "model": asked.model if asked else None,
                "status": status,
                "message": message,
            }
        )

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok", "conversations": [file.name for file in self._files]})

    async def requests(self, request: Request) -> Response:
        """The last requests, newest last."""
        return JSONResponse({"requests": list(self._requests)})


def create_app(conversations: Sequence[File]) -> Starlette:
    """``conversations`` are files as ``amelia_replay.reading.read`` gives them."""
    player = Player(conversations)

    def endpoint(path: str, wire: Wire) -> Route:
        async def play(request: Request) -> Response:
            return await player.play(request, wire)

        return Route(path, play, methods=["POST"])

    openai, bedrock = OpenAIWire(), BedrockWire()
    return Starlette(
        routes=[
            endpoint("/v1/messages", AnthropicWire()),
            endpoint("/v1/chat/completions", openai),
            endpoint("/chat/completions", openai),
            endpoint("/model/{model:path}/converse-stream", bedrock),
            endpoint("/model/{model:path}/converse", bedrock),
            Route("/_health", player.health),
            Route("/_requests", player.requests),
        ]
    )
