import asyncio
import shutil
import signal
from collections.abc import Callable

from amelia.adapters.aws.session import open_client
from amelia.adapters.local import emulator
from amelia.adapters.local.state import StateDirectory
from amelia.settings import Settings

from .conftest import Start

Eventually = Callable[[Callable[[], bool]], None]


async def commands_queue(settings: Settings) -> str:
    async with open_client("sqs", settings) as sqs:
        return str((await sqs.get_queue_url(QueueName=settings.commands_queue))["QueueUrl"])


def test_killed_with_all_it_held_it_comes_back_provisioned(
    state: StateDirectory, start: Start, eventually: Eventually
) -> None:
    port = state.port("emulator")
    settings = Settings(aws_endpoint_url=emulator.url(port))
    environ = {"AMELIA_AWS_ENDPOINT_URL": settings.aws_endpoint_url}
    first = start(state, emulator.program(state, port, environ))
    eventually(state.ready_file("emulator").exists)
    secret = state.master_secret_file.read_text()

    first.send_signal(signal.SIGKILL)
    first.wait()
    shutil.rmtree(state.emulator)
    start(state, emulator.program(state, port, environ))
    eventually(state.ready_file("emulator").exists)

    assert asyncio.run(commands_queue(settings)).endswith(settings.commands_queue)
    assert state.master_secret_file.read_text() == secret
    assert asyncio.run(secret_value(settings)) == secret


def test_a_reader_that_died_while_it_waited_takes_no_message(
    state: StateDirectory, start: Start, eventually: Eventually
) -> None:
    """What it took would stay invisible for the queue's timeout, and hold up its whole group."""
    port = state.port("emulator")
    settings = Settings(aws_endpoint_url=emulator.url(port))
    start(state, emulator.program(state, port, {"AMELIA_AWS_ENDPOINT_URL": settings.aws_endpoint_url}))
    eventually(state.ready_file("emulator").exists)
    assert asyncio.run(received_after_deaths(settings)) == ["alive"]


async def received_after_deaths(settings: Settings) -> list[str]:
    async with open_client("sqs", settings) as sqs:
        url = str((await sqs.get_queue_url(QueueName=settings.commands_queue))["QueueUrl"])
        await sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "600"})
        waiting = [asyncio.create_task(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)) for _ in range(4)]
        await asyncio.sleep(0.5)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await sqs.send_message(QueueUrl=url, MessageBody="alive", MessageGroupId="g", MessageDeduplicationId="d")
        answer = await sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)
        return [message["Body"] for message in answer.get("Messages", [])]


async def secret_value(settings: Settings) -> str:
    async with open_client("secretsmanager", settings) as secrets:
        return str((await secrets.get_secret_value(SecretId=settings.master_secret))["SecretString"])
