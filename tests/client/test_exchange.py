import socket
import threading

import pytest

from amelia.client.exchange import Garbled, encode, parse
from amelia.client.http import ControlPlane
from amelia.errors import Unavailable


@pytest.mark.parametrize(
    ("received", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello", 200, b"he"),
        (b"HTTP/1.0 204\r\n\r\n", 204, b""),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", 200, b"to the end"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n", 200, b"abcde"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 409 Conflict\r\ncontent-length:1\r\n\r\nx", 409, b"x"),
    ],
)
def test_an_answer_is_read_as_it_says_its_length(received: bytes, status: int, body: bytes) -> None:
    answer = parse(received)
    assert (answer.status, answer.body) == (status, body)


@pytest.mark.parametrize(
    "received",
    [
        b"",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
)
def test_what_is_no_whole_answer_is_garbled(received: bytes) -> None:
    with pytest.raises(Garbled):
        parse(received)


def test_a_header_cannot_smuggle_a_line() -> None:
    with pytest.raises(ValueError, match="a header cannot"):
        encode("x", ("GET", "/", {"Authorization": "Bearer a\r\nEvil: 1"}, None))


def test_a_program_that_is_no_http_server_is_no_fleet() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"220 mail\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(Unavailable, match="does not speak HTTP"):
            ControlPlane(f"http://127.0.0.1:{listening.getsockname()[1]}").workflows()
        thread.join()


def test_a_server_that_says_nothing_is_unavailable_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.raises(Unavailable, match="timed out"):
        ControlPlane(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=0.2).workflows()
