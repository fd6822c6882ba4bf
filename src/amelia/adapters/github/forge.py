"""Pull requests on GitHub: one a workflow, found before it is opened."""

from ...domain.report import marked, marker
from ...errors import Conflict, NotFound, Refused, Unavailable
from ...ports.forge import PullRequest
from .client import Answer, Client
from .pulls import ForgetfulCredentials, Pull, Pulls


class GitHub:
    """See ``ports.forge.Forge``."""

    def __init__(self, client: Client, credentials: ForgetfulCredentials) -> None:
        self._client = client
        self._credentials = credentials

    def serves(self, repository: str) -> bool:
        return self._credentials.writes and bool(self._client.site.full_name(repository))

    async def open_pull_request(
        self, repository: str, *, branch: str, base: str, title: str, body: str, draft: bool, workflow_id: str
    ) -> PullRequest:
        name = self._client.site.full_name(repository)
        if not name:
            raise Refused(f"{self._client.site.web} does not serve that repository; its work is on the branch {branch}")
        pulls = Pulls(self._client, self._credentials, repository, name)
        known = await pulls.repository()
        pulls.name = known.full_name
        whole = marked(body, workflow_id)
        found = await _ours(pulls, branch, workflow_id)
        if found is not None and (adopted := await _adopt(pulls, found, whole)) is not None:
            return adopted
        base = base or known.default_branch
        answer = await pulls.create(head=branch, base=base, title=title, body=whole, draft=draft)
        if draft and answer.status == 422 and "draft" in answer.message.lower():
            answer = await pulls.create(head=branch, base=base, title=title, body=whole, draft=False)
        if answer.status == 201:
            return _told(answer.read(Pull, f"opening a pull request in {pulls.name}"), adopted=False)
        if answer.status != 422:
            raise pulls.error(answer, f"opening a pull request in {pulls.name}")
        return await _second_look(pulls, answer, branch, base, whole, workflow_id)


async def _second_look(
    pulls: Pulls, answer: Answer, branch: str, base: str, body: str, workflow_id: str
) -> PullRequest:
    """GitHub says no: perhaps because an earlier request, or another process, has been faster."""
    said = answer.message
    if "already exists" in said.lower():
        found = await _ours(pulls, branch, workflow_id)
        if found is not None and (adopted := await _adopt(pulls, found, body)) is not None:
            return adopted
        raise Unavailable(f"a pull request from {branch} of {pulls.name} exists and is not shown yet; try again later")
    if "no commits between" in said.lower():
        raise Refused(f"{branch} of {pulls.name} has nothing that {base} does not have; nothing is left to propose")
    if "head" in said.lower() and "invalid" in said.lower():
        raise Unavailable(f"{pulls.name} does not show the branch {branch}; deliver again")
    if "base" in said.lower() and "invalid" in said.lower():
        raise NotFound(f"{pulls.name} has no branch {base} to propose to; name another base")
    raise pulls.error(answer, f"opening a pull request in {pulls.name}")


async def _ours(pulls: Pulls, branch: str, workflow_id: str) -> Pull | None:
    """An open one of the workflow's before a closed one, then the oldest. Raises ``Conflict`` when somebody else's is
    open from the branch; a closed one of theirs is in nobody's way."""
    there = sorted(await pulls.of(branch), key=lambda pull: (pull.state != "open", pull.number))
    ours = [pull for pull in there if marker(workflow_id) in (pull.body or "")]
    if ours:
        return ours[0]
    for pull in there:
        if pull.state == "open":
            raise Conflict(
                f"{pull.html_url} is open from the branch {branch} and is not of {workflow_id}; close it, then deliver "
                "again"
            )
    return None


async def _adopt(pulls: Pulls, pull: Pull, body: str) -> PullRequest | None:
    """One that was closed, as GitHub does when its branch is taken back, is opened again; None when GitHub does not do
    it, because the branch is another one by now."""
    if pull.state != "open" and not pull.merged_at:
        return _told(pull, adopted=True) if await pulls.reopen(pull, body) else None
    if pull.state == "open" and _plain(pull.body or "") != _plain(body):
        await pulls.rewrite(pull, body)
    return _told(pull, adopted=True)


def _told(pull: Pull, *, adopted: bool) -> PullRequest:
    return PullRequest(url=pull.html_url, number=pull.number, draft=pull.draft, adopted=adopted)


def _plain(body: str) -> str:
    """As it is compared: GitHub's own editor ends lines in its way."""
    return body.replace("\r\n", "\n").strip()
