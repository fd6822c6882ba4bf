"""``amelia start --remote``: the fleet works it, and we may watch."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from amelia.client.discover import discover
from amelia.client.http import ControlPlane
from amelia.contract.ids import new_id
from amelia.contract.views import DecisionRequest, ReviseRequest, StartRequest, WorkflowView
from amelia.contract.workflow import Budget
from amelia.errors import Conflict, Refused

from . import issue, options, repository
from .edge import FAILED
from .printing import clean, document, dollars, json_line, resume_with, standing
from .start import budget
from .terminal import ask, ask_about_work, can_ask
from .views import View, view

if TYPE_CHECKING:
    from .start import Asked


def run(asked: "Asked") -> None:
    chosen = options.chosen_profile(asked.profile, asked.settings)
    found = issue.find(asked.issue, asked.title, asked.description, chosen.settings, repo=asked.repo, remote=True)
    fleet = discover(url=asked.url, profile_url=chosen.settings.cloud.control_plane_url, environ=os.environ)
    plane = ControlPlane(fleet.url, fleet.token)
    url = repository.reachable(asked.repo, asked.base, plane.url)
    auto = asked.auto_approve or chosen.profile.auto_approve
    request = StartRequest(
        issue=found,
        repository=url,
        base=asked.base,
        profile=replace(issue.tracked(chosen.profile, found), budget=Budget()),
        auto_approve=auto,
        priority=asked.priority,
        budget=budget(asked, chosen.profile.budget),
    )
    started, attached = _begun(plane, request, asked.key)
    if attached:
        started = plane.workflow(started.id)
        _attached(started, asked)
    elif asked.output == "text" and repository.uncommitted(url):
        click.echo("note: changes that are not committed are not part of it", err=True)
    if asked.mode == "detach":
        _detached(started, asked.output)
    else:
        _stay(plane, started, asked, auto=auto)


def _begun(plane: ControlPlane, request: StartRequest, key: str) -> tuple[WorkflowView, bool]:
    try:
        return plane.attach(request, key=key or new_id())
    except Refused as refusal:
        if key and "this idempotency key came before" in str(refusal):
            raise Refused(
                f"{key!r} has started a workflow before, with other options; "
                "give those again to attach to it, or another --idempotency-key"
            ) from refusal
        raise


def _attached(started: WorkflowView, asked: "Asked") -> None:
    if asked.output == "json" and asked.mode == "follow":
        json_line({"type": "attached", "workflow_id": started.id, "status": started.status})
    elif asked.output == "text":
        click.echo(f"attached to {started.id}, which {asked.key!r} has started before: {started.status}", err=True)


def _detached(started: WorkflowView, output: str) -> None:
    if output == "json":
        document(started)
        return
    click.echo(started.id)
    click.echo(f"follow it: amelia workflows logs {started.id} --follow", err=True)


def _stay(plane: ControlPlane, started: WorkflowView, asked: "Asked", *, auto: bool) -> None:
    from .watch import to_the_end

    silent = asked.mode == "wait"
    if asked.output == "text":
        click.echo(started.id, err=silent)
    with _left_alone(started.id), view(asked.output, silent=silent) as shown:
        gate = _Gate(plane, shown, asks=asked.output == "text" and not silent and can_ask(), auto=auto)
        ended = to_the_end(plane, started.id, shown, blocked=gate.blocked)
    if asked.output == "json":
        document(ended) if silent else json_line({"type": "workflow", "workflow": ended})
    else:
        _say(ended)
    if ended.status in ("failed", "cancelled"):
        raise click.exceptions.Exit(FAILED)


@contextmanager
def _left_alone(workflow_id: str) -> Iterator[None]:
    """Whoever ends the command does not end the workflow, and is told so."""
    try:
        yield
    except KeyboardInterrupt:
        verbs = f"amelia workflows logs {workflow_id} --follow shows it, amelia workflows cancel {workflow_id} ends it"
        raise KeyboardInterrupt(f"interrupted; the fleet goes on with {workflow_id}: {verbs}") from None


class _Gate:
    """What is done when a person is waited for: of a plan, ask whoever is at the terminal, else say how to decide it,
    once a block; of a pause, say how to end it. With ``auto`` the policy decides plans."""

    def __init__(self, plane: ControlPlane, shown: View, *, asks: bool, auto: bool) -> None:
        self._plane, self._shown, self._asks, self._auto = plane, shown, asks, auto
        self._told: set[str] = set()

    def blocked(self, current: WorkflowView) -> bool:
        """Whether to stay."""
        paused = current.status == "paused"
        what = f"paused {current.attempt} {current.reason}" if paused else current.block_id
        if what in self._told or (self._auto and not paused and current.requires != "review"):
            return True
        self._told.add(what)
        if paused:
            self._shown.note(f"{current.id} is paused: {clean(current.reason)}; {resume_with(current)}")
            return True
        if not self._asks:
            what = "a decision about its work" if current.requires == "review" else "approval"
            look = "diff" if current.requires == "review" else "plan"
            self._shown.note(
                f"{current.id} waits for {what}: amelia workflows {look} {current.id}, "
                f"then amelia workflows approve {current.id}"
            )
            return True
        self._shown.pause()
        try:
            return self._decide(current)
        finally:
            self._shown.resume()

    def _decide(self, current: WorkflowView) -> bool:
        if current.requires == "review":
            block, sha256 = current.block_id, current.plan_sha256
            answer = ask_about_work(current.unresolved, lambda: self._plane.diff(current.id))
        else:
            seen = self._plane.plan(current.id)
            block, sha256 = seen.block_id, seen.plan_sha256
            answer = ask(seen)
        feedback = answer.feedback
        try:
            match answer.choice:
                case "approve":
                    self._plane.approve(current.id, DecisionRequest(block_id=block, plan_sha256=sha256))
                case "reject":
                    request = DecisionRequest(block_id=block, plan_sha256=sha256, feedback=feedback)
                    self._plane.reject(current.id, request)
                case "revise":
                    wanted = ReviseRequest(block_id=block, plan_sha256=sha256, feedback=feedback)
                    self._plane.revise(current.id, wanted)
        except Conflict as conflict:
            click.echo(f"decided meanwhile: {conflict}")
        return answer.choice != "leave"


def _say(ended: WorkflowView) -> None:
    click.echo(standing(ended.status, ended.reason))
    if ended.status == "completed":
        click.echo(f"branch   {ended.branch} at {ended.commit[:12]}\ncost     {dollars(ended.spent)}")
        if ended.pull_request:
            click.echo(f"pull     {clean(ended.pull_request.url)}")
        click.echo(f"look     amelia workflows diff {ended.id}")
    elif ended.status == "blocked":
        click.echo(f"decide   amelia workflows approve {ended.id}")
