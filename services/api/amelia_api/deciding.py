"""Decisions about a plan over HTTP: each is about exactly the block and the plan that its giver has seen."""

from litestar import Controller, post
from litestar.params import FromPath, JSONBody
from litestar.response import Response
from msgspec.structs import replace

from amelia.contract import commands as c
from amelia.contract.plan import plan_sha256
from amelia.contract.views import DecisionRequest, ReviseRequest, WorkflowView
from amelia.domain.plan import part_of
from amelia.errors import AmeliaError, Conflict, NotFound, Refused
from amelia.ports import agents, journal

from .depends import Journal, ObjectStore, TheCaller
from .orders import IdempotencyKey, command_id, give, the_row
from .problems import answers
from .proposed import PlanChanged, plan_of, stale

_MAY_ANSWER = answers(400, 401, 404, 409, 413, 422, 503)
_WHATEVER_WAITS = DecisionRequest()
_Decision = c.ApproveWorkflow | c.RejectWorkflow | c.ReviseWorkflow


class Deciding(Controller):
    path = "/workflows/{workflow_id:str}"
    tags = ("decisions",)

    @post("/approve", status_code=200, responses=_MAY_ANSWER)
    async def approve(
        self,
        workflow_id: FromPath[str],
        journal: Journal,
        objects: ObjectStore,
        caller: TheCaller,
        data: JSONBody[DecisionRequest] = _WHATEVER_WAITS,
        idempotency_key: IdempotencyKey = "",
    ) -> Response[WorkflowView]:
        """Decides exactly the block and the plan that are named; another one by now is a 409 that says what changed.

        With ``tasks`` it is those of the plan and no others, closed under dependencies.
        """
        if data.feedback:
            raise Refused("an approval takes no feedback; revise the plan with it, or reject it")
        command = c.ApproveWorkflow(
            id=command_id(caller, f"approve/{workflow_id}", idempotency_key),
            workflow_id=workflow_id,
            actor=caller.name,
            block_id=data.block_id,
            plan_sha256=data.plan_sha256,
            tasks=data.tasks,
        )
        return await _decide(command, data, journal, objects)

    @post("/reject", status_code=200, responses=_MAY_ANSWER)
    async def reject(
        self,
        workflow_id: FromPath[str],
        journal: Journal,
        objects: ObjectStore,
        caller: TheCaller,
        data: JSONBody[DecisionRequest] = _WHATEVER_WAITS,
        idempotency_key: IdempotencyKey = "",
    ) -> Response[WorkflowView]:
        """Ends the workflow as failed; ``revise`` asks for another plan instead."""
        if data.tasks:
            raise Refused("a rejection is of the whole plan; leave tasks out, or approve those that are right")
        command = c.RejectWorkflow(
            id=command_id(caller, f"reject/{workflow_id}", idempotency_key),
            workflow_id=workflow_id,
            actor=caller.name,
            block_id=data.block_id,
            plan_sha256=data.plan_sha256,
            feedback=data.feedback,
        )
        return await _decide(command, data, journal, objects)

    @post("/revise", status_code=200, responses=_MAY_ANSWER)
    async def revise(
        self,
        workflow_id: FromPath[str],
        data: JSONBody[ReviseRequest],
        journal: Journal,
        objects: ObjectStore,
        caller: TheCaller,
        idempotency_key: IdempotencyKey = "",
    ) -> Response[WorkflowView]:
        """Sends the plan back to the Architect, who plans again with the feedback; the new plan waits like this one."""
        if not data.feedback.strip():
            raise Refused("the feedback is empty; say what the Architect is to do differently")
        command = c.ReviseWorkflow(
            id=command_id(caller, f"revise/{workflow_id}", idempotency_key),
            workflow_id=workflow_id,
            actor=caller.name,
            block_id=data.block_id,
            plan_sha256=data.plan_sha256,
            feedback=data.feedback,
        )
        return await _decide(command, data, journal, objects)


async def _decide(
    command: _Decision, body: DecisionRequest | ReviseRequest, journal: journal.Journal, objects: agents.ObjectStore
) -> Response[WorkflowView]:
    try:
        if isinstance(command, c.ApproveWorkflow) and command.tasks:
            command = await _partly(command, journal, objects)
        return await give(journal, command, body)
    except NotFound:
        raise
    except Refused as refusal:
        raise await _explained(command, refusal, journal, objects) from None


async def _explained(
    command: _Decision, refusal: Refused, journal: journal.Journal, objects: agents.ObjectStore
) -> Refused:
    """The refusal; when it comes from an older plan being named, what changed since."""
    try:
        w = (await the_row(journal, command.workflow_id)).workflow
        if w.status != "blocked" or w.block is None:
            return refusal
        older = await stale(journal, objects, w.id, w.block, command.block_id, command.plan_sha256)
    except AmeliaError:
        return refusal
    if older is None or not (isinstance(refusal, Conflict) or isinstance(older, PlanChanged)):
        return refusal
    return older


async def _partly(
    command: c.ApproveWorkflow, journal: journal.Journal, objects: agents.ObjectStore
) -> c.ApproveWorkflow:
    """Of a plan that the row is too small for, the part's hash is found here, and its block is named: no other one has
    this part."""
    w = (await the_row(journal, command.workflow_id)).workflow
    block = w.block
    if block is None or block.plan is not None:
        return command
    if command.block_id not in ("", block.event_id):
        return command
    plan = await plan_of(block, objects)
    part = part_of(plan, command.tasks)
    named = replace(command, block_id=block.event_id)
    if part is plan:
        return replace(named, tasks=())
    return replace(named, part_sha256=plan_sha256(part))
