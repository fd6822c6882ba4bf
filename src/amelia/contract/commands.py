"""Orders: the only way to change a workflow."""

from typing import Annotated

from msgspec import Meta

from .envelope import Command
from .workflow import Budget, Issue, Profile

Priority = Annotated[int, Meta(ge=-100, le=100)]


class StartWorkflow(Command, frozen=True, tag="start_workflow"):
    """``repository`` is a URL git understands; ``base`` a branch, empty for the remote's default. A higher ``priority``
    is admitted first. ``budget`` bounds what the workflow may spend."""

    issue: Issue
    repository: str
    base: str = ""
    profile: Profile = Profile()
    auto_approve: bool = False
    owner: str = ""
    team: str = ""
    priority: Priority = 0
    budget: Budget = Budget()


class ApproveWorkflow(Command, frozen=True, tag="approve_workflow"):
    """Names the block and the plan it decides. Left empty they mean "the one that is blocked now".

    ``tasks`` approves a part of the plan, closed under dependencies; ``plan_sha256`` may then be the part's own hash,
    and ``part_sha256`` is, where the plan is too large for the row to hold.
    """

    block_id: str = ""
    plan_sha256: str = ""
    tasks: tuple[str, ...] = ()
    part_sha256: str = ""


class RejectWorkflow(Command, frozen=True, tag="reject_workflow"):
    block_id: str = ""
    plan_sha256: str = ""
    feedback: str = ""


class CancelWorkflow(Command, frozen=True, tag="cancel_workflow"):
    reason: str = ""


class ReviseWorkflow(Command, frozen=True, tag="revise_workflow"):
    """Back to the Architect, with what is to be different."""

    feedback: Annotated[str, Meta(min_length=1)]
    block_id: str = ""
    plan_sha256: str = ""


class PauseWorkflow(Command, frozen=True, tag="pause_workflow"):
    """Nothing runs until it is resumed; nothing that was done is lost."""

    reason: str = ""


class ResumeWorkflow(Command, frozen=True, tag="resume_workflow"):
    """Ends a pause. A ``budget`` replaces the workflow's own."""

    budget: Budget | None = None


class RetryWorkflow(Command, frozen=True, tag="retry_workflow"):
    """Another go at a workflow that failed or was cancelled: from its last checkpoint, or from the ``start``."""

    start: bool = False


class SendMessage(Command, frozen=True, tag="send_message"):
    """Steers the agents: read before their next turn."""

    text: Annotated[str, Meta(min_length=1, max_length=20_000)]


class AttendWorkflow(Command, frozen=True, tag="attend_workflow"):
    """From the control plane to its dispatcher: look at the workflow and do what its row asks for."""


class DeliverWorkflow(Command, frozen=True, tag="deliver_workflow"):
    """From the control plane to its dispatcher: bring the handed-in work to the repository."""


AnyCommand = (
    StartWorkflow
    | ApproveWorkflow
    | RejectWorkflow
    | ReviseWorkflow
    | CancelWorkflow
    | PauseWorkflow
    | ResumeWorkflow
    | RetryWorkflow
    | SendMessage
    | AttendWorkflow
    | DeliverWorkflow
)
