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
        "https://example.invalid/x -u",
        "https://-x.example.invalid/x",
        "https:///x",
        "https://example.invalid",
        "https://good.invalid\\@evil.invalid/x",
        "file://server/share",
        "ext::https://example.invalid/x",
        "ssh://git@-oProxyCommand=x/y",
        "git@host:a\x00b",
        "FILE:///x",
    ],
)
def test_an_address_that_git_could_misread_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="no address"):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://e.invalid/a/b.git",
        "ssh://git@e.invalid/a",
        "git@e.invalid:a/b.git",
        "file:///x y",
        "https://me@e.invalid:8443/a",
        "ssh://git@[::1]:22/a",
    ],
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


@pytest.mark.parametrize(
    "url",
    [
        "https://me:hunter2@e.invalid/a",
        "https://ghp_hunter2@e.invalid/a",
        "https://x-access-token:hunter2@e.invalid/a",
        f"https://{'hunter2' * 6}@e.invalid/a",
        "ssh://git:hunter2@e.invalid/a",
    ],
)
def test_an_address_with_a_credential_in_it_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="holds a password") as refused:
        check_url(url)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("url", ["file:///x", "FILE:///x", "file:x"])
def test_a_fleet_elsewhere_has_nothing_on_this_machine(url: str) -> None:
    with pytest.raises(Refused, match="remote repositories only"):
        check_url(url, local=False)
