"""Identifiers. A consequence gets its id from its cause, so that a retry says the same thing again."""

from uuid import UUID, uuid4, uuid5

_NAMESPACE = UUID("6f2f7a52-3f0c-5d0b-9d7e-0a4c6a1e2d11")

WORKFLOW_ID = r"^wf-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
"""39 characters: long enough for an AgentCore session id (33 to 256), which it also is."""


def new_workflow_id() -> str:
    return f"wf-{uuid4()}"


def derived_workflow_id(team: str, command_id: str) -> str:
    """The workflow a command will start, known before it is started."""
    return f"wf-{uuid5(_NAMESPACE, f'{team}/{command_id}')}"


def new_id() -> str:
    return str(uuid4())


def derive_id(cause: str, name: str) -> str:
    return str(uuid5(_NAMESPACE, f"{cause}/{name}"))
