"""Why git could not reach a repository: what goes away by itself, and what does not."""

import pytest

from amelia.workspace.remote import Remote, passing
from amelia.workspace.spawn import Exit

_AT = "fatal: unable to access 'https://code.example.invalid/o/r.git/': "


@pytest.mark.parametrize(
    "said",
    [
        f"{_AT}gnutls_handshake() failed: The TLS connection was non-properly terminated.",
        f"{_AT}OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to code.example.invalid:443",
        f"{_AT}Empty reply from server",
        f"{_AT}Recv failure: Connection reset by peer",
        f"{_AT}The requested URL returned error: 503",
        "kex_exchange_identification: Connection closed by remote host",
        "error: RPC failed; curl 92 HTTP/2 stream 5 was not closed cleanly: CANCEL (err 8)",
    ],
)
def test_what_the_network_does_goes_away(said: str) -> None:
    assert passing(Exit(128, b"", said.encode()))


@pytest.mark.parametrize(
    "said",
    [
        f"{_AT}The requested URL returned error: 403",
        f"{_AT}server certificate verification failed. CAfile: none CRLfile: none",
        "fatal: repository 'https://code.example.invalid/o/504.git/' not found",
        "remote: rejected by a hook",
    ],
)
def test_what_a_person_has_to_mend_does_not(said: str) -> None:
    assert not passing(Exit(128, b"", said.encode()))


_HOLLOW = (
    "fatal: Could not read from remote repository.\n\n"
    "Please make sure you have the correct access rights\nand the repository exists.\n"
)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (f"git@e.invalid: Permission denied (publickey).\n{_HOLLOW}", "git@e.invalid: Permission denied (publickey)."),
        (f"Host key verification failed.\n{_HOLLOW}", "Host key verification failed."),
        (
            "fatal: detected dubious ownership in repository at '/x'\nTo add an exception for this directory, call:\n\n"
            f"\tgit config --global --add safe.directory /x\n{_HOLLOW}",
            "fatal: detected dubious ownership in repository at '/x'; "
            "git config --global --add safe.directory makes an exception",
        ),
        (
            "remote: Invalid token.\nfatal: Authentication failed for 'https://me:hunter2@e.invalid/a'",
            "fatal: Authentication failed for 'https://e.invalid/a'",
        ),
        (_HOLLOW, "and the repository exists."),
    ],
)
def test_the_line_that_says_why_is_told(said: str, reason: str) -> None:
    assert Remote("https://e.invalid/a").reason(Exit(128, b"", said.encode())) == reason
