"""The peer as a program, which is the same one after a restart."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from amelia.adapters.github.connection import Access, open_github
from amelia.ports.forge import PullRequest

from .conftest import BRANCH, WORKFLOW, add_branch

ROOT = Path(__file__).parents[2]


@contextlib.asynccontextmanager
async def program(root: Path) -> AsyncIterator[str]:
    arguments = ("--root", str(root), "--token", "t", "--repository", "acme/shop")
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.github.peer", *arguments), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        yield f"http://127.0.0.1:{int(await child.stdout.readline())}"
    finally:
        child.terminate()
        assert await child.wait() == 0


async def open_one(api: str, root: Path) -> PullRequest:
    """The repository is named as a folder, which the peer's REST API serves all the same."""
    async with open_github(Access(token="t"), api=api, web=f"file://{root}/repos") as github:
        return await github.forge.open_pull_request(
            f"file://{root}/repos/acme/shop.git",
            branch=BRANCH,
            base="",
            title="t",
            body="b",
            draft=False,
            workflow_id=WORKFLOW,
        )


async def test_what_it_was_told_outlives_it(tmp_path: Path) -> None:
    async with program(tmp_path) as api:
        commit = add_branch(tmp_path / "repos/acme/shop.git", BRANCH)
        assert not (await open_one(api, tmp_path)).adopted
    async with program(tmp_path) as api:
        assert (await open_one(api, tmp_path)).adopted
        async with aiohttp.ClientSession() as session, session.get(f"{api}/_peer/pulls") as answer:
            [pull] = await answer.json()
        assert (pull["number"], pull["sha"], pull["state"]) == (1, commit, "open")
        async with aiohttp.ClientSession() as session, session.get(f"{api}/_peer/requests") as answer:
            methods = [request["method"] for request in await answer.json()]
        assert methods == ["GET", "GET", "POST", "GET", "GET"]
