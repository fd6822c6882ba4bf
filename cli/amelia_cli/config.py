"""``amelia config``."""

import click

from . import options
from .lazy import LazyGroup

config = LazyGroup(
    name="config",
    commands_at={"schema": ("amelia_cli.config:schema", "The JSON Schema of settings.amelia.yaml.")},
    help="""About the settings file itself.

    \b
    Example:
      amelia config schema > .settings.schema.json
    """,
)


@click.command()
@options.output
def schema(output: str) -> None:
    """Print the JSON Schema of settings.amelia.yaml, with which an editor completes and checks it.

    It is JSON whatever --output says. Editors that use yaml-language-server find it by the settings file's first line.

    \b
    Example:
      amelia config schema > .settings.schema.json
      # yaml-language-server: $schema=.settings.schema.json
    """
    from amelia.contract.export.schema import closed, schema_of
    from amelia.profiles import Document

    from .printing import document

    document(closed(schema_of(Document)))
