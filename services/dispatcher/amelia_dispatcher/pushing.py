"""Repositories, as somebody who may write to them."""

from typing import Protocol

from amelia.workspace.deliver import deliver, withdraw


class Remote(Protocol):
    async def push(
        self, *, repository: str, bundle: bytes, branch: str, commit: str, workflow_id: str, token: str
    ) -> None:
        """Makes the branch point at the commit; adopts it when it already does. Raises ``Refused`` when the branch is
        somebody else's or the repository does not take it, ``Unavailable`` when it is away."""
        ...

    async def withdraw(self, *, repository: str, branch: str, commit: str, workflow_id: str, token: str) -> bool:
        """Deletes the branch if it is at the commit; whether it did."""
        ...


class GitRemote:
    """Implements ``Remote``."""

    async def push(
        self, *, repository: str, bundle: bytes, branch: str, commit: str, workflow_id: str, token: str
    ) -> None:
        await deliver(
            repository=repository, bundle=bundle, branch=branch, commit=commit, workflow_id=workflow_id, token=token
        )

    async def withdraw(self, *, repository: str, branch: str, commit: str, workflow_id: str, token: str) -> bool:
        return await withdraw(repository=repository, branch=branch, commit=commit, workflow_id=workflow_id, token=token)
