"""What every protocol has to be able to do."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import msgspec

from amelia_replay.answer import Answer, Frame
from amelia_replay.asked import Asked

Json = dict[str, Any]


class Wire(Protocol):
    service: str
    media_type: str

    def asked(self, body: Json, headers: Mapping[str, str], path: str) -> Asked:
        """Raises ``ValueError`` when the body is not a request of this protocol."""
        ...

    def frames(self, answer: Answer, asked: Asked) -> Iterator[Frame]: ...

    def whole(self, answer: Answer, asked: Asked) -> Json: ...

    def refusal(self, status: int, message: str) -> tuple[Json, dict[str, str]]:
        """The body and the headers of an HTTP error."""
        ...

    def broken(self, status: int, message: str) -> bytes:
        """The error said inside a stream."""
        ...


def messages_of(body: Json) -> list[Json]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages: a list with at least one message is required")
    return messages


def encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)


def sse(value: Any, event: str = "") -> bytes:
    head = f"event: {event}\n".encode() if event else b""
    return head + b"data: " + encoded(value) + b"\n\n"
