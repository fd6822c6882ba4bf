"""What the steps of one run stand on."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..contract.envelope import Event
from ..contract.events import TokensUsed
from ..contract.workflow import Money
from ..drivers.base import Driver, Label, Usage
from ..drivers.prices import price_list
from ..ports.agents import Announcer, ObjectStore
from ..workspace.tree import Tree, open_tree
from .facts import record
from .job import Job
from .state import State, Step, Work


class Site:
    """``carried`` is what this attempt's usage begins at: spent by an earlier one, and not yet in the journal."""

    def __init__(
        self,
        job: Job,
        *,
        driver: Driver,
        model: str,
        announcer: Announcer,
        objects: ObjectStore,
        workdir: Path,
        epoch: int,
        carried: Money,
    ) -> None:
        self.job = job
        self.driver = driver
        self.model = model
        self.announcer = announcer
        self.objects = objects
        self.workdir = workdir
        self.epoch = epoch
        self._carried = carried
        self._tree: Tree | None = None

    async def tree(self, work: Work) -> Tree:
        """The worktree with the commits of the finished tasks. Cloned at the first call of a run.

        Raises ``Refused`` when the repository or its base branch is not there, ``Unavailable`` for the network.
        """
        if self._tree is None:
            job = self.job
            tree = await open_tree(job.repository, job.base, job.branch, self.workdir, work.base_commit)
            if work.bundle is not None:
                await tree.restore_commits(await self.objects.get(work.bundle), work.commit)
            self._tree = tree
        return self._tree

    def label(self, agent: str, task: str = "", round: int = 1) -> Label:  # noqa: A002 - the label's own word
        return Label(workflow_id=self.job.workflow_id, issue=self.job.issue.id, agent=agent, task=task, round=round)

    def spend(self, work: Work, usage: Usage) -> Work:
        """Usage counts from zero in every attempt."""
        before = work.spent if work.spent_in == self.epoch else self._carried
        spent = Money(
            input_tokens=before.input_tokens + usage.input_tokens,
            output_tokens=before.output_tokens + usage.output_tokens,
            cache_read_tokens=before.cache_read_tokens + usage.cache_read_tokens,
            cache_write_tokens=before.cache_write_tokens + usage.cache_write_tokens,
            cost_microdollars=before.cost_microdollars + price_list().cost(self.model, usage),
        )
        return msgspec.structs.replace(work, spent=spent, spent_in=self.epoch)

    def tokens_used(self, work: Work) -> TokensUsed:
        return TokensUsed(id="", workflow_id=self.job.workflow_id, used=work.spent, model=self.model)

    def onward(self, state: State, work: Work, step: Step, said: Sequence[Event]) -> State:
        """The state that ends a step: what was said, and what comes next."""
        return record(state, msgspec.structs.replace(work, step=step, begun=self.epoch), said, self.job.highest_fact)
