"""A GitHub and a Jira, both over real HTTP, and trackers that reach them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from amelia.adapters.github.connection import Access as GitHubAccess
from amelia.adapters.github.site import site
from amelia.adapters.jira import JiraAccess
from amelia.trackers.connection import Access, Trackers, open_trackers

from ..github.ledger import Ledger
from ..github.peer import Peer
from .jira_peer import EMAIL, TOKEN, JiraPeer

GITHUB_TOKEN = "peer-token-0123456789"


class World:
    """``github`` is the ledger of the GitHub; ``api`` and ``web`` are where its addresses begin."""

    def __init__(self, github: Ledger, api: str, jira: JiraPeer, stack: AsyncExitStack) -> None:
        self.github, self.api, self.jira = github, api, jira
        self.web = api
        self._stack = stack

    def access(self, *, github: str = GITHUB_TOKEN, email: str = EMAIL, jira: str = TOKEN) -> Access:
        return Access(
            site=site(self.api, self.web),
            github=GitHubAccess(token=github),
            jira=JiraAccess(base_url=self.jira.url, email=email, token=jira),
        )

    async def trackers(self, access: Access | None = None) -> Trackers:
        return await self._stack.enter_async_context(open_trackers(access or self.access()))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """The GitHub has acme/shop, without issues."""
    peer = Peer(tmp_path / "github")
    peer.ledger.grant(GITHUB_TOKEN)
    peer.ledger.add_repository("acme/shop")
    async with AsyncExitStack() as listeners, AsyncExitStack() as stack:
        port = await listeners.enter_async_context(peer.listening())
        jira = await listeners.enter_async_context(JiraPeer().listening())
        yield World(peer.ledger, f"http://127.0.0.1:{port}", jira, stack)
