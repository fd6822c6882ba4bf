"""The shapes of Memory's wire format and the rules their fields obey.

Sizes and patterns are those of the service model `bedrock-agentcore` 2024-02-28.
"""

from datetime import datetime
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from agentcore_local.errors import Invalid

MAX_EVENT_BYTES = 10 * 1024 * 1024
MAIN_BRANCH = "main"

ActorId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=r"^[a-zA-Z0-9][a-zA-Z0-9\-_/]*(?::[a-zA-Z0-9\-_/]+)*[a-zA-Z0-9\-_/]*\Z",
    ),
]
SessionId = Annotated[str, Meta(max_length=100, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9\-_]*\Z")]
BranchName = Annotated[str, Meta(max_length=100, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9\-_]*\Z")]
EventId = Annotated[str, Meta(pattern=r"^[0-9]+#[a-fA-F0-9]+\Z")]
MetadataKey = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9\s._:/=+@\-]*\Z")]
MetadataText = Annotated[str, Meta(max_length=256, pattern=r"^[a-zA-Z0-9\s._:/=+@\-]*\Z")]
MemoryId = Annotated[
    str,
    Meta(
        pattern=r"^(arn:(aws|aws-cn|aws-us-gov):bedrock-agentcore:[a-z0-9-]+:[0-9]{12}:memory/)?"
        r"[a-zA-Z][a-zA-Z0-9\-_]{0,99}-[a-zA-Z0-9]{10}\Z"
    ),
]


class Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class Content(Shape, frozen=True):
    text: Annotated[str, Meta(min_length=1, max_length=100_000)]


class Conversational(Shape, frozen=True):
    content: Content
    role: Literal["ASSISTANT", "USER", "TOOL", "OTHER"]


class JsonData(Shape, frozen=True):
    content: Raw


class PayloadItem(Shape, frozen=True, omit_defaults=True):
    """A union: exactly one member is set. Documents stay the bytes they came as."""

    conversational: Conversational | UnsetType = UNSET
    blob: Raw | UnsetType = UNSET
    json: JsonData | UnsetType = UNSET

    def __post_init__(self) -> None:
        if sum(item is not UNSET for item in (self.conversational, self.blob, self.json)) != 1:
            raise ValueError("a payload item has exactly one of conversational, blob and json")


class Branch(Shape, frozen=True, omit_defaults=True):
    name: BranchName
    root_event_id: EventId | UnsetType = UNSET


class MetadataValue(Shape, frozen=True):
    string_value: MetadataText


class NewEvent(Shape, frozen=True):
    """The body of CreateEvent; `event_timestamp` in seconds since 1970 or ISO 8601."""

    actor_id: ActorId
    event_timestamp: float | datetime
    payload: Annotated[list[PayloadItem], Meta(max_length=100)]
    session_id: SessionId | None = None
    branch: Branch | None = None
    client_token: str | None = None
    metadata: Annotated[dict[MetadataKey, MetadataValue], Meta(max_length=15)] = {}

    @property
    def microseconds(self) -> int:
        """The event's time since 1970."""
        at = self.event_timestamp
        return round((at.timestamp() if isinstance(at, datetime) else at) * 1_000_000)


class StoredEvent(Shape, frozen=True, omit_defaults=True):
    """An event as every operation answers it; `payload` is its JSON."""

    memory_id: str
    actor_id: str
    session_id: str
    event_id: str
    event_timestamp: float
    payload: Raw = Raw(b"[]")
    branch: Branch | UnsetType = UNSET
    metadata: dict[str, MetadataValue] | UnsetType = UNSET


class MetadataOperand(Shape, frozen=True):
    metadata_key: MetadataKey


class MetadataRight(Shape, frozen=True):
    metadata_value: MetadataValue


class MetadataFilter(Shape, frozen=True):
    left: MetadataOperand
    operator: Literal["EQUALS_TO", "EXISTS", "NOT_EXISTS"]
    right: MetadataRight | None = None

    def __post_init__(self) -> None:
        if (self.operator == "EQUALS_TO") is (self.right is None):
            raise ValueError("EQUALS_TO takes a right operand; EXISTS and NOT_EXISTS take none")


class BranchFilter(Shape, frozen=True):
    name: BranchName
    include_parent_branches: bool | None = None


class EventFilter(Shape, frozen=True):
    branch: BranchFilter | None = None
    event_metadata: Annotated[list[MetadataFilter], Meta(min_length=1, max_length=5)] | None = None


class Page(Shape, frozen=True):
    max_results: Annotated[int, Meta(ge=1, le=100)] | None = None
    next_token: str | None = None

    @property
    def limit(self) -> int:
        return self.max_results or 20


class ListEvents(Page, frozen=True):
    include_payloads: bool | None = None
    filter: EventFilter | None = None


class SessionFilter(Shape, frozen=True):
    event_filter: Literal["HAS_EVENTS"] | None = None


class ListSessions(Page, frozen=True):
    filter: SessionFilter | None = None


class SessionSummary(Shape, frozen=True):
    session_id: str
    actor_id: str
    created_at: float


_T = TypeVar("_T")


def parse(body: bytes, shape: type[_T]) -> _T:
    """A body as `shape`; an empty one counts as {}. Raises Invalid naming the wrong field."""
    try:
        return msgspec.json.decode(body or b"{}", type=shape, strict=True)
    except msgspec.ValidationError as error:
        raise Invalid(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"the body is not JSON: {error}", reason="CannotParse") from error


def check(value: str, rule: object, name: str) -> str:
    """A label of the path that has to obey the rule of its type."""
    try:
        return msgspec.convert(value, type=rule)  # type: ignore[no-any-return]
    except msgspec.ValidationError as error:
        raise Invalid(f"{name} {value!r} is not valid: {error}") from error
