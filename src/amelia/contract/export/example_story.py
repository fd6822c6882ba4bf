"""The workflow that the examples are about."""

import hashlib

from ..ids import derive_id, derived_workflow_id
from ..plan import Comment, Plan, Task, Verdict, plan_sha256
from ..workflow import Budget, ClaimCheck, Issue, Money, Profile, PullRequest

MASTER = bytes(32)
ACTOR = "ada"
WORKFLOW = derived_workflow_id("billing", "example")
COMMIT, BASE_COMMIT = hashlib.sha1(b"work").hexdigest(), hashlib.sha1(b"base").hexdigest()  # noqa: S324 - git's
BRANCH = "amelia/round-totals-" + WORKFLOW[3:11]
REPOSITORY = "https://git.example.com/billing/invoices.git"
ISSUE = Issue(
    id="round-totals", title="Totals are a cent short", body="Line totals are rounded before they are summed."
)
PROFILE = Profile(name="careful", driver="api:anthropic", max_iterations=2)
PLAN = Plan(
    summary="Round once, after the sum.",
    tasks=(
        Task(
            id="round-once",
            title="Round the sum instead of its parts",
            description="Sum exact decimals and round the result half up.",
            files=("invoices/totals.py",),
            verification="python -m unittest",
        ),
    ),
    test_command="python -m unittest",
)
PLAN_SHA256 = plan_sha256(PLAN)
SPENT = Money(input_tokens=5210, output_tokens=840, cost_microdollars=28_230)
BUDGET = Budget(microdollars=5_000_000, tokens=2_000_000)
PULL_REQUEST = PullRequest(url="https://git.example.com/billing/invoices/pull/7", number=7)
VERDICT = Verdict(
    approved=True,
    summary="The sum is exact and rounded once.",
    comments=(Comment(severity="minor", message="Say why half up.", file="invoices/totals.py", line=12),),
)
BLOCK_ID = derive_id(WORKFLOW, "example/workflow_blocked")
MESSAGE_ID = derive_id(WORKFLOW, "example/message_sent")
COMMAND_ID = derive_id(WORKFLOW, "example/start_workflow")


def claim(kind: str, size: int) -> ClaimCheck:
    sha256 = hashlib.sha256(kind.encode()).hexdigest()
    return ClaimCheck(key=f"{WORKFLOW}/{kind}/{sha256}", size=size, sha256=sha256)
