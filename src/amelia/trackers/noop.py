"""The tracker of those who have none: it knows no issue."""

from ..contract.workflow import Issue
from ..errors import NotFound
from .tracker import Comment


class NoTracker:
    async def read(self, reference: str) -> Issue:
        raise NotFound(
            f"nobody knows the issue {reference!r}; give the path of a Markdown file, owner/repository#123 of GitHub, "
            "an id with --title, or a profile whose tracker knows it"
        )

    async def tell(self, reference: str, comment: Comment) -> str:
        return ""
