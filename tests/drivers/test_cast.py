"""Who answers whom, from a profile and from where the agents run."""

from amelia.contract.workflow import AgentChoices, ModelChoice, Profile, Retry
from amelia.drivers import factory
from amelia.drivers.cast import Cast, Missing, cast_for

KEYS = {"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"}


def told(cast: Cast, agent: str) -> list[tuple[str, str]]:
    return [(choice.driver.name, choice.model) for choice in cast.of(agent)]


async def test_a_profile_that_says_nothing_leaves_it_to_where_the_agents_run() -> None:
    cast = cast_for(Profile(), KEYS, driver="api:openai", model="small")
    assert told(cast, "developer") == told(cast, "reviewer") == [("api:openai", "small")]
    await cast.aclose()


async def test_an_agents_own_choice_wins_and_fills_up_from_the_profile() -> None:
    agents = AgentChoices(
        architect=ModelChoice(model="large"),
        reviewer=ModelChoice(driver="api:openai"),
        developer=ModelChoice(driver="api:openai", model="quick"),
    )
    cast = cast_for(Profile(driver="api:anthropic", model="middle", agents=agents), KEYS, driver="")
    assert told(cast, "architect") == [("api:anthropic", "large")]
    assert told(cast, "reviewer") == [("api:openai", factory.default_model("api:openai"))]
    assert told(cast, "developer") == [("api:openai", "quick")]
    assert told(cast, "somebody") == [("api:anthropic", "middle")]
    assert cast.models == ("middle", "large", "quick", factory.default_model("api:openai"))
    await cast.aclose()


async def test_agents_of_one_service_share_a_driver() -> None:
    profile = Profile(driver="api:anthropic", agents=AgentChoices(reviewer=ModelChoice(model="large")))
    cast = cast_for(profile, KEYS, driver="api:openai")
    assert cast.of("reviewer")[0].driver is cast.of("developer")[0].driver
    await cast.aclose()


async def test_the_fallback_comes_second_and_never_twice() -> None:
    fallback = ModelChoice(driver="api:openai", model="spare")
    profile = Profile(driver="api:anthropic", model="m", fallback=fallback, agents=AgentChoices(reviewer=fallback))
    cast = cast_for(profile, KEYS, driver="")
    assert told(cast, "developer") == [("api:anthropic", "m"), ("api:openai", "spare")]
    assert told(cast, "reviewer") == [("api:openai", "spare")]
    await cast.aclose()


async def test_a_service_without_credentials_says_so_when_it_is_asked_and_not_before() -> None:
    profile = Profile(driver="api:anthropic", fallback=ModelChoice(driver="api:openai"))
    cast = cast_for(profile, {"ANTHROPIC_API_KEY": "k"}, driver="")
    chosen, fallback = cast.of("developer")
    assert (chosen.driver.name, type(fallback.driver)) == ("api:anthropic", Missing)
    await cast.aclose()


async def test_the_profile_says_how_patient_the_drivers_are() -> None:
    from amelia.drivers.anthropic import AnthropicDriver

    cast = cast_for(Profile(retry=Retry(attempts=2, max_pause_seconds=7)), KEYS, driver="api:anthropic")
    driver = cast.of("architect")[0].driver
    assert isinstance(driver, AnthropicDriver)
    assert (driver._patience.retries, driver._patience.longest_wait) == (1, 7.0)
    await cast.aclose()
