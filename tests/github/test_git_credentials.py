"""git over https with a token that nobody else sees."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from amelia.errors import Refused, Unavailable
from amelia.workspace.credentials import credential
from amelia.workspace.deliver import Delivered, deliver, withdraw
from amelia.workspace.tree import open_tree

from .conftest import TOKEN, WORKFLOW, GitHubPeer, run
from .ledger import Fault

BRANCH = "amelia/new-0a1b2c3d"


class Work(msgspec.Struct, frozen=True):
    peer: GitHubPeer
    bundle: bytes
    commit: str

    async def deliver(self, token: str = TOKEN, name: str = "acme/shop") -> Delivered:
        url = self.peer.url(name)
        asked = {"repository": url, "branch": BRANCH, "commit": self.commit, "workflow_id": WORKFLOW}
        return await deliver(**asked, bundle=self.bundle, token=token)

    async def withdraw(self, commit: str = "", workflow_id: str = WORKFLOW) -> bool:
        asked = {"repository": self.peer.url(), "branch": BRANCH, "commit": commit or self.commit}
        return await withdraw(**asked, workflow_id=workflow_id, token=TOKEN)

    @property
    def there(self) -> str:
        return self.peer.ledger.sha("acme/shop", BRANCH)


@pytest.fixture
async def work(peer: GitHubPeer, tmp_path: Path) -> Work:
    tree = await open_tree(peer.url(), "main", BRANCH, tmp_path / "w", token=TOKEN)
    (tree.root / "b").write_text("b")
    commit = await tree.commit(f"b\n\nAmelia-Workflow: {WORKFLOW}\n", onto=tree.base_commit)
    return Work(peer, await tree.bundle(), commit)


async def test_a_token_clones_delivers_and_takes_back(work: Work) -> None:
    assert await work.deliver() == Delivered(branch=BRANCH, commit=work.commit, pushed=True)
    assert not (await work.deliver()).pushed
    assert work.there == work.commit
    assert await work.withdraw()
    assert work.there == ""
    assert not await work.withdraw()


async def test_without_a_token_or_with_too_small_a_one_the_remote_says_no(work: Work) -> None:
    with pytest.raises(Refused, match="cannot read"):
        await work.deliver(token="")
    with pytest.raises(Refused, match="Authentication failed"):
        await work.deliver(token="wrong")
    work.peer.ledger.grant("reader", ["acme/shop"], contents="read")
    with pytest.raises(Refused, match="does not take the branch"):
        await work.deliver(token="reader")
    assert work.there == ""


async def test_a_token_that_reads_is_enough_to_clone(peer: GitHubPeer, tmp_path: Path) -> None:
    peer.ledger.grant("reader", ["acme/shop"], contents="read")
    tree = await open_tree(peer.url(), "", BRANCH, tmp_path / "w", token="reader")
    assert (tree.root / "README.md").exists()
    config = await tree.run("git config --list; env; cat $(git rev-parse --git-common-dir)/config", 10)
    assert b"reader" not in config.output
    assert peer.git.encode() not in config.output
    assert b"AMELIA" not in config.output


async def test_only_its_own_commit_is_taken_back(work: Work) -> None:
    await work.deliver()
    bare = work.peer.ledger.bare("acme/shop")
    assert not await work.withdraw(workflow_id="wf-another")
    assert not await work.withdraw(commit=run(bare, "rev-parse", "main"))
    assert work.there == work.commit
    run(bare, "update-ref", f"refs/heads/{BRANCH}", "main")
    assert not await work.withdraw()
    assert work.there == run(bare, "rev-parse", "main")


async def test_a_branch_that_moves_while_it_is_taken_back_stays(work: Work) -> None:
    """The remote advertises the workflow's commit, and is elsewhere when the order to delete arrives."""
    await work.deliver()
    bare = work.peer.ledger.bare("acme/shop")
    hook = bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nenv -u GIT_QUARANTINE_PATH git update-ref refs/heads/{BRANCH} main\n")
    hook.chmod(0o755)
    assert not await work.withdraw()
    assert work.there == run(bare, "rev-parse", "main")


async def test_a_branch_that_moves_between_the_look_and_the_order_stays(work: Work) -> None:
    await work.deliver()
    bare = work.peer.ledger.bare("acme/shop")
    fault = Fault(path="service=git-receive-pack", seconds=0.3)
    work.peer.ledger.fail(fault)
    withdrawing = asyncio.create_task(work.withdraw())
    while fault.times:
        await asyncio.sleep(0.005)
    run(bare, "update-ref", f"refs/heads/{BRANCH}", "main")
    assert not await withdrawing
    assert work.there == run(bare, "rev-parse", "main")


async def test_a_push_whose_answer_is_lost_is_found_to_have_arrived(work: Work) -> None:
    work.peer.ledger.fail(Fault(path="git-receive-pack$", method="POST", after=True, reset=True))
    assert (await work.deliver()).commit == work.commit
    assert work.there == work.commit


async def test_a_remote_that_is_unwell_is_unavailable_and_one_that_forbids_is_not(work: Work) -> None:
    for status, kind in ((503, Unavailable), (429, Unavailable), (403, Refused)):
        work.peer.ledger.fail(Fault(path="git-receive-pack$", method="POST", status=status))
        with pytest.raises(kind, match="does not take the branch"):
            await work.deliver()
    await work.deliver()


async def test_a_redirect_gets_no_credential(work: Work) -> None:
    work.peer.ledger.kept.renamed["old/name"] = "acme/shop"
    with pytest.raises(Refused, match="name the repository's new address"):
        await work.deliver(name="old/name")
    elsewhere = work.peer.url().replace("127.0.0.1", "localhost")
    work.peer.ledger.fail(
        Fault(path="/info/refs", status=302, headers={"Location": f"{elsewhere}/info/refs?service=git-upload-pack"})
    )
    before = len(work.peer.requests())
    with pytest.raises(Refused, match="redirect"):
        await work.deliver()
    assert len(work.peer.requests()) == before + 1


async def test_nothing_of_a_token_is_in_a_command_line_or_a_file(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every process that is seen while git pushes, and every file that is there while it does."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    work.peer.ledger.fail(Fault(path="git-receive-pack$", method="POST", seconds=0.3))
    seen: list[bytes] = []
    running = asyncio.create_task(work.deliver())
    async for commands in command_lines(running):
        seen += [*commands, *(path.read_bytes() for path in scratch.rglob("*") if path.is_file())]
    await running
    assert any(b"git-receive-pack" in said or b"send-pack" in said for said in seen)
    assert any(b"git\0" in said and b"push" in said for said in seen)
    assert not [said for said in seen if TOKEN.encode() in said]
    assert not list(scratch.iterdir())


async def test_helpers_headers_and_prompts_of_the_caller_are_not_asked(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    host = work.peer.git
    config = tmp_path / "gitconfig"
    config.write_text(
        f'[credential]\n helper = "!cat >> {told}; true"\n[credential "{host}"]\n helper = "!cat >> {told}; true"\n'
        f'[http]\n extraHeader = "X-Mine: 1"\n[http "{host}/"]\n extraHeader = "Authorization: bearer mine"\n'
    )
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    for number, (key, value) in enumerate((("include.path", str(config)), ("user.name", "kept"))):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    prompt = tmp_path / "prompt"
    prompt.write_text(f"#!/bin/sh\necho asked >> {told}\n")
    prompt.chmod(0o755)
    monkeypatch.setenv("GIT_ASKPASS", str(prompt))
    await work.deliver()
    with pytest.raises(Refused):
        await work.deliver(token="wrong")
    assert not told.exists()
    sent = [request["headers"].get("Authorization", "") for request in work.peer.requests("POST", "git-receive-pack")]
    assert sent
    assert not [header for header in sent if "mine" in header]


def test_a_credential_is_for_an_https_host_and_nothing_else() -> None:
    assert credential("file:///srv/shop.git", "t") == {}
    assert credential("git@github.com:acme/shop.git", "t") == {}
    assert credential("https://github.com/acme/shop", "") == {}
    env = credential("https://me@github.com:8443/acme/shop", "tok-1")
    assert "credential.https://github.com:8443.helper" in env.values()
    assert [key for key, value in env.items() if "tok-1" in value] == ["AMELIA_GIT_PASSWORD"]
    for url in ("https://git\thub.com/a", "https://github.com\\@evil.invalid/a", "https://a@b@c/d", "https://host"):
        with pytest.raises(Refused, match="no plain host"):
            credential(url, "tok-1")


async def command_lines(running: asyncio.Task[Delivered]) -> AsyncIterator[list[bytes]]:
    """Of all processes, again and again until the task is done."""
    while not running.done():
        folders = [folder for folder in Path("/proc").iterdir() if folder.name.isdecimal()]
        yield [line for folder in folders for line in _command_line(folder)]
        await asyncio.sleep(0.002)


def _command_line(folder: Path) -> list[bytes]:
    try:
        return [(folder / "cmdline").read_bytes()]
    except OSError:
        return []
