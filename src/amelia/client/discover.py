"""Where the control plane is, and the token to show it."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from ..errors import Refused, Unavailable

if TYPE_CHECKING:
    from pathlib import Path


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """``url`` without a path, ``token`` empty when none is known."""

    url: str
    token: str = ""


class _FleetFile(msgspec.Struct, frozen=True, kw_only=True):
    """``fleet.json``, which a running fleet keeps in its state directory. ``token_file`` may be relative to it."""

    url: str
    token_file: str = ""


def state_directory(environ: Mapping[str, str] = os.environ) -> "Path":
    """``$AMELIA_STATE_DIR``, else ``$XDG_STATE_HOME/amelia``, else ``~/.local/state/amelia``."""
    from pathlib import Path

    return Path(_state(environ))


def _state(environ: Mapping[str, str]) -> str:
    if chosen := environ.get("AMELIA_STATE_DIR"):
        return os.path.expanduser(chosen)  # noqa: PTH111 - pathlib is a tenth of a short command's start
    if home := environ.get("XDG_STATE_HOME"):
        return f"{home}/amelia"
    return os.path.expanduser("~/.local/state/amelia")  # noqa: PTH111


def discover(*, url: str = "", profile_url: str = "", environ: Mapping[str, str] = os.environ) -> Fleet:
    """The address given, else ``$AMELIA_URL``, else the profile's, else the fleet of the state directory.

    The token is ``$AMELIA_TOKEN``, else the state directory's own, which is shown only to the address its fleet
    named. Raises ``Unavailable`` when there is no address, ``Refused`` when one is not http(s) or a file is broken.
    """
    folder = _state(environ)
    file = f"{folder}/fleet.json"
    chosen = url or environ.get("AMELIA_URL", "") or profile_url
    if chosen and not chosen.startswith(("http://", "https://")):
        raise Refused(f"{chosen!r} is no address of a fleet; give one like http://127.0.0.1:8420")
    token = environ.get("AMELIA_TOKEN", "")
    if chosen and token:
        return Fleet(url=chosen.rstrip("/"), token=token)
    known = _read(file)
    if not chosen and known is None:
        raise Unavailable(f"no fleet runs here: there is no {file}; start one with amelia up, or give --url")
    chosen = chosen or (known.url if known else "")
    if known and not token and known.token_file and known.url.rstrip("/") == chosen.rstrip("/"):
        token = _token(os.path.join(folder, known.token_file))  # noqa: PTH118
    return Fleet(url=chosen.rstrip("/"), token=token)


def _read(file: str) -> _FleetFile | None:
    try:
        return msgspec.json.decode(_bytes(file), type=_FleetFile)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}; run as its owner, or set AMELIA_URL") from error
    except msgspec.DecodeError as error:
        raise Refused(f"{file} is broken: {error}; run amelia down and amelia up again") from error


def _token(file: str) -> str:
    try:
        return _bytes(file).decode().strip()
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}; run as its owner, or set AMELIA_TOKEN") from error


def _bytes(file: str) -> bytes:
    with open(file, "rb") as opened:  # noqa: PTH123
        return opened.read()
