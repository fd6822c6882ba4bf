"""The conversation file: what the model answers, per agent, task and round."""

from typing import Annotated, Any, Literal

import msgspec

from amelia.domain.recorded import Recorded
from amelia.drivers.base import JsonObject

Positive = Annotated[int, msgspec.Meta(ge=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Agent = Literal["architect", "developer", "reviewer", "summary"]
Calls = dict[str, JsonObject | str | None]


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A failure played before the answer. ``status`` alone is an HTTP error; ``cut`` alone closes the connection
    after that many characters of the answer; both together are the service's own error inside the stream."""

    status: Annotated[int, msgspec.Meta(ge=400, le=599)] | None = None
    cut: Count | None = None
    message: str = ""
    retry_after: Seconds | None = None
    times: Positive = 1


class Tokens(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Counts to report; ``input_tokens`` and ``output_tokens`` left out are estimated, one for four characters."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0


class Turn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer of the model. ``call`` maps tools to their arguments; a list of such maps calls one tool several
    times. Arguments given as text are sent as they are, malformed or not. ``after`` is not played: what the model had
    been told before it answered so, in the workflow that the file was made from."""

    say: str = ""
    call: Calls | list[Calls] = msgspec.field(default_factory=dict)
    stop: Literal["max_tokens"] | None = None
    usage: Tokens = Tokens()
    latency: Seconds | None = None
    chunk_delay: Seconds | None = None
    errors: list[Fault] = msgspec.field(default_factory=list)
    after: list[str] = msgspec.field(default_factory=list)

    @property
    def calls(self) -> list[tuple[str, JsonObject | str]]:
        maps = [self.call] if isinstance(self.call, dict) else self.call
        return [(tool, {} if given is None else given) for calls in maps for tool, given in calls.items()]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The turns of one agent. ``task`` is a glob; ``repeat`` also answers the rounds after this one that no other
    section answers. ``ended`` is not played: what the last turn was answered with, where the file was made from."""

    agent: Agent
    task: str = "*"
    round: Positive = 1
    repeat: bool = False
    issue: str | None = None
    ended: list[str] = msgspec.field(default_factory=list)
    turns: Annotated[list[Turn], msgspec.Meta(min_length=1)]


class Conversation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole file. ``issue`` is a glob over the issues that it plays for; ``latency`` and ``chunk_delay``, in
    seconds, count for every turn that has none of its own. ``recorded`` is the workflow that the file was made from."""

    version: Literal[1]
    issue: str = "*"
    latency: Seconds = 0.0
    chunk_delay: Seconds = 0.0
    recorded: Recorded | None = None
    conversations: Annotated[list[Section], msgspec.Meta(min_length=1)]


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a conversation file."""
    (root,), parts = msgspec.json.schema_components([Conversation], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Amelia conversation file",
        **root,
        "$defs": parts,
    }
