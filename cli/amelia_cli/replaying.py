"""Plays a recorded workflow in this process: its model, its decisions, on the commit that it began with."""

import os
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from amelia.contract import commands as c
from amelia.contract import events as e
from amelia.contract.ids import derive_id, new_id, new_workflow_id
from amelia.contract.plan import Plan
from amelia.contract.workflow import Budget, Decision, ModelChoice, Profile
from amelia.domain.decide import decide
from amelia.domain.recorded import Decided, Recorded
from amelia.errors import Refused

from .local_gate import LocalGate
from .local_run import LocalRun
from .model import model
from .ordering import Listening, Order, Ordered
from .record import Record, now
from .views import View

if TYPE_CHECKING:
    from amelia.adapters.local.objects import FolderObjects

_BRANCH = "amelia-rerun"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The conversation ``file`` that was ``recorded``, and how many ``turns`` each of its conversations has. An empty
    ``repository`` or ``base`` is the recorded one."""

    file: Path
    recorded: Recorded
    turns: dict[str, int]
    repository: str = ""
    base: str = ""


def play(source: Source, folder: Path, shown: View) -> str:
    """Until it ends, or no decision is recorded for where it waits; the id of the run. What it leaves lies in
    ``folder``, as that of ``amelia start`` does: one run, on a clone of the repository."""
    recorded = source.recorded
    origin = _cloned(source.repository or recorded.repository, source.base or recorded.commit, folder / "origin.git")
    id_ = new_workflow_id()
    profile = _playable(recorded.profile)
    order = Order(recorded.finished, source.turns)
    heard = Listening(shown, order)
    with ExitStack() as stack:
        record = Record(folder / id_, heard)
        stack.callback(record.close)
        with heard:
            record.append(_submission(recorded, id_, origin.as_uri(), profile))
        played = model(profile, source.file, os.environ, stack)
        ordered = Ordered(driver=played.driver, name=played.name, environ=played.environ, order=order)
        run = Rerun(record, ordered, heard, recorded.decisions)
        run.to_the_end()
        while run.tried_again():
            run.to_the_end()
    return id_


class Rerun(LocalRun):
    """Decides as was decided before, one block after the other."""

    def __init__(self, record: Record, played: Ordered, shown: View, decisions: Sequence[Decided]) -> None:
        super().__init__(record, played, shown, asks=False, policy=None, person="recorded")
        self._left = list(decisions)
        self._gate = RecordedGate(record, self._objects, self._left)

    def tried_again(self) -> bool:
        """Whether a failure was followed by another go."""
        row = self._record.row
        if row.status != "failed" or not self._left or self._left[0].kind != "retried":
            return False
        self._left.pop(0)
        for event in decide(row, c.RetryWorkflow(id=new_id(), workflow_id=row.id, actor="recorded"), now()):
            self._record.append(event)
        return True


class RecordedGate(LocalGate):
    def __init__(self, record: Record, objects: "FolderObjects", left: list[Decided]) -> None:
        super().__init__(record, objects, asks=False, policy=None, person="recorded")
        self._left = left
        self._written: Plan | None = None

    def decided(self) -> bool:
        """False when nothing more was decided, or what was decided does not fit what waits."""
        block = self._record.row.block
        assert block is not None
        if not self._left or self._left[0].kind == "retried":
            return False
        said = self._left.pop(0)
        self._written = said.edited
        named: dict[str, Any] = {"workflow_id": self._record.row.id, "actor": "recorded", "block_id": block.event_id}
        order: c.ApproveWorkflow | c.RejectWorkflow | c.ReviseWorkflow
        match said.kind:
            case "approved":
                order = c.ApproveWorkflow(id=new_id(), plan_sha256=block.plan_sha256, tasks=said.tasks, **named)
            case "revised":
                feedback = said.feedback or "again"
                order = c.ReviseWorkflow(id=new_id(), plan_sha256=block.plan_sha256, feedback=feedback, **named)
            case _:
                order = c.RejectWorkflow(id=new_id(), plan_sha256=block.plan_sha256, feedback=said.feedback, **named)
        try:
            events = decide(self._record.row, order, now())
        except Refused:
            return False
        for event in events:
            self._record.append(event)
        return True

    def edited(self, said: Decision | None) -> Plan | None:
        return self._written if said is not None and said.kind == "revised" else None


def _playable(profile: Profile) -> Profile:
    """Without what costs, tells others or needs a program: the model is played."""
    agents = profile.agents
    chosen = {name: _api(getattr(agents, name)) for name in agents.__struct_fields__}
    return replace(
        profile,
        driver="" if profile.driver == "cli:claude" else profile.driver,
        agents=replace(agents, **chosen),
        fallback=None,
        tracker="noop",
        auto_approve=False,
        budget=Budget(),
    )


def _api(choice: ModelChoice) -> ModelChoice:
    return replace(choice, driver="") if choice.driver == "cli:claude" else choice


def _submission(recorded: Recorded, id_: str, origin: str, profile: Profile) -> e.WorkflowSubmitted:
    return e.WorkflowSubmitted(
        id=derive_id(id_, "submitted"),
        workflow_id=id_,
        issue=recorded.issue,
        repository=origin,
        base=_BRANCH,
        profile=profile,
        owner="recorded",
    )


def _cloned(repository: str, commit: str, folder: Path) -> Path:
    """A copy of all branches, with one at the commit; the repository itself is left alone."""
    from amelia.workspace.address import resolve

    ended = _git("clone", "--quiet", "--bare", "--", resolve(repository), str(folder))
    if ended.returncode:
        said = (ended.stderr.strip().splitlines() or ["git said nothing"])[-1]
        raise Refused(f"{repository} cannot be cloned ({said}); name one that can with --repo")
    at = f"{commit or 'HEAD'}^{{commit}}"
    found = _git("-C", str(folder), "rev-parse", "--verify", "--quiet", "--end-of-options", at)
    if found.returncode:
        raise Refused(
            f"{repository} has no commit {commit[:12]}, on which the workflow began; name a repository that has it with"
            " --repo, or another place to begin with --base"
        )
    _git("-C", str(folder), "update-ref", f"refs/heads/{_BRANCH}", found.stdout.strip())
    return folder


def _git(*arguments: str) -> "subprocess.CompletedProcess[str]":
    quiet = ("-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never")
    try:
        return subprocess.run(["git", *quiet, *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError as error:
        raise Refused("there is no git on this machine; install it first") from error
