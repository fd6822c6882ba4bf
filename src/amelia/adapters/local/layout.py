"""The programs of a laptop's fleet, their ports and what each may see of the environment."""

import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from amelia.adapters.local import emulator, models, postgres
from amelia.adapters.local.child import Program
from amelia.adapters.local.state import LOOPBACK, StateDirectory
from amelia.errors import Refused
from amelia.settings import load

SILENT = ("dispatcher", "router")
"""Services that listen on no port."""
FLEET_ID = "AMELIA_FLEET_ID"
"""In the environment of every program of a fleet: by it what outlived its fleet is found."""

_CONTROL_ONLY = [
    *("AMELIA_DATABASE_URL", "AMELIA_API_TOKEN_FILE", "GITHUB_TOKEN", "GH_TOKEN"),
    *("AMELIA_GITHUB_TOKEN", "AMELIA_GITHUB_TOKEN_FILE", "AMELIA_GITHUB_READ_TOKEN_FILE"),
    *("AMELIA_GITHUB_PRIVATE_KEY_FILE", "AMELIA_JIRA_TOKEN_FILE", "JIRA_API_TOKEN", "JIRA_TOKEN", "JIRA_BEARER_TOKEN"),
]
"""What the runtime must not see: it has no database, and no credential that writes to a repository."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    state_dir: Path
    port: int
    replay: tuple[Path, ...] = ()


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """``carriers`` start first; ``services`` when the database is migrated. ``environ`` is the services'."""

    fleet_id: str
    url: str
    carriers: tuple[Program, ...]
    services: tuple[Program, ...]
    environ: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def programs(self) -> tuple[Program, ...]:
        return (*self.carriers, *self.services)


def lay_out(state: StateDirectory, options: Options, environ: Mapping[str, str]) -> Layout:
    """Makes the database cluster and the secrets when they are missing. What ``AMELIA_*`` names is not started.

    Raises ``Refused`` for a setting or a conversation file that does not fit, ``Unavailable`` without PostgreSQL.
    """
    load(environ)
    for file in options.replay:
        if not file.is_file():
            raise Refused(f"{file} is not a file; --replay takes a conversation file")
    fleet_id = secrets.token_hex(8)
    carriers: list[Program] = []
    shared = {FLEET_ID: fleet_id, "AMELIA_STATE_DIR": str(state.root), "PYTHONUNBUFFERED": "1"}
    shared |= _without_proxy(environ) | {name: v for name, v in environ.items() if name.startswith("AMELIA_")}
    shared |= {FLEET_ID: fleet_id, "AMELIA_STATE_DIR": str(state.root), "AMELIA_API_PORT": str(options.port)}
    if not shared.get("AMELIA_DATABASE_URL"):
        carriers.append(postgres.program(state, state.port("postgres")))
        shared["AMELIA_DATABASE_URL"] = postgres.url(state, carriers[-1].port or 0)
    if "AMELIA_AWS_ENDPOINT_URL" not in shared:
        port = state.port("emulator")
        shared["AMELIA_AWS_ENDPOINT_URL"] = emulator.url(port)
        carriers.append(emulator.program(state, port, _without(shared, _CONTROL_ONLY)))
    state.secret(state.token_file.name)
    shared.setdefault("AMELIA_API_TOKEN_FILE", str(state.token_file))
    runtime, note = _runtime(state, options, environ, shared)
    return Layout(
        fleet_id=fleet_id,
        url=f"http://{LOOPBACK}:{options.port}",
        carriers=(*carriers, *runtime),
        services=_services(state, shared, options.port),
        environ=shared,
        notes=(note,) if note else (),
    )


def _runtime(
    state: StateDirectory, options: Options, environ: Mapping[str, str], shared: dict[str, str]
) -> tuple[list[Program], str]:
    """The AgentCore stand-in, whose sessions inherit its environment, and the replay server."""
    programs: list[Program] = []
    replay_url = ""
    if options.replay:
        port = state.port("replay")
        replay_url = f"http://{LOOPBACK}:{port}"
        programs.append(_replay(options.replay, port, shared))
    chosen = models.choose(environ, replay_url)
    shared.setdefault("AMELIA_DRIVER", chosen.driver)
    if "AMELIA_AGENTCORE_ENDPOINT_URL" not in shared:
        port = state.port("agentcore")
        shared["AMELIA_AGENTCORE_ENDPOINT_URL"] = f"http://{LOOPBACK}:{port}"
        programs.append(_agentcore(state, port, shared, chosen))
    return programs, chosen.note


def _agentcore(state: StateDirectory, port: int, shared: dict[str, str], chosen: models.Models) -> Program:
    arguments = ["--port", str(port), "--state-dir", str(state.agentcore), "--app", "amelia_runtime.app:app"]
    if config := shared.get("AMELIA_AGENTCORE_CONFIG"):
        arguments += ["--config", config]
    return Program(
        name="agentcore",
        stage="carriers",
        argv=[sys.executable, "-m", "agentcore_local", *arguments],
        environ=_without(shared, _CONTROL_ONLY) | chosen.environ,
        unset=[*_CONTROL_ONLY, *chosen.unset],
        orphan_signal="TERM",
        stop_seconds=20,
        port=port,
    )


def _replay(files: tuple[Path, ...], port: int, shared: dict[str, str]) -> Program:
    conversations = [part for file in files for part in ("--conversation", str(file.absolute()))]
    return Program(
        name="replay",
        stage="carriers",
        argv=[sys.executable, "-m", "amelia_replay", *conversations, "--port", str(port)],
        environ=_without(shared, _CONTROL_ONLY),
        unset=[*_CONTROL_ONLY, *models.PRIVATE],
        port=port,
    )


def _services(state: StateDirectory, shared: dict[str, str], port: int) -> tuple[Program, ...]:
    """Those without a port to ask say by a file that they are ready."""
    own_aws = [] if shared.get("AMELIA_AWS_ENDPOINT_URL") == "" else ["AWS_*"]
    unset = ["ANTHROPIC_*", "OPENAI_*", *own_aws]
    waited = {name: state.ready_file(name) for name in SILENT}
    for file in waited.values():
        file.unlink(missing_ok=True)
    return tuple(
        Program(
            name=name,
            stage="services",
            argv=[sys.executable, "-m", f"amelia_{name}"],
            environ=shared | ({"AMELIA_READY_FILE": str(waited[name])} if name in waited else {}),
            unset=unset,
            port=port if name == "api" else None,
        )
        for name in ("api", "dispatcher", "router")
    )


def _without(environ: Mapping[str, str], names: list[str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in names}


def _without_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """A proxy for the world must not be asked for loopback."""
    bypass = ",".join(filter(None, [environ.get("NO_PROXY") or environ.get("no_proxy"), LOOPBACK, "localhost"]))
    return {"NO_PROXY": bypass, "no_proxy": bypass}
