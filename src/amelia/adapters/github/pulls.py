"""The pull requests of one repository, as GitHub's REST API has them."""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from ...errors import AmeliaError, Refused
from ...ports.forge import Credentials
from .client import Answer, Client, translate

MOST_PAGES = 10


class Repository(msgspec.Struct, frozen=True):
    full_name: str
    default_branch: str = ""


class Head(msgspec.Struct, frozen=True):
    """``repo`` is None when the fork it came from is gone."""

    ref: str
    repo: Repository | None = None


class Pull(msgspec.Struct, frozen=True):
    """``body`` is None when it is empty, ``merged_at`` when it was not merged."""

    number: int
    html_url: str
    state: str
    head: Head
    draft: bool = False
    body: str | None = None
    merged_at: str | None = None


class ForgetfulCredentials(Credentials, Protocol):
    @property
    def writes(self) -> bool:
        """Whether there is anything to write with."""
        ...

    def forget(self, token: str) -> None:
        """GitHub refused this token."""
        ...


class Pulls:
    """``address`` is the repository's as git has it, ``name`` its ``owner/name``."""

    def __init__(self, client: Client, credentials: ForgetfulCredentials, address: str, name: str) -> None:
        self._client = client
        self._credentials = credentials
        self._address = address
        self.name = name

    async def repository(self) -> Repository:
        """As it is called now, should it have been renamed."""
        doing = f"looking up {self.name}"
        answer = await self._ask("GET", f"/repos/{self.name}", doing)
        if answer.status != 200:
            raise self.error(answer, doing)
        return answer.read(Repository, doing)

    async def of(self, branch: str) -> list[Pull]:
        """Those from a branch of the repository itself, whatever their base and state."""
        doing = f"looking for pull requests of {self.name}"
        owner = self.name.partition("/")[0]
        params: Mapping[str, str] | None = {"state": "all", "head": f"{owner}:{branch}", "per_page": "100"}
        path, found = f"/repos/{self.name}/pulls", list[Pull]()
        for _ in range(MOST_PAGES):
            answer = await self._ask("GET", path, doing, params=params)
            if answer.status != 200:
                raise self.error(answer, doing)
            found += [pull for pull in answer.read(list[Pull], doing) if self._is_from(pull, branch)]
            path, params = answer.next, None
            if not path.startswith(f"{self._client.site.api}/"):
                break
        return found

    async def create(self, *, head: str, base: str, title: str, body: str, draft: bool) -> Answer:
        """Whatever the status, 201 with a ``Pull`` when it is open."""
        data = {"head": head, "base": base, "title": title, "body": body, "draft": draft}
        return await self._ask("POST", f"/repos/{self.name}/pulls", f"opening a pull request in {self.name}", data=data)

    async def rewrite(self, pull: Pull, body: str) -> None:
        doing = f"updating pull request {pull.number} of {self.name}"
        answer = await self._ask("PATCH", f"/repos/{self.name}/pulls/{pull.number}", doing, data={"body": body})
        if answer.status != 200:
            raise self.error(answer, doing)

    async def reopen(self, pull: Pull, body: str) -> bool:
        doing = f"reopening pull request {pull.number} of {self.name}"
        data = {"state": "open", "body": body}
        answer = await self._ask("PATCH", f"/repos/{self.name}/pulls/{pull.number}", doing, data=data)
        if answer.status not in (200, 422):
            raise self.error(answer, doing)
        return answer.status == 200

    def error(self, answer: Answer, doing: str) -> AmeliaError:
        way_out = f"give the token or the GitHub App access to {self.name} with contents: write, pull_requests: write"
        return translate(answer, doing, way_out)

    def _is_from(self, pull: Pull, branch: str) -> bool:
        there = pull.head.repo.full_name.lower() if pull.head.repo else self.name.lower()
        return pull.head.ref == branch and there == self.name.lower()

    async def _ask(
        self,
        method: str,
        path: str,
        doing: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Answer:
        """A token that was revoked before its time is replaced once."""
        for last in (False, True):
            token = await self._credentials.write(self._address)
            if not token:
                raise Refused(f"{doing}: there is no credential for it; set a GitHub token or a GitHub App")
            answer = await self._client.request(method, path, token=token, doing=doing, params=params, data=data)
            if answer.status != 401 or last:
                break
            self._credentials.forget(token)
            if await self._credentials.write(self._address) == token:
                break
        return answer
