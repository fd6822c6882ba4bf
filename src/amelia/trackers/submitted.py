"""Issues as they are submitted: some in full, some as references that the control plane has to look up."""

from typing import Protocol

from msgspec.structs import replace

from ..contract.workflow import Issue, Profile
from ..errors import Refused, Unauthorised, Unavailable
from .connection import Trackers


class IssueReader(Protocol):
    async def complete(self, issue: Issue, profile: Profile, repository: str) -> tuple[Issue, Profile]:
        """What was given in full stays as it is; of a reference, the issue, and the profile with its tracker.

        Raises ``NotFound`` and ``Refused`` with how to give it another way, and ``Unavailable``.
        """
        ...


class FullIssues:
    """Where no tracker can be asked."""

    async def complete(self, issue: Issue, profile: Profile, repository: str) -> tuple[Issue, Profile]:
        if not issue.title.strip():
            raise Refused(f"the issue {issue.id!r} has no title, and no tracker is known here; give it a title")
        return issue, profile


class LookedUp:
    """``repository`` is the one that the work is on: a bare number is an issue of it."""

    def __init__(self, trackers: Trackers) -> None:
        self._trackers = trackers

    async def complete(self, issue: Issue, profile: Profile, repository: str) -> tuple[Issue, Profile]:
        if issue.title.strip():
            return issue, profile
        known = self._trackers.recognised(issue.id, profile.tracker, repository)
        if known is None:
            raise Refused(
                f"the issue {issue.id!r} has no title, and is none that a tracker knows; give it a title, name it as "
                "owner/repository#123, or by its key in Jira with the tracker 'jira'"
            )
        try:
            found = await self._trackers.read(known)
        except Unauthorised as error:
            raise Unavailable(f"{error} in the control plane's settings, or submit the issue with its title") from error
        return found, replace(profile, tracker=known.tracker)
