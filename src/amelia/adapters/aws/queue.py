"""SQS as ``ports.queues.Queue``."""

from collections.abc import Iterator, Sequence
from typing import Any

from ...errors import NotFound, Refused, Unavailable
from ...ports.queues import Message, Sending
from .session import translated

_AT_ONCE = 10  # entries in one batch call
_MAX_BYTES = 900_000  # SQS takes 1 MiB in a batch, attributes included


class SqsQueue:
    """``client`` is aiobotocore's; the queues' addresses are asked for once, and again when they are gone."""

    def __init__(self, client: Any, name: str, dead_name: str, *, visibility_seconds: int) -> None:
        self._client = client
        self._name = name
        self._dead_name = dead_name
        self._visibility_seconds = visibility_seconds
        self._urls: dict[str, str] = {}

    async def receive(self, *, most: int, wait_seconds: int) -> list[Message]:
        answer = await self._call(
            self._name,
            "receive_message",
            MaxNumberOfMessages=most,
            WaitTimeSeconds=wait_seconds,
            VisibilityTimeout=self._visibility_seconds,
            MessageSystemAttributeNames=["ApproximateReceiveCount", "MessageGroupId", "SenderId", "SentTimestamp"],
            MessageAttributeNames=["All"],
        )
        return [_message(found) for found in answer.get("Messages", ())]

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        entries = [{"Id": str(i), "ReceiptHandle": m.receipt} for i, m in enumerate(messages)]
        await self._batches("delete_message_batch", entries)

    async def release(self, messages: Sequence[Message], after_seconds: int) -> None:
        entries = [
            {"Id": str(i), "ReceiptHandle": m.receipt, "VisibilityTimeout": after_seconds}
            for i, m in enumerate(messages)
        ]
        await self._batches("change_message_visibility_batch", entries)

    async def hold(self, messages: Sequence[Message]) -> None:
        await self.release(messages, self._visibility_seconds)

    async def send(self, sendings: Sequence[Sending]) -> None:
        """Every batch is tried, also when one before it failed."""
        failed: list[str] = []
        for batch in _batches(sendings):
            entries = [
                {"Id": str(i), "MessageBody": s.body, **self._fifo(self._name, s.group, s.deduplication)}
                for i, s in enumerate(batch)
            ]
            try:
                answer = await self._call(self._name, "send_message_batch", Entries=entries)
                failed += [str(one.get("Message", "refused")) for one in answer.get("Failed", ())]
            except Unavailable as error:
                failed.append(str(error))
        if failed:
            raise Unavailable(f"{self._name} did not take everything: {failed[0]}")

    async def dead_letter(self, message: Message, reason: str) -> None:
        group = message.group or "dead"
        await self._call(
            self._dead_name,
            "send_message",
            MessageBody=message.body or " ",
            MessageAttributes={"reason": {"DataType": "String", "StringValue": reason[:1000] or "unknown"}},
            **self._fifo(self._dead_name, group, message.id),
        )
        await self.acknowledge([message])

    @staticmethod
    def _fifo(name: str, group: str, deduplication: str) -> dict[str, str]:
        if not name.endswith(".fifo"):
            return {}
        return {"MessageGroupId": group, "MessageDeduplicationId": deduplication}

    async def _batches(self, operation: str, entries: Sequence[dict[str, Any]]) -> None:
        for start in range(0, len(entries), _AT_ONCE):
            await self._call(self._name, operation, Entries=entries[start : start + _AT_ONCE])

    async def _call(self, name: str, operation: str, **arguments: Any) -> dict[str, Any]:
        try:
            with translated(f"{operation.replace('_', ' ')} on {name}"):
                if name not in self._urls:
                    self._urls[name] = (await self._client.get_queue_url(QueueName=name))["QueueUrl"]
                answer: dict[str, Any] = await getattr(self._client, operation)(QueueUrl=self._urls[name], **arguments)
                return answer
        except NotFound as error:
            self._urls.pop(name, None)
            raise Unavailable(str(error)) from error
        except Refused as error:
            raise Unavailable(str(error)) from error


def _batches(sendings: Sequence[Sending]) -> Iterator[list[Sending]]:
    """At most ten messages and, unless one alone is larger, ``_MAX_BYTES`` in each."""
    batch: list[Sending] = []
    size = 0
    for sending in sendings:
        weight = len(sending.body.encode())
        if batch and (len(batch) == _AT_ONCE or size + weight > _MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(sending)
        size += weight
    if batch:
        yield batch


def _message(found: dict[str, Any]) -> Message:
    attributes = found.get("Attributes", {})
    return Message(
        id=found["MessageId"],
        body=found["Body"],
        receipt=found["ReceiptHandle"],
        receives=int(attributes.get("ApproximateReceiveCount", 1)),
        group=attributes.get("MessageGroupId", ""),
        sender=attributes.get("SenderId", ""),
        sent_at=int(attributes.get("SentTimestamp", 0)) / 1000,
        attributes={
            name: str(value.get("StringValue", "")) for name, value in found.get("MessageAttributes", {}).items()
        },
    )
