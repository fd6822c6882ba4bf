"""A review without a workflow: the Reviewer in this process, on a copy of what is not committed."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
import msgspec
from msgspec.structs import replace

from amelia.adapters.local.objects import FolderObjects
from amelia.contract.envelope import Event
from amelia.contract.plan import Comment, Verdict
from amelia.contract.workflow import Budget, Issue, Left, Money, Profile
from amelia.drivers.prices import prices_for
from amelia.errors import Refused
from amelia.orchestrator.account import Account
from amelia.orchestrator.agents.window import limits_for
from amelia.orchestrator.live import Live, Stopped
from amelia.orchestrator.opinion import opinion
from amelia.workspace.uncommitted import open_uncommitted

from . import issue, options
from .model import Model, model
from .printing import clean, clean_block, document, dollars, paint
from .views import LiveView, Silent, View, view

if TYPE_CHECKING:
    from amelia.contract.events import AnyEvent
    from amelia.workspace.tree import Tree

    from .review import Wanted

_COLOURS = {"blocker": "red", "major": "red", "minor": "yellow"}
_NO_ISSUE = Issue(
    id="uncommitted",
    title="Review a change that was made by hand",
    body="There is no issue: nothing but the change says what it is for. Judge whether it is correct and complete in "
    "itself, whether what it touches is tested, and whether it reads like the code around it.",
)


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """``base`` is the commit from which the change was looked at."""

    base: str
    verdict: Verdict
    spent: Money


def reviewed(wanted: "Wanted") -> Given | None:
    """None when nothing has changed. Raises ``Refused`` when there is nothing to review with, or no verdict."""
    chosen = options.chosen_profile(wanted.profile, wanted.settings)
    profile = chosen.profile
    if wanted.strategy:
        profile = msgspec.convert({**msgspec.structs.asdict(profile), "strategy": wanted.strategy}, Profile)
    told = wanted.issue or wanted.title or wanted.description
    name = wanted.issue or "uncommitted"
    found = issue.find(name, wanted.title, wanted.description, chosen.settings) if told else _NO_ISSUE
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="amelia-review-")))
        top = _top(Path.cwd())
        copied = open_uncommitted(top, folder, base=wanted.base, paths=_places(wanted.paths, top))
        tree = asyncio.run(copied)
        if tree is None:
            return None
        choice = model(profile, wanted.replay, os.environ, stack)
        shown = _view(wanted.output)
        with shown:
            return asyncio.run(_given(tree, found, profile, choice, shown, wanted))


def _view(output: str) -> View:
    shown = view(output) if output == "text" and sys.stdout.isatty() else Silent()
    if isinstance(shown, LiveView):
        shown.seen = replace(shown.seen, phase="reviewing")
    return shown


def _places(given: Sequence[Path], top: Path) -> tuple[str, ...]:
    """The paths as seen from the checkout's top folder."""
    here, above = Path.cwd().resolve(), top.resolve()
    found = [Path(os.path.normpath(here / path)) for path in given]
    for path, whole in zip(given, found, strict=True):
        if not whole.is_relative_to(above):
            raise Refused(f"{path} is not within {top}; name files or folders below it")
    return tuple(str(whole.relative_to(above)) for whole in found)


def _top(folder: Path) -> Path:
    for above in (folder, *folder.parents):
        if (above / ".git").exists():
            return above
    raise Refused(f"{folder} is in no checkout of a git repository; run this in one")


async def _given(tree: "Tree", found: Issue, profile: Profile, choice: Model, shown: View, wanted: "Wanted") -> Given:
    account = Account(1, _left(profile.budget, wanted))
    cast_ = choice.cast(profile)
    try:
        outcome = await opinion(
            tree,
            found,
            profile=profile,
            cast=cast_,
            announcer=_Shown(shown),
            objects=FolderObjects(tree.root.parent / "objects"),
            live=Live(account),
            prices=prices_for(choice.environ),
            limits=limits_for(choice.environ),
            test_command=wanted.test,
        )
    except Stopped as stopped:
        raise Refused("the next call would pass the budget; give a larger one with --budget") from stopped
    finally:
        await cast_.aclose()
    if outcome.answer is None:
        raise Refused(f"there is no review: {outcome.cause}")
    return Given(base=tree.base_commit, verdict=_sorted(outcome.answer), spent=account.all)


def _left(budget: Budget, wanted: "Wanted") -> Left:
    microdollars = budget.microdollars if wanted.dollars is None else wanted.dollars
    tokens = budget.tokens if wanted.tokens is None else wanted.tokens
    return Left(microdollars=microdollars or None, tokens=tokens or None)


def _sorted(verdict: Verdict) -> Verdict:
    return replace(verdict, comments=tuple(sorted(verdict.comments, key=lambda comment: (comment.file, comment.line))))


def tell(given: Given | None, output: str) -> None:
    if output == "json":
        document({"approved": True, "summary": "", "comments": []} if given is None else _told(given))
        return
    if given is None:
        click.echo("nothing has changed, so there is nothing to review", err=True)
        return
    for comment in given.verdict.comments:
        click.echo(f"{_place(comment)}{paint(comment.severity, _COLOURS.get(comment.severity, ''))}: ", nl=False)
        click.echo(clean(comment.message))
    said = paint("approved", "green") if given.verdict.approved else paint("changes are asked for", "red")
    click.echo(f"{said}: {clean_block(given.verdict.summary)}")
    click.echo(f"cost: {dollars(given.spent)}", err=True)


def _told(given: Given) -> dict[str, object]:
    return {"base": given.base, **msgspec.structs.asdict(given.verdict), "spent": given.spent}


def _place(comment: Comment) -> str:
    if not comment.file:
        return ""
    return f"{clean(comment.file)}:{comment.line}: " if comment.line else f"{clean(comment.file)}: "


class _Shown:
    """What the Reviewer is seen doing. Nothing of it is kept."""

    def __init__(self, shown: View) -> None:
        self._shown = shown

    async def facts(self, facts: Sequence[Event]) -> None:
        for fact in facts:
            self.progress(fact)

    def progress(self, event: Event) -> None:
        self._shown.show(0, cast("AnyEvent", event))
