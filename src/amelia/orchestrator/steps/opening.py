"""Clones the repository."""

import msgspec

from ...contract.events import AgentStarted, WorkflowStarted
from ...errors import Refused
from ..job import version
from ..site import Site
from ..state import State, work_of
from .ending import failing


async def open_repository(site: Site, state: State) -> State:
    work, wf = work_of(state), site.job.workflow_id
    try:
        tree = await site.tree(work)
    except Refused as error:
        return failing(site, state, work, str(error))
    said = (
        WorkflowStarted(id="", workflow_id=wf, base_commit=tree.base_commit, runtime_version=version()),
        AgentStarted(id="", workflow_id=wf, agent="architect"),
    )
    return site.onward(state, msgspec.structs.replace(work, base_commit=tree.base_commit), "plan", said)
