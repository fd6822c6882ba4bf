import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver

from amelia.adapters.local.objects import FolderObjects
from amelia.contract.envelope import Event
from amelia.contract.events import WorkflowBlocked, WorkflowCompleted
from amelia.contract.invocation import Invocation
from amelia.contract.workflow import Profile
from amelia.drivers.cast import Missing
from amelia.errors import Unavailable
from amelia.memory.local import LocalMemory
from amelia.orchestrator.account import Account
from amelia.orchestrator.live import Live
from amelia_runtime.choosing import choose
from amelia_runtime.working import Workshop, job_of

Asked = Callable[..., Invocation]


class Ear:
    """An announcer that remembers."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    async def facts(self, facts: Sequence[Event]) -> None:
        self.heard += facts

    def progress(self, event: Event) -> None:
        pass


class Flaky(LocalMemory):
    """Whose first writes fail."""

    def __init__(self, folder: Path, error: Exception, times: int) -> None:
        super().__init__(folder)
        self.error = error
        self.times = times

    @asynccontextmanager
    async def _open(self, workflow_id: str, epoch: int) -> AsyncIterator[BaseCheckpointSaver[str]]:
        async with super()._open(workflow_id, epoch) as saver:
            kept = saver.aput

            async def aput(*words: Any, **more: Any) -> Any:
                if self.times:
                    self.times -= 1
                    raise self.error
                return await kept(*words, **more)

            saver.aput = aput  # type: ignore[method-assign]
            yield saver


def live(epoch: int) -> Live:
    return Live(Account(epoch))


def workshop(tmp_path: Path, memory: LocalMemory, **environ: str) -> Workshop:
    return Workshop(objects=FolderObjects(tmp_path / "objects"), memory=memory, environ=environ, pauses=(0, 0))


async def test_a_repository_that_does_not_clone_ends_the_workflow_with_the_reason(tmp_path: Path, asked: Asked) -> None:
    ear = Ear()
    invocation = asked(1, repository=(tmp_path / "nowhere").as_uri())
    ended = await workshop(tmp_path, LocalMemory(tmp_path)).carry(invocation, ear, live(1))
    assert ended.state == "finished"
    [said] = ear.heard
    assert isinstance(said, WorkflowCompleted)
    assert (said.result, said.fact, said.blame) == ("failed", 1, "repository")
    assert "nowhere" in said.cause


async def test_a_credential_for_the_clone_is_shown_by_nothing_and_kept_nowhere(
    tmp_path: Path, asked: Asked, repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ear, token = Ear(), "ghs_0123456789secret"
    invocation = asked(1, repository=repository.as_uri(), clone_token=token)
    await workshop(tmp_path / "kept", LocalMemory(tmp_path / "kept")).carry(invocation, ear, live(1))
    assert isinstance(ear.heard[-1], WorkflowCompleted)
    assert token not in f"{ear.heard}{caplog.text}{job_of(invocation)!r}"
    kept = [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if token.encode() in path.read_bytes()]


async def test_a_workdir_is_gone_when_the_work_is_cancelled_and_so_is_what_killed_attempts_left(
    tmp_path: Path, asked: Asked, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    invocation = asked(2, repository=repository.as_uri())
    older, newer = (scratch / f"amelia-{invocation.workflow_id}-{epoch}-left" for epoch in (1, 3))
    older.mkdir()
    newer.mkdir()
    for turns in (0, 1, 2, 5, 50):
        carrying = asyncio.create_task(workshop(tmp_path, LocalMemory(tmp_path)).carry(invocation, Ear(), live(2)))
        for _ in range(turns):
            await asyncio.sleep(0)
        carrying.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await carrying
    await asyncio.get_running_loop().shutdown_default_executor()
    assert list(scratch.iterdir()) == [newer]


async def test_without_credentials_for_a_model_the_workflow_fails_saying_what_to_set(
    tmp_path: Path, asked: Asked, repository: Path
) -> None:
    ear = Ear()
    ended = await workshop(tmp_path, LocalMemory(tmp_path)).carry(
        asked(1, repository=repository.as_uri()), ear, live(1)
    )
    assert (ended.state, ended.result) == ("finished", "failed")
    assert "ANTHROPIC_API_KEY" in ended.cause
    assert [said.fact for said in ear.heard] == list(range(1, ended.last_fact + 1))


async def test_a_run_that_something_was_away_for_is_tried_again(tmp_path: Path, asked: Asked, repository: Path) -> None:
    ear = Ear()
    memory = Flaky(tmp_path / "memory", Unavailable("the memory is away"), times=2)
    ended = await workshop(tmp_path, memory).carry(asked(1, repository=repository.as_uri()), ear, live(1))
    assert "ANTHROPIC_API_KEY" in ended.cause


@pytest.mark.parametrize(
    ("error", "times", "cause"),
    [
        (Unavailable("the model does not answer"), 3, "the model does not answer"),
        (ZeroDivisionError("a mistake"), 1, "the runtime failed: ZeroDivisionError: a mistake"),
    ],
)
async def test_a_run_that_is_given_up_leaves_a_fact_that_a_later_attempt_says_again(
    tmp_path: Path, asked: Asked, repository: Path, error: Exception, times: int, cause: str
) -> None:
    memory = Flaky(tmp_path / "memory", error, times)
    ear, later = Ear(), Ear()
    ended = await workshop(tmp_path, memory).carry(asked(1, repository=repository.as_uri()), ear, live(1))
    assert (ended.state, ended.result, ended.cause) == ("finished", "failed", cause)
    again = await workshop(tmp_path, memory).carry(asked(2, repository=repository.as_uri()), later, live(2))
    assert again == ended
    assert later.heard == ear.heard
    assert isinstance(ear.heard[-1], WorkflowCompleted)
    assert ear.heard[-1].cause == cause
    assert not any(isinstance(said, WorkflowBlocked) for said in ear.heard)


async def test_a_memory_that_stays_away_is_the_callers_to_know(tmp_path: Path, asked: Asked, repository: Path) -> None:
    memory = Flaky(tmp_path / "memory", Unavailable("the memory is away"), times=99)
    with pytest.raises(Unavailable, match="the memory is away"):
        await workshop(tmp_path, memory).carry(asked(1, repository=repository.as_uri()), Ear(), live(1))


@pytest.mark.parametrize(
    ("profile", "environ", "chosen"),
    [
        (Profile(), {"OPENAI_API_KEY": "k"}, "api:openai"),
        (Profile(), {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}, "api:anthropic"),
        (Profile(), {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k", "AMELIA_DRIVER": "api:openai"}, "api:openai"),
        (Profile(driver="api:anthropic"), {"ANTHROPIC_API_KEY": "k", "AMELIA_DRIVER": "api:openai"}, "api:anthropic"),
        (Profile(), {"AMELIA_DRIVER": "api:opneai"}, "missing"),
        (Profile(), {}, "missing"),
    ],
)
async def test_the_driver_is_the_profiles_else_the_environments_else_by_credentials(
    profile: Profile, environ: dict[str, str], chosen: str
) -> None:
    cast = choose(profile, environ)
    [(driver, _)] = [(choice.driver, choice.model) for choice in cast.of("developer")]
    assert driver.name == chosen
    assert isinstance(driver, Missing) == (chosen == "missing")
    await cast.aclose()


async def test_the_environments_model_is_not_given_to_a_driver_that_only_the_profile_names() -> None:
    environ = {"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k", "AMELIA_DRIVER": "api:openai", "AMELIA_MODEL": "small"}
    for profile, model in ((Profile(), "small"), (Profile(model="large"), "large")):
        cast = choose(profile, environ)
        assert cast.of("architect")[0].model == model
        await cast.aclose()
    cast = choose(Profile(driver="api:anthropic"), environ)
    assert cast.of("architect")[0].model.startswith("claude")
    await cast.aclose()
