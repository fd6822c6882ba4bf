"""What the commands of agents may have, from the environment variables ``AMELIA_SANDBOX…``."""

import os
from collections.abc import Mapping
from typing import Literal

import msgspec

from ..errors import Refused

Kind = Literal["auto", "bwrap", "landlock", "off"]
Network = Literal["guarded", "open", "off"]


class SandboxSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``kind`` is ``AMELIA_SANDBOX``, every other field ``AMELIA_SANDBOX_`` and its name.

    ``auto`` takes the best that works here: bubblewrap, else Landlock, else nothing. The ``guarded`` network is all but
    the addresses where clouds hand out credentials. ``readable`` are more paths a command may read (colons between),
    ``env`` names variables it gets from our environment (commas between). ``memory_mb`` bounds all processes of a
    command together where control groups can be made, else each of them; ``processes`` counts threads too.
    """

    kind: Kind = "auto"
    network: Network = "guarded"
    readable: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    memory_mb: int = 4096
    processes: int = 1024
    file_mb: int = 4096


def sandbox_settings(environ: Mapping[str, str] = os.environ) -> SandboxSettings:
    """Raises ``Refused`` naming the variable whose value does not fit."""
    found: dict[str, object] = {}
    for name in SandboxSettings.__struct_fields__:
        variable = "AMELIA_SANDBOX" if name == "kind" else f"AMELIA_SANDBOX_{name.upper()}"
        if text := environ.get(variable, "").strip():
            found[name] = _split(name, text)
            _check(variable, text, {name: found[name]})
    return msgspec.convert(found, SandboxSettings, strict=False)


def _split(name: str, text: str) -> object:
    separator = {"readable": os.pathsep, "env": ","}.get(name)
    return text if separator is None else [part.strip() for part in text.split(separator) if part.strip()]


def _check(variable: str, text: str, one: dict[str, object]) -> None:
    try:
        settings = msgspec.convert(one, SandboxSettings, strict=False)
    except msgspec.ValidationError as error:
        wanted = {"AMELIA_SANDBOX": "auto, bwrap, landlock or off", "AMELIA_SANDBOX_NETWORK": "guarded, open or off"}
        what = wanted.get(variable, "a whole number")
        raise Refused(f"{variable}={text!r} does not fit; give {what}") from error
    if min(settings.memory_mb, settings.processes, settings.file_mb) < 1:
        raise Refused(f"{variable}={text!r} leaves nothing to run with; give a number above 0")
