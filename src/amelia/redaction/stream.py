"""Text that comes in pieces, of which each may end in the middle of a secret."""

from .redactor import Redactor

_MOST_HELD = 4_000
_TAIL = 600
_KEY = "-----BEGIN "
_KEY_MOST = 24_000


class Stream:
    """What has been given in comes out again clean, a whole line at a time; a line that does not end is held back as
    far as a secret could reach."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = ""

    def feed(self, text: str) -> str:
        self._held += text
        cut = self._cut()
        said, self._held = self._held[:cut], self._held[cut:]
        return self._redactor.text(said)

    def flush(self) -> str:
        """What is still held."""
        said, self._held = self._held, ""
        return self._redactor.text(said)

    def _cut(self) -> int:
        """Up to where no secret can go on."""
        held = self._held
        cut = held.rfind("\n") + 1
        key = held.find(_KEY)
        if key >= 0 and "-----END " not in held[key:] and len(held) < _KEY_MOST:
            cut = min(cut, key)
        elif not cut and len(held) > _MOST_HELD:
            cut = max(held.rfind(" ", 0, len(held) - _TAIL) + 1, len(held) - _MOST_HELD)
        return cut
