"""``python -m tests.chaos [--seed N] [--workflows 100] [--minutes 5] [--planted BUG] [--keep DIR]``.

Ends with 1 when an invariant was violated; what was seen is then kept, with the logs, in the directory it names.
"""

import argparse
import asyncio
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

import msgspec
from tests.chaos.check import check
from tests.chaos.ground import ROOT, Ground
from tests.chaos.hazards import failpoints
from tests.chaos.issues import stories, write_conversation
from tests.chaos.storm import Outcome, Plan, Say, blow, summary

PLANTED = Path(__file__).parent / "planted"


def run(plan: Plan, root: Path, say: Say, *, planted: str = "", strikes: int = 3) -> tuple[Outcome, list[str]]:
    """A whole run in ``root``, which is left as evidence. ``planted`` names a folder with a bug."""
    environ = {"AMELIA_FAILPOINTS": failpoints(plan.seed, strikes)}
    if planted:
        environ["AMELIA_PLANTED"] = planted
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PLANTED), os.environ.get("PYTHONPATH")]))
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
    unsettled = [f"I9: {one} did not settle within {plan.bound_seconds:g} s of calm" for one in outcome.unsettled]
    return outcome, unsettled + check(outcome.evidence)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="0 draws one")
    parser.add_argument("--workflows", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=5, help="for how long the storm may blow")
    parser.add_argument("--pace", type=float, default=2.0, help="seconds between two hazards")
    parser.add_argument("--light", action="store_true", help="each failpoint strikes once at most")
    parser.add_argument("--planted", default="", choices=["", *sorted(p.stem for p in PLANTED.glob("bugs/*.py"))])
    parser.add_argument("--keep", type=Path, help="a new directory for logs and evidence; kept")
    options = parser.parse_args()
    seed = options.seed or random.SystemRandom().randrange(1, 10**6)
    print(f"make chaos SEED={seed} runs this again", flush=True)
    root = options.keep or Path(tempfile.mkdtemp(prefix="amelia-chaos-"))
    root.mkdir(exist_ok=True)
    plan = Plan(seed=seed, workflows=options.workflows, storm_seconds=options.minutes * 60, pace=options.pace)
    outcome, violations = run(
        plan, root, lambda text: print(text, flush=True), planted=options.planted, strikes=1 if options.light else 3
    )
    for violation in violations:
        print(violation)
    print(f"hazards: {outcome.hazards}; failpoints: {', '.join(outcome.struck)}")
    print(summary(outcome, violations))
    if violations or options.keep:
        print(f"evidence: {root} (python -m tests.chaos.check {root}/evidence.json judges it again)")
    else:
        shutil.rmtree(root, ignore_errors=True)
    os.chdir(ROOT)
    sys.exit(1 if violations else 0)


if __name__ == "__main__":
    main()
