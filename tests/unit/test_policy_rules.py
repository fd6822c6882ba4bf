"""Rules of the approval policy: what is not known of a plan never helps it."""

from pathlib import Path
from typing import Any

import pytest

from amelia.contract import events as e
from amelia.contract.plan import Plan, Task, plan_sha256
from amelia.contract.workflow import ClaimCheck
from amelia.domain.policy import Policy, Rule, decision
from amelia.domain.workflow import Block, Workflow
from amelia.policy_file import read

from ..samples import HASH, NOW, workflow

APPROVE = Rule(name="few tasks", then="approve", tasks=3)
MUTE = Plan(summary="s", tasks=(Task(id="a", title="A", description=""),))
CLAIM = ClaimCheck(key="plans/1", size=40_000, sha256=HASH)


def waiting(plan: Plan | None, *files: str, **fields: Any) -> Workflow:
    if files:
        plan = Plan(summary="s", tasks=(Task(id="a", title="A", description="", files=files),))
    known: dict[str, Any] = {"plan": plan} if plan is not None else {"plan_claim": CLAIM}
    block = Block(event_id="b", plan_sha256=plan_sha256(plan) if plan else HASH, **known, **fields)
    return workflow(status="blocked", epoch=1, auto_approve=True, owner="ada", block=block)


def judged(w: Workflow, *rules: Rule) -> tuple[str, str]:
    said = decision(w, Policy(rules=rules), NOW)
    assert isinstance(said, e.WorkflowApproved | e.ApprovalVote)
    return ("approve", said.policy) if isinstance(said, e.WorkflowApproved) else ("ask", said.rule)


ASKS = [
    Rule(name="ci", then="ask", ci=True),
    Rule(name="scripts", then="ask", touching=("**/*.sh",)),
    Rule(name="dependencies", then="ask", dependencies=True),
]


@pytest.mark.parametrize("ask", ASKS, ids=lambda rule: rule.name)
@pytest.mark.parametrize("plan", [MUTE, None], ids=["files not said", "too large to be seen"])
def test_a_rule_that_asks_for_a_person_fits_what_is_not_known(ask: Rule, plan: Plan | None) -> None:
    owners = Rule(name="ada may", then="approve", authors=("ada",))
    assert judged(waiting(plan), ask, owners) == ("ask", ask.name)


@pytest.mark.parametrize("ask", ASKS, ids=lambda rule: rule.name)
def test_a_rule_that_asks_lets_pass_what_it_is_not_about(ask: Rule) -> None:
    assert judged(waiting(None, "src/app.py"), ask, APPROVE) == ("approve", "few tasks")


def test_a_rule_that_asks_is_only_about_its_own_authors_and_repositories() -> None:
    others = Rule(name="ben's", then="ask", ci=True, authors=("ben",))
    elsewhere = Rule(name="elsewhere", then="ask", ci=True, repositories=("https://other/**",))
    assert judged(waiting(MUTE), others, elsewhere, APPROVE) == ("approve", "few tasks")


@pytest.mark.parametrize("fields", [{"paths": ("docs/**",)}, {"ci": False}, {"dollars": 5.0}])
def test_a_rule_that_approves_does_not_fit_what_is_not_known(fields: dict[str, Any]) -> None:
    rule = Rule(name="r", then="approve", **fields)
    assert judged(waiting(MUTE), rule) == ("ask", "no rule of the policy approves it")


@pytest.mark.parametrize(("cost", "then"), [(4_999_999, "approve"), (5_000_001, "ask")])
def test_a_known_cost_is_compared(cost: int, then: str) -> None:
    rule = Rule(name="cheap", then="approve", dollars=5.0)
    assert judged(waiting(None, "a.py", estimated_microdollars=cost), rule)[0] == then


def test_the_example_of_the_documentation_is_a_policy(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "approval-policy.md").read_text()
    file = tmp_path / "policy.yaml"
    file.write_text(page.partition("```yaml\n")[2].partition("```")[0])
    policy = read(file)
    assert [rule.then for rule in policy.rules] == ["ask", "ask", "approve", "approve"]
