"""What a workflow leaves to look at: stored when it is made, announced when the step that made it ends."""

import msgspec

from ..contract.events import ArtifactStored
from ..contract.workflow import ClaimCheck
from ..drivers.base import Label
from ..ports.agents import ObjectStore

TEXT = "text/plain"
JSON = "application/json"
JSON_LINES = "application/jsonl"
DIFF = "text/x-diff"


class Artifact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``name`` is unique in a workflow; of several with one name the last one counts."""

    name: str
    claim: ClaimCheck
    media_type: str = TEXT


class Artifacts:
    """Those of one run. What is stored and not announced when the run breaks off is stored again by the next one."""

    def __init__(self, objects: ObjectStore, folder: str, workflow_id: str) -> None:
        self._objects = objects
        self._place = f"{folder}/artifact"
        self._workflow_id = workflow_id
        self._waiting: dict[str, Artifact] = {}
        self._told: dict[str, Artifact] = {}

    async def store(self, name: str, data: bytes, media_type: str = TEXT) -> Artifact:
        return Artifact(name=name, claim=await self._objects.put(self._place, data), media_type=media_type)

    def add(self, *artifacts: Artifact) -> None:
        """To be announced at the end of the step."""
        for artifact in artifacts:
            if self._told.get(artifact.name) != artifact:
                self._waiting[artifact.name] = artifact

    def said(self) -> tuple[ArtifactStored, ...]:
        """The announcement of all that was added since the last one."""
        waiting, self._waiting = self._waiting, {}
        self._told |= waiting
        return tuple(
            ArtifactStored(id="", workflow_id=self._workflow_id, name=a.name, claim=a.claim, media_type=a.media_type)
            for a in waiting.values()
        )


class Basket:
    """What one conversation has made so far. Its artifacts are announced when the conversation ends, whichever attempt
    ends it: until then its transcript remembers them. ``fresh`` are those that the transcript has yet to hear of."""

    def __init__(self, artifacts: Artifacts, label: Label) -> None:
        self._artifacts = artifacts
        self.conversation = conversation(label)
        self._count = 0
        self.fresh: list[Artifact] = []

    def resume(self, known: tuple[Artifact, ...]) -> None:
        """Goes on counting after what an earlier attempt has made."""
        self._count = sum(artifact.name.startswith(f"output-{self.conversation}-") for artifact in known)

    async def keep(self, data: bytes) -> str:
        """The whole output of a command, of which the agent sees a part. Returns the artifact's name."""
        self._count += 1
        return await self._keep(f"output-{self.conversation}-{self._count}.txt", data)

    async def report(self, data: bytes, whose: str = "") -> str:
        """What the tests said last in this conversation, or another that ``whose`` names."""
        return await self._keep(f"tests-{whose or self.conversation}.txt", data)

    async def _keep(self, name: str, data: bytes) -> str:
        self.fresh.append(await self._artifacts.store(name, data))
        return name

    def taken(self) -> tuple[Artifact, ...]:
        fresh, self.fresh = tuple(self.fresh), []
        return fresh


def conversation(label: Label) -> str:
    """Its name in those of artifacts: ``developer-fix-rounding-1``."""
    return "-".join(filter(None, (label.agent, label.task, str(label.round))))
