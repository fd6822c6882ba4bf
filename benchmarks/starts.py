"""How long it takes until something answers: the command, and a session of the runtime."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

import msgspec

from amelia.adapters.aws.runtimes import AgentCoreRuntimes
from amelia.adapters.aws.session import open_client
from amelia.contract.ids import new_id, new_workflow_id
from amelia.contract.invocation import Accepted, Invocation
from amelia.contract.signature import attempt_key
from amelia.contract.workflow import Issue

from .ground import Ground
from .reading import Reading, middle

_HELLO = "import click\n@click.command()\ndef hello():\n    click.echo('Hello World!')\nhello()\n"
_COMMAND_TURNS, _SESSIONS = 11, 8


async def commands(ground: Ground) -> list[Reading]:
    """Each start of ours beside one of click's hello-world, taking turns."""
    environ = {**os.environ, "AMELIA_STATE_DIR": str(ground.state.root), "COLUMNS": "80"}
    hello = ground.state.root / "hello.py"
    hello.write_text(_HELLO)
    amelia = os.path.join(os.path.dirname(sys.executable), "amelia")  # noqa: PTH118, PTH120
    return [
        _pairs(name, [amelia, *arguments], [sys.executable, str(hello)], environ, target)
        for name, arguments, target in (
            ("amelia --help", ["--help"], "1.1 times"),
            ("amelia workflows list", ["workflows", "list", "--limit", "5"], "1.8 times"),
        )
    ]


def _pairs(name: str, ours: Sequence[str], hello: Sequence[str], environ: Mapping[str, str], target: str) -> Reading:
    times = [(_run(ours, environ), _run(hello, environ)) for _ in range(_COMMAND_TURNS)]
    return Reading(
        measure=name,
        value=middle([a for a, _ in times]),
        unit="ms",
        what="ms, click's hello-world",
        beside=middle([b for _, b in times]),
        built_for=target,
    )


def _run(command: Sequence[str], environ: Mapping[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    took = (time.perf_counter() - began) * 1e3
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} exits {done.returncode}: {done.stderr.strip()}")
    return took


async def sessions(ground: Ground) -> list[Reading]:
    """The first invocation of a session, beside the second, which finds it there."""
    cold, warm = list[float](), list[float]()
    async with open_client("bedrock-agentcore", ground.settings) as client:
        runtimes = AgentCoreRuntimes(client, ground.settings.runtime_arn)
        for _ in range(_SESSIONS):
            asked = _invocation(ground)
            cold.append(await _invoked(runtimes, asked))
            warm.append(await _invoked(runtimes, asked))
            await runtimes.stop(asked.workflow_id)
    return [
        Reading(
            measure="session start, first invocation",
            value=middle(cold),
            unit="ms",
            what="ms, the next one of the session",
            beside=middle(warm),
            built_for="300 ms",
        )
    ]


async def _invoked(runtimes: AgentCoreRuntimes, asked: Invocation) -> float:
    began = time.perf_counter()
    answer = await runtimes.invoke(asked.workflow_id, msgspec.json.encode(asked))
    took = (time.perf_counter() - began) * 1e3
    msgspec.json.decode(answer, type=Accepted)
    return took


def _invocation(ground: Ground) -> Invocation:
    """Of a workflow whose repository is not there: the session starts, answers, and soon has nothing to do."""
    workflow_id = new_workflow_id()
    return Invocation(
        command_id=new_id(),
        workflow_id=workflow_id,
        epoch=1,
        signing_key=attempt_key(ground.master, workflow_id, 1).hex(),
        key_version=1,
        highest_fact=0,
        issue=Issue(id="bench", title="Nothing to do"),
        repository=f"file://{ground.state.root}/no-such-repository",
        branch="amelia/bench",
    )
