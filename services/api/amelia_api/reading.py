"""What a workflow has made, over HTTP: its plan, its diff, its artifacts, its cost."""

from collections.abc import AsyncIterator
from typing import TypeVar, cast

from litestar import Controller, get
from litestar.params import FromPath
from litestar.response import Response

from amelia.contract import events as e
from amelia.contract.codec import decode_event
from amelia.contract.views import ArtifactList, PlanView, UsageView
from amelia.domain.artifacts import artifact_view, newest_of_each_name
from amelia.domain.plan import changes
from amelia.domain.usage import usage_view
from amelia.errors import NotFound
from amelia.ports import journal
from amelia.ports.journal import Sought

from .depends import Journal, ObjectStore
from .orders import the_row
from .problems import answers
from .proposed import plan_of, previous_plan

_MAY_ANSWER = answers(400, 401, 404, 503)
_PAGE = 500
E = TypeVar("E", e.ArtifactStored, e.TokensUsed)


class Reading(Controller):
    path = "/workflows/{workflow_id:str}"
    tags = ("workflows",)

    @get("/plan", responses=_MAY_ANSWER)
    async def plan(self, workflow_id: FromPath[str], journal: Journal, objects: ObjectStore) -> PlanView:
        """After a revision with what changed since the plan before."""
        w = (await the_row(journal, workflow_id)).workflow
        block = w.block
        if block is None:
            anew = "is planned anew" if w.previous else "has no plan yet"
            raise NotFound(f"{workflow_id} is {w.status} and {anew}; its events show when it has one")
        plan = await plan_of(block, objects)
        before = await previous_plan(journal, objects, w.id, w.previous) if w.previous else None
        return PlanView(
            workflow_id=w.id,
            plan=plan,
            plan_sha256=block.plan_sha256,
            block_id=block.event_id,
            requires=block.requires,
            unresolved=block.unresolved,
            decision=w.decision,
            deadline=block.deadline if w.status == "blocked" else "",
            estimated_microdollars=block.estimated_microdollars,
            previous_sha256=w.previous.plan_sha256 if w.previous else "",
            changes=changes(before, plan) if before else "",
        )

    @get("/diff", responses=_MAY_ANSWER, media_type="text/x-diff")
    async def diff(self, workflow_id: FromPath[str], journal: Journal, objects: ObjectStore) -> Response[bytes]:
        """The change as git wrote it."""
        w = (await the_row(journal, workflow_id)).workflow
        claim = w.handed_in.diff if w.handed_in else w.block.diff if w.block else None
        if claim is None:
            raise NotFound(f"{workflow_id} is {w.status} and has handed in no work yet")
        return Response(await objects.get(claim), media_type="text/x-diff; charset=utf-8")

    @get("/usage", responses=_MAY_ANSWER)
    async def usage(self, workflow_id: FromPath[str], journal: Journal) -> UsageView:
        """Altogether, by attempt, by agent, by task and by model. What the cache gave and took is counted by itself."""
        spent = (await the_row(journal, workflow_id)).workflow.spent
        return usage_view(workflow_id, spent, [said async for said in _told(journal, workflow_id, e.TokensUsed)])

    @get("/artifacts", responses=_MAY_ANSWER)
    async def artifacts(self, workflow_id: FromPath[str], journal: Journal) -> ArtifactList:
        """What its runs kept: plans, the work as a git bundle and as a diff, every conversation with a model, what the
        tests said, whole outputs of commands, work that was begun and failed."""
        await the_row(journal, workflow_id)
        kept = await _kept(journal, workflow_id)
        return ArtifactList(workflow_id=workflow_id, items=tuple(map(artifact_view, kept.values())))

    @get("/artifacts/{name:str}", responses=_MAY_ANSWER, media_type="application/octet-stream")
    async def artifact(
        self, workflow_id: FromPath[str], name: FromPath[str], journal: Journal, objects: ObjectStore
    ) -> Response[bytes]:
        """The bytes of the last one of that name."""
        await the_row(journal, workflow_id)
        kept = (await _kept(journal, workflow_id)).get(name)
        if kept is None:
            raise NotFound(f"{workflow_id} has no artifact {name}; its list of artifacts shows those there are")
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return Response(await objects.get(kept.claim), media_type="application/octet-stream", headers=headers)


async def _kept(journal: journal.Journal, workflow_id: str) -> dict[str, e.ArtifactStored]:
    """The last of each name, in the order in which they came."""
    return newest_of_each_name([stored async for stored in _told(journal, workflow_id, e.ArtifactStored)])


async def _told(journal: journal.Journal, workflow_id: str, kind: type[E]) -> AsyncIterator[E]:
    """The workflow's events of one type, in order."""
    after, sought = 0, cast("Sought", kind.__struct_config__.tag)
    while rows := await journal.sought(workflow_id, sought, after, _PAGE):
        after = rows[-1].sequence
        for row in rows:
            event = decode_event(row.body)
            if isinstance(event, kind):
                yield event
