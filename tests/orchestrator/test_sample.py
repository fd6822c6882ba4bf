"""The example, played over each service's protocol by a real replay server."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from amelia.contract import events as e
from amelia.contract.workflow import Issue
from amelia.drivers import factory
from amelia.orchestrator.job import Job
from amelia.workspace.deliver import deliver

if TYPE_CHECKING:
    from tests.orchestrator.conftest import World

EXAMPLE = Path(__file__).parents[2] / "examples" / "rounding"


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    fast = tmp_path_factory.mktemp("replay") / "conversation.yaml"
    text = (EXAMPLE / "conversation.yaml").read_text()
    fast.write_text(text.replace("latency: 0.15", "latency: 0").replace("chunk_delay: 0.02", "chunk_delay: 0"))
    command = [sys.executable, "-m", "amelia_replay", "--port", "0", "--conversation", str(fast)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().split()[-1]
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def broken() -> None:
    assert suite(EXAMPLE) != 0


@pytest.fixture
def python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of the example get the interpreter itself: a manager of versions would begin with a shell each
    time."""
    monkeypatch.setenv("PATH", f"{sys.base_prefix}/bin{os.pathsep}{os.environ['PATH']}")


@pytest.fixture(scope="module")
def claude(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that does as Claude Code does."""
    program = tmp_path_factory.mktemp("bin") / "claude"
    written = Path(__file__).parents[1] / "drivers" / "claude.py"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E {written} "$@"\n')
    program.chmod(0o755)
    return program


def environment(driver: str, address: str, claude: Path) -> dict[str, str]:
    return {
        "api:anthropic": {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": address},
        "api:openai": {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"{address}/v1"},
        "cli:claude": {"AMELIA_CLAUDE": str(claude), "ANTHROPIC_BASE_URL": address},
        "api:bedrock": {
            "AWS_ACCESS_KEY_ID": "k",
            "AWS_SECRET_ACCESS_KEY": "s",
            "AWS_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": address,
        },
    }[driver]


def suite(where: Path) -> int:
    command = [sys.executable, "-B", "-m", "unittest", "discover", "-s", "tests", "-t", "."]
    return subprocess.run(command, cwd=where, capture_output=True).returncode


@pytest.mark.usefixtures("broken", "python")
@pytest.mark.parametrize("name", factory.names())
async def test_the_example_is_mended(world: "World", replay: str, claude: Path, name: str) -> None:
    shutil.rmtree(world.repository)
    shutil.copytree(EXAMPLE, world.repository, ignore=shutil.ignore_patterns("__pycache__"))
    world.seed({})
    title, _, body = (EXAMPLE / "ISSUE.md").read_text().partition("\n")
    issue = Issue(id="ISSUE.md", title=title.removeprefix("# "), body=body)

    def job(old: Job) -> Job:
        return msgspec.structs.replace(old, issue=issue)

    driver = factory.create(name, environ=environment(name, replay, claude))
    world.driver = driver  # type: ignore[assignment]
    world.model = factory.default_model(name)
    try:
        planned = await world.run(job(world.job()))
        assert planned.state == "blocked", planned.cause
        ended = await world.run(job(world.job(world.decided(), world.gate)), epoch=2, place="elsewhere")
    finally:
        await driver.aclose()
    assert (ended.result, ended.cause) == ("success", "")
    outcomes = [(t.task_id, t.status, t.verification_exit) for t in world.heard.of(e.TaskCompleted)]
    assert set(outcomes) == {(id_, "completed", 0) for id_ in ("half-up", "report-cents", "document-rule", "review")}
    assert [review.verdict.approved for review in world.heard.of(e.ReviewCompleted)] == [False, True]
    assert world.heard.of(e.TokensUsed)[-1].used.cost_microdollars > 0

    work = world.heard.of(e.WorkHandedIn)[0]
    delivered = await deliver(
        repository=f"file://{world.repository}",
        bundle=await world.objects.get(work.bundle),
        branch=work.branch,
        commit=work.commit,
        workflow_id=world.workflow_id,
    )
    assert delivered.pushed
    world.git("checkout", "-q", work.branch)
    assert suite(world.repository) == 0
    assert world.git("log", "--format=%s", "main..").splitlines()[0] == "Answer the review"
