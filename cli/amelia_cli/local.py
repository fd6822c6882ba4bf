"""``amelia start`` without a fleet: the same graph, agents and tools in this process."""

import asyncio
import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from amelia.adapters.local.objects import FolderObjects
from amelia.client.discover import state_directory
from amelia.contract.commands import CancelWorkflow, ResumeWorkflow, RetryWorkflow
from amelia.contract.events import WorkflowSubmitted
from amelia.contract.ids import derive_id, derived_workflow_id, new_id
from amelia.contract.views import PlanView, WorkflowView
from amelia.contract.workflow import Issue
from amelia.domain.decide import decide
from amelia.domain.workflow import Workflow
from amelia.errors import Conflict, Refused

from . import issue, options, repository
from .edge import FAILED
from .local_run import LocalRun
from .model import check_model, model
from .printing import clean, document, dollars, json_line, standing
from .record import Record, now, place
from .signals import like_ctrl_c
from .start import budget
from .story import plan_view
from .telling import telling
from .terminal import can_ask
from .views import View, view

if TYPE_CHECKING:
    from .start import Asked

_NEEDED = ("aiosqlite", "langgraph", "langgraph.checkpoint.sqlite")
_GO_ON = "the same command goes on from here"


def run(asked: "Asked") -> None:
    """Raises ``Refused`` when the packages of local mode are not installed."""
    with needed():
        _run(asked)


@contextmanager
def needed() -> Iterator[None]:
    """Around work in this process. Raises ``Refused`` when a package of local mode is not installed."""
    try:
        for name in _NEEDED:
            _ = find_spec(name) or import_module(name)
        yield
    except ModuleNotFoundError as missing:
        if (missing.name or "").split(".")[0] in ("amelia", "amelia_cli"):
            raise
        raise Refused(
            f"working here needs {missing.name}, which is not installed: pip install 'amelia[local]'"
        ) from missing


def _run(asked: "Asked") -> None:
    with ExitStack() as stack:
        shown = view(asked.output, silent=asked.mode == "wait")
        if not asked.push and not (url := repository.here(asked.repo, asked.base)).startswith("file://"):
            raise Refused(f"the work would be pushed to {url}; say --push, or name a clone of it on this machine")
        record = taken_up(asked, stack, shown)
        if record.row.ended:
            _end(record, asked, again=True)
            return
        asks = can_ask() and asked.output == "text" and asked.mode != "wait"
        stack.enter_context(telling(record))
        worked(record, asked, stack, shown, asks=asks).to_the_end()
        _end(record, asked, again=False)


def planned(asked: "Asked") -> PlanView:
    """The plan of the issue's run, made when there is none yet. When it comes to none, says so and exits with 1."""
    with ExitStack() as stack:
        shown = view(asked.output, silent=asked.output == "json" or not sys.stdout.isatty())
        record = taken_up(asked, stack, shown)
        again = record.row.ended
        if record.row.block is None and not again:
            worked(record, asked, stack, shown, asks=False).to_the_plan()
        if record.row.block is None:
            _end(record, asked, again=again)
            raise click.exceptions.Exit(FAILED)
        return asyncio.run(plan_view(record, record.row.block, FolderObjects(record.folder / "objects")))


def taken_up(asked: "Asked", stack: ExitStack, shown: View) -> Record:
    """The run of this issue: begun, or taken up where it stopped. Held until ``stack`` ends."""
    chosen = options.chosen_profile(asked.profile, asked.settings)
    found = issue.find(asked.issue, asked.title, asked.description, chosen.settings, repo=asked.repo)
    url = repository.here(asked.repo, asked.base)
    if asked.new:
        check_model(chosen.profile, asked.replay, os.environ)
    if asked.output == "text" and repository.uncommitted(url):
        click.echo("note: changes that are not committed are not part of it", err=True)
    record = _open(asked, found, url, shown)
    stack.callback(record.close)
    if record.workflow is None:
        if not asked.new:
            check_model(chosen.profile, asked.replay, os.environ)
        with shown:
            record.append(_submission(asked, record.folder.name, found, url))
    elif asked.retry and record.row.status in ("failed", "cancelled"):
        again = RetryWorkflow(id=new_id(), workflow_id=record.row.id, actor=_person())
        with shown:
            for event in decide(record.row, again, now()):
                record.append(event)
    elif not record.row.ended:
        if asked.output == "text" and record.row.epoch and record.row.status not in ("blocked", "paused"):
            click.echo(f"goes on with {record.row.id}, which had stopped; --new begins again", err=True)
        _go_on(record, asked, shown)
    return record


def worked(record: Record, asked: "Asked", stack: ExitStack, shown: View, *, asks: bool) -> LocalRun:
    """What works it. An interruption of it says how to go on."""
    settings = options.chosen_profile(asked.profile, asked.settings).settings
    policy = settings.approval() if asked.auto_approve or record.row.auto_approve else None
    choice = model(record.row.profile, asked.replay, os.environ, stack)
    stack.enter_context(_interrupted())
    return LocalRun(record, choice, shown, asks=asks, policy=policy, person=_person())


@contextmanager
def _interrupted() -> Iterator[None]:
    try:
        with like_ctrl_c():
            yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; {_GO_ON}") from None


def _go_on(record: Record, asked: "Asked", shown: View) -> None:
    """Ends a pause, and takes the budget that was given now for the one of then."""
    row = record.row
    wanted = budget(asked, row.budget)
    if row.status != "paused" and wanted == row.budget:
        return
    command = ResumeWorkflow(id=new_id(), workflow_id=row.id, actor=_person(), budget=wanted)
    with shown:
        for event in decide(row, command, now()):
            record.append(event)


def _open(asked: "Asked", found: Issue, url: str, shown: View) -> Record:
    """The last run of this issue on this repository, or the first of a new one."""
    runs = place(state_directory() / "local")
    number = 1
    while (runs / _id(url, found, number + 1)).is_dir():
        number += 1
    if asked.new and (runs / _id(url, found, number)).is_dir():
        _let_go(runs / _id(url, found, number), shown)
        number += 1
    record = Record(runs / _id(url, found, number), shown)
    row = record.workflow
    if row is None or (_same(row, found) and row.base == asked.base):
        return record
    record.close()
    if row.ended:
        return Record(runs / _id(url, found, number + 1), shown)
    raise Conflict(f"{found.id} has changed since {row.id} began; begin again with --new, or change it back to go on")


def _let_go(folder: Path, shown: View) -> None:
    """What is begun again is not gone on with: it ends, and what was kept of it stays."""
    record = Record(folder, shown)
    try:
        if record.workflow is not None and not record.row.ended:
            command = CancelWorkflow(id=new_id(), workflow_id=record.row.id, actor=_person(), reason="begun again")
            for event in decide(record.row, command, now()):
                record.append(event)
    finally:
        record.close()


def _same(row: Workflow, found: Issue) -> bool:
    """Work that is under way goes on with its issue as it was, where a tracker has it: people go on commenting."""
    return row.issue == found or (bool(found.url) and found.url == row.issue.url and not row.ended)


def _id(url: str, found: Issue, number: int) -> str:
    return derived_workflow_id("local", f"{url} {found.id} {number}")


def _submission(asked: "Asked", workflow_id: str, found: Issue, url: str) -> WorkflowSubmitted:
    profile = issue.tracked(options.chosen_profile(asked.profile, asked.settings).profile, found)
    return WorkflowSubmitted(
        id=derive_id(workflow_id, "submitted"),
        workflow_id=workflow_id,
        issue=found,
        repository=url,
        base=asked.base,
        profile=profile,
        auto_approve=asked.auto_approve or profile.auto_approve,
        owner=_person(),
        budget=budget(asked, profile.budget),
    )


def _end(record: Record, asked: "Asked", *, again: bool) -> None:
    ended = record.view()
    pushed = _pushed(ended) if asked.push and ended.status == "completed" else ""
    if asked.output == "json":
        document(ended) if asked.mode == "wait" else json_line({"type": "workflow", "workflow": ended})
    else:
        click.echo(standing(ended.status, ended.reason))
        if ended.status == "completed":
            click.echo(f"branch   {ended.branch} at {ended.commit[:12]}\ncost     {dollars(ended.spent)}")
        if pushed:
            click.echo(f"pushed   to {pushed}")
        if ended.status == "paused":
            click.echo(f"go on    {_GO_ON}, with a larger --budget where that was reached", err=True)
        if ended.status == "blocked":
            for line in ended.unresolved:
                click.echo(f"open     {clean(line)}")
            how = "on a terminal" if ended.requires == "review" else "on a terminal or with --auto-approve"
            click.echo(f"decide   {_GO_ON}, {how}", err=True)
        if ended.status == "failed" and not again:
            click.echo("again    the same command with --retry tries the rest again, with --new all of it", err=True)
        if again:
            more = "--retry tries the rest again, --new all of it" if ended.status == "failed" else "--new begins again"
            click.echo(f"it had ended before; {more}", err=True)
    if ended.status in ("failed", "cancelled", "paused") or ended.requires == "review":
        raise click.exceptions.Exit(FAILED)


def _pushed(ended: WorkflowView) -> str:
    """The branch of a repository on this machine goes on to its remote; elsewhere it is there already."""
    if not ended.repository.startswith("file://"):
        return ended.repository
    from .checkout import Checkout

    return Checkout(Path(ended.repository.removeprefix("file://"))).push(ended.branch, "")


def _person() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())
