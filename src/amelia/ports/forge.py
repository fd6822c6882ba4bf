"""Where changes are proposed to people: a host of repositories with pull requests, and who may write there."""

from typing import Protocol

import msgspec


class PullRequest(msgspec.Struct, frozen=True, kw_only=True):
    """``adopted`` when it was there already. ``draft`` is what the host made of it; not every repository has drafts."""

    url: str
    number: int
    draft: bool
    adopted: bool


class Forge(Protocol):
    def serves(self, repository: str) -> bool:
        """Whether pull requests can be opened there: the host is the forge's, and there is a credential for it."""
        ...

    async def open_pull_request(
        self, repository: str, *, branch: str, base: str, title: str, body: str, draft: bool, workflow_id: str
    ) -> PullRequest:
        """The workflow's one pull request from ``branch``, found (whatever its state) or opened; again is safe.

        An open one gets ``body`` when its own differs. ``base`` empty is the repository's default branch. Raises
        ``Conflict`` when somebody else's is open from the branch, ``Refused`` with the way out, and ``Unavailable``
        when it may work later; then nobody knows whether it is open, and the next call finds out.
        """
        ...


class Credentials(Protocol):
    """Passwords for git over https, as short-lived and as narrow as the host offers; "" when there is none.

    Raise ``Refused`` and ``Unavailable``.
    """

    async def write(self, repository: str) -> str:
        """Moves branches and opens pull requests. For the control plane alone."""
        ...

    async def read(self, repository: str) -> str:
        """Clones, and nothing else."""
        ...
