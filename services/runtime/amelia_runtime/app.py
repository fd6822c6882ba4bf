"""The runtime as AgentCore runs it. Importing this module loads everything a session needs and starts nothing."""

import asyncio
import logging
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import msgspec
from bedrock_agentcore.runtime import BedrockAgentCoreApp
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response

from amelia.contract.ids import WORKFLOW_ID
from amelia.contract.invocation import Invocation
from amelia.errors import AmeliaError, Malformed, Refused, Unavailable
from amelia.redaction import ours

from . import bootstrap, warm
from .logs import configure
from .session import OpenParts, Session

CLOSE_SECONDS = 8

log = logging.getLogger(__name__)


def build(open_parts: OpenParts) -> BedrockAgentCoreApp:
    """``POST /invocations`` takes an ``Invocation`` and answers ``Accepted``, or ``{"error": …}`` with 400 when it is
    none, 409 when it is another session's, 503 when the runtime cannot work now."""

    @contextmanager
    def busy() -> Iterator[None]:
        task = app.add_async_task("workflow")
        try:
            yield
        finally:
            app.complete_async_task(task)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        configure(os.environ.get("AMELIA_LOG_LEVEL", "INFO"))
        yield
        if session.loop:
            closing = asyncio.run_coroutine_threadsafe(session.close(), session.loop)
            await asyncio.wait([asyncio.wrap_future(closing)], timeout=CLOSE_SECONDS)

    app = BedrockAgentCoreApp(lifespan=lifespan)
    session = Session(open_parts, busy)

    @app.entrypoint
    async def invoke(payload: Any) -> Response:
        try:
            asked = decode(payload)
            ours().learn("signing-key", asked.signing_key)
            ours().learn("clone-token", asked.clone_token)
            accepted = await session.accept(asked)
        except AmeliaError as error:
            log.warning("not accepted: %s", error)
            return JSONResponse({"error": ours().text(str(error))}, status_code=_status(error))
        return Response(msgspec.json.encode(accepted), media_type="application/json")

    return app


def decode(payload: Any) -> Invocation:
    """Raises ``Malformed`` naming the field, never its value."""
    try:
        asked = msgspec.convert(payload, Invocation, str_keys=True)
        key = bytes.fromhex(asked.signing_key)
    except msgspec.ValidationError as error:
        raise Malformed(f"not an invocation: {error}") from None
    except ValueError:
        raise Malformed("not an invocation: the signing key is not hexadecimal") from None
    if len(key) < 32:
        raise Malformed("not an invocation: the signing key is shorter than 32 bytes")
    if not re.match(WORKFLOW_ID, asked.workflow_id):
        raise Malformed("not an invocation: the workflow id is not one of ours")
    if asked.epoch < 1:
        raise Malformed("not an invocation: attempts are counted from 1")
    return asked


def _status(error: AmeliaError) -> int:
    match error:
        case Malformed():
            return 400
        case Refused():
            return 409
        case Unavailable():
            return 503
        case _:
            return 500


warm.load()
bootstrap.load_models()
app = build(bootstrap.open_parts)
