"""What was worked here, looked at by the names under which a fleet is asked."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from amelia.contract import events as e
from amelia.contract.views import (
    ArtifactList,
    LessonList,
    LessonView,
    PlanView,
    UsageView,
    WorkflowPage,
    WorkflowView,
)
from amelia.domain.artifacts import artifact_view, newest_of_each_name
from amelia.domain.shown import lesson_view
from amelia.domain.usage import usage_view
from amelia.errors import AmeliaError, NotFound, Refused

from .story import FILE, LOCK, Story, plan_view

if TYPE_CHECKING:
    from amelia.adapters.local.objects import FolderObjects
    from amelia.contract.envelope import Event


class LocalPlane:
    """Reads the runs below ``folder``, also while one of them is at work. Raises ``NotFound`` and ``Refused``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def workflows(
        self,
        *,
        status: "str | Sequence[str]" = "",
        owner: str = "",
        repository: str = "",
        limit: int = 50,
        cursor: str = "",
    ) -> WorkflowPage:
        """Newest first. One that cannot be read is left out."""
        wanted = {status} - {""} if isinstance(status, str) else set(status)
        found = [
            view
            for view in sorted(self._all(), key=lambda view: (view.created_at, view.id), reverse=True)
            if (not wanted or view.status in wanted)
            and owner in ("", view.owner)
            and repository in ("", view.repository)
        ]
        first = next((place + 1 for place, view in enumerate(found) if view.id == cursor), 0)
        page = tuple(found[first : first + limit])
        return WorkflowPage(items=page, next=page[-1].id if len(found) > first + limit else "")

    def resolve(self, prefix: str) -> str:
        """The one run whose id begins so, with or without ``wf-``."""
        wanted = prefix if prefix.startswith("wf-") else f"wf-{prefix}"
        found = [name for name in self._names() if name.startswith(wanted)] if len(wanted) > 3 else []
        if not found:
            raise NotFound(f"nothing was worked here as {prefix!r}; amelia workflows list --local shows what was")
        if len(found) > 1:
            raise Refused(f"{prefix!r} may be {', '.join(found[:4])}; give more of it")
        return found[0]

    def workflow(self, workflow_id: str) -> WorkflowView:
        from amelia.adapters.local.lock import taken

        view = self._read(workflow_id)[0].view()
        if view.status != "in_progress" or taken(self._folder / workflow_id / LOCK):
            return view
        why = f"interrupted: its process is gone; amelia start {view.issue.url or 'with the same ISSUE'} goes on"
        return replace(view, status="pending", phase="", reason=why)

    def plan(self, workflow_id: str) -> PlanView:
        story, _ = self._read(workflow_id)
        if story.row.block is None:
            raise NotFound(f"{workflow_id} is {story.row.status} and has no plan; its logs show when it has one")
        return asyncio.run(plan_view(story, story.row.block, self._objects(workflow_id)))

    def diff(self, workflow_id: str) -> bytes:
        row = self._read(workflow_id)[0].row
        claim = row.handed_in.diff if row.handed_in else row.block.diff if row.block else None
        if claim is None:
            raise NotFound(f"{workflow_id} is {row.status} and has handed in no work yet")
        return asyncio.run(self._objects(workflow_id).get(claim))

    def usage(self, workflow_id: str) -> UsageView:
        story, events = self._read(workflow_id)
        return usage_view(workflow_id, story.row.spent, [event for event in events if isinstance(event, e.TokensUsed)])

    def artifacts(self, workflow_id: str) -> ArtifactList:
        items = tuple(map(artifact_view, self._kept(workflow_id).values()))
        return ArtifactList(workflow_id=workflow_id, items=items)

    def artifact(self, workflow_id: str, name: str) -> bytes:
        kept = self._kept(workflow_id).get(name)
        if kept is None:
            raise NotFound(f"{workflow_id} has no artifact {name}; its list of artifacts shows those there are")
        return asyncio.run(self._objects(workflow_id).get(kept.claim))

    def events(self, workflow_id: str) -> "list[Event]":
        """In order; the first has the sequence 1."""
        return self._read(workflow_id)[1]

    def lessons(self, repository: str = "") -> LessonList:
        from amelia.adapters.local.lessons import LocalLessons

        return LessonList(items=tuple(map(lesson_view, LocalLessons(self._folder).lessons(repository))))

    def forget(self, lesson_id: str) -> LessonView:
        from amelia.adapters.local.lessons import LocalLessons

        for gone in LocalLessons(self._folder).forget([lesson_id]):
            return lesson_view(gone)
        raise NotFound(f"there is no lesson {lesson_id}; amelia memory list --local shows those there are")

    def _kept(self, workflow_id: str) -> dict[str, e.ArtifactStored]:
        events = self.events(workflow_id)
        return newest_of_each_name(event for event in events if isinstance(event, e.ArtifactStored))

    def _all(self) -> Iterator[WorkflowView]:
        for name in self._names():
            try:
                yield self.workflow(name)
            except AmeliaError:
                continue

    def _names(self) -> list[str]:
        return sorted(path.parent.name for path in self._folder.glob(f"*/{FILE}"))

    def _read(self, workflow_id: str) -> "tuple[Story, list[Event]]":
        story = Story(self._folder / workflow_id)
        try:
            with (story.folder / FILE).open("rb") as file:
                events = [event for event, _ in story.read(file)]
        except FileNotFoundError:
            events = []
        if not events:
            raise NotFound(f"nothing was worked here as {workflow_id!r}; amelia workflows list --local shows what was")
        return story, events

    def _objects(self, workflow_id: str) -> "FolderObjects":
        from amelia.adapters.local.objects import FolderObjects

        return FolderObjects(self._folder / workflow_id / "objects")
