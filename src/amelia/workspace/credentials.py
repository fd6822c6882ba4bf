"""A credential for one git process: in that process's environment, for one host, handed over when git asks for it.

Nothing of it is in an address, a command line, a configuration file or a script.
"""

import os
import re

from ..errors import Refused
from .address import without_secrets

_HTTPS = re.compile(r"^https://(?:[^/@\s\\]*@)?((?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?)(/\S*)$")
_PASSWORD = "AMELIA_GIT_PASSWORD"  # noqa: S105 - the variable's name
_HELPER = (
    '!f() { test "$1" = get || exit 0; '
    f'printf "username=x-access-token\\npassword=%s\\n" "${_PASSWORD}"; }}; f'
)  # printf is the shell's own, so that no command line shows its arguments


def credential(repository: str, token: str) -> dict[str, str]:
    """What to add to the environment of a git process that goes to ``repository``; nothing unless it is https.

    The caller's own helpers, prompts and extra headers are not asked, and a redirect is refused rather than followed:
    it is never git's choice who else sees the token. Raises ``Refused`` for an address whose host is not plain.
    """
    if not token or not repository.lower().startswith("https://"):
        return {}
    found = _HTTPS.match(repository)
    if found is None:
        raise Refused(f"{without_secrets(repository)!r} has no plain host; write it as https://host/path")
    host, path = found.groups()
    settings = (
        ("credential.helper", ""),
        (f"credential.https://{host}.helper", _HELPER),
        (f"http.https://{host}{path}.extraHeader", ""),
        (f"http.https://{host}{path}.followRedirects", "false"),
    )
    return _numbered(settings) | {_PASSWORD: token, "GIT_ASKPASS": ""}


def _numbered(settings: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """After those that the caller's environment holds already."""
    count = os.environ.get("GIT_CONFIG_COUNT", "")
    first = int(count) if count.isdecimal() else 0
    env = {"GIT_CONFIG_COUNT": str(first + len(settings))}
    for number, (key, value) in enumerate(settings, first):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return env
