"""Workflows over HTTP: started and listed."""

from typing import Annotated

from litestar import Controller, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Response
from msgspec.structs import replace

from amelia.contract import commands as c
from amelia.contract.ids import derived_workflow_id
from amelia.contract.views import StartRequest, WorkflowPage, WorkflowView
from amelia.contract.workflow import Status
from amelia.errors import Refused
from amelia.workspace.address import check_branch, check_url

from .depends import AllowFile, IssueReader, Journal, QueueLimits, TheCaller
from .orders import IdempotencyKey, command_id, give, the_row
from .present import cursor, place_view, read_cursor, workflow_view
from .problems import answers
from .queue import place_of

_MOST = 200


class Workflows(Controller):
    path = "/workflows"
    tags = ("workflows",)

    @post(status_code=202, responses=answers(400, 401, 404, 413, 422, 503))
    async def start(
        self,
        data: JSONBody[StartRequest],
        journal: Journal,
        caller: TheCaller,
        allow_file: AllowFile,
        issues: IssueReader,
        idempotency_key: IdempotencyKey = "",
    ) -> Response[WorkflowView]:
        """Accepted means recorded: it is never lost. The same ``Idempotency-Key`` starts one workflow, not two.

        An issue without a title is a reference, as in ``acme/shop#7``: the tracker is read before anything is recorded.
        """
        if "\0" in data.issue.id + data.issue.title:
            raise Refused("the issue's id or title has a NUL character; leave it out")
        check_url(data.repository, local=allow_file)
        if data.base:
            check_branch(data.base)
        id_ = command_id(caller, "start", idempotency_key)
        workflow_id = derived_workflow_id(caller.team, id_)
        issue, profile = data.issue, data.profile
        if not (idempotency_key and await journal.get(workflow_id)):
            issue, profile = await issues.complete(issue, profile, data.repository)
        command = c.StartWorkflow(
            id=id_,
            workflow_id=workflow_id,
            actor=caller.name,
            correlation_id=id_,
            issue=issue,
            repository=data.repository,
            base=data.base,
            profile=profile,
            auto_approve=data.auto_approve or data.profile.auto_approve,
            owner=caller.name,
            team=caller.team,
            priority=data.priority,
            budget=data.budget,
        )
        return await give(journal, command, data)

    @get(responses=answers(400, 401, 422, 503))
    async def index(
        self,
        journal: Journal,
        status: FromQuery[list[Status] | None] = None,
        owner: Annotated[str, QueryParameter(max_length=200)] = "",
        repository: Annotated[str, QueryParameter(max_length=2000)] = "",
        limit: Annotated[int, QueryParameter(ge=1, le=_MOST)] = 50,
        after: Annotated[str, QueryParameter(name="cursor", required=False)] = "",
    ) -> WorkflowPage:
        """``status`` may be given several times; a workflow in any of them is listed."""
        if "\0" in owner + repository:
            return WorkflowPage(items=())
        rows = await journal.page(
            statuses=status or (),
            owner=owner,
            repository=repository,
            before=read_cursor(after),
            limit=limit + 1,
        )
        shown = rows[:limit]
        following = cursor(shown[-1].created_at, shown[-1].workflow.id) if len(rows) > limit else ""
        return WorkflowPage(items=tuple(map(workflow_view, shown)), next=following)

    @get("/{workflow_id:str}", responses=answers(400, 401, 404, 503))
    async def show(self, workflow_id: FromPath[str], journal: Journal, limits: QueueLimits) -> WorkflowView:
        """With its place in the queue while it waits for its turn."""
        row = await the_row(journal, workflow_id)
        view = workflow_view(row)
        if not row.workflow.queued:
            return view
        place = await place_of(journal, limits, workflow_id)
        return replace(view, queue=place_view(place)) if place else view
