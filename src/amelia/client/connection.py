"""One connection of the stream: its messages until it closes."""

from collections.abc import Generator

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.sync.client import connect as open_socket

from ..errors import Refused
from .http import PREFIX
from .problems import problem

_MAX_MESSAGE = 64 * 2**20
_TIMEOUT = 10.0


class Dropped(Exception):
    """The connection did not come about or is gone; the text says why. Worth another try."""


def connect(url: str, token: str, path: str, query: str) -> Generator[str | bytes, None, None]:
    """Messages of the stream at ``path`` below the API's prefix; ends when the server closes in good order.

    Raises ``Dropped``, or the error that the control plane's refusal stands for.
    """
    try:
        with open_socket(
            f"ws{url.removeprefix('http')}{PREFIX}{path}?{query}",
            additional_headers={"Authorization": f"Bearer {token}"} if token else None,
            compression=None,
            proxy=None,
            open_timeout=_TIMEOUT,
            close_timeout=0.1,
            max_size=_MAX_MESSAGE,
        ) as socket:
            yield from socket
    except InvalidStatus as error:
        status = error.response.status_code
        if status == 429 or status >= 500:
            raise Dropped(f"it answered {status}") from error
        raise problem(status, bytes(error.response.body or b""), url) from error
    except ConnectionClosed as error:
        _raise_refusal(error, url)
        raise Dropped("the connection was lost") from error
    except InvalidURI as error:
        raise Refused(f"{url!r} is no address of a fleet; give one like http://127.0.0.1:8420") from error
    except (OSError, EOFError, InvalidHandshake, TimeoutError) as error:
        raise Dropped(getattr(error, "strerror", "") or "the connection was not accepted") from error


def _raise_refusal(error: ConnectionClosed, url: str) -> None:
    """Close codes 4400 to 4499 are HTTP's 400 to 499, told after the stream was opened."""
    closed = error.rcvd
    if closed is not None and 4400 <= closed.code < 4500 and closed.code not in (4408, 4429):
        refusal = problem(closed.code - 4000, b"", url)
        raise type(refusal)(closed.reason) if closed.reason else refusal
