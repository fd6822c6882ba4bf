"""Many seeds: ``python -m tests.sim --seeds 10000 --jobs 2``. ``SEED=7`` runs that one and tells all that happens."""

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from .world import run

_CHUNK = 25


def _several(first: int, count: int) -> tuple[list[tuple[int, str]], Counter[str]]:
    bad, ends = list[tuple[int, str]](), Counter[str]()
    for seed in range(first, first + count):
        outcome = run(seed)
        ends.update(outcome.ends)
        bad += [(seed, str(violation)) for violation in outcome.violations[:4]]
    return bad, ends


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if one := os.environ.get("SEED"):
        sys.exit(int(bool(run(int(one), tells=True).violations)))
    began, bad, ends = time.monotonic(), list[tuple[int, str]](), Counter[str]()
    last = options.first + options.seeds
    firsts = range(options.first, last, _CHUNK)
    with ProcessPoolExecutor(options.jobs) as pool:
        for found, counted in pool.map(_several, firsts, (min(_CHUNK, last - first) for first in firsts)):
            ends += counted
            bad += found
            for seed, violation in found:
                print(f"seed {seed}: {violation}\n  SEED={seed} python -m tests.sim", flush=True)
    seconds = time.monotonic() - began
    print(
        f"{options.seeds} seeds in {seconds:.0f} s ({options.seeds / seconds:.1f}/s), {dict(ends)}, {len(bad)} failed"
    )
    sys.exit(int(bool(bad)))


if __name__ == "__main__":
    main()
