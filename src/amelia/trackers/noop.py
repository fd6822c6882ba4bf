"""The tracker of those who have none: it knows no issue."""

from ..contract.workflow import Issue
from ..errors import NotFound


class NoTracker:
    def issue(self, issue_id: str) -> Issue:
        raise NotFound(
            f"nobody knows the issue {issue_id!r}; give the path of a Markdown file, or --title with "
            "--description-file, or a profile with 'tracker: file' and 'issues: DIRECTORY'"
        )
