"""Where a workflow that failed goes on when somebody wants it tried again."""

from msgspec.structs import replace

from ...contract.events import AgentStarted
from ..agents.developer import answer_to
from ..agents.whose import conversations
from ..facts import record, without_end
from ..job import Job
from ..site import Site
from ..state import REVIEW_ROUND, State, Work, work_of
from .routing import begins, onwards, plans, review


def is_to_go_on(work: Work, job: Job) -> bool:
    """Whether it has failed, and was asked to go on after that."""
    return work.step == "end" and work.result == "failed" and job.retries > work.retries


def again(site: Site, state: State) -> State:
    """Finished tasks stay finished; the others, and the rounds of review, begin anew. A step that broke off in the
    middle goes on there."""
    work = work_of(state)
    state = without_end(state, site.job.highest_fact)
    fresh = replace(work, result="", cause="", blame="", again="open", broke_off=False)
    done = {id_: status for id_, status in work.outcomes.items() if status == "completed"}
    if work.broke_off:
        outcomes = work.outcomes if work.task == REVIEW_ROUND else done
        return _in_the_middle(site, state, replace(fresh, step=work.again, outcomes=outcomes))
    match work.again:
        case "plan":
            return plans(site, state, replace(fresh, round=work.round + 1))
        case "develop" if work.task == REVIEW_ROUND:
            assert work.verdict is not None
            fresh = replace(fresh, round=work.round + 1, forgiven=work.round)
            started = begins(site, answer_to(work.verdict, work.agreed, work.appeals), fresh.round)
            return site.onward(state, fresh, "develop", started)
        case "develop":
            return onwards(site, state, replace(fresh, outcomes=done, active={}, forgiven=work.reviews), ())
        case "review":
            return review(site, state, replace(fresh, round=work.round + 1, forgiven=work.round), ())
        case step:
            return site.onward(state, fresh, step, ())


def _in_the_middle(site: Site, state: State, work: Work) -> State:
    """``begun`` stays: the transcript of the attempt that began the step goes on."""
    wf = site.job.workflow_id
    started = tuple(
        AgentStarted(id="", workflow_id=wf, agent=label.agent, task_id=label.task, round=label.round)
        for label, _ in conversations(site, work)
    )
    result = "success" if work.step == "finish" else ""
    return record(state, replace(work, result=result, retries=site.job.retries), started, site.job.highest_fact)
