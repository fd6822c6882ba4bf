"""Reads the repository and the issue, and submits a plan."""

from ...contract.plan import Plan
from ...contract.workflow import Issue
from ...domain.plan import check_plan
from ...errors import Refused
from ...tools.find import ListFiles, list_files
from ...tools.toolbox import READING, shorten
from ..prompts import prompt
from ..site import Site
from ..state import Work
from .loop import Outcome, Part, talk


async def make_plan(site: Site, work: Work) -> Outcome[Plan]:
    """A plan that keeps the rules of ``domain.plan``; what breaks them went back to the Architect."""
    names = await list_files(await site.tree(work), ListFiles())
    part = Part(
        label=site.label("architect"),
        system=prompt("architect"),
        opening=f"{told(site.job.issue)}\n\nThe repository's files:\n\n{shorten(names, 8_000)}",
        skills=READING,
        tool="submit_plan",
        tool_description="Submits the plan. Call it once, when you know what has to change.",
        answer=Plan,
        accept=_accept,
    )
    return await talk(site, work, part)


def told(issue: Issue) -> str:
    """The issue as every agent is told it."""
    return f'<issue id="{issue.id}">\n# {issue.title}\n\n{shorten(issue.body, 60_000)}\n</issue>'


async def _accept(plan: Plan) -> str:
    try:
        check_plan(plan)
    except Refused as objection:
        return str(objection)
    return ""
