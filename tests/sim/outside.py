"""What the fleet works on: an object store, and a git remote that says whose each branch is."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from amelia.contract.workflow import ClaimCheck
from amelia.errors import Conflict, Malformed, NotFound

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


class Remote:
    """``branches`` by repository and name."""

    def __init__(self) -> None:
        self.branches: dict[tuple[str, str], Branch] = {}


class PushClient:
    """The dispatcher's way to the remote: ``amelia.workspace.deliver`` without git."""

    def __init__(self, remote: Remote, machine: "Machine") -> None:
        self._remote, self._machine = remote, machine

    async def __call__(self, *, repository: str, bundle: bytes, branch: str, commit: str, workflow_id: str) -> object:
        world, weather = self._machine.world, self._machine.world.weather
        held = msgspec.json.decode(bundle, type=dict[str, str])
        if held["commit"] != commit:
            raise Malformed(f"the bundle holds {held['commit']}")
        began = world.loop.time()
        await self._machine.call("git.look", lambda: self._look(repository, branch, workflow_id), weather.push_fails)

        def push() -> None:
            if self._look(repository, branch, workflow_id) != commit:
                self._remote.branches[(repository, branch)] = Branch(workflow_id, commit)
                at = world.loop.time()
                pushed = Pushed(
                    at=at,
                    workflow_id=workflow_id,
                    branch=branch,
                    commit=commit,
                    plan_sha256=held["plan"],
                    began=began,
                )
                world.ledger.pushes.append(pushed)
                world.watch.pushed(pushed)

        await self._machine.call("git.push", push, weather.push_fails, weather.push_unknown)
        return None

    def _look(self, repository: str, branch: str, workflow_id: str) -> str:
        there = self._remote.branches.get((repository, branch))
        if there is not None and there.workflow_id != workflow_id:
            raise Conflict(f"the branch {branch} is not of {workflow_id}")
        return there.commit if there else ""
