"""A branch that is there already, from a delivery whose end was not recorded, is taken for somebody else's."""

from typing import Any

MODULE = "amelia.workspace.deliver"
FAILPOINTS = "pushed=kill@1"
CAUGHT_BY = "I8"


def plant(module: Any) -> None:
    from amelia.errors import Conflict

    right = module.deliver

    async def deliver(**arguments: Any) -> Any:
        delivered = await right(**arguments)
        if not delivered.pushed:
            raise Conflict(f"the branch {delivered.branch} is there already")
        return delivered

    module.deliver = deliver
