"""A server that notices when its caller is gone: a long poll that nobody waits for any more takes no message."""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable, Scope


def noticing(app: "ASGIFramework") -> "ASGIFramework":
    """The same app, whose answer to an HTTP request is given up when the connection closes first.

    A message that is handed to a dead reader stays invisible until its time is over, and with it its whole FIFO group.
    """

    async def serve(scope: "Scope", receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        arrived: asyncio.Queue[ASGIReceiveEvent] = asyncio.Queue()
        answering = asyncio.ensure_future(app(scope, arrived.get, send))
        leaving = asyncio.create_task(_until_gone(receive, arrived))
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone = not answering.done()
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
        if not gone:
            answering.result()

    return serve


async def _until_gone(receive: "ASGIReceiveCallable", arrived: "asyncio.Queue[ASGIReceiveEvent]") -> None:
    while True:
        message = await receive()
        arrived.put_nowait(message)
        if message["type"] == "http.disconnect":
            return
