"""Reads the repository and the issue, and submits a plan."""

import msgspec

from ...contract.plan import Plan
from ...domain.plan import check_plan
from ...errors import Refused
from ...tools.remember import REMEMBERING
from ...tools.toolbox import READING, shorten
from ...tools.unseen import in_commands
from ..prompts import prompt
from ..site import Site
from ..state import Work
from .guides import guides, signs
from .layout import layout
from .lessons import remembered
from .loop import Outcome, Part, talk
from .material import told


async def make_plan(site: Site, work: Work) -> Outcome[Plan]:
    """A plan that keeps the rules of ``domain.plan``; what breaks them went back to the Architect."""
    part = Part(
        label=site.label("architect", round=work.round),
        system=prompt("architect"),
        opening=lambda: _opening(site, work),
        skills=READING | REMEMBERING,
        tool="submit_plan",
        tool_description="Submits the plan. Call it once, when you know what has to change.",
        answer=Plan,
        accept=_accept,
    )
    return await talk(site, work, part)


async def _opening(site: Site, work: Work) -> str:
    tree = await site.tree(work)
    parts = (
        told(site.job.issue),
        await guides(tree),
        await signs(tree),
        remembered((*work.lessons[::-1], *site.job.lessons)),
        await layout(tree),
        _sent_back(work),
        notes_read(work),
    )
    return "\n\n".join(filter(None, (text.strip() for text in parts)))


def _sent_back(work: Work) -> str:
    if work.plan is None or not work.feedback:
        return ""
    plan = msgspec.json.format(msgspec.json.encode(work.plan)).decode()
    earlier = "".join(f"\n- {shorten(feedback, 2_000)}" for feedback in work.feedback[:-1])
    before = f"What was said of the plans before it, which still holds:\n{earlier}\n\n" if earlier else ""
    return (
        f"You have planned this before:\n\n<plan>\n{shorten(plan, 60_000)}\n</plan>\n\n{before}"
        f"The plan was sent back with:\n\n<feedback>\n{shorten(work.feedback[-1], 20_000)}\n</feedback>\n\n"
        "Plan again: change what is asked for, keep what was good, and submit the whole plan. The person sees what "
        "is different."
    )


def notes_read(work: Work) -> str:
    """What people have said since, for an agent that was not there when it was read. Ends with an empty line."""
    said = "\n".join(f"- {note.by}: {shorten(note.text, 4_000)}" for note in work.notes)
    return f"While the work was under way, people who follow it said:\n\n{said}\n\n" if said else ""


async def _accept(plan: Plan) -> str:
    try:
        check_plan(plan)
    except Refused as objection:
        return str(objection)
    return in_commands(plan)
