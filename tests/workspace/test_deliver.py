"""A bundle reaches its branch once."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from amelia.errors import Conflict, Malformed, Refused
from amelia.workspace.deliver import Delivered, deliver
from amelia.workspace.tree import open_tree

Git = Callable[..., str]
BRANCH = "amelia/x"


class Work(msgspec.Struct, frozen=True):
    bundle: bytes
    commit: str

    async def to(self, origin: Path, workflow_id: str = "wf-1", branch: str = BRANCH) -> Delivered:
        return await deliver(
            repository=f"file://{origin}",
            bundle=self.bundle,
            branch=branch,
            commit=self.commit,
            workflow_id=workflow_id,
        )


Make = Callable[..., Awaitable[Work]]


@pytest.fixture(autouse=True)
def own_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery clears away what others of the same workflow have left; those of these tests have one id."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def make(origin: Path, tmp_path: Path) -> Make:
    async def made(text: str, workflow_id: str = "wf-1", branch: str = BRANCH) -> Work:
        tree = await open_tree(f"file://{origin}", "main", branch, tmp_path / f"w-{text}")
        (tree.root / "b").write_text(text)
        commit = await tree.commit(f"b\n\nAmelia-Workflow: {workflow_id}\n", onto=tree.base_commit)
        return Work(await tree.bundle(), commit)

    return made


async def test_delivering_twice_is_one_push(origin: Path, make: Make, git: Git) -> None:
    work = await make("one")
    git(origin, "config", "core.logAllRefUpdates", "always")
    assert (await work.to(origin)).pushed
    again = await work.to(origin)
    assert again == Delivered(branch=BRANCH, commit=work.commit, pushed=False)
    assert git(origin, "rev-parse", BRANCH) == work.commit
    assert len((origin / "logs" / "refs" / "heads" / BRANCH).read_text().splitlines()) == 1


async def test_a_branch_of_somebody_else_is_left_alone(origin: Path, make: Make, git: Git) -> None:
    git(origin, "branch", BRANCH, "main")
    work = await make("one")
    with pytest.raises(Conflict, match="holds work that is not of wf-1"):
        await work.to(origin)
    assert git(origin, "rev-parse", BRANCH) == git(origin, "rev-parse", "main")


async def test_an_earlier_delivery_of_the_same_workflow_is_replaced(origin: Path, make: Make, git: Git) -> None:
    first, second = await make("one"), await make("two")
    await first.to(origin)
    assert (await second.to(origin)).pushed
    assert git(origin, "rev-parse", BRANCH) == second.commit
    with pytest.raises(Conflict):
        await first.to(origin, workflow_id="wf-2")


async def test_work_is_delivered_after_the_base_has_moved_on(origin: Path, make: Make, git: Git) -> None:
    work = await make("one")
    seed = origin.parent / "seed"
    (seed / "c").write_text("c")
    git(seed, "add", "c")
    git(seed, "commit", "-qm", "c")
    git(seed, "push", "-q", str(origin), "main")
    await work.to(origin)
    assert git(origin, "log", "--format=%s", f"main..{BRANCH}") == "b"


async def test_a_branch_that_is_checked_out_is_refused_with_the_way_out(origin: Path, make: Make) -> None:
    work = await make("one", branch="main")
    seed = origin.parent / "seed"
    with pytest.raises(Conflict, match="not of wf-1"):
        await work.to(seed, branch="main")


async def test_a_remotes_own_refusal_is_told(origin: Path, make: Make) -> None:
    work = await make("one")
    hook = origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no branches on Fridays >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Refused, match="no branches on Fridays"):
        await work.to(origin)


async def test_a_bundle_with_another_commit_is_malformed(origin: Path, make: Make) -> None:
    work = await make("one")
    with pytest.raises(Malformed, match="and not the commit"):
        await Work(work.bundle, "1" * 40).to(origin)
    with pytest.raises(Malformed, match="cannot be read"):
        await Work(b"nothing", work.commit).to(origin)


async def test_names_that_read_as_options_are_refused(make: Make) -> None:
    work = await make("one")
    with pytest.raises(Refused, match="no name of a branch"):
        await work.to(Path("/x"), branch="--mirror")


async def test_what_a_killed_delivery_left_goes_with_the_next_one(origin: Path, make: Make, tmp_path: Path) -> None:
    left, others = tmp_path / "amelia-deliver-wf-1-old", tmp_path / "amelia-deliver-wf-2-old"
    for folder in (left, others):
        (folder / "deliver.git").mkdir(parents=True)
    await (await make("one")).to(origin)
    assert [folder.exists() for folder in (left, others)] == [False, True]
    assert list(tmp_path.glob("amelia-deliver-*")) == [others]
