"""``python -m tests.chaos [--seed N] [--workflows 100] [--minutes 5] [--planted BUG] [--keep DIR]``.

Ends with 1 when an invariant was violated; what was seen is then kept, with the logs, in the directory it names.
``--planted`` starts a fleet that has that bug, in just the weather that brings it out, and so is to end with 1;
``--planted all`` tries every one and ends with 1 when one was not caught.
"""

import argparse
import asyncio
import os
import random
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from tests.chaos.check import check
from tests.chaos.ground import ROOT, Ground
from tests.chaos.hazards import CLEAR, failpoints
from tests.chaos.issues import stories, write_conversation
from tests.chaos.storm import Outcome, Plan, Say, blow, summary

from amelia.failpoints import POINTS

_MANY = 100
"""Workflows, of which some pass every failpoint often enough."""
PLANTED = Path(__file__).parent / "planted"
BUGS = sorted(path.stem for path in PLANTED.glob("bugs/*.py"))


def run(plan: Plan, root: Path, say: Say, environ: dict[str, str]) -> tuple[Outcome, list[str]]:
    """A whole run in ``root``, which is left as evidence."""
    ground = Ground(root / "fleet", plan.seed, environ)
    ground.make_repositories(plan.repositories, plan.forged)
    told = stories(plan.seed, plan.workflows, list(ground.repositories))
    conversation = write_conversation(root / "conversation.yaml", plan.seed, told)
    try:
        ground.up(conversation)
        outcome = asyncio.run(blow(ground, plan, told, say))
    finally:
        left = ground.down()
    outcome.evidence.left = left
    (root / "evidence.json").write_bytes(msgspec.json.encode(outcome.evidence))
    unsettled = [f"I9: {one} stood still for {plan.bound_seconds:g} s of calm" for one in outcome.unsettled]
    return outcome, unsettled + check(outcome.evidence)


def _with_bug(plan: Plan, name: str) -> tuple[Plan, dict[str, str]]:
    """The plan that brings the bug out, and the environment that plants it."""
    bug: dict[str, Any] = runpy.run_path(str(PLANTED / "bugs" / f"{name}.py"))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PLANTED), os.environ.get("PYTHONPATH")]))
    weather = msgspec.structs.replace(CLEAR, **bug.get("WEATHER", {}))
    changed = msgspec.structs.replace(
        plan, pace=0, weather=weather, faults=tuple(bug.get("FAULTS", ())), storm_seconds=30
    )
    return changed, {"AMELIA_PLANTED": name, "AMELIA_FAILPOINTS": bug.get("FAILPOINTS", "")}


def _catch_all() -> int:
    """One after the other, each in a program of its own."""
    missed = []
    for name in BUGS:
        command = [sys.executable, "-m", "tests.chaos", "--seed", "1", "--workflows", "8", "--bound", "20"]
        ended = subprocess.run([*command, "--planted", name], cwd=ROOT, capture_output=True, text=True)
        expected = runpy.run_path(str(PLANTED / "bugs" / f"{name}.py"))["CAUGHT_BY"]
        found = [line for line in ended.stdout.splitlines() if line.startswith(expected)]
        print(f"{name}: {found[0] if found else 'not caught'}", flush=True)
        if not found or ended.returncode != 1:
            missed.append(name)
    return 1 if missed else 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="0 draws one")
    parser.add_argument("--workflows", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=5, help="for how long the storm may blow")
    parser.add_argument("--pace", type=float, default=2.0, help="seconds between two hazards")
    parser.add_argument("--bound", type=float, default=60, help="seconds without any change before all has settled")
    parser.add_argument("--light", action="store_true", help="each failpoint strikes once at most")
    parser.add_argument("--planted", default="", choices=["", *BUGS, "all"])
    parser.add_argument("--keep", type=Path, help="a new directory for logs and evidence; kept")
    options = parser.parse_args()
    if options.planted == "all":
        sys.exit(_catch_all())
    seed = options.seed or random.SystemRandom().randrange(1, 10**6)
    print(f"make chaos SEED={seed} runs this again", flush=True)
    plan = Plan(
        seed=seed,
        workflows=options.workflows,
        storm_seconds=options.minutes * 60,
        pace=options.pace,
        bound_seconds=options.bound,
    )
    environ = {"AMELIA_FAILPOINTS": failpoints(seed, 1 if options.light else 3)}
    if options.planted:
        plan, environ = _with_bug(plan, options.planted)
    sys.exit(_report(plan, environ, options.keep))


def _report(plan: Plan, environ: dict[str, str], keep: Path | None) -> int:
    root = keep or Path(tempfile.mkdtemp(prefix="amelia-chaos-"))
    root.mkdir(exist_ok=True)
    outcome, violations = run(plan, root, lambda text: print(text, flush=True), environ)
    if plan.pace and plan.workflows >= _MANY:
        reached = {mark.partition(".")[0] for mark in outcome.struck}
        violations += [f"the storm never struck at {point}" for point in POINTS if point not in reached]
    for violation in violations:
        print(violation)
    print(f"hazards: {outcome.hazards}; failpoints: {', '.join(outcome.struck)}")
    print(summary(outcome, violations))
    if violations or keep:
        print(f"evidence: {root} (python -m tests.chaos.check {root}/evidence.json judges it again)")
    else:
        shutil.rmtree(root, ignore_errors=True)
    return 1 if violations else 0


if __name__ == "__main__":
    main()
