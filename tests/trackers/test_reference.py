"""How people name issues."""

import pytest

from amelia.contract.workflow import TrackerName
from amelia.errors import Refused
from amelia.trackers.reference import Known, Places, plausible, recognised

PLACES = Places(jira="https://acme.atlassian.net", here="acme/shop")


def known(text: str, tracker: TrackerName = "noop", places: Places = PLACES) -> tuple[str, str] | None:
    found = recognised(text, tracker, places)
    return (found.tracker, found.issue) if isinstance(found, Known) else None


@pytest.mark.parametrize(
    "text",
    [
        "acme/shop#7",
        " acme/shop#7 ",
        "#7",
        "https://github.com/acme/shop/issues/7",
        "https://github.com/acme/shop/issues/7/",
        "https://github.com/acme/shop/issues/7?x=1#issuecomment-12",
        "https://www.github.com/acme/shop/issues/7",
        "http://github.com/acme/shop/issues/7",
        "github.com/acme/shop/issues/7",
        "GitHub.com/acme/shop/issues/7",
        "https://github.com/acme/shop/pull/7",
    ],
)
def test_an_issue_of_github_has_many_names(text: str) -> None:
    assert known(text) == ("github", "acme/shop#7")
    assert plausible(text)


@pytest.mark.parametrize(
    "text",
    [
        "PROJ-7",
        "https://acme.atlassian.net/browse/PROJ-7",
        "https://acme.atlassian.net/browse/proj-7?focusedCommentId=1",
        "https://acme.atlassian.net/jira/software/c/projects/PROJ/boards/3?selectedIssue=PROJ-7",
        "https://acme.atlassian.net/jira/software/c/projects/PROJ/issues/PROJ-7",
    ],
)
def test_an_issue_of_jira_has_many_names(text: str) -> None:
    assert known(text) == ("jira", "PROJ-7")
    assert plausible(text)


def test_a_number_belongs_to_the_repository_here() -> None:
    assert known("7", "github") == ("github", "acme/shop#7")
    assert known("7") is None, "it may be a file's name"
    with pytest.raises(Refused, match="owner/repository#7"):
        known("#7", places=Places())


def test_a_server_of_ones_own_is_known_by_its_address() -> None:
    places = Places(github="https://git.example.com/", jira="https://example.com/jira")
    assert known("https://git.example.com/a/b/issues/1", places=places) == ("github", "a/b#1")
    assert known("https://example.com/jira/browse/AB-1", places=places) == ("jira", "AB-1")
    with pytest.raises(Refused, match="AMELIA_GITHUB_API_URL"):
        known("https://github.com/a/b/issues/1", places=places)
    with pytest.raises(Refused, match="JIRA_BASE_URL"):
        known("https://acme.atlassian.net/browse/AB-1", places=places)


def test_a_key_alone_is_jiras_only_where_there_is_a_jira() -> None:
    assert known("PROJ-7", places=Places()) is None
    assert known("proj-7", "jira", Places()) == ("jira", "PROJ-7")
    assert known("PROJ-7", "file") is None
    assert known("https://acme.atlassian.net/browse/PROJ-7", places=Places()) == ("jira", "PROJ-7")


@pytest.mark.parametrize("text", ["wrong-total", "issues/wrong-total.md", "a/b/c#1", "a#1", "#0", "a/b#x", "UTF-8.md"])
def test_what_may_be_a_file_is_left_to_the_files(text: str) -> None:
    assert known(text) is None


@pytest.mark.parametrize(
    "text", ["https://github.com/acme/shop", "https://acme.atlassian.net/wiki/PROJ-7", "ftp://x/y"]
)
def test_an_address_that_is_no_issues_says_what_one_looks_like(text: str) -> None:
    with pytest.raises(Refused, match=r"issues/7|browse/PROJ-7|no tracker"):
        known(text)


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(Refused) as refused:
        known("https://ada:hunter2@github.com/acme")
    assert "hunter2" not in str(refused.value)
