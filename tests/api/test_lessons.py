"""What was learnt about repositories, over HTTP."""

import httpx

from amelia.contract import events as e

from ..samples import Voice, arrived, started
from .conftest import Api
from .test_requests import is_problem


async def test_lessons_are_listed_for_their_team_and_forgotten(api: Api, http: httpx.AsyncClient) -> None:
    team = (await http.get("/lessons")).json()
    assert team == {"items": []}
    row = await started(api.journal, repository="https://example.com/a.git", team="local")
    other = await started(api.journal, repository="https://example.com/a.git", team="somebody else's")
    for workflow_id in (row.workflow.id, other.workflow.id):
        voice = Voice(workflow_id)
        said = (voice.fact(e.LessonLearnt, topic="tests", text="make test"), voice.fact(e.LessonLearnt, text="make"))
        assert await api.journal.append(arrived(*said)) == [None, None]
    items = (await http.get("/lessons", params={"repository": "https://example.com/a"})).json()["items"]
    assert {item["text"] for item in items} == {"make test", "make"}
    assert {item["workflow_id"] for item in items} == {row.workflow.id}
    assert (await http.get("/lessons", params={"repository": "https://example.com/b"})).json()["items"] == []

    gone = await http.delete(f"/lessons/{items[0]['id']}")
    assert (gone.status_code, gone.json()) == (200, items[0])
    is_problem(await http.delete(f"/lessons/{items[0]['id']}"), 404, "there is no lesson")
    assert (await http.get("/lessons")).json()["items"] == items[1:]
    is_problem(await http.delete("/lessons/%00"), 404, "there is no lesson")
