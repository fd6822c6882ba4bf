"""Which addresses are repositories of one GitHub, and what they are called there."""

import re
from urllib.parse import urlsplit

import msgspec

from ...errors import Refused
from ..loopback import is_loopback

PUBLIC = "https://api.github.com"
_NAME = re.compile(r"^/?([A-Za-z0-9_][A-Za-z0-9_.-]*)/([A-Za-z0-9_.-]{1,100}?)(?:\.git)?/?$")
_SSH = re.compile(r"^(?:ssh://)?git@([A-Za-z0-9.-]+)(?::(?:[0-9]+/|/)?|/)(.+)$")


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """``api`` is where its REST API begins, ``web`` where the addresses of its repositories begin."""

    api: str
    web: str

    def full_name(self, repository: str) -> str:
        """``owner/name`` for an address of this GitHub, over https or ssh; "" for any other."""
        path = self._path(repository)
        found = _NAME.match(path)
        return f"{found[1]}/{found[2]}" if found and found[2] not in (".", "..") else ""

    def _path(self, repository: str) -> str:
        if re.search(r"[\s\\?#%]", repository):
            return ""
        web = urlsplit(self.web)
        if ssh := _SSH.match(repository):
            host = ssh[1].lower().removeprefix("ssh.")
            return ssh[2] if host == (web.hostname or "").removeprefix("ssh.") else ""
        url = urlsplit(repository)
        same = url.scheme.lower() == web.scheme and url.netloc.rpartition("@")[2].lower() == web.netloc
        return url.path.removeprefix(web.path) if same and url.path.startswith(web.path) else ""


def site(api: str = PUBLIC, web: str = "") -> Site:
    """``web`` empty is derived: an Enterprise's API is under ``/api/v3`` of its host. Raises ``Refused``."""
    api = api.rstrip("/")
    parts = urlsplit(api)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise Refused(f"{api!r} is no address of a GitHub API; use one that begins with https://")
    if not web:
        host = "github.com" if api == PUBLIC else parts.netloc.lower()
        web = f"{parts.scheme}://{host}{parts.path.removesuffix('/api/v3')}"
    where = urlsplit(web.rstrip("/") + "/")
    return Site(api=api, web=where._replace(netloc=where.netloc.lower()).geturl())
