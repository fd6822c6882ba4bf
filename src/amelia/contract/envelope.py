"""The one flat object that every message is, on SQS, in EventBridge, in the journal and on a WebSocket."""

from typing import Annotated

import msgspec
from msgspec import Meta

Number = Annotated[int, Meta(ge=0, le=2_147_483_647)]
"""A place in an order; as large as the journal's columns hold."""


class Command(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="type",
    forbid_unknown_fields=True,
):
    """An order. ``id`` names it for ever: the same id a second time changes nothing. ``actor`` is who gave it."""

    id: str
    workflow_id: str
    actor: str
    version: int = 1
    timestamp: str = ""
    correlation_id: str = ""
    traceparent: str = ""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """A report. ``timestamp`` is UTC, ISO 8601; for control-plane events it is the database's clock.

    A runtime's fact carries ``fact`` (1, 2, 3 … over all attempts), its progress ``ordinal`` (1, 2, 3 … within
    the attempt) and ``last_fact``; control-plane events carry neither.
    """

    id: str
    workflow_id: str
    version: int = 1
    attempt: Number = 0
    fact: Number = 0
    ordinal: Number = 0
    last_fact: Number = 0
    timestamp: str = ""
    correlation_id: str = ""
    causation_id: str = ""
    traceparent: str = ""
    signature: str = ""
