"""A caller's order as a command, and what is answered when the same order comes again."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated

import msgspec
from litestar.params import HeaderParameter
from litestar.response import Response
from msgspec.structs import replace

from amelia.contract.commands import AnyCommand
from amelia.contract.ids import derive_id, new_id
from amelia.contract.views import WorkflowView
from amelia.errors import NotFound, Unavailable
from amelia.ports.journal import Executed, Journal, Row
from amelia.redaction import ours

from .depends import Caller
from .present import workflow_view

IdempotencyKey = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
        required=False,
        max_length=200,
        description="The same key with the same body gives the order once, and answers what was answered first.",
    ),
]
REPLAYED = "Idempotency-Replayed"
DELIVERY_SECONDS = 8.0
"""For which a cancel or a pause waits for a delivery that is under way."""


def command_id(caller: Caller, verb: str, key: str) -> str:
    """From the caller's key, so that a repeat is the same command; else a new one."""
    return derive_id(f"{caller.team}/{caller.name}/{verb}", key) if key else new_id()


def fingerprint(body: msgspec.Struct | str) -> str:
    said = body.encode() if isinstance(body, str) else msgspec.json.encode(body, order="sorted")
    return hashlib.sha256(said).hexdigest()


async def give(journal: Journal, command: AnyCommand, body: msgspec.Struct | str) -> Response[WorkflowView]:
    """The workflow as the order left it: of an order that came before, as it left it then. Secrets in what its giver
    wrote are replaced before it is recorded."""
    executed = await journal.execute(ours().value(command), fingerprint(body))
    headers = {REPLAYED: "true"} if executed.repeated else {}
    return Response(_answer(executed), headers=headers)


def _answer(executed: Executed) -> WorkflowView:
    now = workflow_view(executed.row)
    if not executed.repeated or not executed.answer:
        return now
    return replace(msgspec.json.decode(executed.answer, type=WorkflowView), issue=now.issue)


@asynccontextmanager
async def beside_delivery(journal: Journal, workflow_id: str) -> AsyncIterator[None]:
    """No delivery touches the repository meanwhile, and one that comes after sees what was ordered.

    Raises ``Unavailable`` when one is under way for too long.
    """
    async with AsyncExitStack() as held:
        try:
            async with asyncio.timeout(DELIVERY_SECONDS):
                await held.enter_async_context(journal.exclusively(f"delivery/{workflow_id}"))
        except TimeoutError:
            raise Unavailable(
                f"{workflow_id} is being delivered at this moment; try again in a few seconds, when that is over"
            ) from None
        yield


async def the_row(journal: Journal, workflow_id: str) -> Row:
    """Raises ``NotFound``."""
    row = await journal.get(workflow_id)
    if row is None:
        raise NotFound(f"there is no workflow {workflow_id}; amelia workflows list shows those there are")
    return row
