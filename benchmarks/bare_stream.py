"""The least that brings a row to a socket: LISTEN, and send what is heard. ``python -m benchmarks.bare_stream URL``.

A process of its own, as the api is; prints its port.
"""

import asyncio
import sys

import asyncpg
from websockets.asyncio.server import ServerConnection, serve

CHANNEL = "bare_stream"


async def main(database_url: str) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    connection = await asyncpg.connect(database_url)
    await connection.add_listener(CHANNEL, lambda _, __, ___, payload: heard.put_nowait(str(payload)))

    async def send(socket: ServerConnection) -> None:
        while True:
            await socket.send(await heard.get())

    async with serve(send, "127.0.0.1", 0, compression=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
