"""Who answers which agent: a model service and its model for each, and the one to ask when that stays away."""

from collections.abc import AsyncIterator, Mapping

import msgspec

from amelia.contract.workflow import AgentName, ModelChoice, Profile
from amelia.drivers.base import Driver, Request, TextDelta, Turn
from amelia.drivers.factory import create, default_model, names
from amelia.drivers.retries import Patience
from amelia.errors import Refused

AGENTS: tuple[AgentName, ...] = ("architect", "developer", "reviewer")


class Choice(msgspec.Struct, frozen=True):
    driver: Driver
    model: str


class Missing:
    """A driver that cannot be: refuses every request with what is wrong, so that the run itself says it."""

    name = "missing"

    def __init__(self, cause: str) -> None:
        self._cause = cause

    async def stream(self, request: Request) -> AsyncIterator[TextDelta | Turn]:
        raise Refused(self._cause)
        yield

    async def aclose(self) -> None:
        pass


class Cast:
    """``agents`` are those that are answered by another than ``usual``; ``fallback`` is for all of them."""

    def __init__(
        self, usual: Choice, agents: Mapping[str, Choice] | None = None, fallback: Choice | None = None
    ) -> None:
        self._usual = usual
        self._agents = dict(agents or {})
        self._fallback = fallback

    @classmethod
    def single(cls, driver: Driver, model: str) -> "Cast":
        return cls(Choice(driver, model))

    def of(self, agent: str) -> tuple[Choice, ...]:
        """The chosen one first, then who is asked when it stays away. Never empty, and no choice twice."""
        chosen = self._agents.get(agent, self._usual)
        return (chosen,) if self._fallback in (None, chosen) else (chosen, self._fallback)

    @property
    def models(self) -> tuple[str, ...]:
        """All that may be asked, the usual one first."""
        return tuple(dict.fromkeys(choice.model for choice in self._choices()))

    async def aclose(self) -> None:
        for driver in {id(choice.driver): choice.driver for choice in self._choices()}.values():
            await driver.aclose()

    def _choices(self) -> tuple[Choice, ...]:
        return (self._usual, *self._agents.values(), *([self._fallback] if self._fallback else []))


def cast_for(profile: Profile, environ: Mapping[str, str], *, driver: str, model: str = "") -> Cast:
    """``driver`` and ``model`` are of where the agents run, for a profile that names none; ``model`` is not given to
    another driver. ``environ`` is where the drivers find credentials and addresses; one that finds none refuses its
    first request with what is missing."""
    casting = _Casting(profile, environ, driver, model)
    others = {name: getattr(profile.agents, name) for name in AGENTS}
    return Cast(
        casting.choice(ModelChoice()),
        {name: casting.choice(other) for name, other in others.items() if other != ModelChoice()},
        casting.choice(profile.fallback) if profile.fallback else None,
    )


class _Casting:
    """One driver for each name, however many are answered by it."""

    def __init__(self, profile: Profile, environ: Mapping[str, str], driver: str, model: str) -> None:
        self._profile = profile
        self._environ = environ
        self._here = (driver, model)
        self._driver = profile.driver or driver
        self._made: dict[str, Driver] = {}
        retry = profile.retry
        self._patience = Patience(retries=retry.attempts - 1, longest_wait=float(retry.max_pause_seconds))

    def choice(self, wanted: ModelChoice) -> Choice:
        name = wanted.driver or self._driver
        if name not in self._made:
            self._made[name] = self._created(name)
        return Choice(self._made[name], wanted.model or self._model_of(name))

    def _model_of(self, driver: str) -> str:
        if driver == self._driver and self._profile.model:
            return self._profile.model
        if driver == self._here[0] and self._here[1]:
            return self._here[1]
        return default_model(driver) if driver in names() else ""

    def _created(self, name: str) -> Driver:
        if not name:
            return Missing("there are no credentials for a model; set ANTHROPIC_API_KEY, OPENAI_API_KEY or AWS_*")
        try:
            return create(name, environ=self._environ, patience=self._patience)
        except Refused as error:
            return Missing(str(error))
