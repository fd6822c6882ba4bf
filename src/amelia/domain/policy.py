"""The policy that ``auto_approve`` selects: rules about a plan, the first that fits decides."""

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ..contract import events as e
from ..contract.ids import derive_id
from ..contract.plan import Plan
from .workflow import Workflow

_DEPENDENCIES = (
    *(
        "**/package.json",
        "**/package-lock.json",
        "**/yarn.lock",
        "**/pnpm-lock.yaml",
        "**/pyproject.toml",
        "**/setup.py",
    ),
    *("**/setup.cfg", "**/requirements*.txt", "**/uv.lock", "**/poetry.lock", "**/Pipfile*", "**/go.mod", "**/go.sum"),
    *(
        "**/Cargo.toml",
        "**/Cargo.lock",
        "**/pom.xml",
        "**/build.gradle*",
        "**/Gemfile*",
        "**/composer.*",
        "**/*.csproj",
    ),
)
_CI = (
    *(".github/**", ".gitlab-ci.yml", ".gitlab/**", ".circleci/**", ".buildkite/**", "**/Jenkinsfile*", ".travis.yml"),
    *("azure-pipelines*.yml", "bitbucket-pipelines.yml", ".drone.yml", "appveyor.yml", ".pre-commit-config.yaml"),
)


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fits when all that it names holds. ``paths`` are globs that every file of the plan has to match, ``touching``
    globs of which some file matches one. ``tasks`` and ``dollars`` are the most there may be. What is not known of a
    plan (its files, where a task does not say; its cost) never helps it: a rule that approves does not fit then, and
    one that asks for a person does."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    then: Literal["approve", "ask"]
    paths: tuple[str, ...] = ()
    touching: tuple[str, ...] = ()
    tasks: Annotated[int, Meta(ge=1)] | None = None
    dollars: Annotated[float, Meta(ge=0)] | None = None
    authors: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    dependencies: bool | None = None
    ci: bool | None = None


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``otherwise`` decides where no rule fits."""

    rules: tuple[Rule, ...] = ()
    otherwise: Literal["approve", "ask"] = "ask"


OPEN = Policy(otherwise="approve")
"""Where no file says more, who starts a workflow with ``auto_approve`` has approved its plan beforehand."""


def decision(w: Workflow, policy: Policy, now: str) -> e.WorkflowApproved | e.ApprovalVote | None:
    """A decision like a person's, made where the plan is recorded, for exactly that plan; or that a person has to."""
    block = w.block
    if w.status != "blocked" or block is None or block.requires != "approval" or not w.auto_approve:
        return None
    then, rule = _judged(w, policy)
    if then == "approve":
        return e.WorkflowApproved(
            id=derive_id(block.event_id, "approved"),
            workflow_id=w.id,
            timestamp=now,
            correlation_id=w.correlation_id,
            causation_id=block.event_id,
            block_id=block.event_id,
            plan_sha256=block.plan_sha256,
            approved_by=f"policy of {w.owner}" if w.owner else "policy",
            policy=rule,
        )
    return e.ApprovalVote(
        id=derive_id(block.event_id, f"vote/{block.deadline}"),
        workflow_id=w.id,
        timestamp=now,
        correlation_id=w.correlation_id,
        causation_id=block.event_id,
        block_id=block.event_id,
        plan_sha256=block.plan_sha256,
        voter="policy",
        rule=rule,
    )


def _judged(w: Workflow, policy: Policy) -> tuple[Literal["approve", "ask"], str]:
    assert w.block is not None
    for rule in policy.rules:
        if _fits(rule, w, w.block.plan, w.block.estimated_microdollars):
            return rule.then, rule.name
    if policy.otherwise == "approve":
        return "approve", "auto_approve"
    return "ask", "no rule of the policy approves it"


def _fits(rule: Rule, w: Workflow, plan: Plan | None, microdollars: int) -> bool:
    asks_files = bool(rule.paths or rule.touching) or rule.dependencies is not None or rule.ci is not None
    unknown = (
        (asks_files and (plan is None or known_files(plan) is None))
        or (rule.tasks is not None and plan is None)
        or (rule.dollars is not None and microdollars <= 0)
    )
    if unknown:
        return rule.then == "ask" and _concerns(rule, w)
    return _concerns(rule, w) and _describes(rule, plan, microdollars)


def _concerns(rule: Rule, w: Workflow) -> bool:
    return (not rule.authors or w.owner in rule.authors) and (
        not rule.repositories or _any(rule.repositories, w.repository)
    )


def _describes(rule: Rule, plan: Plan | None, microdollars: int) -> bool:
    """Where all that the rule asks about is known."""
    if rule.dollars is not None and microdollars > rule.dollars * 1_000_000:
        return False
    named = (known_files(plan) or ()) if plan is not None else ()
    return (
        (rule.tasks is None or (plan is not None and len(plan.tasks) <= rule.tasks))
        and (not rule.paths or all(_any(rule.paths, name) for name in named))
        and (not rule.touching or any(_any(rule.touching, name) for name in named))
        and (rule.dependencies is None or rule.dependencies == any(_any(_DEPENDENCIES, name) for name in named))
        and (rule.ci is None or rule.ci == any(_any(_CI, name) for name in named))
    )


def known_files(plan: Plan) -> tuple[str, ...] | None:
    """All files the plan says it touches; None when a task does not say."""
    if any(not task.files for task in plan.tasks):
        return None
    return tuple(sorted({name for task in plan.tasks for name in task.files}))


def _any(patterns: tuple[str, ...], name: str) -> bool:
    return any(glob_pattern(pattern).fullmatch(name) for pattern in patterns)


def glob_pattern(glob: str) -> "re.Pattern[str]":
    """``*`` stays within a folder; ``**/`` is any folders, or none; a closing ``**`` is everything below."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", glob)
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(part, re.escape(part)) for part in parts), re.DOTALL)
