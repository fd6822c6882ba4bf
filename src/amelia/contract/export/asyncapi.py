"""The AsyncAPI 3 document: what travels by queue, by bus and by WebSocket, from the control plane's side."""

from typing import Any

from .messages import COMMANDS, EVENTS, FROM_THE_CONTROL_PLANE, tag_of
from .schema import JsonObject, plain

_RUNTIME = tuple(kind for kind in EVENTS if kind not in FROM_THE_CONTROL_PLANE)

_TOKEN = "The fleet's token as a bearer. On a laptop it is in the file `token` of the state directory."  # noqa: S105
_COMMANDS = (
    "SQS FIFO; the message group is the workflow's id, the deduplication id the command's id and how often it was "
    "sent. Written by the outbox relay, read by the dispatcher. A body that is none of these becomes a dead letter "
    "with a reason."
)
_EVENTS = (
    "EventBridge; `detail-type` is the event's type, `detail` the event. `source` is `amelia.runtime` for what "
    "runtimes say (signed; may come late, twice, in any order or never) and `amelia.control` for what the control "
    "plane recorded. The journal, not the bus, is the truth: read a workflow's stream for the whole story."
)
_STREAM = (
    "Every event above `after`, once and in order, then `caught_up`, then live. Closes with 4400 (a bad `after`), "
    "4404 (no such workflow), 4408 (the reader was too slow: come back with the last `sequence` it has seen), 1012 "
    "(the server restarts: come back at once) or 1013 (the journal is away)."
)
_FLEET = (
    "Every event of the fleet after the cursor `after`, once, each workflow's in order, then `caught_up`, then live. "
    "Without a cursor from now on, with `begin` from the beginning. Every frame has a `cursor` to come back with. "
    "Closes as the stream of a workflow does."
)
_FRAMES = ("event", "caught_up", "ping")
_FLEET_FRAMES = ("fleet_event", "fleet_caught_up", "fleet_ping")


def asyncapi(version: str) -> JsonObject:
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Amelia",
            "version": version,
            "description": "Commands order, events report; the journal is the truth, queues and buses carry.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "channels": _channels(),
        "operations": _operations(),
        "components": {
            "messages": {
                **{tag_of(kind): _command(kind) for kind in COMMANDS},
                **{tag_of(kind): _event(kind) for kind in EVENTS},
                **{name: _frame(name) for name in (*_FRAMES, *_FLEET_FRAMES)},
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": _TOKEN}},
        },
    }


def _channels() -> JsonObject:
    after = {"type": "integer", "minimum": 0, "default": 0, "description": "The last sequence seen; 0 for all."}
    batch = {"enum": [0, 1], "default": 0, "description": "1: a frame may be an array of events."}
    query = {"type": "object", "properties": {"after": after, "batch": batch}}
    workflow = {"workflow_id": {"description": "`wf-` and a UUID."}}
    return {
        "commands": {
            "address": "amelia-commands.fifo",
            "description": _COMMANDS,
            "messages": _named(*map(tag_of, COMMANDS)),
        },
        "events": {"address": "amelia", "description": _EVENTS, "messages": _named(*map(tag_of, EVENTS))},
        "stream": {
            "address": "/api/v1/workflows/{workflow_id}/events",
            "description": _STREAM,
            "parameters": workflow,
            "messages": _named(*_FRAMES),
            "bindings": {"ws": {"method": "GET", "query": query}},
        },
        "fleetStream": {
            "address": "/api/v1/events",
            "description": _FLEET,
            "messages": _named(*_FLEET_FRAMES),
            "bindings": {"ws": {"method": "GET", "query": _fleet_query(batch)}},
        },
    }


def _fleet_query(batch: JsonObject) -> JsonObject:
    after = {"type": "string", "default": "", "description": "The cursor of the last frame seen, or `begin`."}
    narrowing = {
        "status": "Of workflows in this status when the event is read.",
        "type": "Events of this type.",
        "repository": "Of workflows in this repository.",
    }
    some = {
        name: {"type": "array", "items": {"type": "string"}, "description": said} for name, said in narrowing.items()
    }
    return {"type": "object", "properties": {"after": after, **some, "batch": batch}}


def _operations() -> JsonObject:
    control = map(tag_of, FROM_THE_CONTROL_PLANE)
    return {
        "sendCommand": _operation("send", "commands", map(tag_of, COMMANDS)),
        "receiveCommand": _operation("receive", "commands", map(tag_of, COMMANDS)),
        "publishFact": _operation("send", "events", control),
        "receiveRuntimeEvent": _operation("receive", "events", map(tag_of, _RUNTIME)),
        "streamEvents": {
            **_operation("send", "stream", _FRAMES),
            "security": [{"$ref": "#/components/securitySchemes/token"}],
        },
        "streamFleet": {
            **_operation("send", "fleetStream", _FLEET_FRAMES),
            "security": [{"$ref": "#/components/securitySchemes/token"}],
        },
    }


def _operation(action: str, channel: str, names: Any) -> JsonObject:
    messages = [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names]
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "messages": messages}


def _named(*names: str) -> JsonObject:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


def _command(kind: Any) -> JsonObject:
    group = {"type": "string", "description": "The workflow's id."}
    return _message(kind, "commands", {"MessageGroupId": group, "MessageDeduplicationId": {"type": "string"}})


def _event(kind: Any) -> JsonObject:
    source = "amelia.control" if kind in FROM_THE_CONTROL_PLANE else "amelia.runtime"
    return _message(kind, "events", {"source": {"const": source}, "detail-type": {"const": tag_of(kind)}})


def _message(kind: Any, folder: str, headers: JsonObject) -> JsonObject:
    name = tag_of(kind)
    said = {"description": plain(kind.__doc__)} if kind.__doc__ else {}
    return {
        "name": name,
        "title": kind.__name__,
        **said,
        "headers": {"type": "object", "properties": headers, "required": list(headers)},
        "payload": {"$ref": f"./{folder}/{name}.json"},
    }


def _frame(name: str) -> JsonObject:
    return {"name": name, "payload": {"$ref": f"./stream/{name}.json"}}
