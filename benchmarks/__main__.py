"""``python -m benchmarks [WORD …]``: every benchmark, or those whose name has one of the words. ``make bench``."""

import asyncio
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

from amelia.errors import AmeliaError, Refused

from . import admitting, append, history, starts, streaming, submissions
from .ground import Ground, prepared
from .reading import Reading, table

BENCHMARKS: dict[str, Callable[[Ground], Awaitable[list[Reading]]]] = {
    "submissions": submissions.measure,
    "admission": admitting.measure,
    "append": append.measure,
    "emit to socket": streaming.emit_to_socket,
    "through the bus": streaming.through_the_bus,
    "reading back": history.measure,
    "session start": starts.sessions,
    "command start": starts.commands,
}


async def run(words: Sequence[str]) -> int:
    """1 when a benchmark could not be taken; why is said in a line below the table."""
    unknown = [word for word in words if not any(word in name for name in BENCHMARKS)]
    if unknown:
        raise Refused(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    chosen = {name: b for name, b in BENCHMARKS.items() if not words or any(word in name for word in words)}
    readings, failures = list[Reading](), list[str]()
    began = time.monotonic()
    async with prepared() as ground:
        for name, benchmark in chosen.items():
            print(f"{name} …", file=sys.stderr, flush=True)
            try:
                readings += await asyncio.wait_for(benchmark(ground), 90)
            except Exception as error:
                failures.append(f"{name}: not measured: {_reason(error)}")
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {time.monotonic() - began:.0f} s in all\n")
    print(table(readings))
    print("\n".join(["", *failures]) if failures else "", end="\n" if failures else "")
    return 1 if failures else 0


def _reason(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def main() -> None:
    try:
        sys.exit(asyncio.run(run(sys.argv[1:])))
    except AmeliaError as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
