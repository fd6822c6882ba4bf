"""``amelia memory``: where its commands are."""

from .lazy import LazyGroup

memory = LazyGroup(
    name="memory",
    commands_at={
        "list": ("amelia_cli.lessons:list_lessons", "What was learnt, the newest first."),
        "forget": ("amelia_cli.lessons:forget", "Tell it to no workflow any more."),
    },
    help="""What agents found out about a repository and passed on: how its tests are run, what a build needs.

    \b
    Examples:
      amelia memory list --repo .
      amelia memory forget 8a1c
    """,
)
