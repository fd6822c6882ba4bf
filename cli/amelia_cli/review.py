"""``amelia review``."""

from pathlib import Path

import click
import msgspec

from . import options
from .edge import FAILED


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The command's options as they were given."""

    paths: tuple[Path, ...]
    base: str
    issue: str
    title: str
    description: Path | None
    test: str
    strategy: str
    profile: str
    settings: str | None
    dollars: int | None
    tokens: int | None
    replay: Path | None
    output: str


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@click.option("--local", is_flag=True, default=True, expose_value=False, help="What is here; there is nothing else.")
@click.option("--base", default="", metavar="REF", help="Also what was committed since the branch left REF.")
@click.option("--issue", default="", metavar="ISSUE", help="What the change is for, given as for amelia start.")
@click.option("--title", default="", help="The issue's title, when there is no file or tracker that knows it.")
@click.option("--description-file", type=click.Path(path_type=Path), help="Its description, in Markdown.")
@click.option("--test", default="", metavar="COMMAND", help="Run it in a copy first; the Reviewer sees what it says.")
@click.option(
    "--strategy", type=click.Choice(["single", "competitive"]), help="One reviewer or three.  [default: the profile's]"
)
@click.option("--profile", default="", help="A profile of settings.amelia.yaml.  [default: its active_profile]")
@click.option("--settings", type=click.Path(), help="The settings file.  [default: searched upwards]")
@options.budget
@click.option("--replay", type=click.Path(path_type=Path), help="Play the model from this conversation file.")
@options.output
def review(
    paths: tuple[Path, ...],
    base: str,
    issue: str,
    title: str,
    description_file: Path | None,
    test: str,
    strategy: str | None,
    profile: str,
    settings: str | None,
    dollars: int | None,
    tokens: int | None,
    replay: Path | None,
    output: str,
) -> None:
    """Have the Reviewer judge what is not committed in the checkout around here, or of it what lies at each PATH.

    One line a comment, with file and line; then what it comes to. Exits with 0 when it approves or nothing has changed,
    with 1 when something has to change first. Your files and your repository stay as they are.

    \b
    Examples:
      amelia review --local
      amelia review --local src --test "pytest -q"
      amelia review --local --base main --issue issues/wrong-total.md
    """
    from .local import needed

    wanted = Wanted(
        paths=paths,
        base=base,
        issue=issue,
        title=title,
        description=description_file,
        test=test,
        strategy=strategy or "",
        profile=profile,
        settings=settings,
        dollars=dollars,
        tokens=tokens,
        replay=replay,
        output=output,
    )
    with needed():
        from .local_review import reviewed, tell

        given = reviewed(wanted)
        tell(given, output)
        if given is not None and not given.verdict.approved:
            raise click.exceptions.Exit(FAILED)
