"""How much of a repository comes along, and what a clone needs to go on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from amelia.errors import Refused, Unavailable
from amelia.workspace import clone as cloning
from amelia.workspace.deliver import deliver
from amelia.workspace.git import Git as OurGit
from amelia.workspace.remote import Remote
from amelia.workspace.spawn import Exit
from amelia.workspace.tree import open_tree

Git = Callable[..., str]


@pytest.fixture
def long(origin: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Six commits, of which two come along."""
    monkeypatch.setattr(cloning, "DEPTH", 2)
    seed = origin.parent / "seed"
    for number in range(5):
        (seed / "a.txt").write_text(f"{number}\n")
        git(seed, "commit", "-qam", f"c{number}")
    git(seed, "push", "-q", str(origin), "main")
    return git(seed, "log", "--format=%H", "main").split()


async def test_the_newest_commits_come_along(origin: Path, long: list[str], tmp_path: Path) -> None:
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w")
    assert (await tree.git.line("log", "--format=%H")).split() == long[:2]


async def test_work_that_began_further_back_is_found_again_carried_and_delivered(
    origin: Path, long: list[str], tmp_path: Path, git: Git
) -> None:
    first = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w1", long[4])
    assert first.base_commit == await first.head() == long[4]
    (first.root / "b.txt").write_text("b\n")
    commit = await first.commit("b\n\nAmelia-Workflow: wf-1\n", onto=long[4])
    second = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w2", long[4])
    await second.restore_commits(await first.bundle(), commit)
    await deliver(
        repository=f"file://{origin}",
        bundle=await second.bundle(),
        branch="amelia/x",
        commit=commit,
        workflow_id="wf-1",
    )
    assert git(origin, "rev-parse", "amelia/x~1") == long[4]


async def test_a_server_that_gives_no_commit_by_its_name_gives_its_history(
    origin: Path, long: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = Remote.fetch

    async def choosy(self: Remote, git: OurGit, *refs: str, depth: int = 0, unshallow: bool = False) -> None:
        if refs[0].startswith(f"+{long[5]}"):
            raise Refused("upload-pack: not our ref")
        await fetch(self, git, *refs, depth=depth, unshallow=unshallow)

    monkeypatch.setattr(Remote, "fetch", choosy)
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w", long[5])
    assert await tree.head() == long[5]


class Answers(Remote):
    """Ends the first clones as it is told."""

    said: list[bytes]
    asked: list[tuple[str, ...]]

    async def run(self, folder: Path, *arguments: str, timeout: float = 120) -> Exit:
        self.asked.append(arguments)
        return Exit(128, b"", self.said.pop(0)) if self.said else await super().run(folder, *arguments, timeout=timeout)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> type[Answers]:
    Answers.said, Answers.asked = [], []
    monkeypatch.setattr(cloning, "Remote", Answers)
    return Answers


async def test_a_server_without_shallow_clones_gives_the_whole_history(
    origin: Path, long: list[str], tmp_path: Path, answers: type[Answers]
) -> None:
    answers.said.append(b"fatal: dumb http transport does not support shallow capabilities")
    git = await cloning.clone(f"file://{origin}", "", tmp_path / "c.git", backoff=60)
    assert len((await git.line("log", "--format=%H")).split()) == len(long)
    assert ["--depth=2" in asked for asked in answers.asked] == [True, False]


async def test_a_server_that_is_away_is_asked_again(origin: Path, tmp_path: Path, answers: type[Answers]) -> None:
    answers.said += [b"fatal: early EOF", b"error: 503"]
    told: list[str] = []
    await cloning.clone(f"file://{origin}", "", tmp_path / "c.git", backoff=0, tell=told.append)
    assert len(answers.asked) == 3
    assert told == [
        f"the clone of file://{origin} does not answer ({why}); trying again"
        for why in ("fatal: early EOF", "error: 503")
    ]


async def test_a_server_that_stays_away_is_told_of_as_such(
    origin: Path, tmp_path: Path, answers: type[Answers]
) -> None:
    answers.said += [b"fatal: Could not resolve host: e.invalid"] * cloning.ATTEMPTS
    with pytest.raises(Unavailable, match=r"does not answer: .*resolve host"):
        await cloning.clone(f"file://{origin}", "", tmp_path / "c.git", backoff=0)


async def test_a_checkout_that_is_shallow_itself_is_worked_in(
    origin: Path, long: list[str], tmp_path: Path, git: Git
) -> None:
    theirs = tmp_path / "theirs"
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{origin}", str(theirs))
    tree = await open_tree(f"file://{theirs}", "", "amelia/x", tmp_path / "w")
    (tree.root / "b.txt").write_text("b\n")
    commit = await tree.commit("b\n\nAmelia-Workflow: wf-1\n", onto=tree.base_commit)
    asked = {"repository": f"file://{theirs}", "branch": "amelia/x", "commit": commit, "workflow_id": "wf-1"}
    assert (await deliver(**asked, bundle=await tree.bundle())).pushed
    assert git(theirs, "log", "--format=%H", "amelia/x").split() == [commit, long[0]]


async def test_a_user_s_own_settings_do_not_get_in_the_way(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = {
        "clone": {"defaultRemoteName": "upstream", "rejectShallow": "true"},
        "submodule": {"recurse": "true"},
        "commit": {"gpgSign": "true"},
        "core": {"hooksPath": "hooks", "autocrlf": "true", "fsmonitor": "true"},
        "fetch": {"prune": "true", "recurseSubmodules": "true"},
        "init": {"defaultRefFormat": "reftable"},
    }
    lines = (f"[{part}]\n" + "".join(f"\t{k} = {v}\n" for k, v in of.items()) for part, of in settings.items())
    (tmp_path / ".gitconfig").write_text("".join(lines))
    tree = await open_tree(f"file://{origin}", "", "amelia/x", tmp_path / "w")
    assert (tree.root / "a.txt").read_bytes() == b"a\n"
    (tree.root / "b.txt").write_text("b\n")
    assert await tree.commit("b", onto=tree.base_commit)
