"""The api's parts, put together."""

import asyncio
import getpass
import os
from contextlib import AsyncExitStack
from pathlib import Path

from amelia.adapters.aws.objects import S3Objects
from amelia.adapters.aws.session import open_client
from amelia.adapters.postgres.journal import PostgresJournal
from amelia.errors import Refused
from amelia.lifecycle import until_available
from amelia.limits import limits_of
from amelia.settings import Settings
from amelia.trackers.connection import access, open_trackers
from amelia.trackers.submitted import LookedUp

from .app import create_app
from .depends import Caller
from .serving import Server

_POOL = 16


async def run(settings: Settings, stop: asyncio.Event) -> None:
    token = _token(settings.api_token_file)
    async with AsyncExitStack() as stack:
        s3 = await stack.enter_async_context(open_client("s3", settings))
        journal = await until_available(
            "the journal",
            lambda: PostgresJournal.open(settings.database_url, lease_seconds=settings.lease_seconds, size=_POOL),
        )
        stack.push_async_callback(journal.close)
        trackers = await stack.enter_async_context(open_trackers(access(settings, os.environ)))
        app = create_app(
            journal,
            S3Objects(s3, settings.bucket),
            token=token,
            caller=Caller(name=getpass.getuser(), team="local"),
            allow_file=settings.takes_local_repositories,
            max_body_bytes=settings.max_body_bytes,
            limits=limits_of(settings),
            issues=LookedUp(trackers),
        )
        server = Server(app, host=settings.api_host, port=settings.api_port)
        stopping = asyncio.create_task(server.stop_at(stop))
        await server.serve()
        stopping.cancel()


def _token(path: str) -> str:
    if not path:
        raise Refused("the api needs a token: name a file with one in AMELIA_API_TOKEN_FILE")
    try:
        token = Path(path).read_text().strip()
    except OSError as error:
        raise Refused(f"the api's token cannot be read from {path}: {error.strerror}") from error
    if len(token) < 16:
        raise Refused(f"the token in {path} is shorter than 16 characters; make a longer one")
    return token
