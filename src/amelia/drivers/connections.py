"""Settings that the three services' connections share."""

from ipaddress import ip_address
from urllib.parse import urlsplit

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 300.0
"""A reasoning model may think for minutes before the first byte."""


def is_loopback(url: str | None) -> bool:
    """Whether a URL stays on this machine, where no proxy of the environment must be asked."""
    host = urlsplit(url or "").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
