"""What people do to a workflow over HTTP while it is on its way: end, pause, resume, retry, steer."""

from typing import Annotated

from litestar import Controller, delete, post
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Response

from amelia.contract import commands as c
from amelia.contract.views import MessageRequest, PauseRequest, ResumeRequest, RetryRequest, WorkflowView
from amelia.errors import Refused

from .depends import Journal, TheCaller
from .orders import IdempotencyKey, beside_delivery, command_id, give
from .problems import answers

_MAY_ANSWER = answers(400, 401, 404, 409, 413, 422, 503)
_PAUSE, _RESUME, _RETRY = PauseRequest(), ResumeRequest(), RetryRequest()


class Controlling(Controller):
    path = "/workflows/{workflow_id:str}"
    tags = ("control",)

    @delete(status_code=200, responses=_MAY_ANSWER)
    async def cancel(
        self,
        workflow_id: FromPath[str],
        journal: Journal,
        caller: TheCaller,
        reason: Annotated[str, QueryParameter(max_length=2000)] = "",
        idempotency_key: IdempotencyKey = "",
    ) -> Response[WorkflowView]:
        """Has effect at once, in the journal: nothing is pushed after it. The session is stopped behind it."""
        command = c.CancelWorkflow(
            id=command_id(caller, f"cancel/{workflow_id}", idempotency_key),
            workflow_id=workflow_id,
            actor=caller.name,
            reason=reason,
        )
        async with beside_delivery(journal, workflow_id):
            return await give(journal, command, reason)

    @post("/pause", status_code=200, responses=_MAY_ANSWER)
    async def pause(
        self,
        workflow_id: FromPath[str],
        journal: Journal,
        caller: TheCaller,
        data: JSONBody[PauseRequest] = _PAUSE,
        idempotency_key: IdempotencyKey = "",
    ) -> Response[WorkflowView]:
        """Nothing of it runs until it is resumed; nothing that was done is lost."""
        command = c.PauseWorkflow(
            id=command_id(caller, f"pause/{workflow_id}", idempotency_key),
            workflow_id=workflow_id,
            actor=caller.name,
            reason=data.reason,
        )
        async with beside_delivery(journal, workflow_id):
            return await give(journal, command, data)

    @post("/resume", status_code=200, responses=_MAY_ANSWER)
    async def resume(
        self,
        workflow_id: FromPath[str],
        journal: Journal,
        caller: TheCaller,
        data: JSONBody[ResumeRequest] = _RESUME,
        idempotency_key: IdempotencyKey = "",
    ) -> Response[WorkflowView]:
        """Ends a pause, also one that its budget caused. A budget alone may be changed until the workflow ends."""
        command = c.ResumeWorkflow(
            id=command_id(caller, f"resume/{workflow_id}", idempotency_key),
            workflow_id=workflow_id,
            actor=caller.name,
            budget=data.budget,
        )
        return await give(journal, command, data)

    @post("/retry", status_code=200, responses=_MAY_ANSWER)
    async def retry(
        self,
        workflow_id: FromPath[str],
        journal: Journal,
        caller: TheCaller,
        data: JSONBody[RetryRequest] = _RETRY,
        idempotency_key: IdempotencyKey = "",
    ) -> Response[WorkflowView]:
        """Another go at what failed or was cancelled: from the last checkpoint, or anew from the start."""
        command = c.RetryWorkflow(
            id=command_id(caller, f"retry/{workflow_id}", idempotency_key),
            workflow_id=workflow_id,
            actor=caller.name,
            start=data.start,
        )
        return await give(journal, command, data)

    @post("/messages", status_code=202, responses=_MAY_ANSWER)
    async def message(
        self,
        workflow_id: FromPath[str],
        data: JSONBody[MessageRequest],
        journal: Journal,
        caller: TheCaller,
        idempotency_key: IdempotencyKey = "",
    ) -> Response[WorkflowView]:
        """Accepted means recorded: the agents read it before their next turn, in the order it was sent."""
        if not data.text.strip():
            raise Refused("the message is empty; say what the agents are to know")
        command = c.SendMessage(
            id=command_id(caller, f"message/{workflow_id}", idempotency_key),
            workflow_id=workflow_id,
            actor=caller.name,
            text=data.text,
        )
        return await give(journal, command, data)
