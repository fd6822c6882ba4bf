"""Where a workflow that is worked here waits for a decision: the policy's, or that of the person at the terminal."""

import asyncio
from typing import Any

import msgspec
from msgspec.structs import replace

from amelia.adapters.local.objects import FolderObjects
from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.ids import new_id
from amelia.contract.plan import Plan, plan_sha256
from amelia.contract.workflow import Decision
from amelia.domain.decide import decide
from amelia.domain.policy import Policy, decision
from amelia.domain.workflow import Block
from amelia.redaction import ours

from .record import Record, now
from .story import plan_view
from .terminal import Answer, ask, ask_about_work

_BY_HAND = "the plan was edited by hand, and takes the place of the Architect's"


class Edited(msgspec.Struct, frozen=True, kw_only=True):
    """What a person has made of the plan of block ``block_id``, and approved."""

    block_id: str
    plan: Plan


class LocalGate:
    """``asks`` when a person is there. ``policy`` is what ``auto_approve`` asks for, None without it."""

    def __init__(
        self, record: Record, objects: FolderObjects, *, asks: bool, policy: Policy | None, person: str
    ) -> None:
        self._record, self._objects = record, objects
        self._asks, self._policy, self._person = asks, policy, person
        self._edited = record.folder / "edited.json"

    def decided(self) -> bool:
        """Whether there is a decision now, where there was none."""
        block = self._record.row.block
        assert block is not None
        answer = Answer("approve") if self._approved_before(block) else self._by_policy(block)
        if answer is None:
            if not self._asks:
                return False
            answer = self._asked(block)
        if answer.edited is not None:
            self._keep(Edited(block_id=block.event_id, plan=answer.edited))
            answer = Answer("revise", _BY_HAND)
        if answer.choice != "leave" and self._record.row.status == "blocked":
            for event in decide(self._record.row, self._order(answer, block), now()):
                self._record.append(event)
        return answer.choice != "leave"

    def edited(self, said: Decision | None) -> Plan | None:
        """What takes the place of the plan that this decision sends back."""
        kept = self._kept()
        return kept.plan if kept and said and said.kind == "revised" and said.block_id == kept.block_id else None

    def _asked(self, block: Block) -> Answer:
        if block.requires == "review":
            claim = block.diff
            return ask_about_work(block.unresolved, lambda: asyncio.run(self._objects.get(claim)) if claim else b"")
        return ask(asyncio.run(plan_view(self._record, block, self._objects)), edits=True)

    def _by_policy(self, block: Block) -> Answer | None:
        """The decision is recorded as the policy's own; so is, once, that it wants a person."""
        if self._policy is None:
            return None
        said = decision(replace(self._record.row, auto_approve=True), self._policy, now())
        if isinstance(said, e.ApprovalVote) and block.event_id in self._record.voted:
            return None
        if said is not None:
            self._record.append(said)
        return Answer("approve") if isinstance(said, e.WorkflowApproved) else None

    def _approved_before(self, block: Block) -> bool:
        """Whether it is the plan that a person wrote, and approved while writing it."""
        kept, previous = self._kept(), self._record.row.previous
        return (
            kept is not None
            and previous is not None
            and previous.event_id == kept.block_id
            and block.plan_sha256 == plan_sha256(kept.plan)
            and block.requires == "approval"
        )

    def _order(self, answer: Answer, block: Block) -> c.ApproveWorkflow | c.RejectWorkflow | c.ReviseWorkflow:
        """The decision of the person, about exactly what was shown."""
        named: dict[str, Any] = {
            "id": new_id(),
            "workflow_id": self._record.row.id,
            "actor": self._person,
            "block_id": block.event_id,
            "plan_sha256": block.plan_sha256,
        }
        if answer.choice == "approve":
            return c.ApproveWorkflow(**named)
        if answer.choice == "revise":
            return c.ReviseWorkflow(feedback=answer.feedback, **named)
        return c.RejectWorkflow(feedback=answer.feedback, **named)

    def _keep(self, edited: Edited) -> None:
        fresh = self._edited.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(ours().value(edited)))
        fresh.replace(self._edited)

    def _kept(self) -> Edited | None:
        try:
            return msgspec.json.decode(self._edited.read_bytes(), type=Edited)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
