"""What the fleet works on: an object store, and a git remote that says whose each branch is."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from amelia.contract.workflow import ClaimCheck
from amelia.errors import Conflict, Malformed, NotFound, Refused
from amelia.ports.forge import PullRequest

from .ledger import Pushed

if TYPE_CHECKING:
    from .machine import Machine


class ObjectsClient:
    """``ports.agents.ObjectStore`` for one machine."""

    def __init__(self, objects: dict[str, bytes], machine: "Machine") -> None:
        self._objects, self._machine = objects, machine

    async def put(self, prefix: str, data: bytes) -> ClaimCheck:
        sha256 = hashlib.sha256(data).hexdigest()
        claim = ClaimCheck(key=f"{prefix}/{sha256}", size=len(data), sha256=sha256)
        await self.write(claim.key, data)
        return claim

    async def get(self, claim: ClaimCheck) -> bytes:
        data = await self.read(claim.key)
        if data is None:
            raise NotFound(f"there is no {claim.key}")
        if hashlib.sha256(data).hexdigest() != claim.sha256:
            raise Malformed(f"{claim.key} is not what was put there")
        return data

    async def write(self, key: str, data: bytes) -> None:
        await self._machine.call("objects.write", lambda: self._objects.update({key: data}), self._away)

    async def read(self, key: str) -> bytes | None:
        return await self._machine.call("objects.read", lambda: self._objects.get(key), self._away)

    async def put_file(self, prefix: str, path: Path) -> ClaimCheck:
        return await self.put(prefix, path.read_bytes())

    @property
    def _away(self) -> float:
        return self._machine.world.weather.objects_away


class Branch(msgspec.Struct, frozen=True):
    workflow_id: str
    commit: str


class Request(msgspec.Struct, kw_only=True):
    """A pull request. It is closed with its branch."""

    number: int
    branch: str
    workflow_id: str
    open: bool = True


class Remote:
    """``branches`` by repository and name, ``requests`` by repository."""

    def __init__(self) -> None:
        self.branches: dict[tuple[str, str], Branch] = {}
        self.requests: dict[str, list[Request]] = {}

    def request(self, repository: str, branch: str) -> Request | None:
        return next((x for x in self.requests.get(repository, ()) if x.branch == branch and x.open), None)


class RemoteClient:
    """The dispatcher's way to the remote: ``amelia.workspace.deliver`` without git."""

    def __init__(self, remote: Remote, machine: "Machine") -> None:
        self._remote, self._machine = remote, machine

    async def push(
        self, *, repository: str, bundle: bytes, branch: str, commit: str, workflow_id: str, token: str
    ) -> None:
        world, weather = self._machine.world, self._machine.world.weather
        held = msgspec.json.decode(bundle, type=dict[str, str])
        if held["commit"] != commit:
            raise Malformed(f"the bundle holds {held['commit']}")
        began = world.loop.time()
        await self._machine.call("git.look", lambda: self._look(repository, branch, workflow_id), weather.push_fails)

        def push() -> None:
            if self._look(repository, branch, workflow_id) != commit:
                self._remote.branches[(repository, branch)] = Branch(workflow_id, commit)
                pushed = Pushed(
                    at=world.loop.time(),
                    workflow_id=workflow_id,
                    branch=branch,
                    commit=commit,
                    plan_sha256=held["plan"],
                    began=began,
                )
                world.ledger.pushes.append(pushed)
                world.watch.pushed(pushed)

        await self._machine.call("git.push", push, weather.push_fails, weather.push_unknown)

    async def withdraw(self, *, repository: str, branch: str, commit: str, workflow_id: str, token: str) -> bool:
        def withdraw() -> bool:
            if self._look(repository, branch, workflow_id) != commit:
                return False
            del self._remote.branches[(repository, branch)]
            self._machine.world.ledger.withdrawn[commit] += 1
            if request := self._remote.request(repository, branch):
                request.open = False
            return True

        weather = self._machine.world.weather
        return await self._machine.call("git.withdraw", withdraw, weather.push_fails, weather.push_unknown)

    def _look(self, repository: str, branch: str, workflow_id: str) -> str:
        there = self._remote.branches.get((repository, branch))
        if there is not None and there.workflow_id != workflow_id:
            raise Conflict(f"the branch {branch} is not of {workflow_id}")
        return there.commit if there else ""


class ForgeClient:
    """``ports.forge.Forge`` and ``Credentials`` for one machine. One repository in two has pull requests."""

    def __init__(self, remote: Remote, machine: "Machine") -> None:
        self._remote, self._machine = remote, machine

    def serves(self, repository: str) -> bool:
        return "github" in repository

    async def write(self, repository: str) -> str:
        return "writes"

    async def read(self, repository: str) -> str:
        return "reads"

    def _there(self, repository: str, branch: str) -> Request | None:
        return self._remote.request(repository, branch)

    async def open_pull_request(
        self, repository: str, *, branch: str, base: str, title: str, body: str, draft: bool, workflow_id: str
    ) -> PullRequest:
        world, weather = self._machine.world, self._machine.world.weather
        began = world.loop.time()

        def find() -> Request | None:
            return self._there(repository, branch)

        there = await self._machine.call("forge.find", find, weather.push_fails)

        def propose() -> tuple[Request, bool]:
            if (found := there or find()) is not None:
                return found, True
            if (repository, branch) not in self._remote.branches:
                raise Refused(f"there is no branch {branch}")
            requests = self._remote.requests.setdefault(repository, [])
            requests.append(Request(number=len(requests) + 1, branch=branch, workflow_id=workflow_id))
            world.watch.proposed(workflow_id, branch, began)
            return requests[-1], False

        request, adopted = await self._machine.call("forge.open", propose, weather.push_fails, weather.push_unknown)
        return PullRequest(
            url=f"{repository}/pull/{request.number}", number=request.number, draft=draft, adopted=adopted
        )
