"""Where issues come from."""

from typing import Protocol

from ..contract.workflow import Issue


class Tracker(Protocol):
    def issue(self, issue_id: str) -> Issue:
        """Raises ``NotFound`` when the tracker has no such issue, saying how to give it another way."""
        ...
