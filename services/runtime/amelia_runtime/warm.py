"""What is loaded before a session is asked anything, so that processes forked from here begin warm."""

import importlib

MODULES = (
    "amelia.drivers.anthropic",
    "amelia.drivers.bedrock",
    "amelia.drivers.openai",
    "amelia.memory.fenced",
    "amelia.orchestrator.run",
    "amelia.orchestrator.graph",
    "boto3",
    "langgraph.checkpoint.serde.jsonplus",
)


def load() -> None:
    """Code from the installed packages: no thread, no connection, no credential."""
    for module in MODULES:
        importlib.import_module(module)
