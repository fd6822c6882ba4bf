"""Whose money it was."""

from amelia.contract.events import Share, TokensUsed
from amelia.contract.workflow import Money
from amelia.domain.usage import usage_view


def share(agent: str, tokens: int, task: str = "", model: str = "m", cached: int = 0) -> Share:
    used = Money(input_tokens=tokens, cache_read_tokens=cached, cost_microdollars=tokens * 3)
    return Share(agent=agent, task_id=task, model=model, used=used)


def told(attempt: int, *shares: Share, of_attempt: int = 0) -> TokensUsed:
    return TokensUsed(id="1", workflow_id="wf", attempt=attempt, of_attempt=of_attempt, used=Money(), shares=shares)


def spent(tokens: int, cached: int = 0) -> Money:
    return Money(input_tokens=tokens, cache_read_tokens=cached, cost_microdollars=tokens * 3)


def test_usage_adds_up_by_agent_task_and_model_over_all_attempts() -> None:
    view = usage_view(
        "wf",
        {1: spent(10), 2: spent(25, 5)},
        [
            told(1, share("architect", 10)),
            told(2, share("developer", 15, "a", cached=5)),
            told(2, share("developer", 15, "a", cached=5), share("developer", 10, "b", "other")),
        ],
    )
    assert view.spent == spent(35, 5)
    assert view.attempts == {1: spent(10), 2: spent(25, 5)}
    assert view.agents == {"architect": spent(10), "developer": spent(25, 5)}
    assert view.tasks == {"": spent(10), "a": spent(15, 5), "b": spent(10)}
    assert view.models == {"m": spent(25, 5), "other": spent(10)}


def test_what_is_told_twice_late_or_by_a_later_attempt_counts_once() -> None:
    first, later = share("developer", 10, "a"), share("developer", 20, "a")
    events = [told(1, later), told(1, first), told(2, share("reviewer", 1)), told(2, later, of_attempt=1)]
    view = usage_view("wf", {1: spent(20), 2: spent(1)}, events)
    assert view.agents == {"developer": spent(20), "reviewer": spent(1)}


def test_what_nobody_has_said_whose_it_was_has_no_name() -> None:
    view = usage_view("wf", {1: spent(12)}, [told(1, share("architect", 10))])
    assert view.agents == {"": spent(2), "architect": spent(10)}
    assert usage_view("wf", {1: spent(12)}, []).models == {"": spent(12)}
    assert usage_view("wf", {}, []).shares == ()
