"""A world for the orchestrator: a real repository, real checkpoints, and a model that says what a test wrote."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from amelia.adapters.local.objects import FolderObjects
from amelia.contract.envelope import Event
from amelia.contract.events import TokensUsed, WorkflowBlocked, WorkHandedIn
from amelia.contract.ids import new_workflow_id
from amelia.contract.plan import Plan, Task
from amelia.contract.workflow import Decision, Issue, Money, Profile
from amelia.drivers.base import Message, Request, Text, TextDelta, ToolCall, Turn, Usage
from amelia.drivers.cast import Cast
from amelia.errors import Refused
from amelia.memory.local import LocalMemory
from amelia.orchestrator.account import highest
from amelia.orchestrator.facts import above
from amelia.orchestrator.job import Ended, Job, Limits
from amelia.orchestrator.live import Live
from amelia.orchestrator.run import run
from amelia.orchestrator.state import values_of

Say = str | dict[str, dict[str, Any]]
Key = tuple[str, str, int]
MODEL = "claude-sonnet-4-6"


class ScriptedDriver:
    """Answers by agent, task and round; the turn is the number of answers already in the request."""

    name = "scripted"

    def __init__(self) -> None:
        self.lines: dict[Key, list[Say]] = {}
        self.asked: list[tuple[str, str, int, int]] = []
        self.requests: list[Request] = []
        self.before: Callable[[Request], Awaitable[None]] | None = None

    def on(self, agent: str, *lines: Say, task: str = "", round: int = 1) -> None:  # noqa: A002
        self.lines[agent, task, round] = list(lines)

    async def stream(self, request: Request) -> AsyncIterator[TextDelta | Turn]:
        label = request.label
        answered = sum(message.role == "assistant" for message in request.messages)
        number = label.turn - 1 if label.turn else answered
        self.asked.append((label.agent, label.task, label.round, number))
        self.requests.append(request)
        if self.before:
            await self.before(request)
        lines = self.lines.get((label.agent, label.task, label.round), [])
        if number >= len(lines):
            raise Refused(f"nothing is written for {self.asked[-1]}")
        line = lines[number]
        yield TextDelta("Let me see. ")
        calls = () if isinstance(line, str) else tuple(line.items())
        parts = tuple(ToolCall(f"c{number}-{i}", name.split("#")[0], args) for i, (name, args) in enumerate(calls))
        text = (Text(line),) if isinstance(line, str) else ()
        usage = Usage(input_tokens=100, output_tokens=10)
        yield Turn(message=Message("assistant", (*text, *parts)), usage=usage, stop="tool_calls" if parts else "end")

    async def aclose(self) -> None:
        pass


class Recorder:
    """Keeps what was announced, and checks that it had been checkpointed."""

    def __init__(self, memory: LocalMemory) -> None:
        self.memory = memory
        self.epoch = 1
        self.thread = ""
        self.told: list[Event] = []
        self.shown: list[Event] = []
        self.on_progress: Callable[[Event], None] = lambda event: None

    async def facts(self, facts: Sequence[Event]) -> None:
        async with self.memory.checkpoints(facts[0].workflow_id, self.epoch) as saver:
            kept = await saver.aget_tuple({"configurable": {"thread_id": self.thread}})
        state = values_of(kept.checkpoint["channel_values"]) if kept else None
        assert state is not None
        assert [f.id for f in above(state, facts[0].fact - 1)] == [f.id for f in facts], "announced, not checkpointed"
        self.told.extend(facts)

    def progress(self, event: Event) -> None:
        self.shown.append(event)
        self.on_progress(event)

    @property
    def types(self) -> list[str]:
        return [str(type(event).__struct_config__.tag) for event in self.told]

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]


class World:
    def __init__(self, folder: Path, workflow_id: str = "") -> None:
        """``workflow_id``: of a world that is there already. A repository that is not is made."""
        self.folder = folder
        self.repository = folder / "origin"
        self.objects = FolderObjects(folder / "objects")
        self.memory = LocalMemory(folder / "memory")
        self.heard = Recorder(self.memory)
        self.driver = ScriptedDriver()
        self.workflow_id = workflow_id or new_workflow_id()
        self.profile = Profile()
        self.model = MODEL
        self.cast: Cast | None = None
        self.limits = Limits()
        if not self.repository.exists():
            self.seed({"calc.py": "def add(a, b):\n    return a - b\n", "README.md": "calc\n"})

    def seed(self, files: dict[str, str]) -> None:
        self.repository.mkdir(exist_ok=True)
        for name, text in files.items():
            (self.repository / name).write_text(text)
        if not (self.repository / ".git").exists():
            self.git("init", "-q", "-b", "main", "--template=")
        self.git("add", "--all")
        self.git("commit", "-q", "-m", "as it was")

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        identity = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        identity |= {
            f"GIT_{who}_{what}": "t@t.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        command = ["git", *arguments]
        done = subprocess.run(
            command, cwd=cwd or self.repository, env=os.environ | identity, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def job(self, decision: Decision | None = None, highest_fact: int = 0, **changes: Any) -> Job:
        job = Job(
            workflow_id=self.workflow_id,
            issue=Issue(id="GH-1", title="add subtracts", body="1 + 1 is 0"),
            repository=f"file://{self.repository}",
            branch="amelia/gh-1",
            profile=self.profile,
            decision=decision,
            highest_fact=highest_fact,
        )
        return msgspec.structs.replace(job, **changes)

    async def run(self, job: Job | None = None, *, epoch: int = 1, place: str = "", live: Live | None = None) -> Ended:
        """``place`` is another machine: a workdir that nothing was left in."""
        job = job or self.job()
        self.heard.epoch, self.heard.thread = epoch, job.thread
        return await run(
            job,
            cast=self.cast or Cast.single(self.driver, self.model),
            announcer=self.heard,
            objects=self.objects,
            memory=self.memory,
            workdir=self.folder / f"work{place or epoch}",
            epoch=epoch,
            live=live,
            limits=self.limits,
        )

    @property
    def last_fact(self) -> int:
        return self.heard.told[-1].fact

    @property
    def gate(self) -> int:
        """The fact with which the first plan began to wait."""
        return int(self.heard.of(WorkflowBlocked)[0].fact)

    @property
    def spent(self) -> dict[int, Money]:
        """As the journal would fold it."""
        spent: dict[int, Money] = {}
        for fact in self.heard.of(TokensUsed):
            spent = highest(spent, {fact.of_attempt: fact.used})
        return spent

    def decided(self, kind: Any = "approved", feedback: str = "no time") -> Decision:
        block: WorkflowBlocked = self.heard.of(WorkflowBlocked)[-1]
        return Decision(kind=kind, block_id=block.id, plan_sha256=block.plan_sha256, by="rosa", feedback=feedback)

    async def approved(self, *, epoch: int = 2) -> Ended:
        """The whole way: to the gate, and past it."""
        assert (await self.run()).state == "blocked"
        return await self.run(self.job(self.decided(), self.heard.told[-1].fact), epoch=epoch)

    def plans(self, *tasks: Task, test_command: str = "", round: int = 1) -> None:  # noqa: A002
        plan = msgspec.to_builtins(Plan(summary="Add adds.", tasks=tasks, test_command=test_command))
        self.driver.on("architect", {"read_file": {"path": "calc.py"}}, {"submit_plan": plan}, round=round)

    def develops(self, task: str, file: str, text: str, round: int = 1) -> None:  # noqa: A002
        lines: tuple[Say, ...] = (
            {"list_files": {}},
            {"write_file": {"path": file, "content": text}},
            {"finish_task": {"summary": f"wrote {file}"}},
        )
        self.driver.on("developer", *lines, task=task, round=round)

    def reviews(self, *, approved: bool, round: int = 1) -> None:  # noqa: A002
        comments = () if approved else ({"severity": "major", "message": "say more"},)
        verdict = {"approved": approved, "summary": "seen", "comments": list(comments)}
        self.driver.on("reviewer", {"submit_review": verdict}, round=round)

    async def handed_in(self) -> dict[str, str]:
        """The files of the work that was handed in, from its bundle."""
        work: WorkHandedIn = self.heard.of(WorkHandedIn)[-1]
        return await self.unpacked(await self.objects.get(work.bundle), work.commit)

    async def unpacked(self, bundle: bytes, commit: str) -> dict[str, str]:
        (self.folder / "b").write_bytes(bundle)
        self.git("fetch", "-q", str(self.folder / "b"), "+refs/*:refs/incoming/*")
        names = self.git("ls-tree", "-r", "--name-only", commit).splitlines()
        return {name: self.git("show", f"{commit}:{name}") for name in names}


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository that each world has a copy of."""
    return World(tmp_path_factory.mktemp("world")).repository


@pytest.fixture
def world(tmp_path: Path, origin: Path) -> World:
    shutil.copytree(origin, tmp_path / origin.name)
    return World(tmp_path)


def task(id: str, *dependencies: str, verification: str = "") -> Task:  # noqa: A002
    return Task(id=id, title=f"Do {id}", description=f"{id} well", dependencies=dependencies, verification=verification)


@pytest.fixture
def make_task() -> Callable[..., Task]:
    return task
