"""What leaves for SQS in one call, and what becomes of the rest when a call fails."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from amelia.adapters.aws.queue import SqsQueue
from amelia.errors import Unavailable
from amelia.ports.queues import Sending

MIB = 1_048_576
THROTTLED = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "SendMessageBatch")
DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "SendMessageBatch")


class Sqs:
    """Takes every batch but those whose number ``fails`` names; of ``refuses``, one message."""

    def __init__(self) -> None:
        self.batches: list[list[dict[str, Any]]] = []
        self.fails: dict[int, Exception] = {}
        self.refuses: int | None = None

    async def get_queue_url(self, **_: Any) -> dict[str, str]:
        return {"QueueUrl": "http://127.0.0.1/commands.fifo"}

    async def send_message_batch(self, **arguments: Any) -> dict[str, Any]:
        self.batches.append(arguments["Entries"])
        number = len(self.batches)
        if number in self.fails:
            raise self.fails[number]
        if number == self.refuses:
            return {"Failed": [{"Id": "0", "Message": "not this one"}]}
        return {}

    def bodies(self) -> list[str]:
        return [entry["MessageBody"] for batch in self.batches for entry in batch]


def queue(sqs: Sqs) -> SqsQueue:
    return SqsQueue(sqs, "commands.fifo", "dead.fifo", visibility_seconds=10)


def sendings(*bodies: str) -> list[Sending]:
    return [Sending(body=body, group="wf", deduplication=str(number)) for number, body in enumerate(bodies)]


LARGE = tuple(str(number) * 200_000 for number in range(10))


async def test_large_messages_leave_in_several_batches_below_the_limit_and_in_order() -> None:
    sqs = Sqs()
    await queue(sqs).send(sendings(*LARGE))
    assert len(sqs.batches) > 1
    assert all(sum(len(entry["MessageBody"]) for entry in batch) < MIB for batch in sqs.batches)
    assert sqs.bodies() == list(LARGE)
    assert all(len({entry["Id"] for entry in batch}) == len(batch) for batch in sqs.batches)


async def test_bytes_count_and_not_characters() -> None:
    sqs = Sqs()
    await queue(sqs).send(sendings(*("ä" * 200_000 for _ in range(4))))
    assert all(sum(len(entry["MessageBody"].encode()) for entry in batch) < MIB for batch in sqs.batches)


async def test_small_messages_leave_ten_at_once_and_none_means_no_call() -> None:
    sqs = Sqs()
    await queue(sqs).send(())
    assert sqs.batches == []
    await queue(sqs).send(sendings(*("x" for _ in range(21))))
    assert [len(batch) for batch in sqs.batches] == [10, 10, 1]


async def test_one_message_above_the_limit_goes_alone() -> None:
    sqs = Sqs()
    await queue(sqs).send(sendings("a", "b" * 950_000, "c"))
    assert [len(batch) for batch in sqs.batches] == [1, 1, 1]


@pytest.mark.parametrize("error", [THROTTLED, DENIED, OSError("no route to host")])
async def test_a_batch_that_fails_stops_none_after_it_and_is_said_at_the_end(error: Exception) -> None:
    sqs = Sqs()
    sqs.fails[1] = error
    with pytest.raises(Unavailable, match=r"commands\.fifo did not take everything"):
        await queue(sqs).send(sendings(*LARGE))
    assert sqs.bodies() == list(LARGE)


async def test_one_message_that_is_not_taken_stops_no_batch_and_is_said_at_the_end() -> None:
    sqs = Sqs()
    sqs.refuses = 1
    with pytest.raises(Unavailable, match="not this one"):
        await queue(sqs).send(sendings(*LARGE))
    assert sqs.bodies() == list(LARGE)
