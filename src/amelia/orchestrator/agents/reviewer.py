"""Judges the whole change."""

import msgspec

from ...contract.plan import Verdict
from ...tools.shell import report
from ...tools.toolbox import READING, one_line, shorten
from ...workspace.tree import Tree
from ..prompts import prompt
from ..site import Site
from ..state import Work
from .architect import notes_read, told
from .developer import VERIFICATION_SECONDS
from .loop import Outcome, Part, talk
from .voice import Voice

_SENDS_BACK = frozenset({"major", "blocker"})


async def judge(site: Site, work: Work) -> Outcome[Verdict]:
    tree = await site.tree(work)
    part = Part(
        label=site.label("reviewer", round=work.round),
        system=prompt("reviewer"),
        opening=await _opening(site, work, tree),
        skills=READING,
        tool="submit_review",
        tool_description="Submits your verdict. Call it once, when you have seen enough.",
        answer=Verdict,
        accept=_accept,
    )
    return await talk(site, work, part)


async def _accept(verdict: Verdict) -> str:
    sends_back = any(comment.severity in _SENDS_BACK for comment in verdict.comments)
    if verdict.approved and sends_back:
        return "the verdict approves and has major or blocker comments; lower their severity, or do not approve"
    if not verdict.approved and not sends_back:
        return "the verdict sends the work back without a major or blocker comment; say what has to change"
    return ""


async def _opening(site: Site, work: Work, tree: Tree) -> str:
    plan = msgspec.json.format(msgspec.json.encode(work.agreed)).decode()
    diff = (await tree.diff()).decode(errors="replace")
    parts = [
        told(site.job.issue),
        f"{notes_read(work)}The approved plan:\n\n{shorten(plan, 60_000)}",
        f"The change:\n\n<diff>\n{shorten(diff, 120_000) or '(nothing was changed)'}\n</diff>",
        await _tests(site, tree, work),
    ]
    if work.verdict is not None:
        before = msgspec.json.encode(work.verdict).decode()
        parts.append(f"Your last verdict:\n\n{before}\n\nThe Developer's reply:\n\n{work.reply}")
    return "\n\n".join(parts)


async def _tests(site: Site, tree: Tree, work: Work) -> str:
    """What the tests say; what they leave lying around is removed."""
    command = work.agreed.test_command
    if not command:
        return "The plan names no test command."
    voice = Voice(site.announcer, site.label("reviewer"), site.limits.still)
    async with voice.during(one_line(command)):
        ended = await tree.run(command, VERIFICATION_SECONDS)
    said = report(ended, VERIFICATION_SECONDS)
    await tree.reset(work.top)
    return f"The tests, `{command}`:\n\n{shorten(said, 12_000)}"
