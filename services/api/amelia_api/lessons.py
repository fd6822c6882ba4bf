"""What workflows have learnt about repositories, over HTTP: looked at and forgotten."""

from typing import Annotated

from litestar import Controller, delete, get
from litestar.params import FromPath, QueryParameter

from amelia.contract.views import LessonList, LessonView
from amelia.domain.shown import lesson_view
from amelia.errors import NotFound

from .depends import Journal, TheCaller
from .problems import answers


class Lessons(Controller):
    path = "/lessons"
    tags = ("memory",)

    @get(responses=answers(400, 401, 503))
    async def index(
        self,
        journal: Journal,
        caller: TheCaller,
        repository: Annotated[str, QueryParameter(max_length=2000, required=False)] = "",
    ) -> LessonList:
        """The caller's team's, the newest first; of all its repositories when none is named."""
        kept = await journal.lessons(caller.team, repository)
        return LessonList(items=tuple(map(lesson_view, kept)))

    @delete("/{lesson_id:str}", status_code=200, responses=answers(400, 401, 404, 503))
    async def forget(self, lesson_id: FromPath[str], journal: Journal, caller: TheCaller) -> LessonView:
        """No workflow is told it any more, until one finds it out again."""
        for gone in await journal.forget(caller.team, [lesson_id]):
            return lesson_view(gone)
        raise NotFound(f"there is no lesson {lesson_id}; amelia memory list shows those there are")
