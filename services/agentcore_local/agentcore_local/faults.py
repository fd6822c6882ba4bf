"""Faults on demand: which call fails, how, and how often."""

import random
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from agentcore_local.errors import ApiError, Plane, type_of

Status = Literal[402, 409, 424, 429, 500, 503, 504]


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rule. It matches calls of `operation` ("*" for all) whose session id matches the glob `session`.

    Matching calls are spared `skip` times; then the rule acts `times` times (None: always), each with
    `probability`. It has exactly one effect:

    - `status`: the call is not performed and answered with this status and its AWS error type.
    - `kill`: SIGKILL for the session, "before" the invocation reaches it, "during" it, `delay` seconds
      after it was forwarded, or "after", `delay` seconds after it was answered.
    - `slow_start`: seconds by which the start of a session's process is delayed.
    - `drop_after`: the call is performed, but its answer is lost: the connection is closed.
    """

    operation: str
    session: str = "*"
    skip: int = 0
    times: int | None = None
    probability: float = 1.0
    status: Status | None = None
    kill: Literal["before", "during", "after"] | None = None
    delay: float = 0.0
    slow_start: float | None = None
    drop_after: bool = False
    message: str = "injected fault"

    def __post_init__(self) -> None:
        effects = (self.status, self.kill, self.slow_start, self.drop_after or None)
        if sum(effect is not None for effect in effects) != 1:
            raise ValueError("a fault needs exactly one of status, kill, slow_start and drop_after")
        if (self.kill or self.slow_start is not None) and self.operation != "invoke":
            raise ValueError("kill and slow_start belong to the operation invoke")

    def error(self, plane: Plane) -> ApiError | None:
        if self.status is None:
            return None
        return ApiError(self.status, type_of(self.status, plane), self.message)


class FaultPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    seed: int = 0
    rules: list[Fault] = []


class FaultReport(msgspec.Struct, frozen=True, kw_only=True):
    """A rule with how many calls it matched and how often it acted."""

    rule: Fault
    matched: int
    acted: int


class Injector:
    """Decides for each call whether a fault hits it; the first rule that acts wins."""

    def __init__(self, plan: FaultPlan) -> None:
        self.install(plan)

    def install(self, plan: FaultPlan) -> None:
        """Replaces all rules, their counts and the random numbers."""
        self.plan = plan
        self._random = random.Random(plan.seed)  # noqa: S311
        self._matched = [0] * len(plan.rules)
        self._acted = [0] * len(plan.rules)

    def take(self, operation: str, session: str | None) -> Fault | None:
        return self._take(operation, session or "", starting=False)

    def slow_start(self, session: str) -> float:
        """Seconds to wait before this session's process is started."""
        rule = self._take("invoke", session, starting=True)
        return rule.slow_start or 0.0 if rule else 0.0

    def report(self) -> list[FaultReport]:
        counts = zip(self.plan.rules, self._matched, self._acted, strict=True)
        return [FaultReport(rule=rule, matched=matched, acted=acted) for rule, matched, acted in counts]

    def _take(self, operation: str, session: str, *, starting: bool) -> Fault | None:
        for index, rule in enumerate(self.plan.rules):
            if (rule.slow_start is not None) is not starting:
                continue
            if rule.operation in ("*", operation) and fnmatchcase(session, rule.session) and self._acts(index):
                return rule
        return None

    def _acts(self, index: int) -> bool:
        rule = self.plan.rules[index]
        self._matched[index] += 1
        if self._matched[index] <= rule.skip or (rule.times is not None and self._acted[index] >= rule.times):
            return False
        if rule.probability < 1.0 and self._random.random() >= rule.probability:
            return False
        self._acted[index] += 1
        return True
