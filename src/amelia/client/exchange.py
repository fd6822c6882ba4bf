"""One HTTP/1.1 request and its answer. Over a plain socket where there is no TLS: importing ``http.client`` takes as
long as everything else a short command does, half of it for TLS and for e-mail's header grammar."""

import socket
from collections.abc import Mapping

import msgspec

MAX_ANSWER = 256 * 2**20


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Garbled(Exception):
    """What came was no whole HTTP answer."""


def plain(host: str, port: int, request: bytes, timeout: float) -> Answer:
    """``request`` asks for the connection to be closed. Raises ``OSError`` or ``Garbled``."""
    received = bytearray()
    with socket.create_connection((host, port), timeout) as connection:
        connection.sendall(request)
        while piece := connection.recv(65536):
            received += piece
            if len(received) > MAX_ANSWER:
                raise Garbled("the answer is too large")
    return parse(bytes(received))


def secure(host: str, port: int, request: tuple[str, str, Mapping[str, str], bytes | None], timeout: float) -> Answer:
    """Method, path, headers and body over TLS. Raises ``OSError`` or ``Garbled``."""
    from http.client import HTTPException, HTTPSConnection

    method, path, headers, body = request
    connection = HTTPSConnection(host, port, timeout=timeout)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        names = {name.lower(): value for name, value in response.headers.items()}
        return Answer(status=response.status, headers=names, body=response.read())
    except HTTPException as error:
        raise Garbled(type(error).__name__) from error
    finally:
        connection.close()


def encode(host: str, request: tuple[str, str, Mapping[str, str], bytes | None]) -> bytes:
    """The bytes of a request. Raises ``ValueError`` for a header that would not be one."""
    method, path, headers, body = request
    named = {"Host": host, **headers}
    if body is not None:
        named["Content-Length"] = str(len(body))
    for value in named.values():
        if not (value.isascii() and value.isprintable()):
            raise ValueError("it holds characters that a header cannot")
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items()), "", ""]
    return "\r\n".join(lines).encode("ascii") + (body or b"")


def parse(received: bytes) -> Answer:
    """A whole answer, interim ones (1xx) before it left out. Raises ``Garbled`` when it was cut off or is none."""
    head, found, rest = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, status = first.partition(" ")
    if not found or not version.startswith("HTTP/1.") or not status[:3].isdecimal():
        raise Garbled("it does not speak HTTP" if received else "it closed the connection")
    code = int(status[:3])
    if code < 200:
        return parse(rest)
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Answer(status=code, headers=headers, body=_body(rest, headers))


def _body(rest: bytes, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _unchunked(rest)
    length = headers.get("content-length", "")
    if length.isdecimal():
        if len(rest) < int(length):
            raise Garbled("the answer was cut off")
        return rest[: int(length)]
    return rest


def _unchunked(rest: bytes) -> bytes:
    pieces: list[bytes] = []
    while True:
        size, found, rest = rest.partition(b"\r\n")
        try:
            length = int(size.split(b";")[0], 16) if found else -1
        except ValueError:
            length = -1
        if length < 0 or len(rest) < length:
            raise Garbled("the answer was cut off")
        if not length:
            return b"".join(pieces)
        pieces.append(rest[:length])
        rest = rest[length + 2 :]
