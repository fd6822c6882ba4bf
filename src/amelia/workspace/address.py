"""What a repository and a branch may be called."""

import re
from pathlib import Path

from ..errors import Refused

_SCHEMES = ("https://", "ssh://", "file://")
_SCP = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[^-\s][^\s]*$")
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
_AUTHORITY = re.compile(
    r"^(?:https|ssh)://(?:(?P<user>[^/@:]*)(?P<password>:[^/@]*)?@)?(?:[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])"
    r"(?::[0-9]*)?/."
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MISREAD = re.compile(r"[\x20\\]")
_TOKEN = re.compile(r"^(gh[a-z]_|github_pat_|glpat-|x-access-token|x-token-auth|oauth2)|.{40}")
_BAD_IN_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)")


def resolve(repository: str) -> str:
    """A local path becomes an absolute ``file://`` URL; a URL is only checked. Raises ``Refused``."""
    if "://" in repository or _SCP.match(repository):
        return check_url(repository)
    path = Path(repository).expanduser().resolve()
    if not path.is_dir():
        raise Refused(f"there is no folder {path}; name a git repository's folder or URL")
    for folder in (path, *path.parents):
        if (folder / ".git").exists() or _is_bare(folder):
            return f"file://{folder}"
    raise Refused(f"{path} is not in a git repository; run `git init` and commit there first, or name another folder")


def check_url(url: str, *, local: bool = True) -> str:
    """Raises ``Refused`` unless git would read it as an https, ssh or file address (the last where ``local``), or when
    a credential is written into it: an address is logged, recorded and shown to every user of the machine."""
    if not local and url.lower().startswith("file:"):
        raise Refused("this fleet works on remote repositories only; name an https:// or ssh:// URL")
    if _SCP.match(url) and not _CONTROL.search(url) and "::" not in url.split("/", 1)[0]:
        return url
    scheme = next((s for s in _SCHEMES if url.startswith(s)), "")
    found = _AUTHORITY.match(url)
    plain = url.startswith("file:///") if scheme == "file://" else found and not _MISREAD.search(url)
    if not scheme or not plain or _CONTROL.search(url) or "@-" in url:
        raise Refused(f"{without_secrets(url)!r} is no address of a repository; use https://, ssh:// or file://")
    if found and (found["password"] or (scheme == "https://" and found["user"] and _TOKEN.match(found["user"]))):
        raise Refused(
            f"the address {without_secrets(url)} holds a password; leave it out, git asks its credential helper for it"
        )
    return url


def check_branch(name: str) -> str:
    """The rules of ``git check-ref-format --branch``, and no name that reads as an option. Raises ``Refused``."""
    bad = (
        not name
        or len(name) > 200
        or name.startswith(("-", "/", ".", "refs/"))
        or name.endswith(("/", "."))
        or name in ("@", "HEAD")
        or _BAD_IN_BRANCH.search(name)
    )
    if bad:
        raise Refused(f"{name[:200]!r} is no name of a branch; use letters, digits, '-', '_', '.' and '/'")
    return name


def without_secrets(text: str) -> str:
    """User names, passwords and tokens before the host of any URL in the text are removed."""
    return _USERINFO.sub("", text)


def _is_bare(folder: Path) -> bool:
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()
