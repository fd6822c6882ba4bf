"""The dispatcher's parts, put together."""

import asyncio
import os
from contextlib import AsyncExitStack
from typing import Protocol

from amelia.adapters.aws.bus import EventBus
from amelia.adapters.aws.keys import MasterKeys
from amelia.adapters.aws.objects import S3Objects
from amelia.adapters.aws.queue import SqsQueue
from amelia.adapters.aws.runtimes import AgentCoreRuntimes
from amelia.adapters.aws.session import open_client
from amelia.adapters.github.connection import Access, open_github
from amelia.adapters.postgres.journal import PostgresJournal
from amelia.burial import Collector, burying
from amelia.consumer import Consumer
from amelia.lifecycle import ready, until_available
from amelia.policy_file import PolicyFile
from amelia.ports.journal import Journal
from amelia.ports.queues import Queue
from amelia.settings import Settings, read_secret
from amelia.trackers import connection as tracking
from amelia.trackers.submitted import LookedUp

from .admission import Gatekeeper
from .attempt import Attempts
from .ci import Intake, teams_of
from .deliver import Deliveries
from .dispatch import Dispatcher
from .pushing import GitRemote
from .redriven import Redriven
from .relay import Relay
from .sweep import Sweeper
from .telling import Teller


class Part(Protocol):
    async def run(self, stop: asyncio.Event) -> None: ...


async def run(settings: Settings, stop: asyncio.Event) -> None:
    async with AsyncExitStack() as stack:
        sqs = await stack.enter_async_context(open_client("sqs", settings))
        secrets = await stack.enter_async_context(open_client("secretsmanager", settings))
        s3 = await stack.enter_async_context(open_client("s3", settings))
        events = await stack.enter_async_context(open_client("events", settings))
        agentcore = await stack.enter_async_context(open_client("bedrock-agentcore", settings))
        policy = PolicyFile(settings.approval_policy_file)
        journal = await until_available(
            "the journal",
            lambda: PostgresJournal.open(settings.database_url, lease_seconds=settings.lease_seconds, policy=policy),
        )
        stack.push_async_callback(journal.close)
        seconds = settings.visibility_seconds
        commands = SqsQueue(sqs, settings.commands_queue, settings.commands_dead_queue, visibility_seconds=seconds)
        events_again = SqsQueue(sqs, settings.events_queue, settings.events_dead_queue, visibility_seconds=seconds)
        teams = teams_of(settings.ci_teams)
        trackers = await stack.enter_async_context(tracking.open_trackers(tracking.access(settings, os.environ)))
        intake = Intake(
            journal,
            teams,
            allow_file=settings.takes_local_repositories,
            judges=bool(settings.approval_policy_file),
            issues=LookedUp(trackers),
        )
        access = Access(
            token=read_secret(settings.github_token_file),
            read_token=read_secret(settings.github_read_token_file),
            app_id=settings.github_app_id,
            private_key=read_secret(settings.github_private_key_file),
        )
        github = await stack.enter_async_context(
            open_github(access, api=settings.github_api_url, web=settings.github_web_url)
        )
        runtimes = AgentCoreRuntimes(agentcore, settings.runtime_arn)
        keys = MasterKeys(secrets, settings.master_secret)
        attempts = Attempts(journal, runtimes, keys, github.credentials, settings)
        gatekeeper = Gatekeeper(journal, runtimes, attempts, settings)
        deliveries = Deliveries(
            journal,
            S3Objects(s3, settings.bucket),
            GitRemote(),
            github.forge,
            github.credentials,
            patience_seconds=settings.delivery_patience_seconds,
        )
        dispatcher = Dispatcher(journal, runtimes, attempts, gatekeeper, deliveries)
        stack.push_async_callback(dispatcher.drain)
        consumer = Consumer(
            commands,
            dispatcher.handle,
            in_flight=settings.receives_in_flight,
            max_receives=settings.max_receives,
            bury=burying(journal, "commands"),
        )
        relay = Relay(
            journal,
            commands,
            EventBus(events, bus=settings.event_bus, source=settings.control_source),
            resend_seconds=settings.resend_seconds,
            again={"events": events_again},
            orders=Redriven(journal, intake.handle).take,
            tells=Teller(journal, trackers, link=settings.public_url).take,
        )
        dead_commands = settings.commands_dead_queue
        dead = SqsQueue(sqs, dead_commands, dead_commands, visibility_seconds=seconds)
        parts: list[Part] = [
            consumer,
            relay,
            Sweeper(journal, attempts, gatekeeper, settings),
            Collector(journal, dead, "commands"),
        ]
        if teams:
            orders = SqsQueue(sqs, settings.ci_queue, settings.ci_dead_queue, visibility_seconds=seconds)
            dead_orders = SqsQueue(sqs, settings.ci_dead_queue, settings.ci_dead_queue, visibility_seconds=seconds)
            parts += _ci(settings, journal, orders, intake, dead_orders)
        ready()
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part.run(stop))


def _ci(settings: Settings, journal: Journal, queue: Queue, intake: Intake, dead: Queue) -> tuple[Consumer, Collector]:
    """Who reads CI's queue, once somebody may write there."""
    consumer = Consumer(
        queue, intake.handle, in_flight=1, max_receives=settings.max_receives, bury=burying(journal, "ci")
    )
    return consumer, Collector(journal, dead, "ci")
