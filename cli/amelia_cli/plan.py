"""``amelia plan``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import options
from .start import Asked

if TYPE_CHECKING:
    from amelia.contract.views import PlanView


@click.command()
@click.argument("issue")
@click.option("--repo", default="", metavar="URL|PATH", help="The git repository.  [default: the one around here]")
@click.option("--base", default="", metavar="BRANCH", help="The branch to begin from.  [default: the repository's]")
@click.option("--profile", default="", help="A profile of settings.amelia.yaml.  [default: its active_profile]")
@click.option("--settings", type=click.Path(), help="The settings file.  [default: searched upwards]")
@click.option("--title", default="", help="The issue's title, when ISSUE is only its id.")
@click.option("--description-file", type=click.Path(path_type=Path), help="Its description, in Markdown.")
@options.budget
@click.option("--replay", type=click.Path(path_type=Path), help="Play the model from this conversation file.")
@click.option("--new", is_flag=True, help="Plan again instead of showing the plan there is.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Write the plan there too: .yaml, else JSON.")
@options.output
def plan(
    issue: str,
    repo: str,
    base: str,
    profile: str,
    settings: str | None,
    title: str,
    description_file: Path | None,
    dollars: int | None,
    tokens: int | None,
    replay: Path | None,
    new: bool,
    out: Path | None,
    output: str,
) -> None:
    """Have the Architect plan ISSUE in this process, and stop there. ISSUE is given as for amelia start.

    The plan is kept: run again, the command shows it without asking a model, and amelia start with the same ISSUE asks
    for its approval and carries it out.

    \b
    Examples:
      amelia plan issues/wrong-total.md
      amelia plan issues/wrong-total.md -o plan.json
      amelia plan issues/wrong-total.md --output json
    """
    from .local import needed, planned

    asked = Asked(
        issue=issue,
        repo=repo,
        base=base,
        profile=profile,
        settings=settings,
        title=title,
        description=description_file,
        dollars=dollars,
        tokens=tokens,
        mode="wait",
        output=output,
        replay=replay,
        new=new,
    )
    with needed():
        _tell(planned(asked), out, output)


def _tell(seen: "PlanView", out: Path | None, output: str) -> None:
    from .printing import document, plan_lines

    if out is not None:
        _write(seen, out)
    if output == "json":
        document(seen)
        return
    for line in plan_lines(seen.plan, seen):
        click.echo(line)
    said = f"{seen.decision.kind} by {seen.decision.by}" if seen.decision else "amelia start carries it out"
    click.echo(f"\nplan {seen.plan_sha256}: {said}")


def _write(seen: "PlanView", out: Path) -> None:
    import msgspec

    from amelia.errors import Refused

    from .plan_text import written

    as_yaml = out.suffix in (".yaml", ".yml")
    text = written(seen.plan) if as_yaml else msgspec.json.format(msgspec.json.encode(seen.plan)).decode() + "\n"
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Refused(f"{out} cannot be written: {error.strerror}; name another file with -o") from error
