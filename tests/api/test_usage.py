"""What was spent on what, over HTTP."""

import httpx

from amelia.contract import events as e
from amelia.contract.workflow import Money

from ..samples import Voice, arrived, started
from .conftest import Api


def share(agent: str, tokens: int, task: str = "", cached: int = 0) -> e.Share:
    used = Money(input_tokens=tokens, cache_read_tokens=cached, cost_microdollars=3 * tokens)
    return e.Share(agent=agent, task_id=task, model="claude-sonnet-4-6", used=used)


async def test_usage_is_told_by_agent_task_and_model_with_cached_tokens_apart(
    api: Api, http: httpx.AsyncClient
) -> None:
    row = await started(api.journal)
    path, voice = f"/workflows/{row.workflow.id}/usage", Voice(row.workflow.id)
    assert (await http.get(path)).json()["shares"] == []
    for shares in (
        (share("architect", 10),),
        (share("architect", 10), share("developer", 20, "fix", cached=7)),
        (share("architect", 10), share("developer", 25, "fix", cached=9)),
    ):
        tokens, cached = (sum(getattr(s.used, name) for s in shares) for name in ("input_tokens", "cache_read_tokens"))
        used = Money(input_tokens=tokens + 1, cache_read_tokens=cached, cost_microdollars=3 * tokens)
        await api.journal.append(arrived(voice.fact(e.TokensUsed, used=used, shares=shares)))
    view = (await http.get(path)).json()
    assert view["spent"] == {"input_tokens": 36, "cache_read_tokens": 9, "cost_microdollars": 105}
    assert view["attempts"] == {"1": view["spent"]}
    assert view["agents"] == {
        "": {"input_tokens": 1},
        "architect": {"input_tokens": 10, "cost_microdollars": 30},
        "developer": {"input_tokens": 25, "cache_read_tokens": 9, "cost_microdollars": 75},
    }
    assert view["tasks"]["fix"] == view["agents"]["developer"]
    assert set(view["models"]) == {"", "claude-sonnet-4-6"}
