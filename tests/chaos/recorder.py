"""A subscriber of the bus: a queue behind a rule of its own on what the control plane says."""

import asyncio
import contextlib
import json
from typing import Any

import aiohttp

_QUEUE = "chaos-recorder"
_RULE = "chaos-recorder"
_AUTH = "AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"


class Recorder:
    """Speaks to the emulator itself, past the proxy."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self._client = client
        self._url = url
        self._queue = ""

    async def subscribe(self) -> None:
        self._queue = (await self._sqs("CreateQueue", QueueName=_QUEUE))["QueueUrl"]
        answer = await self._sqs("GetQueueAttributes", QueueUrl=self._queue, AttributeNames=["QueueArn"])
        pattern = json.dumps({"source": ["amelia.control"]})
        await self._ask("events", "AWSEvents.PutRule", Name=_RULE, EventBusName="amelia", EventPattern=pattern)
        targets = [{"Id": "recorder", "Arn": answer["Attributes"]["QueueArn"]}]
        await self._ask("events", "AWSEvents.PutTargets", Rule=_RULE, EventBusName="amelia", Targets=targets)

    async def listen(self, heard: list[dict[str, Any]]) -> None:
        """For ever. An emulator that has forgotten the subscription gets it again."""
        while True:
            try:
                messages = await self._sqs(
                    "ReceiveMessage", QueueUrl=self._queue, MaxNumberOfMessages=10, WaitTimeSeconds=2
                )
                entries = []
                for number, message in enumerate(messages.get("Messages") or ()):
                    heard.append(json.loads(message["Body"])["detail"])
                    entries.append({"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]})
                if entries:
                    await self._sqs("DeleteMessageBatch", QueueUrl=self._queue, Entries=entries)
            except (aiohttp.ClientError, TimeoutError, OSError):
                await asyncio.sleep(0.5)
                with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                    await self.subscribe()

    async def _sqs(self, operation: str, **arguments: Any) -> dict[str, Any]:
        return await self._ask("sqs", f"AmazonSQS.{operation}", **arguments)

    async def _ask(self, service: str, target: str, **arguments: Any) -> dict[str, Any]:
        headers = {
            "X-Amz-Target": target,
            "Content-Type": "application/x-amz-json-1.1" if service == "events" else "application/x-amz-json-1.0",
            "Authorization": _AUTH.format(service=service),
        }
        async with self._client.post(
            self._url, data=json.dumps(arguments), headers=headers, timeout=aiohttp.ClientTimeout(10)
        ) as answer:
            answer.raise_for_status()
            return dict(json.loads(await answer.read() or b"{}"))
