"""Makes the queues, the bus, its rule, the bucket and the master secret that ``Settings`` names.

``python -m amelia.adapters.aws.provision [--secret-file FILE]``. Repeating it, also several at once, changes nothing.
In an account of AWS these come from Terraform; this is for emulators, which forget.
"""

import argparse
import asyncio
import json
import secrets
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
from botocore.exceptions import ClientError

from amelia.adapters.aws.session import open_client, translated
from amelia.errors import AmeliaError, Unavailable
from amelia.settings import Settings, load

_RETENTION_SECONDS = 14 * 24 * 3600
_RULE = "amelia-runtime-events"
_TARGET = "events-queue"
Client = Any


class Provisioned(msgspec.Struct, frozen=True, kw_only=True):
    """Urls of the queues; CI's is no FIFO queue, because what is put there is named by the command's own id. What the
    rule cannot bring to the events queue goes to its dead-letter queue, as what is received there too often does.
    ``master_secret`` is the JSON text the secret holds now."""

    commands_queue_url: str
    commands_dead_queue_url: str
    events_queue_url: str
    events_dead_queue_url: str
    ci_queue_url: str
    ci_dead_queue_url: str
    master_secret: str


async def provision(settings: Settings, *, master_secret: str = "") -> Provisioned:
    """``master_secret`` is what the secret becomes where there is none; empty draws one.

    Raises ``Unavailable`` when the endpoint is away, ``Refused`` when it does not allow it.
    """
    with translated("making the queues, the bus and the bucket"):
        async with AsyncExitStack() as stack:
            clients = {name: await stack.enter_async_context(open_client(name, settings)) for name in _SERVICES}
            return await _provision(settings, clients, master_secret or new_master_secret())


def new_master_secret() -> str:
    """Version 1 of 32 random bytes."""
    return json.dumps({"current": 1, "keys": {"1": secrets.token_hex(32)}})


_SERVICES = ("sqs", "events", "s3", "secretsmanager")


async def _provision(settings: Settings, clients: Mapping[str, Client], secret: str) -> Provisioned:
    queues, bucket, kept = await asyncio.gather(
        _queues_and_rule(settings, clients["sqs"], clients["events"]),
        _bucket(settings, clients["s3"]),
        _secret(settings, clients["secretsmanager"], secret),
    )
    del bucket
    return Provisioned(
        commands_queue_url=queues[0],
        commands_dead_queue_url=queues[1],
        events_queue_url=queues[2],
        events_dead_queue_url=queues[3],
        ci_queue_url=queues[4],
        ci_dead_queue_url=queues[5],
        master_secret=kept,
    )


async def _queues_and_rule(settings: Settings, sqs: Client, events: Client) -> tuple[str, str, str, str, str, str]:
    (
        (commands_dead, commands_dead_arn),
        (events_dead, events_dead_arn),
        (ci_dead, ci_dead_arn),
        _,
    ) = await asyncio.gather(
        _queue(sqs, settings.commands_dead_queue, {}),
        _queue(sqs, settings.events_dead_queue, {}),
        _queue(sqs, settings.ci_dead_queue, {}),
        _bus(events, settings.event_bus),
    )
    work = {"VisibilityTimeout": str(settings.visibility_seconds)}
    (commands, _), (incoming, incoming_arn), (ci, _) = await asyncio.gather(
        _queue(sqs, settings.commands_queue, work | _redrive(settings, commands_dead_arn)),
        _queue(sqs, settings.events_queue, work | _redrive(settings, events_dead_arn)),
        _queue(sqs, settings.ci_queue, work | _redrive(settings, ci_dead_arn)),
    )
    rule_arn = await _rule(settings, events, incoming_arn, events_dead_arn)
    for url, arn in ((incoming, incoming_arn), (events_dead, events_dead_arn)):
        await sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": _policy(arn, rule_arn)})
    return commands, commands_dead, incoming, events_dead, ci, ci_dead


def _redrive(settings: Settings, dead_arn: str) -> dict[str, str]:
    return {
        "RedrivePolicy": json.dumps(
            {"deadLetterTargetArn": dead_arn, "maxReceiveCount": str(settings.redrive_receives)}
        )
    }


async def _queue(sqs: Client, name: str, attributes: Mapping[str, str]) -> tuple[str, str]:
    """Its url and ARN. A FIFO queue is made in high-throughput mode, its deduplication within a group."""
    fixed = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
    wanted = {"MessageRetentionPeriod": str(_RETENTION_SECONDS), **attributes}
    if fixed:
        wanted |= {"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
    try:
        url = (await sqs.get_queue_url(QueueName=name))["QueueUrl"]
    except ClientError as error:
        if "NonExistent" not in _code(error) and "DoesNotExist" not in _code(error):
            raise
        url = (await sqs.create_queue(QueueName=name, Attributes={**fixed, **wanted}))["QueueUrl"]
    await sqs.set_queue_attributes(QueueUrl=url, Attributes=wanted)
    answer = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return str(url), str(answer["Attributes"]["QueueArn"])


async def _bus(events: Client, name: str) -> None:
    try:
        await events.create_event_bus(Name=name)
    except ClientError as error:
        if _code(error) != "ResourceAlreadyExistsException":
            raise


async def _rule(settings: Settings, events: Client, queue_arn: str, dead_arn: str) -> str:
    pattern = json.dumps({"source": [settings.event_source]})
    answer = await events.put_rule(Name=_RULE, EventBusName=settings.event_bus, EventPattern=pattern, State="ENABLED")
    done = await events.put_targets(
        Rule=_RULE,
        EventBusName=settings.event_bus,
        Targets=[{"Id": _TARGET, "Arn": queue_arn, "DeadLetterConfig": {"Arn": dead_arn}}],
    )
    if done["FailedEntryCount"]:
        raise Unavailable(f"rule {_RULE} could not be given its queue: {done['FailedEntries']}")
    return str(answer["RuleArn"])


def _policy(queue_arn: str, rule_arn: str) -> str:
    statement = {
        "Sid": "EventsFromTheBus",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


async def _bucket(settings: Settings, s3: Client) -> None:
    place = {} if settings.aws_region == "us-east-1" else {"LocationConstraint": settings.aws_region}
    try:
        if place:
            await s3.create_bucket(Bucket=settings.bucket, CreateBucketConfiguration=place)
        else:
            await s3.create_bucket(Bucket=settings.bucket)
    except ClientError as error:
        if _code(error) != "BucketAlreadyOwnedByYou":
            raise


async def _secret(settings: Settings, manager: Client, value: str) -> str:
    try:
        await manager.create_secret(Name=settings.master_secret, SecretString=value)
    except ClientError as error:
        if _code(error) != "ResourceExistsException":
            raise
    return str((await manager.get_secret_value(SecretId=settings.master_secret))["SecretString"])


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def provision_keeping(settings: Settings, secret_file: Path | None) -> Provisioned:
    """Gives the service the secret that ``secret_file`` holds, and keeps there what the service has then."""
    from amelia.adapters.local.state import write_private

    held = secret_file.read_text() if secret_file and secret_file.exists() else ""
    done = asyncio.run(provision(settings, master_secret=held))
    if secret_file and done.master_secret != held:
        write_private(secret_file, done.master_secret)
    return done


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m amelia.adapters.aws.provision", description=__doc__)
    parser.add_argument("--secret-file", type=Path, help="keep the master secret here too, and restore it from here")
    secret_file = parser.parse_args().secret_file
    try:
        provision_keeping(load(), secret_file)
    except AmeliaError as error:
        sys.exit(f"provision: {error}")


if __name__ == "__main__":
    main()
