"""``amelia dead-letters``: where its commands are."""

from .lazy import LazyGroup

letters = LazyGroup(
    name="dead-letters",
    commands_at={
        "list": ("amelia_cli.buried:list_letters", "What was given up, newest first, and why."),
        "show": ("amelia_cli.buried:show", "One of them, with its body."),
        "redrive": ("amelia_cli.unburying:redrive", "Send to its queue again, as it was."),
        "discard": ("amelia_cli.unburying:discard", "Give up for good."),
    },
    help="""Messages that a consumer refused three times, or that never reached one: each with its cause and its body.

    \b
    Examples:
      amelia dead-letters list
      amelia dead-letters redrive --all
    """,
)
