"""Which model works here: the profile's, else the first with credentials, else a conversation file."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

import msgspec

from amelia.adapters.local.child import die_with_parent
from amelia.adapters.local.models import NO_MODEL, Models, choose
from amelia.contract.workflow import Profile
from amelia.drivers.cast import Cast, cast_for
from amelia.errors import Malformed, Refused
from amelia.telemetry import clean_last_resort


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """``driver`` and ``name`` are for a profile that names none. ``environ`` is where drivers find credentials and
    their services' addresses."""

    driver: str
    name: str
    environ: dict[str, str]

    def cast(self, profile: Profile) -> Cast:
        """One for each run: a driver belongs to the event loop that it is first used in."""
        return cast_for(profile, self.environ, driver=self.driver, model=self.name)


def check_model(profile: Profile, replay: Path | None, environ: Mapping[str, str]) -> None:
    """Before anything is recorded. Raises ``Refused`` when there will be no model to ask."""
    _check_named(profile, replay, environ)
    if replay is not None:
        from amelia_replay.reading import read

        try:
            read(replay)
        except Malformed as error:
            raise Refused(str(error)) from error


def _check_named(profile: Profile, replay: Path | None, environ: Mapping[str, str]) -> None:
    if replay is not None:
        if not replay.is_file():
            raise Refused(f"there is no conversation file {replay}; give one that exists with --replay")
    elif choose(environ, "").note == NO_MODEL and not profile.driver and "AMELIA_DRIVER" not in environ:
        raise Refused(
            "there is no model to ask: set ANTHROPIC_API_KEY, OPENAI_API_KEY or AWS credentials, "
            "or play one with --replay FILE"
        )


def model(profile: Profile, replay: Path | None, environ: Mapping[str, str], stack: ExitStack) -> Model:
    """A replay server is started for ``replay`` and ended with ``stack``. Raises ``Refused`` when there is no model."""
    clean_last_resort()
    _check_named(profile, replay, environ)
    found = choose(environ, _play(replay, stack) if replay else "")
    named = profile.driver in ("", environ.get("AMELIA_DRIVER", ""))
    name = environ.get("AMELIA_MODEL", "") if named else ""
    return Model(driver=found.driver, name=name, environ=_seen(environ, found))


def _seen(environ: Mapping[str, str], found: Models) -> dict[str, str]:
    kept = {k: v for k, v in environ.items() if not any(fnmatchcase(k, pattern) for pattern in found.unset)}
    return kept | found.environ


def _play(file: Path, stack: ExitStack) -> str:
    """The address of a replay server with that file, ready to answer. It ends with us, however we end."""
    import ctypes  # noqa: F401 - imported before the fork, for die_with_parent after it

    import amelia_replay

    child = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", amelia_replay.__name__, "--conversation", str(file), "--port", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=partial(die_with_parent, signal.SIGTERM, os.getpid()),  # noqa: PLW1509, RUF100 - no threads yet
    )
    stack.callback(_end, child)
    assert child.stdout is not None
    assert child.stderr is not None
    line = child.stdout.readline()
    if "http://" not in line:
        said = child.stderr.read().strip().splitlines()
        raise Refused(said[-1].removeprefix("amelia-replay: ") if said else "the replay server ended at once")
    return line[line.index("http://") :].strip()


def _end(child: "subprocess.Popen[str]") -> None:
    child.terminate()
    try:
        child.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
