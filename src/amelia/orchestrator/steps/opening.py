"""Clones the repository."""

import msgspec

from ...contract.events import WorkflowStarted
from ..job import version
from ..site import RepositoryRefused, Site
from ..state import State, work_of
from .ending import failing
from .routing import plans


async def open_repository(site: Site, state: State) -> State:
    work, wf = work_of(state), site.job.workflow_id
    try:
        tree = await site.tree(work)
    except RepositoryRefused as error:
        return failing(site, state, work, str(error), again="open", blame="repository")
    started = WorkflowStarted(id="", workflow_id=wf, base_commit=tree.base_commit, runtime_version=version())
    return plans(site, state, msgspec.structs.replace(work, base_commit=tree.base_commit), (started,))
