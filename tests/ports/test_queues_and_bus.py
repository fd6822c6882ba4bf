"""What the services rely on of SQS, EventBridge, S3 and Secrets Manager, on a real endpoint.

``AMELIA_TEST_AWS_ENDPOINT_URL`` names it; without, the emulator of a laptop's fleet is started.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from amelia.adapters.aws.bus import EventBus
from amelia.adapters.aws.provision import Provisioned, new_master_secret, provision
from amelia.adapters.aws.queue import SqsQueue
from amelia.adapters.aws.session import open_client
from amelia.adapters.local import emulator
from amelia.adapters.local.state import StateDirectory
from amelia.adapters.postgres.journal import PostgresJournal
from amelia.consumer import DONE, Consumer, Verdict
from amelia.contract import codec
from amelia.errors import Unavailable
from amelia.ports.queues import Message, Sending
from amelia.settings import Settings
from amelia_dispatcher.relay import Relay

from ..samples import eventually, start


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if given := os.environ.get("AMELIA_TEST_AWS_ENDPOINT_URL"):
        yield given
        return
    state = StateDirectory.open(tmp_path_factory.mktemp("emulator"))
    port = state.port("emulator")
    process = running_emulator(state, port)
    try:
        yield emulator.url(port)
    finally:
        process.terminate()
        process.wait()


def running_emulator(state: StateDirectory, port: int) -> "subprocess.Popen[bytes]":
    state.ready_file("emulator").unlink(missing_ok=True)
    command = [sys.executable, "-m", "amelia.adapters.local.emulator", "--state-dir", str(state.root)]
    process = subprocess.Popen([*command, "--port", str(port)])
    while not state.ready_file("emulator").exists():
        assert process.poll() is None
        time.sleep(0.02)
    return process


class World(msgspec.Struct, frozen=True, kw_only=True):
    settings: Settings
    made: Provisioned
    sqs: Any
    events: Any
    s3: Any
    secrets: Any

    async def send(self, body: str, group: str, deduplication_id: str) -> None:
        await self.sqs.send_message(
            QueueUrl=self.made.commands_queue_url,
            MessageBody=body,
            MessageGroupId=group,
            MessageDeduplicationId=deduplication_id,
        )

    async def receive(self, url: str, *, wait: int = 1, many: int = 10) -> list[dict[str, Any]]:
        answer = await self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=many, WaitTimeSeconds=wait, AttributeNames=["All"]
        )
        return list(answer.get("Messages", []))

    async def receive_until(self, url: str, number: int) -> list[dict[str, Any]]:
        """Deletes nothing; gives up after some 20 s."""
        found: list[dict[str, Any]] = []
        for _ in range(20):
            found += await self.receive(url)
            if len(found) >= number:
                break
        return found

    async def release(self, url: str, message: dict[str, Any]) -> None:
        await self.sqs.change_message_visibility(
            QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
        )


@pytest.fixture
async def world(endpoint: str) -> AsyncIterator[World]:
    tag = uuid.uuid4().hex[:8]
    settings = Settings(
        aws_endpoint_url=endpoint,
        commands_queue=f"commands-{tag}.fifo",
        commands_dead_queue=f"commands-dead-{tag}.fifo",
        events_queue=f"events-{tag}",
        events_dead_queue=f"events-dead-{tag}",
        ci_queue=f"ci-{tag}",
        ci_dead_queue=f"ci-dead-{tag}",
        event_bus=f"bus-{tag}",
        bucket=f"artifacts-{tag}",
        master_secret=f"master-{tag}",
        redrive_receives=2,
    )
    made = await provision(settings)
    async with AsyncExitStack() as stack:
        sqs, events, s3, secrets = [
            await stack.enter_async_context(open_client(name, settings))
            for name in ("sqs", "events", "s3", "secretsmanager")
        ]
        yield World(settings=settings, made=made, sqs=sqs, events=events, s3=s3, secrets=secrets)


def bodies(messages: list[dict[str, Any]]) -> list[str]:
    return [message["Body"] for message in messages]


async def test_provisioning_again_and_at_once_changes_nothing(world: World) -> None:
    await world.send("kept", "wf-1", "d-1")

    again = await asyncio.gather(*(provision(world.settings, master_secret=new_master_secret()) for _ in range(3)))

    assert set(again) == {world.made}
    assert bodies(await world.receive(world.made.commands_queue_url)) == ["kept"]
    attributes = await world.sqs.get_queue_attributes(QueueUrl=world.made.commands_queue_url, AttributeNames=["All"])
    assert json.loads(attributes["Attributes"]["RedrivePolicy"])["maxReceiveCount"] in (2, "2")
    assert attributes["Attributes"]["FifoQueue"] == "true"


async def test_a_repeated_deduplication_id_is_dropped_within_its_group(world: World) -> None:
    await world.send("first", "wf-1", "d-1")
    await world.send("again", "wf-1", "d-1")
    await world.send("retry", "wf-1", "d-2")
    await world.send("other", "wf-2", "d-1")

    received = await world.receive_until(world.made.commands_queue_url, 3)

    assert sorted(bodies(received)) == ["first", "other", "retry"]


async def test_a_group_keeps_its_order_and_waits_for_its_first(world: World) -> None:
    url = world.made.commands_queue_url
    for number in range(3):
        await world.send(f"a{number}", "wf-a", f"a{number}")
    await world.send("b0", "wf-b", "b0")

    first = await world.receive(url, many=1)
    others = await world.receive(url)

    assert bodies(first) == ["a0"]
    assert bodies(others) == ["b0"]
    for message in (*first, *others):
        await world.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert bodies(await world.receive_until(url, 2)) == ["a1", "a2"]


async def test_a_released_message_comes_back_and_counts_its_receives(world: World) -> None:
    url = world.made.commands_queue_url
    await world.send("again", "wf-1", "d-1")

    [first] = await world.receive(url)
    assert await world.receive(url, wait=0) == []
    await world.release(url, first)
    [second] = await world.receive(url)

    assert second["Attributes"]["ApproximateReceiveCount"] == "2"
    assert second["Attributes"]["MessageGroupId"] == "wf-1"


async def test_a_batch_tells_which_of_its_entries_failed(world: World) -> None:
    url = world.made.events_queue_url
    entries = [{"Id": str(n), "MessageBody": f"m{n}"} for n in range(10)]

    sent = await world.sqs.send_message_batch(QueueUrl=url, Entries=entries)
    received = await world.receive_until(url, 10)
    handles = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(received[:9])]
    done = await world.sqs.delete_message_batch(
        QueueUrl=url, Entries=[*handles, {"Id": "bad", "ReceiptHandle": "no such receipt"}]
    )

    assert len(sent["Successful"]) == 10
    assert sorted(bodies(received)) == sorted(f"m{n}" for n in range(10))
    assert len(done["Successful"]) == 9
    assert [failure["Id"] for failure in done["Failed"]] == ["bad"]


@pytest.mark.parametrize("queue", ["commands", "events"])
async def test_a_message_received_too_often_goes_to_the_dead_letters(world: World, queue: str) -> None:
    url = getattr(world.made, f"{queue}_queue_url")
    dead = getattr(world.made, f"{queue}_dead_queue_url")
    if queue == "commands":
        await world.send("poison", "wf-1", "d-1")
    else:
        await world.sqs.send_message(QueueUrl=url, MessageBody="poison")

    for _ in range(world.settings.redrive_receives):
        [message] = await world.receive_until(url, 1)
        await world.release(url, message)

    assert await world.receive(url) == []
    assert bodies(await world.receive_until(dead, 1)) == ["poison"]


async def test_a_poison_first_message_lets_its_group_go_on(world: World) -> None:
    url = world.made.commands_queue_url
    await world.send("poison", "wf-1", "d-1")
    await world.send("good", "wf-1", "d-2")
    for _ in range(world.settings.redrive_receives):
        [message] = await world.receive(url, many=1)
        assert message["Body"] == "poison"
        await world.release(url, message)

    assert bodies(await world.receive_until(url, 1)) == ["good"]


async def test_the_rule_passes_on_what_the_runtime_says_and_nothing_else(world: World) -> None:
    def entry(source: str, number: int) -> dict[str, str]:
        detail = json.dumps({"id": f"{source}-{number}", "text": "ä\u2028\\"})
        return {
            "Source": source,
            "DetailType": "workflow_started",
            "Detail": detail,
            "EventBusName": world.settings.event_bus,
        }

    ours = [entry(world.settings.event_source, n) for n in range(5)]
    others = [entry(world.settings.control_source, n) for n in range(5)]
    answer = await world.events.put_events(Entries=[*others, *ours])
    received = await world.receive_until(world.made.events_queue_url, 5)

    assert answer["FailedEntryCount"] == 0
    told = [json.loads(body) for body in bodies(received)]
    assert sorted(event["detail"]["id"] for event in told) == [f"{world.settings.event_source}-{n}" for n in range(5)]
    assert {event["detail-type"] for event in told} == {"workflow_started"}
    assert {event["detail"]["text"] for event in told} == {"ä\u2028\\"}


async def test_a_long_poll_ends_when_something_arrives(world: World) -> None:
    waiting = asyncio.create_task(world.receive(world.made.events_queue_url, wait=20))
    await asyncio.sleep(0.3)
    assert not waiting.done()

    await world.sqs.send_message(QueueUrl=world.made.events_queue_url, MessageBody="here")

    assert bodies(await asyncio.wait_for(waiting, 15)) == ["here"]


async def test_the_secret_stays_what_it_became_first(world: World) -> None:
    secret = json.loads(world.made.master_secret)

    answer = await world.secrets.get_secret_value(SecretId=world.settings.master_secret)

    assert json.loads(answer["SecretString"]) == secret
    assert secret["current"] == 1
    assert len(bytes.fromhex(secret["keys"]["1"])) == 32


async def test_a_secret_that_is_held_elsewhere_is_restored(world: World) -> None:
    held = new_master_secret()
    forgotten = msgspec.structs.replace(world.settings, master_secret=f"{world.settings.master_secret}-forgotten")

    assert (await provision(forgotten, master_secret=held)).master_secret == held


async def test_an_object_comes_back_as_it_was_put(world: World) -> None:
    data = os.urandom(300_000)
    await world.s3.put_object(Bucket=world.settings.bucket, Key="wf-1/ab/cd", Body=data)

    answer = await world.s3.get_object(Bucket=world.settings.bucket, Key="wf-1/ab/cd")

    async with answer["Body"] as body:
        assert await body.read() == data
    with pytest.raises(ClientError, match="NoSuchKey"):
        await world.s3.get_object(Bucket=world.settings.bucket, Key="wf-1/none")


async def test_what_is_received_says_who_sent_it_when_and_what_lay_beside_it(world: World) -> None:
    queue = SqsQueue(world.sqs, world.settings.ci_queue, world.settings.ci_dead_queue, visibility_seconds=10)
    await world.sqs.send_message(
        QueueUrl=world.made.ci_queue_url,
        MessageBody="{}",
        MessageAttributes={"build": {"DataType": "String", "StringValue": "7"}},
    )
    [message] = await queue.receive(most=10, wait_seconds=5)
    assert abs(message.sent_at - time.time()) < 60
    assert message.attributes == {"build": "7"}
    assert message.sender


async def test_what_is_held_does_not_come_again_meanwhile(world: World) -> None:
    """Its visibility ends, and is prolonged before: nobody else gets it, and it is received once."""
    settings = world.settings
    queue = SqsQueue(world.sqs, settings.events_queue, settings.events_dead_queue, visibility_seconds=2)
    await world.sqs.send_message(QueueUrl=world.made.events_queue_url, MessageBody="held")
    [message] = await queue.receive(most=10, wait_seconds=5)
    for _ in range(3):
        await asyncio.sleep(0.75)
        await queue.hold([message])
    assert await queue.receive(most=10, wait_seconds=0) == []
    await queue.release([message], after_seconds=0)
    [again] = await queue.receive(most=10, wait_seconds=5)
    assert again.receives == 2


async def test_what_the_bus_cannot_bring_to_the_queue_has_a_place_to_go(world: World) -> None:
    answer = await world.events.list_targets_by_rule(
        Rule="amelia-runtime-events", EventBusName=world.settings.event_bus
    )
    [target] = answer["Targets"]
    assert target["DeadLetterConfig"]["Arn"].endswith(world.settings.events_dead_queue)
    dead = await world.sqs.get_queue_attributes(QueueUrl=world.made.events_dead_queue_url, AttributeNames=["Policy"])
    assert "events.amazonaws.com" in dead["Attributes"]["Policy"]


async def test_a_queue_that_was_deleted_is_away_until_it_is_made_again(world: World) -> None:
    settings = world.settings
    queue = SqsQueue(world.sqs, settings.events_queue, settings.events_dead_queue, visibility_seconds=2)
    assert await queue.receive(most=1, wait_seconds=0) == []
    await world.sqs.delete_queue(QueueUrl=world.made.events_queue_url)
    for call in (queue.receive(most=1, wait_seconds=0), queue.send([Sending(body="x", group="", deduplication="")])):
        with pytest.raises(Unavailable):
            await call
    await provision(settings)
    await queue.send([Sending(body="back", group="", deduplication="")])
    assert [m.body for m in await queue.receive(most=1, wait_seconds=5)] == ["back"]


async def test_orders_get_through_although_the_emulator_dies_with_all_it_holds(
    journal: PostgresJournal, tmp_path: Path
) -> None:
    """Killed in the middle and started empty: what was accepted is sent until somebody says what became of it."""
    state = StateDirectory.open(tmp_path)
    port = state.port("emulator")
    settings = Settings(aws_endpoint_url=emulator.url(port))
    stop, got = asyncio.Event(), set[str]()
    dead: list[str] = []

    async def handle(messages: Sequence[Message]) -> Sequence[Verdict]:
        for message in messages:
            command = codec.decode_command(message.body)
            got.add(command.workflow_id)
            await journal.settle([command.id])
        return [DONE] * len(messages)

    async def bury(message: Message, reason: str) -> None:
        dead.append(reason)

    started = running_emulator(state, port)
    try:
        async with AsyncExitStack() as stack:
            sqs = await stack.enter_async_context(open_client("sqs", settings))
            bus = EventBus(
                await stack.enter_async_context(open_client("events", settings)), bus="amelia", source="amelia.control"
            )
            queue = SqsQueue(sqs, settings.commands_queue, settings.commands_dead_queue, visibility_seconds=5)
            consumer = Consumer(queue, handle, in_flight=2, max_receives=3, bury=bury)
            relay = Relay(journal, queue, bus, resend_seconds=0.5)
            tasks = [asyncio.create_task(consumer.run(stop)), asyncio.create_task(relay.run(stop))]
            commands = [start() for _ in range(30)]
            for command in commands[:15]:
                await journal.execute(command)
            started.kill()
            started.wait()
            for command in commands[15:]:
                await journal.execute(command)
            shutil.rmtree(state.emulator)
            started = running_emulator(state, port)

            async def settled() -> bool:
                return not await journal.due(1, 0, "commands") and len(got) == 30

            await eventually(settled, "all have come through", 60)
            stop.set()
            await asyncio.gather(*tasks)
    finally:
        started.kill()
        started.wait()
    assert dead == []


def test_provisioning_is_a_command_that_keeps_the_secret(endpoint: str, tmp_path: Path) -> None:
    kept = tmp_path / "master.json"
    environ = {**os.environ, "AMELIA_AWS_ENDPOINT_URL": endpoint, "AMELIA_MASTER_SECRET": f"m-{uuid.uuid4().hex}"}
    command = [sys.executable, "-m", "amelia.adapters.aws.provision", "--secret-file", str(kept)]

    subprocess.run(command, check=True, env=environ)
    first = kept.read_text()
    subprocess.run(command, check=True, env=environ)

    assert kept.read_text() == first
    assert kept.stat().st_mode & 0o777 == 0o600
