"""Addresses of one GitHub."""

import pytest

from amelia.adapters.github.site import site
from amelia.errors import Refused


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/acme/shop",
        "https://github.com/acme/shop.git",
        "https://GitHub.com/acme/shop.git/",
        "https://me:secret@github.com/acme/shop",
        "git@github.com:acme/shop.git",
        "ssh://git@github.com/acme/shop.git",
        "ssh://git@ssh.github.com:443/acme/shop.git",
    ],
)
def test_every_way_to_write_a_repository_of_github_is_the_same_one(url: str) -> None:
    assert site().full_name(url) == "acme/shop"


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com.evil.invalid/acme/shop",
        "https://evil.invalid/github.com/acme/shop",
        "https://github.com@evil.invalid/acme/shop",
        "https://github.com\\@evil.invalid/acme/shop",
        "https://git\thub.com/acme/shop",
        "http://github.com/acme/shop",
        "https://github.com:8443/acme/shop",
        "https://github.com/acme/../shop",
        "https://github.com/acme/..",
        "https://github.com/acme%2Fshop/x",
        "git@evil.invalid:acme/shop",
        "acme/shop",
    ],
)
def test_what_only_looks_like_it_is_not(url: str) -> None:
    assert site().full_name(url) == ""


def test_an_enterprise_and_a_folder_have_their_own_repositories() -> None:
    enterprise = site("https://ghe.example.invalid/api/v3")
    assert enterprise.full_name("https://ghe.example.invalid/acme/shop.git") == "acme/shop"
    assert enterprise.full_name("git@ghe.example.invalid:acme/shop.git") == "acme/shop"
    assert enterprise.full_name("https://github.com/acme/shop.git") == ""
    folder = site("http://127.0.0.1:9000", "file:///srv/repos")
    assert folder.full_name("file:///srv/repos/acme/shop.git") == "acme/shop"
    assert folder.full_name("file:///srv/other/acme/shop.git") == ""


def test_an_api_is_reached_in_secret_or_on_this_machine() -> None:
    for api in ("http://api.example.invalid", "ftp://x.invalid", "api.github.com"):
        with pytest.raises(Refused, match="begins with https://"):
            site(api)
