"""The bus on EventBridge: batches in, retries of what the bus says may pass."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from typing import Any

from ...errors import Refused, Unavailable
from ...ports.queues import Announcement
from .session import translated

MAX_ENTRIES = 10
MAX_BYTES = 256_000
"""``PutEvents`` takes 1 MB; older buses and most emulators 256 KB."""

RETRIED = frozenset({"InternalFailure", "InternalException", "ThrottlingException"})
ENTRY_OVERHEAD = 200


class EventBus:
    """``client`` comes from ``session.open_client("events", …)``; ``source`` says who speaks."""

    def __init__(self, client: Any, *, bus: str, source: str, attempts: int = 5) -> None:
        self._client = client
        self._bus = bus
        self._source = source
        self._attempts = attempts

    async def publish(self, messages: Sequence[Announcement]) -> None:
        """In order, as far as the bus allows."""
        for batch in batches(messages):
            await self._put([self._entry(message) for message in batch])

    async def _put(self, entries: list[dict[str, str]]) -> None:
        for attempt in range(self._attempts):
            if attempt:
                await asyncio.sleep(random.uniform(0.5, 1) * 0.05 * 2**attempt)  # noqa: S311 - jitter
            try:
                with translated(f"publishing {len(entries)} events on {self._bus}"):
                    answer = await self._client.put_events(Entries=entries)
            except Refused as error:
                raise Unavailable(str(error)) from error
            failed = _failed(entries, answer)
            for entry, code, said in failed:
                if code not in RETRIED:
                    raise Refused(f"the bus {self._bus} does not take a {entry['DetailType']}: {code} {said}".rstrip())
            entries = [entry for entry, _, _ in failed]
            if not entries:
                return
        raise Unavailable(
            f"the bus {self._bus} kept back {len(entries)} events {self._attempts} times; try again later"
        )

    def _entry(self, message: Announcement) -> dict[str, str]:
        return {
            "Source": self._source,
            "DetailType": message.type,
            "Detail": message.body.decode(),
            "EventBusName": self._bus,
        }


def batches(messages: Sequence[Announcement]) -> Iterator[list[Announcement]]:
    """At most ``MAX_ENTRIES`` messages and, unless one alone is larger, ``MAX_BYTES`` in each."""
    batch: list[Announcement] = []
    size = 0
    for message in messages:
        weight = len(message.body) + len(message.type) + ENTRY_OVERHEAD
        if batch and (len(batch) == MAX_ENTRIES or size + weight > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += weight
    if batch:
        yield batch


def _failed(entries: list[dict[str, str]], answer: dict[str, Any]) -> list[tuple[dict[str, str], str, str]]:
    if not answer.get("FailedEntryCount"):
        return []
    results = zip(entries, answer["Entries"], strict=True)
    return [(e, r["ErrorCode"], r.get("ErrorMessage", "")) for e, r in results if r.get("ErrorCode")]
