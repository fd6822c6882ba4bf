"""Addresses and names that git might misread."""

from pathlib import Path

import pytest

from amelia.errors import Refused
from amelia.workspace.address import check_branch, check_url, resolve, without_secrets


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch x",
        "-u",
        "ext::sh -c touch% x",
        "git://example.invalid/x",
        "http://example.invalid/x",
        "ssh://-oProxyCommand=x/y",
        "user@-oProxyCommand=x:y",
        "",
        "https://example.invalid/x\n-u",
    ],
)
def test_an_address_that_git_could_misread_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="no address"):
        check_url(url)


@pytest.mark.parametrize(
    "url", ["https://e.invalid/a/b.git", "ssh://git@e.invalid/a", "git@e.invalid:a/b.git", "file:///x"]
)
def test_usual_addresses_are_taken(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    "name", ["-x", "--force", "a..b", "a b", "a~1", "x.lock", "/a", "a/", "HEAD", "a@{1}", "", "refs/heads/a"]
)
def test_a_branch_that_is_no_plain_name_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="no name of a branch"):
        check_branch(name)


def test_secrets_in_addresses_are_not_repeated() -> None:
    assert without_secrets("fatal: https://me:hunter2@e.invalid/a failed") == "fatal: https://e.invalid/a failed"
    with pytest.raises(Refused) as refused:
        check_url("http://me:hunter2@e.invalid/a")
    assert "hunter2" not in str(refused.value)


def test_a_folder_inside_a_repository_means_that_repository(origin: Path) -> None:
    seed = origin.parent / "seed"
    (seed / "deep").mkdir()
    assert resolve(str(seed / "deep")) == f"file://{seed}"
    assert resolve(str(origin)) == f"file://{origin}"
    assert resolve("https://e.invalid/a") == "https://e.invalid/a"
    with pytest.raises(Refused, match="there is no folder"):
        resolve(str(origin / "nothing"))
