"""Judges the whole change: one reviewer, or three with an eye each."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from ...contract.plan import Verdict
from ...contract.workflow import Note, Profile
from ...drivers.base import Usage
from ...tools.toolbox import READING, shorten
from ..artifacts import Basket
from ..prompts import prompt
from ..site import Site
from ..state import Work
from .architect import notes_read
from .checks import checked
from .diffs import in_shares
from .loop import Outcome, Part, talk
from .material import fenced, told
from .merging import SENDS_BACK, merged
from .placing import misplaced, placed

LONGEST_DIFF = 160_000
FOCUSES = ("security", "performance", "usability")
"""Of the reviewers of the competitive strategy; each is the task of its conversation."""


def focuses(profile: Profile) -> tuple[str, ...]:
    """One for each reviewer; "" is the one who looks at everything."""
    return FOCUSES if profile.strategy == "competitive" else ("",)


async def judge(site: Site, work: Work) -> Outcome[Verdict]:
    """Several judge at once. Who approves stands for nothing while another gave no verdict; who sends back does."""
    names = focuses(site.job.profile)
    opening = Once(lambda basket: _opening(site, work, basket))
    tree = await site.tree(work)
    ended = await asyncio.gather(
        *(talk(site, work, _part(site, work, opening, focus)) for focus in names), return_exceptions=True
    )
    outcomes: dict[str, Outcome[Verdict]] = {}
    for focus, outcome in zip(names, ended, strict=True):
        if isinstance(outcome, BaseException):
            raise outcome
        answer = outcome.answer and await placed(tree, outcome.answer)
        said = answer.summary if answer else outcome.cause
        outcomes[focus] = msgspec.structs.replace(outcome, answer=answer, said={focus: said})
    return outcomes[""] if "" in outcomes else together(outcomes)


def together(outcomes: dict[str, Outcome[Verdict]]) -> Outcome[Verdict]:
    """One outcome of several, by reviewer."""
    notes: dict[str, Note] = {note.id: note for outcome in outcomes.values() for note in outcome.notes}
    usage = sum((outcome.usage for outcome in outcomes.values()), Usage())
    verdicts = {name: outcome.answer for name, outcome in outcomes.items() if outcome.answer}
    silent = {name: outcome.cause for name, outcome in outcomes.items() if not outcome.answer}
    verdict = merged(verdicts) if verdicts else None
    cause = "; ".join(f"the {name} reviewer gave no verdict: {why}" for name, why in silent.items())
    if verdict is not None and silent:
        summary = f"{verdict.summary}\n{cause}"
        verdict = None if verdict.approved else msgspec.structs.replace(verdict, summary=summary)
    return Outcome(
        answer=verdict,
        usage=usage,
        turns=sum(outcome.turns for outcome in outcomes.values()),
        notes=tuple(notes.values()),
        cause="" if verdict else cause,
        said={name: words for outcome in outcomes.values() for name, words in outcome.said.items()},
    )


class Once:
    """Made when the first reviewer asks for it, and the same for all."""

    def __init__(self, make: Callable[[Basket], Awaitable[str]]) -> None:
        self._make = make
        self._making = asyncio.Lock()
        self._made: str | None = None

    async def __call__(self, basket: Basket) -> str:
        async with self._making:
            if self._made is None:
                self._made = await self._make(basket)
            return self._made


def _part(site: Site, work: Work, opening: Once, focus: str) -> Part[Verdict]:
    label = site.label("reviewer", focus, work.round)
    basket = site.basket(label)

    async def open_with() -> str:
        common = await opening(basket)
        return f"{common}\n\n{prompt(f'reviewer_{focus}')}" if focus else common

    return Part(
        label=label,
        system=prompt("reviewer"),
        opening=open_with,
        skills=READING,
        tool="submit_review",
        tool_description="Submits your verdict. Call it once, when you have seen enough.",
        answer=Verdict,
        accept=_accept,
        basket=basket,
    )


async def _accept(verdict: Verdict) -> str:
    sends_back = any(comment.severity in SENDS_BACK for comment in verdict.comments)
    if verdict.approved and sends_back:
        return "the verdict approves and has major or blocker comments; lower their severity, or do not approve"
    if not verdict.approved and not sends_back:
        return "the verdict sends the work back without a major or blocker comment; say what has to change"
    return misplaced(verdict)


async def _opening(site: Site, work: Work, basket: Basket) -> str:
    tree = await site.tree(work)
    plan = msgspec.json.format(msgspec.json.encode(work.agreed)).decode()
    diff = (await tree.diff()).decode(errors="replace")
    ran = await checked(site, work, tree)
    if ran:
        whole = "\n".join(f"$ {check.command}\n{check.report or 'not run again'}\n" for check in ran)
        await basket.report(whole.encode(), f"reviewer-{work.round}")
    checks = [check.said() for check in ran]
    if not work.agreed.test_command:
        checks.insert(0, "The plan names no test command.")
    parts = [
        told(site.job.issue),
        f"{notes_read(work)}The approved plan:\n\n{fenced('plan', shorten(plan, 60_000))}",
        _outcomes(work),
        f"The change:\n\n{fenced('diff', in_shares(diff, LONGEST_DIFF) or '(nothing was changed)')}",
        *checks,
    ]
    if work.verdict is not None:
        before = msgspec.json.encode(work.verdict).decode()
        parts.append(f"The last verdict:\n\n{before}\n\nThe Developer's reply:\n\n{fenced('reply', work.reply)}")
    if work.appeals:
        parts.append(f"A person has looked at the work since, and says: {shorten(work.appeals[-1], 20_000)}")
    return "\n\n".join(filter(None, parts))


def _outcomes(work: Work) -> str:
    """Only said when not all of the plan was done."""
    lost = [f"- {id_}: {status}" for id_, status in work.outcomes.items() if status != "completed"]
    missing = "\n".join(lost)
    return f"Tasks of the plan that were not done, and are not part of the change:\n\n{missing}" if lost else ""
