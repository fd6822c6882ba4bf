"""The router's parts, put together."""

import asyncio
from contextlib import AsyncExitStack

from amelia.adapters.aws.keys import MasterKeys
from amelia.adapters.aws.queue import SqsQueue
from amelia.adapters.aws.session import open_client
from amelia.adapters.postgres.journal import PostgresJournal
from amelia.burial import Collector, burying
from amelia.consumer import Consumer
from amelia.contract.ids import new_id
from amelia.lifecycle import ready, until_available
from amelia.policy_file import PolicyFile
from amelia.settings import Settings

from .route import Router


async def run(settings: Settings, stop: asyncio.Event) -> None:
    async with AsyncExitStack() as stack:
        sqs = await stack.enter_async_context(open_client("sqs", settings))
        secrets = await stack.enter_async_context(open_client("secretsmanager", settings))
        policy = PolicyFile(settings.approval_policy_file)
        journal = await until_available(
            "the journal",
            lambda: PostgresJournal.open(settings.database_url, lease_seconds=settings.lease_seconds, policy=policy),
        )
        stack.push_async_callback(journal.close)
        queue = SqsQueue(
            sqs, settings.events_queue, settings.events_dead_queue, visibility_seconds=settings.visibility_seconds
        )
        router = Router(journal, MasterKeys(secrets, settings.master_secret), instance=new_id())
        consumer = Consumer(
            queue,
            router.handle,
            in_flight=settings.receives_in_flight,
            max_receives=settings.max_receives,
            drained=router.drained,
            bury=burying(journal, "events"),
        )
        dead = SqsQueue(
            *(sqs, settings.events_dead_queue, settings.events_dead_queue),
            visibility_seconds=settings.visibility_seconds,
        )
        ready()
        async with asyncio.TaskGroup() as group:
            group.create_task(consumer.run(stop))
            group.create_task(Collector(journal, dead, "events").run(stop))
        await router.leave()
