"""What the Reviewer says of a change that no workflow has made."""

import asyncio

from ..contract.ids import new_workflow_id
from ..contract.plan import Plan, Task, Verdict
from ..contract.workflow import Issue, Profile
from ..drivers.cast import Cast
from ..drivers.prices import PriceList
from ..ports.agents import Announcer, ObjectStore
from ..redaction import in_worktree, ours
from ..workspace.tree import Tree
from .agents.loop import Outcome
from .agents.reviewer import judge
from .discreet import DiscreetAnnouncer, DiscreetCast, DiscreetObjects
from .job import Job, Limits
from .live import Live
from .site import Site
from .state import Work

_TASK = "change"


async def opinion(
    tree: Tree,
    issue: Issue,
    *,
    profile: Profile,
    cast: Cast,
    announcer: Announcer,
    objects: ObjectStore,
    live: Live,
    prices: PriceList,
    limits: Limits,
    test_command: str = "",
) -> Outcome[Verdict]:
    """Of all between the tree's base and its commit. ``test_command`` is run in it first, and the Reviewer sees what it
    says. Raises ``Unavailable`` when the model stays away, ``Stopped`` when a bound of ``live`` is reached."""
    live.tree, secrets = tree, ours()
    secrets.learn_all(await asyncio.to_thread(lambda: [*in_worktree(tree.root)]), entrusted=False)
    site = Site(
        Job(workflow_id=new_workflow_id(), issue=issue, repository="", branch=tree.branch, profile=profile),
        cast=DiscreetCast(cast, secrets),
        prices=prices,
        announcer=DiscreetAnnouncer(announcer, secrets),
        objects=DiscreetObjects(objects, secrets),
        workdir=tree.root.parent,
        live=live,
        limits=limits,
    )
    task = Task(id=_TASK, title=issue.title, description="The change as it stands.")
    plan = Plan(summary="There was no plan: the change was made by hand.", tasks=(task,), test_command=test_command)
    work = Work(
        step="review",
        base_commit=tree.base_commit,
        commit=await tree.head(),
        plan=plan,
        outcomes={_TASK: "completed"},
    )
    return await judge(site, work)
