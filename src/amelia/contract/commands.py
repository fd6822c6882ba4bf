"""Orders: the only way to change a workflow."""

from .envelope import Command
from .workflow import Issue, Profile


class StartWorkflow(Command, frozen=True, tag="start_workflow"):
    """``repository`` is a URL git understands; ``base`` a branch, empty for the remote's default."""

    issue: Issue
    repository: str
    base: str = ""
    profile: Profile = Profile()
    auto_approve: bool = False
    owner: str = ""
    team: str = ""


class ApproveWorkflow(Command, frozen=True, tag="approve_workflow"):
    """Names the block and the plan it decides. Left empty they mean "the one that is blocked now"."""

    block_id: str = ""
    plan_sha256: str = ""


class RejectWorkflow(Command, frozen=True, tag="reject_workflow"):
    block_id: str = ""
    plan_sha256: str = ""
    feedback: str = ""


class CancelWorkflow(Command, frozen=True, tag="cancel_workflow"):
    reason: str = ""


class ResumeWorkflow(Command, frozen=True, tag="resume_workflow"):
    """From the control plane to its dispatcher: look at the workflow again and do what its row asks for."""


class DeliverWorkflow(Command, frozen=True, tag="deliver_workflow"):
    """From the control plane to its dispatcher: bring the handed-in work to the repository."""


AnyCommand = StartWorkflow | ApproveWorkflow | RejectWorkflow | CancelWorkflow | ResumeWorkflow | DeliverWorkflow
