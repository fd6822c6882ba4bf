"""What the agents ask of a model service: one request in, a stream of text out, then the whole turn."""

from collections.abc import AsyncIterator
from typing import Any, Literal, Protocol
from urllib.parse import parse_qsl, urlencode

import msgspec

JsonObject = dict[str, Any]
"""A JSON object whose shape only the model and the tool agree on (arguments, JSON Schema)."""


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """Whose turn a request is. Sent to the service in the field it keeps for its caller's own reference
    (Anthropic ``metadata.user_id``, OpenAI's ``X-Client-Request-Id``, Bedrock ``requestMetadata``), so that bills and
    logs can be read per agent and a replayed conversation can be found. ``turn`` says which answer is asked for, from
    1, when the messages do not show it any more; else it is 0."""

    workflow_id: str
    issue: str
    agent: str
    task: str = ""
    round: int = 1
    turn: int = 0

    def encode(self) -> str:
        """At most 256 characters, the tightest of the three services."""
        return urlencode(
            {
                "workflow": self.workflow_id[:64],
                "agent": self.agent[:16],
                "round": self.round,
                **({"turn": self.turn} if self.turn else {}),
                "task": self.task[:64],
                "issue": self.issue[:64],
            }
        )[:256]

    @classmethod
    def decode(cls, text: str) -> "Label":
        """Raises ``ValueError`` when the text was not made by ``encode``."""
        fields = dict(parse_qsl(text, keep_blank_values=True))
        try:
            return cls(
                workflow_id=fields["workflow"],
                issue=fields.get("issue", ""),
                agent=fields["agent"],
                task=fields["task"],
                round=int(fields["round"]),
                turn=int(fields.get("turn", 0)),
            )
        except KeyError as missing:
            raise ValueError(f"{text!r} is not a label: it has no {missing}") from None


class Text(msgspec.Struct, frozen=True, tag="text", tag_field="type"):
    text: str


class ToolCall(msgspec.Struct, frozen=True, tag="tool_call", tag_field="type"):
    id: str
    name: str
    arguments: JsonObject


class ToolResult(msgspec.Struct, frozen=True, tag="tool_result", tag_field="type"):
    call_id: str
    content: str
    is_error: bool = False


Part = Text | ToolCall | ToolResult


class Message(msgspec.Struct, frozen=True):
    role: Literal["user", "assistant"]
    parts: tuple[Part, ...]


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """``parameters`` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: JsonObject


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """``must_call`` names the one tool the model has to call: how a typed answer is asked for."""

    model: str
    system: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    must_call: str | None = None
    max_tokens: int = 8192
    label: Label


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one or more turns. ``input_tokens`` counts what was neither read from nor written to a cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
        )


class TextDelta(msgspec.Struct, frozen=True):
    """An empty one says that the model is at something that is no text: it thinks, or writes a call, or
    is waited for. One that is ``anew`` begins the answer again: what was yielded of it before does not count."""

    text: str
    anew: bool = False


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """The model's whole answer; ``stop`` says why it ended."""

    message: Message
    usage: Usage
    stop: Literal["end", "tool_calls", "max_tokens"]

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.message.parts if isinstance(part, Text))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        return tuple(part for part in self.message.parts if isinstance(part, ToolCall))


class Driver(Protocol):
    """One model service. ``stream`` yields text as it comes and ends with exactly one ``Turn``.

    Errors: ``Refused`` when the service will never take this request (credentials, validation), with what to
    fix; ``Unavailable`` when it would not answer now, after the driver's own retries.
    """

    name: str

    def stream(self, request: Request) -> AsyncIterator[TextDelta | Turn]: ...

    async def aclose(self) -> None: ...
