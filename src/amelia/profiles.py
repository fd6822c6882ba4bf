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
from .domain.policy import OPEN, Policy
from .errors import Refused

FILE_NAME = "settings.amelia.yaml"
DEFAULT = "default"


def _says(text: str) -> Meta:
    """What an editor shows for the key."""
    return Meta(description=text)


class Cloud(msgspec.Struct, frozen=True, kw_only=True):
    """The fleet that ``--remote`` asks, and what counts there."""

    control_plane_url: Annotated[
        str, Meta(pattern=r"^(https?://\S+)?$"), _says("The fleet's address; empty for the one on this machine.")
    ] = ""
    region: Annotated[str, _says("The AWS region the fleet is in.")] = ""
    auto_approve: Annotated[bool, _says("The same as the profile's own.")] = False


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What one workflow may spend; 0 is no bound."""

    dollars: Annotated[float, Meta(ge=0, le=1_000_000)] = 0
    tokens: Annotated[int, Meta(ge=0, le=1_000_000_000_000)] = 0


class ProfileSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How workflows are worked. Every key may be left out."""

    driver: Annotated[
        contract.DriverName | Literal[""], _says("How models are reached; else whatever has credentials.")
    ] = ""
    model: Annotated[str, _says("The model's name at that service; else the driver's default.")] = ""
    agents: Annotated[contract.AgentChoices, _says("Another driver or model for one of the agents.")] = (
        contract.AgentChoices()
    )
    fallback: Annotated[
        contract.ModelChoice | None, _says("Asked when the chosen model stays away or is overloaded.")
    ] = None
    retry: Annotated[contract.Retry, _says("How long a model that is overloaded or away is asked again.")] = (
        contract.Retry()
    )
    strategy: Annotated[
        Literal["single", "competitive"],
        _says("One Reviewer, or three at once for security, performance and usability."),
    ] = "single"
    tracker: Annotated[contract.TrackerName, _says("Where an issue's id is looked up.")] = "noop"
    issues: Annotated[str, _says("The directory of the tracker 'file', from this file's directory.")] = ""
    tell: Annotated[contract.Tell, _says("Which comments the tracker gets.")] = contract.Tell()
    parallel_tasks: Annotated[int, Meta(ge=1, le=16), _says("How many tasks are worked at once.")] = 3
    max_iterations: Annotated[
        int, Meta(ge=1, le=20), _says("Reviews at most before a person has to decide about the work.")
    ] = 3
    auto_approve: Annotated[bool, _says("Leave plans to the approval policy; without one, approve them.")] = False
    policy: Annotated[
        str | Policy,
        _says("The approval policy of local mode: a file, from this file's directory, or its rules here."),
    ] = ""
    approval_minutes: Annotated[
        int, Meta(ge=1, le=43_200), _says("How long a fleet keeps a plan before it counts as rejected.")
    ] = 1_440
    budget: Annotated[Bounds, _says("What one workflow may spend; 0 is no bound.")] = Bounds()
    cloud: Annotated[Cloud, _says("The fleet that --remote asks.")] = Cloud()

    def named(self, name: str) -> contract.Profile:
        """What a request carries of it."""
        return contract.Profile(
            name=name,
            driver=self.driver,
            model=self.model,
            agents=self.agents,
            fallback=self.fallback,
            retry=self.retry,
            strategy=self.strategy,
            tracker=self.tracker,
            tell=self.tell,
            parallel_tasks=self.parallel_tasks,
            max_iterations=self.max_iterations,
            auto_approve=self.auto_approve or self.cloud.auto_approve,
            approval_minutes=self.approval_minutes,
            budget=contract.Budget(microdollars=round(self.budget.dollars * 1_000_000), tokens=self.budget.tokens),
        )

    def approval(self) -> Policy:
        """What decides plans in local mode once ``auto_approve`` asks for it. Raises ``Refused`` when the file cannot
        be read or does not fit."""
        if isinstance(self.policy, Policy):
            return self.policy
        if not self.policy:
            return OPEN
        from .policy_file import read

        return read(Path(self.policy))


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
    return Chosen(name=wanted, settings=placed(settings, file), file=file)


def placed(settings: ProfileSettings, file: Path) -> ProfileSettings:
    """With its paths made absolute, from the directory of the settings file."""
    folder = file.absolute().parent
    if settings.issues:
        settings = msgspec.structs.replace(settings, issues=str(folder / Path(settings.issues).expanduser()))
    if isinstance(settings.policy, str) and settings.policy:
        settings = msgspec.structs.replace(settings, policy=str(folder / Path(settings.policy).expanduser()))
    return settings


def _missing(wanted: str, document: Document, file: Path, *, asked: bool) -> str:
    near = get_close_matches(wanted, document.profiles, n=1, cutoff=0.4)
    there = ", ".join(sorted(document.profiles)) or "none"
    hint = f"; did you mean {near[0]!r}?" if near else f"; it has {there}"
    return f"no profile {wanted!r} in {file}{'' if asked else ', named by its active_profile'}{hint}"
