"""The operations by method and URI, as in the service model, and the server's own."""

import re
from typing import Literal
from urllib.parse import unquote

import msgspec

from agentcore_local.errors import Plane

Kind = Plane | Literal["control"]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    plane: Kind
    method: str
    uri: re.Pattern[bytes]


def _operation(name: str, plane: Kind, method: str, uri: str) -> Operation:
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", uri).encode()
    return Operation(name=name, plane=plane, method=method, uri=re.compile(pattern + rb"\Z"))


_SESSION = "/memories/{memory}/actor/{actor}/sessions/{session}"
_TOKEN = "/identities/GetWorkloadAccessToken"  # noqa: S105

OPERATIONS: tuple[Operation, ...] = (
    _operation("invoke", "runtime", "POST", "/runtimes/{arn}/invocations"),
    _operation("stop", "runtime", "POST", "/runtimes/{arn}/stopruntimesession"),
    _operation("create_event", "memory", "POST", "/memories/{memory}/events"),
    _operation("list_events", "memory", "POST", _SESSION),
    _operation("get_event", "memory", "GET", _SESSION + "/events/{event}"),
    _operation("delete_event", "memory", "DELETE", _SESSION + "/events/{event}"),
    _operation("list_sessions", "memory", "POST", "/memories/{memory}/actor/{actor}/sessions"),
    _operation("list_actors", "memory", "POST", "/memories/{memory}/actors"),
    _operation("get_workload_access_token", "identity", "POST", _TOKEN),
    _operation("get_workload_access_token_for_user_id", "identity", "POST", _TOKEN + "ForUserId"),
    _operation("get_workload_access_token_for_jwt", "identity", "POST", _TOKEN + "ForJWT"),
    _operation("get_resource_api_key", "identity", "POST", "/identities/api-key"),
    _operation("get_resource_oauth2_token", "identity", "POST", "/identities/oauth2/token"),
    _operation("put_faults", "control", "PUT", "/_faults"),
    _operation("get_faults", "control", "GET", "/_faults"),
    _operation("get_sessions", "control", "GET", "/_sessions"),
    _operation("get_health", "control", "GET", "/_health"),
)


def route(method: str, raw_path: bytes) -> tuple[Operation, dict[str, str]] | None:
    """The operation of a request and its labels, decoded only now: an ARN's %2F does not part the path."""
    for operation in OPERATIONS:
        if operation.method == method and (match := operation.uri.match(raw_path)):
            labels = {name: unquote(value.decode("latin-1")) for name, value in match.groupdict().items()}
            return operation, labels
    return None
