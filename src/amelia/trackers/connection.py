"""The trackers that the settings and the environment give access to."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
from msgspec.structs import replace

from ..adapters.github.client import open_client
from ..adapters.github.connection import Access as GitHubAccess
from ..adapters.github.connection import credentials
from ..adapters.github.site import PUBLIC, Site, site
from ..adapters.jira import JiraAccess, open_jira
from ..contract.workflow import Issue, TrackerName
from ..errors import Refused
from ..redaction import ours
from ..settings import Settings, read_secret
from .github import GitHubTracker
from .jira import JiraTracker
from .reference import Known, Places, recognised
from .tracker import Comment, Tracker


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """``jira`` is None where no server is named."""

    site: Site
    github: GitHubAccess = GitHubAccess()
    jira: JiraAccess | None = None

    def places(self, repository: str = "") -> Places:
        """``repository`` is the one that a bare number belongs to, as git has its address."""
        jira = self.jira.base_url if self.jira else ""
        return Places(github=self.site.web, jira=jira, here=self.site.full_name(repository) if repository else "")

    def reads(self, tracker: TrackerName) -> bool:
        """Whether there is a credential of ours to read there with."""
        if tracker == "jira":
            return self.jira is not None and bool(self.jira.token)
        return tracker == "github" and bool(self.github.token or self.github.read_token or self.github.app_id)


def access(settings: Settings, environ: Mapping[str, str]) -> Access:
    """Of the settings, and of the variables that other programs of these services read where those say nothing.

    Raises ``Refused`` for what does not fit.
    """
    api = settings.github_api_url
    if api == PUBLIC and "AMELIA_GITHUB_API_URL" not in environ:
        api = environ.get("GITHUB_API_URL") or api
    github = GitHubAccess(
        token=read_secret(settings.github_token_file),
        read_token=read_secret(settings.github_read_token_file),
        app_id=settings.github_app_id,
        private_key=read_secret(settings.github_private_key_file),
    )
    if not (github.token or github.read_token or github.app_id):
        token = next((environ[n] for n in ("AMELIA_GITHUB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN") if environ.get(n)), "")
        github = replace(github, token=token)
    return Access(site=site(api, settings.github_web_url), github=github, jira=_jira(settings, environ))


def _jira(settings: Settings, environ: Mapping[str, str]) -> JiraAccess | None:
    base = settings.jira_base_url or environ.get("JIRA_BASE_URL", "")
    if not base:
        return None
    email = settings.jira_email or environ.get("JIRA_EMAIL", "")
    if settings.jira_token_file:
        token = read_secret(settings.jira_token_file).strip()
    elif bearer := environ.get("JIRA_BEARER_TOKEN", ""):
        email, token = "", bearer
    else:
        token = environ.get("JIRA_API_TOKEN", "") or environ.get("JIRA_TOKEN", "")
    return JiraAccess(base_url=base.strip(), email=email, token=token)


class Trackers:
    """Of every reference, the tracker that knows it. See ``open_trackers``."""

    def __init__(self, access: Access, github: Tracker, jira: Tracker | None) -> None:
        self._access = access
        self._github = github
        self._jira = jira

    def recognised(self, reference: str, tracker: TrackerName, repository: str = "") -> Known | None:
        """None when it is none of theirs. Raises ``Refused`` for an address that is no issue's."""
        return recognised(reference, tracker, self._access.places(repository))

    async def read(self, known: Known) -> Issue:
        return await self._of(known).read(known.issue)

    async def tell(self, known: Known, comment: Comment) -> str:
        return await self._of(known).tell(known.issue, ours().value(comment))

    def _of(self, known: Known) -> Tracker:
        if known.tracker == "github":
            return self._github
        if self._jira is None:
            raise Refused(f"{known.issue} is an issue of Jira, and no server is set; set JIRA_BASE_URL to its address")
        return self._jira


class _Unusable:
    """Says why as soon as it is needed, and only then: the environment may name what is none of our business."""

    def __init__(self, why: Refused) -> None:
        self._why = str(why)

    async def read(self, reference: str) -> Issue:
        raise Refused(self._why)

    async def tell(self, reference: str, comment: Comment) -> str:
        raise Refused(self._why)


@asynccontextmanager
async def open_trackers(access: Access) -> AsyncIterator[Trackers]:
    """Share it."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(open_client(access.site))
        github: Tracker
        jira: Tracker | None
        try:
            github = GitHubTracker(client, credentials(client, access.github))
        except Refused as error:
            github = _Unusable(error)
        try:
            jira = JiraTracker(await stack.enter_async_context(open_jira(access.jira))) if access.jira else None
        except Refused as error:
            jira = _Unusable(error)
        yield Trackers(access, github, jira)
