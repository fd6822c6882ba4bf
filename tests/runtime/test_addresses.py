"""Which repositories are worked on, whatever the control plane says."""

from pathlib import Path

import pytest

from amelia.adapters.local.objects import FolderObjects
from amelia.contract.events import WorkflowCompleted
from amelia.memory.local import LocalMemory
from amelia.settings import load
from amelia_runtime.working import Workshop

from .test_working import Asked, Ear, live


@pytest.mark.parametrize("address", ["file:///etc", "ext::sh -c id", "--upload-pack=id", "/etc"])
async def test_a_runtime_elsewhere_opens_nothing_of_its_machine(tmp_path: Path, asked: Asked, address: str) -> None:
    ear = Ear()
    objects, memory = FolderObjects(tmp_path / "objects"), LocalMemory(tmp_path)
    workshop = Workshop(objects=objects, memory=memory, environ={}, pauses=(), local=False)
    ended = await workshop.carry(asked(1, repository=address), ear, live(1))
    assert (ended.state, ended.result) == ("finished", "failed")
    [said] = ear.heard
    assert isinstance(said, WorkflowCompleted)
    assert "remote repositories only" in said.cause or "no address of a repository" in said.cause


def test_folders_are_repositories_only_beside_the_stand_in_of_aws() -> None:
    laptop = {"AMELIA_AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}
    assert load(laptop).takes_local_repositories
    assert not load({}).takes_local_repositories
    assert not load({**laptop, "AMELIA_ALLOW_FILE_REPOSITORIES": "false"}).takes_local_repositories
