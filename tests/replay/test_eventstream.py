from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from amelia_replay import eventstream


def decoded(data: bytes) -> list[Any]:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return list(buffer)


@pytest.mark.parametrize("payload", [b"", b"{}", "ü".encode() * 10_000])
def test_botocore_reads_what_is_written(payload: bytes) -> None:
    first, second = decoded(eventstream.event("metadata", payload) + eventstream.exception("oops", b"{}"))
    assert first.headers[":event-type"] == "metadata"
    assert first.payload == payload
    assert second.headers[":message-type"] == "exception"
