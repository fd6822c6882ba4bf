"""Workflows over HTTP."""

import hashlib
from typing import Annotated, Literal

import msgspec
from litestar import Controller, delete, get, post
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from litestar.response import Response

from amelia.contract import commands as c
from amelia.contract.ids import derive_id, derived_workflow_id, new_id
from amelia.contract.plan import Plan
from amelia.contract.views import DecisionRequest, PlanView, StartRequest, UsageView, WorkflowPage, WorkflowView
from amelia.contract.workflow import Status
from amelia.errors import NotFound, Refused
from amelia.ports.journal import Row
from amelia.workspace.address import check_branch, check_url

from .depends import AllowFile, Caller, Journal, ObjectStore, TheCaller
from .present import cursor, read_cursor, usage_view, workflow_view
from .problems import answers

IdempotencyKey = Annotated[str, HeaderParameter(name="Idempotency-Key", required=False, max_length=200)]
_MOST = 200
_OF_ONE = answers(400, 401, 404, 503)
_TO_ONE = answers(400, 401, 404, 409, 422, 503)


class Workflows(Controller):
    path = "/workflows"
    tags = ("workflows",)

    @post(status_code=202, responses=answers(400, 401, 413, 422, 503))
    async def start(
        self,
        data: JSONBody[StartRequest],
        journal: Journal,
        caller: TheCaller,
        allow_file: AllowFile,
        idempotency_key: IdempotencyKey = "",
    ) -> WorkflowView:
        """Accepted means recorded: it is never lost. The same ``Idempotency-Key`` starts one workflow, not two."""
        check_url(data.repository)
        if data.repository.startswith("file:") and not allow_file:
            raise Refused("this fleet works on remote repositories only; name an https:// or ssh:// URL")
        if data.base:
            check_branch(data.base)
        command_id = _command_id(caller, "start", idempotency_key)
        command = c.StartWorkflow(
            id=command_id,
            workflow_id=derived_workflow_id(caller.team, command_id),
            actor=caller.name,
            correlation_id=command_id,
            issue=data.issue,
            repository=data.repository,
            base=data.base,
            profile=data.profile,
            auto_approve=data.auto_approve or data.profile.auto_approve,
            owner=caller.name,
            team=caller.team,
        )
        return workflow_view((await journal.execute(command, _fingerprint(data))).row)

    @get(responses=answers(400, 401, 422, 503))
    async def index(
        self,
        journal: Journal,
        status: FromQuery[Status | Literal[""]] = "",
        limit: Annotated[int, QueryParameter(ge=1, le=_MOST)] = 50,
        after: Annotated[str, QueryParameter(name="cursor", required=False)] = "",
    ) -> WorkflowPage:
        rows = await journal.page(statuses=[status] if status else [], before=read_cursor(after), limit=limit + 1)
        shown = rows[:limit]
        following = cursor(shown[-1]) if len(rows) > limit else ""
        return WorkflowPage(items=tuple(map(workflow_view, shown)), next=following)

    @get("/{workflow_id:str}", responses=_OF_ONE)
    async def show(self, workflow_id: FromPath[str], journal: Journal) -> WorkflowView:
        return workflow_view(await _row(journal, workflow_id))

    @get("/{workflow_id:str}/plan", responses=_OF_ONE)
    async def plan(self, workflow_id: FromPath[str], journal: Journal, objects: ObjectStore) -> PlanView:
        w = (await _row(journal, workflow_id)).workflow
        if w.block is None:
            raise NotFound(f"{workflow_id} is {w.status} and has no plan yet; its events show when it has")
        plan = w.block.plan
        if plan is None:
            assert w.block.plan_claim is not None, "a block has its plan or a claim to it"
            plan = msgspec.json.decode(await objects.get(w.block.plan_claim), type=Plan)
        return PlanView(
            workflow_id=w.id,
            plan=plan,
            plan_sha256=w.block.plan_sha256,
            block_id=w.block.event_id,
            decision=w.decision,
        )

    @get("/{workflow_id:str}/diff", responses=_OF_ONE, media_type="text/x-diff")
    async def diff(self, workflow_id: FromPath[str], journal: Journal, objects: ObjectStore) -> Response[bytes]:
        w = (await _row(journal, workflow_id)).workflow
        if w.handed_in is None or w.handed_in.diff is None:
            raise NotFound(f"{workflow_id} is {w.status} and has handed in no work yet")
        return Response(await objects.get(w.handed_in.diff), media_type="text/x-diff; charset=utf-8")

    @get("/{workflow_id:str}/usage", responses=_OF_ONE)
    async def usage(self, workflow_id: FromPath[str], journal: Journal) -> UsageView:
        return usage_view(await _row(journal, workflow_id))

    @post("/{workflow_id:str}/approve", status_code=200, responses=_TO_ONE)
    async def approve(
        self,
        workflow_id: FromPath[str],
        data: JSONBody[DecisionRequest],
        journal: Journal,
        caller: TheCaller,
        idempotency_key: IdempotencyKey = "",
    ) -> WorkflowView:
        """Decides exactly the block and the plan that are named; another one by now is a 409."""
        command = c.ApproveWorkflow(
            id=_command_id(caller, f"approve/{workflow_id}", idempotency_key),
            workflow_id=workflow_id,
            actor=caller.name,
            block_id=data.block_id,
            plan_sha256=data.plan_sha256,
        )
        return workflow_view((await journal.execute(command, _fingerprint(data))).row)

    @post("/{workflow_id:str}/reject", status_code=200, responses=_TO_ONE)
    async def reject(
        self,
        workflow_id: FromPath[str],
        data: JSONBody[DecisionRequest],
        journal: Journal,
        caller: TheCaller,
        idempotency_key: IdempotencyKey = "",
    ) -> WorkflowView:
        command = c.RejectWorkflow(
            id=_command_id(caller, f"reject/{workflow_id}", idempotency_key),
            workflow_id=workflow_id,
            actor=caller.name,
            block_id=data.block_id,
            plan_sha256=data.plan_sha256,
            feedback=data.feedback,
        )
        return workflow_view((await journal.execute(command, _fingerprint(data))).row)

    @delete("/{workflow_id:str}", status_code=200, responses=_TO_ONE)
    async def cancel(
        self,
        workflow_id: FromPath[str],
        journal: Journal,
        caller: TheCaller,
        reason: Annotated[str, QueryParameter(max_length=2000)] = "",
        idempotency_key: IdempotencyKey = "",
    ) -> WorkflowView:
        """Has effect at once, in the journal; the session is stopped behind it."""
        command = c.CancelWorkflow(
            id=_command_id(caller, f"cancel/{workflow_id}", idempotency_key),
            workflow_id=workflow_id,
            actor=caller.name,
            reason=reason,
        )
        fingerprint = hashlib.sha256(reason.encode()).hexdigest()
        return workflow_view((await journal.execute(command, fingerprint)).row)


async def _row(journal: Journal, workflow_id: str) -> Row:
    row = await journal.get(workflow_id)
    if row is None:
        raise NotFound(f"there is no workflow {workflow_id}; amelia workflows list shows those there are")
    return row


def _command_id(caller: Caller, verb: str, key: str) -> str:
    """From the caller's key, so that a repeat is the same command; else a new one."""
    return derive_id(f"{caller.team}/{caller.name}/{verb}", key) if key else new_id()


def _fingerprint(body: msgspec.Struct) -> str:
    return hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()
