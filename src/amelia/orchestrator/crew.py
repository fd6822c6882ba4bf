"""The tasks that are worked at once."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from ..errors import Refused
from ..workspace.lanes import close_lane, open_lane, rebase
from ..workspace.tree import Tree
from .live import Stopped
from .state import Going, Work

if TYPE_CHECKING:
    from .agents.developer import Done
    from .site import Site


class Crew:
    """Each task has an agent of its own, in a worktree of its own, and goes on while the graph records what became of
    another one. Use as a context: it ends all of them."""

    def __init__(self, site: "Site") -> None:
        self._site = site
        self._opening = asyncio.Lock()
        self._lanes: dict[str, Tree] = {}
        self._under_way: dict[str, asyncio.Task[Done]] = {}

    async def __aenter__(self) -> "Crew":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def first(self, work: Work) -> tuple[str, "Done", Tree]:
        """What became of the first of the active tasks that ends, and its worktree; the others go on.

        When one of them stops on purpose so do the others, each before its next turn; then ``Stopped`` is raised.
        """
        for task, going in work.active.items():
            if task not in self._under_way:
                self._under_way[task] = asyncio.create_task(self._carried_out(work, task, going))
        await asyncio.wait(self._under_way.values(), return_when=asyncio.FIRST_COMPLETED)
        ended = [task for task in work.active if self._under_way[task].done()]
        task = next((one for one in ended if self._under_way[one].exception() is None), ended[0])
        try:
            done = await self._under_way.pop(task)
        except Stopped as stopped:
            await self._halt(stopped)
            raise
        return task, done, self._lanes[task]

    async def dismiss(self, main: Tree, task: str) -> None:
        """What the task came to is on the branch, or will never be."""
        await close_lane(main, self._lanes.pop(task))

    async def _halt(self, stopped: Stopped) -> None:
        self._site.stopping = stopped
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _carried_out(self, work: Work, task: str, going: Going) -> "Done":
        """What goes wrong with one worktree is that task's failure."""
        from .agents.developer import Done, carry_out

        lane = self._lanes.get(task) or await self._opened(work, task, going)
        try:
            return await carry_out(self._site, work, lane, task, going)
        except Refused as error:
            return Done(task=work.named(task), summary=str(error), cause=str(error))

    async def _opened(self, work: Work, task: str, going: Going) -> Tree:
        """As an earlier attempt left it, as far as commits go."""
        async with self._opening:
            lane = await open_lane(await self._site.tree(work), task, going.base)
            if going.bundle is not None:
                await lane.restore_commits(await self._site.objects.get(going.bundle), going.commit)
                await rebase(lane, going.commit, going.base)
            self._lanes[task] = lane
        return lane


def without(active: Mapping[str, Going], task: str) -> dict[str, Going]:
    return {id_: going for id_, going in active.items() if id_ != task}
