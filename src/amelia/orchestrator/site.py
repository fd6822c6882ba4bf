"""What the steps of one run stand on."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..contract.envelope import Event
from ..contract.events import (
    ArtifactStored,
    BudgetReached,
    LessonLearnt,
    MessageApplied,
    TokensUsed,
    WorkflowTimeout,
)
from ..contract.invocation import Lesson
from ..contract.workflow import Money, Note
from ..drivers.base import Label, Usage
from ..drivers.cast import Cast
from ..drivers.prices import PriceList
from ..errors import Refused, Unavailable
from ..ports.agents import Announcer, ObjectStore
from ..redaction import in_worktree, ours
from ..workspace.sandbox import weakness
from ..workspace.tree import Tree, open_tree
from .agents.record import Shelf
from .agents.voice import Voice
from .artifacts import Artifacts, Basket
from .crew import Crew
from .facts import record
from .job import Job, Limits
from .live import Live, Stopped
from .state import State, Step, Work


class RepositoryRefused(Refused):
    """The repository, or its base, is not there, or may not be read."""


class RepositoryAway(Unavailable):
    """The repository's server does not answer."""


class Site:
    def __init__(
        self,
        job: Job,
        *,
        cast: Cast,
        prices: PriceList,
        announcer: Announcer,
        objects: ObjectStore,
        workdir: Path,
        live: Live,
        limits: Limits,
    ) -> None:
        self.job = job
        self.cast = cast
        self.model = cast.models[0]
        self.prices = prices
        self.announcer = announcer
        self.objects = objects
        self.artifacts = Artifacts(objects, job.folder, job.workflow_id)
        self.workdir = workdir
        self.live = live
        self.account = live.account
        self.epoch = live.account.epoch
        self.limits = limits
        self.crew = Crew(self)
        self._learnt: list[Lesson] = []
        self._for_people: tuple[str, ...] = ()
        self.stopping: Stopped | None = None
        self._tree: Tree | None = None

    async def tree(self, work: Work) -> Tree:
        """The worktree with the commits of the finished tasks. Cloned at the first call of an attempt.

        Raises ``RepositoryRefused`` and ``RepositoryAway``.
        """
        if self._tree is None:
            known = self.live.tree
            tree = known if known and known.root.is_relative_to(self.workdir) else await self._cloned(work)
            if work.bundle is not None:
                await tree.restore_commits(await self.objects.get(work.bundle), work.commit)
            elif tree is known:
                await tree.reset(work.top)
            self._tree = self.live.tree = tree
        return self._tree

    async def _cloned(self, work: Work) -> Tree:
        job = self.job
        agent = {"develop": "developer", "review": "reviewer"}.get(work.step, "architect")
        try:
            voice = Voice(self.announcer, self.label(agent), self.limits.still)
            if not self.live.warned and (warning := await weakness()):
                voice.say(warning)
            self.live.warned = True
            async with voice.during("fetching the repository"):
                where = (job.repository, job.base, job.branch, self.workdir, work.base_commit)
                tree = await open_tree(*where, token=job.clone_token, tell=voice.say)
                ours().learn_all(await asyncio.to_thread(lambda: [*in_worktree(tree.root)]), entrusted=False)
                return tree
        except Refused as error:
            raise RepositoryRefused(str(error)) from error
        except Unavailable as error:
            raise RepositoryAway(str(error)) from error

    def label(self, agent: str, task: str = "", round: int = 1) -> Label:  # noqa: A002 - the label's own word
        return Label(workflow_id=self.job.workflow_id, issue=self.job.issue.id, agent=agent, task=task, round=round)

    def shelf(self, begun: int, label: Label) -> Shelf:
        """``begun`` is the first attempt that may have written there."""
        return Shelf(self.objects, self.job.folder, label, begun, self.epoch)

    def basket(self, label: Label) -> Basket:
        return Basket(self.artifacts, label)

    def check_time(self) -> None:
        """Before anything that may take long. Raises ``Stopped`` when the session's end is too near to begin it, or an
        agent that works beside this one has stopped."""
        if self.stopping is not None:
            raise self.stopping
        ends = self.live.ends
        if ends is not None and asyncio.get_running_loop().time() >= ends.last_turn:
            raise Stopped(self.timeout())

    def check_budget(self, price: Money) -> None:
        """Before a call of the model. Raises ``Stopped`` when it would probably pass what is left."""
        if not self.account.has_room_for(price):
            wf, account = self.job.workflow_id, self.account
            raise Stopped(BudgetReached(id="", workflow_id=wf, budget=account.budget, spent=account.all))

    def timeout(self) -> WorkflowTimeout:
        ends = self.live.ends
        seconds = ends.session_seconds if ends else 0
        return WorkflowTimeout(id="", workflow_id=self.job.workflow_id, session_seconds=seconds)

    def pay(self, usage: Usage, label: Label, model: str) -> None:
        """At once when a model has answered whom ``label`` names."""
        counts = msgspec.structs.asdict(usage)
        self.model = model
        price = Money(**counts, cost_microdollars=self.prices.cost(model, usage))
        self.account.pay(price, (label.agent, label.task, model))

    def learn(self, lessons: Sequence[Lesson]) -> None:
        """Said with what is settled next."""
        self._learnt += lessons

    def leave_to_people(self, sentences: Sequence[str]) -> None:
        """Kept with what is settled next."""
        self._for_people = (*self._for_people, *sentences)

    def settled(self, work: Work) -> tuple[Work, tuple[TokensUsed | ArtifactStored | LessonLearnt, ...]]:
        """What is to be said of the spending now: this attempt's, and that of earlier ones which nobody has said; and
        what was made and learnt meanwhile."""
        sums = {**self.account.unsaid(work.used), self.epoch: self.account.used}
        said = tuple(self._used(epoch, used) for epoch, used in sums.items())
        shares = {self.epoch: self.account.shares(self.epoch)}
        people = tuple(dict.fromkeys((*work.for_people, *self._for_people)))
        work = msgspec.structs.replace(work, for_people=people)
        work, learnt = self._lessons(msgspec.structs.replace(work, used=self.account.spent, shares=shares))
        return work, (*said, *self.artifacts.said(), *learnt)

    def _lessons(self, work: Work) -> tuple[Work, tuple[LessonLearnt, ...]]:
        """Each is said once."""
        known = {*self.job.lessons, *work.lessons}
        fresh = tuple(lesson for lesson in dict.fromkeys(self._learnt) if lesson not in known)
        self._learnt.clear()
        said = (msgspec.structs.asdict(lesson) for lesson in fresh)
        events = tuple(LessonLearnt(id="", workflow_id=self.job.workflow_id, **fields) for fields in said)
        return msgspec.structs.replace(work, lessons=(*work.lessons, *fresh)), events

    def owed(self, work: Work) -> tuple[TokensUsed, ...]:
        """Only that of earlier attempts."""
        return tuple(self._used(epoch, used) for epoch, used in self.account.unsaid(work.used).items())

    def _used(self, epoch: int, used: Money) -> TokensUsed:
        """Names the attempt, because a later one may have to say it again."""
        wf, shares = self.job.workflow_id, self.account.shares(epoch)
        return TokensUsed(id="", workflow_id=wf, used=used, model=self.model, of_attempt=epoch, shares=shares)

    def noted(
        self, work: Work, notes: Sequence[Note], agent: str, task: str = ""
    ) -> tuple[Work, tuple[MessageApplied, ...]]:
        """What people said and an agent has read in the step that ends now. Who read it first is who it is said of."""
        wf, known = self.job.workflow_id, {note.id for note in work.notes}
        fresh = tuple(note for note in notes if note.id not in known)
        said = tuple(
            MessageApplied(id="", workflow_id=wf, message_id=note.id, agent=agent, task_id=task) for note in fresh
        )
        return msgspec.structs.replace(work, notes=(*work.notes, *fresh)), said

    def onward(self, state: State, work: Work, step: Step, said: Sequence[Event]) -> State:
        """The state that ends a step: what was said, and what comes next."""
        work = msgspec.structs.replace(work, step=step, begun=self.epoch, retries=max(work.retries, self.job.retries))
        return record(state, work, said, self.job.highest_fact)
