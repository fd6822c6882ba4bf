"""Why git could not reach a repository: what goes away by itself, and what does not."""

import pytest

from amelia.workspace.remote import passing
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
