"""Profiles: how workflows are worked, from ``settings.amelia.yaml``.

```yaml
active_profile: laptop
profiles:
  laptop: {driver: "api:anthropic", tracker: file, issues: docs/issues}
  prod: {driver: "api:bedrock", cloud: {control_plane_url: "https://amelia.example.com"}}
```
"""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .contract import workflow as contract
from .errors import Refused

FILE_NAME = "settings.amelia.yaml"
DEFAULT = "default"


class Cloud(msgspec.Struct, frozen=True, kw_only=True):
    """``control_plane_url`` is where ``--remote`` goes; empty for the fleet on this machine."""

    control_plane_url: Annotated[str, Meta(pattern=r"^(https?://\S+)?$")] = ""
    region: str = ""
    auto_approve: bool = False


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What one workflow may spend; 0 is no bound."""

    dollars: Annotated[float, Meta(ge=0, le=1_000_000)] = 0
    tokens: Annotated[int, Meta(ge=0, le=1_000_000_000_000)] = 0


class ProfileSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One profile as it is written. ``issues`` is the directory in which the tracker ``file`` looks, made absolute.

    ``approval_minutes`` is how long a plan waits for a decision before it counts as rejected.
    """

    driver: contract.DriverName | Literal[""] = ""
    model: str = ""
    strategy: Literal["single"] = "single"
    tracker: Literal["file", "noop"] = "noop"
    issues: str = ""
    max_iterations: Annotated[int, Meta(ge=1, le=20)] = 3
    auto_approve: bool = False
    approval_minutes: Annotated[int, Meta(ge=1, le=43_200)] = 1_440
    budget: Bounds = Bounds()
    cloud: Cloud = Cloud()

    def named(self, name: str) -> contract.Profile:
        """What a request carries of it."""
        return contract.Profile(
            name=name,
            driver=self.driver,
            model=self.model,
            max_iterations=self.max_iterations,
            auto_approve=self.auto_approve or self.cloud.auto_approve,
            approval_minutes=self.approval_minutes,
            budget=contract.Budget(microdollars=round(self.budget.dollars * 1_000_000), tokens=self.budget.tokens),
        )


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A whole settings file."""

    active_profile: str = ""
    profiles: dict[str, ProfileSettings] = {}


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A profile under its name; ``file`` is ``None`` for the built-in default."""

    name: str = DEFAULT
    settings: ProfileSettings = ProfileSettings()
    file: Path | None = None

    @property
    def profile(self) -> contract.Profile:
        return self.settings.named(self.name)


def find(directory: Path, environ: Mapping[str, str], given: Path | None = None) -> Path | None:
    """The settings file: the one given, else ``$AMELIA_SETTINGS``, else the first upwards from ``directory``.

    Raises ``Refused`` when one that was named is not there.
    """
    named = given or (Path(environ["AMELIA_SETTINGS"]) if environ.get("AMELIA_SETTINGS") else None)
    if named is not None:
        path = directory / named.expanduser()
        if not path.is_file():
            raise Refused(f"there is no settings file {named}; name one that exists, or none to search upwards")
        return path
    directory = directory.absolute()
    return next((d / FILE_NAME for d in (directory, *directory.parents) if (d / FILE_NAME).is_file()), None)


def choose(file: Path | None, name: str = "") -> Chosen:
    """The profile of that name; without one the active, then the one called ``default``, then the built-in.

    Raises ``Refused`` naming the file and, for what is wrong inside it, the line.
    """
    if file is None:
        if name not in ("", DEFAULT):
            raise Refused(f"no profile {name!r}: no {FILE_NAME} is here or above; write one, or omit --profile")
        return Chosen()
    from .profile_file import read

    document = read(file)
    wanted = name or document.active_profile or DEFAULT
    settings = document.profiles.get(wanted)
    if settings is None:
        if wanted != DEFAULT:
            raise Refused(_missing(wanted, document, file, asked=bool(name)))
        settings = ProfileSettings()
    if settings.issues:
        settings = msgspec.structs.replace(settings, issues=str(file.absolute().parent / settings.issues))
    return Chosen(name=wanted, settings=settings, file=file)


def _missing(wanted: str, document: Document, file: Path, *, asked: bool) -> str:
    near = get_close_matches(wanted, document.profiles, n=1, cutoff=0.4)
    there = ", ".join(sorted(document.profiles)) or "none"
    hint = f"; did you mean {near[0]!r}?" if near else f"; it has {there}"
    return f"no profile {wanted!r} in {file}{'' if asked else ', named by its active_profile'}{hint}"
