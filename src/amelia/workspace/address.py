"""What a repository and a branch may be called."""

import re
from pathlib import Path

from ..errors import Refused

_SCHEMES = ("https://", "ssh://", "file://")
_SCP = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[^-\s][^\s]*$")
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
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


def check_url(url: str) -> str:
    """Raises ``Refused`` unless git would read it as an https, ssh or file address."""
    if not url or url.startswith("-") or "\n" in url or "\0" in url or "::" in url.split("/", 1)[0]:
        raise Refused(f"{without_secrets(url)!r} is no address of a repository; use https://, ssh:// or file://")
    if _SCP.match(url):
        return url
    scheme = next((s for s in _SCHEMES if url.startswith(s)), None)
    if scheme is None or url[len(scheme) :].startswith("-") or "@-" in url:
        raise Refused(f"{without_secrets(url)!r} is no address of a repository; use https://, ssh:// or file://")
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
