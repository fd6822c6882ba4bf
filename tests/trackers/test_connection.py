"""Who we are to the trackers, by the settings and the environment."""

from pathlib import Path

import pytest

from amelia.errors import Refused
from amelia.settings import load
from amelia.trackers.connection import Access, access, open_trackers
from amelia.trackers.reference import Known


def of(**environ: str) -> Access:
    return access(load(environ), environ)


def test_nothing_that_is_set_is_the_public_github_without_a_credential() -> None:
    found = of()
    assert (found.site.api, found.places().github, found.jira) == (
        "https://api.github.com",
        "https://github.com/",
        None,
    )
    assert not found.reads("github")
    assert not found.reads("jira")
    assert not found.reads("file")


@pytest.mark.parametrize("name", ["AMELIA_GITHUB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"])
def test_a_token_in_the_environment_counts(name: str) -> None:
    found = of(**{name: "a-token"})
    assert found.github.token == "a-token"
    assert found.reads("github")


def test_a_file_with_a_token_comes_before_the_environment(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-the-file\n")
    found = of(AMELIA_GITHUB_TOKEN_FILE=str(tmp_path / "token"), GITHUB_TOKEN="other")
    assert found.github.token.strip() == "from-the-file"


def test_an_enterprise_is_named_by_our_variable_or_its_own() -> None:
    assert of(GITHUB_API_URL="https://git.example.com/api/v3").places().github == "https://git.example.com/"
    ours = of(AMELIA_GITHUB_API_URL="https://api.github.com", GITHUB_API_URL="https://git.example.com/api/v3")
    assert ours.site.api == "https://api.github.com"


def test_jira_is_an_account_or_a_bearer(tmp_path: Path) -> None:
    url = {"JIRA_BASE_URL": "https://acme.atlassian.net/"}
    account = of(**url, JIRA_EMAIL="a@b.c", JIRA_API_TOKEN="t").jira
    bearer = of(**url, JIRA_EMAIL="a@b.c", JIRA_BEARER_TOKEN="t").jira
    assert account is not None
    assert bearer is not None
    assert (account.authorization.split()[0], bearer.authorization) == ("Basic", "Bearer t")
    (tmp_path / "token").write_text("from-the-file\n")
    ours = of(**url, AMELIA_JIRA_TOKEN_FILE=str(tmp_path / "token"), JIRA_API_TOKEN="other").jira
    assert ours is not None
    assert ours.authorization == "Bearer from-the-file"
    assert not of(**url).reads("jira")


async def test_an_address_that_cannot_be_used_is_said_when_it_is_needed() -> None:
    async with open_trackers(of(JIRA_BASE_URL="http://jira.example.com", JIRA_API_TOKEN="t")) as trackers:
        with pytest.raises(Refused, match="JIRA_BASE_URL"):
            await trackers.read(Known(tracker="jira", issue="PROJ-7"))


def test_no_credential_is_shown() -> None:
    assert "secret" not in repr(of(GITHUB_TOKEN="secret-1", JIRA_BASE_URL="https://x.y", JIRA_API_TOKEN="secret-2"))
