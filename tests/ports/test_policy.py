"""The rules of ``auto_approve`` at the moment a plan is recorded."""

from amelia.contract import events as e
from amelia.domain.policy import Policy, Rule

from ..conftest import Opener
from ..samples import Voice, arrived, opened, start, stream, the


async def test_the_rules_in_force_decide_a_plan_when_it_is_recorded_and_say_which_rule_it_was(
    open_journal: Opener,
) -> None:
    rules = [Policy(otherwise="ask")]
    journal = await open_journal(policy=lambda: rules[-1])
    for expected in ("blocked", "approved"):
        command = start(auto_approve=True)
        await journal.execute(command)
        await opened(journal, command.workflow_id)
        await journal.append(arrived(Voice(command.workflow_id).fact(e.WorkflowBlocked)))
        assert (await the(journal, command.workflow_id)).workflow.status == expected
        _, said = (await stream(journal, command.workflow_id))[-1]
        if expected == "blocked":
            assert isinstance(said, e.ApprovalVote)
            rules.append(Policy(rules=(Rule(name="small", then="approve", tasks=3),)))
        else:
            assert isinstance(said, e.WorkflowApproved)
            assert said.policy == "small"
