"""What must not be read by a model, a log or a person later: secrets, replaced by ``[redacted:KIND]``."""

from .known import in_environment
from .redactor import MARK, Redactor, ours
from .stream import Stream
from .worktree import in_worktree

__all__ = ["MARK", "Redactor", "Stream", "in_environment", "in_worktree", "ours"]
