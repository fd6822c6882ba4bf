"""The tests and the verifications of a whole change, run here and not only claimed."""

import asyncio

import msgspec

from ...contract.plan import Plan
from ...tools.shell import report
from ...tools.toolbox import one_line, shorten
from ...workspace.tree import Tree
from ..site import Site
from ..state import Work
from .material import fenced
from .voice import Voice

VERIFICATION_SECONDS = 600
ALL_SECONDS = 1_200.0
"""After so long no further command is begun."""
KEPT_BYTES = 1_000_000
"""Of what a command says, for the report that people can read afterwards."""
LONGEST_REPORT = 12_000
LONGEST_PASSED = 1_500


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """``of`` are the tasks that the command verifies, none when it is the plan's tests; ``passed`` is None when it was
    not run. ``report`` is its exit code and output."""

    command: str
    of: tuple[str, ...] = ()
    passed: bool | None = None
    report: str = ""

    def said(self) -> str:
        whose = f"The verification of {' and '.join(self.of)}" if self.of else "The tests"
        if self.passed is None:
            return f"{whose}, `{self.command}`, was not run again: there was no time left."
        text = shorten(self.report, LONGEST_PASSED if self.of and self.passed else LONGEST_REPORT)
        return f"{whose}, `{self.command}`:{self._aside}\n\n{fenced('output', text)}"

    @property
    def _aside(self) -> str:
        """What may have made it fail that is not the change's fault."""
        if self.passed:
            return ""
        before = " It passed when the task was finished." if self.of else ""
        return f"{before} (This worktree has the work of all, but nothing of what Developers installed in theirs.)"


def commands(plan: Plan, done: frozenset[str]) -> list[Check]:
    """What is to be run: the tests first, then what verifies the tasks that are done; each command once."""
    of: dict[str, list[str]] = {plan.test_command: []} if plan.test_command else {}
    for task in plan.tasks:
        if task.id in done and task.verification and task.verification != plan.test_command:
            of.setdefault(task.verification, []).append(task.id)
    return [Check(command=command, of=tuple(tasks)) for command, tasks in of.items()]


async def checked(site: Site, work: Work, tree: Tree) -> list[Check]:
    """On the branch with everybody's work. What the commands leave lying around is removed."""
    done = frozenset(id_ for id_, status in work.outcomes.items() if status == "completed")
    voice = Voice(site.announcer, site.label("reviewer"), site.limits.still)
    clock = asyncio.get_running_loop().time
    begun, ran = clock(), list[Check]()
    for check in commands(work.agreed, done):
        if clock() - begun > ALL_SECONDS:
            ran.append(check)
            continue
        async with voice.during(one_line(check.command)):
            ended = await tree.run(check.command, VERIFICATION_SECONDS, KEPT_BYTES)
        passed = ended.code == 0 and not ended.timed_out
        ran.append(msgspec.structs.replace(check, passed=passed, report=report(ended, VERIFICATION_SECONDS)))
    await tree.reset(work.top)
    return ran
