"""Errors say what their receiver should do next.

AmeliaError
├── Refused       tell the sender: what is wrong and the way out
│   ├── NotFound      there is no such thing, or none the caller may see
│   ├── Conflict      the thing's state does not allow it
│   └── Unauthorised  say who you are first
├── Unavailable   try later: a dependency is away or asks for patience
│   ├── Limited       not before it said: there were too many requests
│   └── NotStarted    and nothing was done, for certain
│       └── Exhausted     because there is no room: a quota is used up
└── Malformed     dead-letter: it will never decode

They are raised anywhere and caught in two places: the consumer and the HTTP problem handler (in the CLI, at the
edge of the command).
"""


class AmeliaError(Exception):
    """The text is one sentence that names the thing, its state and the way out."""


class Refused(AmeliaError):
    pass


class NotFound(Refused):
    pass


class Conflict(Refused):
    pass


class Unauthorised(Refused):
    pass


class Unavailable(AmeliaError):
    pass


class Limited(Unavailable):
    """``seconds`` is how long it asks to be left alone."""

    def __init__(self, text: str, *, seconds: int) -> None:
        super().__init__(text)
        self.seconds = seconds


class NotStarted(Unavailable):
    pass


class Exhausted(NotStarted):
    pass


class Malformed(AmeliaError):
    pass
