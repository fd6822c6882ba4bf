"""One line of JSON for each thing worth knowing, on standard error."""

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

import msgspec

from amelia.redaction import ours
from amelia.telemetry import tell_last_words

WORKING_FOR: ContextVar[tuple[str, int]] = ContextVar("WORKING_FOR", default=("", 0))
"""The workflow and the attempt whose task logs."""


class Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        workflow_id, epoch = WORKING_FOR.get()
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if workflow_id:
            line |= {"workflow_id": workflow_id, "attempt": str(epoch)}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(ours().value(line)).decode()


def configure(level: str) -> None:
    tell_last_words()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("amelia_runtime").setLevel(level)
    logging.getLogger("amelia").setLevel(level)
    for name in ("bedrock_agentcore.app", "uvicorn", "uvicorn.error"):
        framework = logging.getLogger(name)
        framework.handlers.clear()
        framework.propagate = True
        framework.setLevel(logging.WARNING)
