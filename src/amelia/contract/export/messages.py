"""Which types the documents are about, and where each has its file."""

from typing import Any, get_args

from .. import commands, events, frames, invocation, plan, views, workflow
from .schema import DIALECT, JsonObject, schema_of

COMMANDS: tuple[Any, ...] = get_args(commands.AnyCommand)
EVENTS: tuple[Any, ...] = get_args(events.AnyEvent)
FROM_THE_CONTROL_PLANE: tuple[Any, ...] = get_args(events.ControlFact)

_OTHERS: dict[str, Any] = {
    "invocation": invocation.Invocation,
    "accepted": invocation.Accepted,
    "plan": plan.Plan,
    "verdict": plan.Verdict,
    "profile": workflow.Profile,
    "stream/caught_up": views.CaughtUp,
    "stream/ping": views.Ping,
    "stream/fleet_caught_up": frames.FleetCaughtUp,
    "stream/fleet_ping": frames.FleetPing,
    "views/start_request": views.StartRequest,
    "views/decision_request": views.DecisionRequest,
    "views/revise_request": views.ReviseRequest,
    "views/pause_request": views.PauseRequest,
    "views/resume_request": views.ResumeRequest,
    "views/retry_request": views.RetryRequest,
    "views/message_request": views.MessageRequest,
    "views/queue": views.QueueView,
    "views/workflow": views.WorkflowView,
    "views/workflow_page": views.WorkflowPage,
    "views/plan": views.PlanView,
    "views/usage": views.UsageView,
    "views/artifacts": views.ArtifactList,
    "views/lesson": views.LessonView,
    "views/lessons": views.LessonList,
    "views/dead_letter": views.DeadLetterView,
    "views/dead_letter_page": views.DeadLetterPage,
    "views/health": views.Health,
    "views/problem": views.Problem,
}


def tag_of(kind: Any) -> str:
    return str(kind.__struct_config__.tag)


def types() -> dict[str, Any]:
    """Every type with a schema of its own, by the path of its file without suffix."""
    return {
        **{f"commands/{tag_of(kind)}": kind for kind in COMMANDS},
        **{f"events/{tag_of(kind)}": kind for kind in EVENTS},
        **_OTHERS,
    }


def schemas() -> dict[str, JsonObject]:
    made = {name: schema_of(kind) for name, kind in types().items()}
    return {**made, "stream/event": _streamed(), "stream/fleet_event": _streamed_with_cursor()}


def _streamed() -> JsonObject:
    """An event as streams carry it. A union cannot be a msgspec type here, because the sequence is added to any."""
    return {
        "$schema": DIALECT,
        "title": "StreamedEvent",
        "description": "A frame of the stream: an event of the journal, with its place in the workflow's order.",
        "type": "object",
        "required": ["sequence"],
        "properties": {"sequence": {"type": "integer", "minimum": 1, "description": "Dense per workflow, from 1."}},
        "anyOf": [{"$ref": f"../events/{tag_of(kind)}.json"} for kind in EVENTS if kind is not events.RuntimeHeartbeat],
    }


def _streamed_with_cursor() -> JsonObject:
    cursor = {"type": "string", "description": "Opaque; as `after` it is where to go on behind this event."}
    return {
        "$schema": DIALECT,
        "title": "FleetEvent",
        "description": "A frame of the fleet's stream: an event as on its workflow's stream, and its place.",
        "type": "object",
        "required": ["cursor"],
        "properties": {"cursor": cursor},
        "allOf": [{"$ref": "event.json"}],
    }
