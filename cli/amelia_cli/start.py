"""``amelia start``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from . import options

if TYPE_CHECKING:
    from amelia.contract.workflow import Budget


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The command's options as they were given."""

    issue: str
    repo: str
    base: str
    profile: str
    settings: str | None
    title: str
    description: Path | None
    auto_approve: bool = False
    priority: int = 0
    dollars: int | None
    tokens: int | None
    mode: str
    output: str
    key: str = ""
    url: str = ""
    replay: Path | None
    new: bool
    retry: bool = False
    push: bool = False


@click.command()
@click.argument("issue")
@click.option("--remote", is_flag=True, help="On the fleet, not in this process.")
@click.option("--repo", default="", metavar="URL|PATH", help="The git repository.  [default: the one around here]")
@click.option("--base", default="", metavar="BRANCH", help="The branch to begin from.  [default: the repository's]")
@click.option("--profile", default="", help="A profile of settings.amelia.yaml.  [default: its active_profile]")
@click.option("--settings", type=click.Path(), help="The settings file.  [default: searched upwards]")
@click.option("--title", default="", help="The issue's title, when ISSUE is only its id.")
@click.option("--description-file", type=click.Path(path_type=Path), help="Its description, in Markdown.")
@click.option("--auto-approve", is_flag=True, help="Carry out whatever plan the Architect makes.")
@click.option("--follow", is_flag=True, help="Show what happens, to the end.  [default]")
@click.option("--wait", is_flag=True, help="Say nothing until the end.")
@click.option("--detach", is_flag=True, help="Do not stay; only with --remote.")
@click.option("--priority", type=click.IntRange(-100, 100), default=0, help="A higher one is admitted first.")
@options.budget
@click.option("--idempotency-key", default="", metavar="KEY", help="Started once; run again, it attaches to it.")
@click.option("--url", default="", help=options.URL_HELP)
@click.option("--replay", type=click.Path(path_type=Path), help="Play the model from this conversation file.")
@click.option("--new", is_flag=True, help="Begin again instead of going on with the last run.")
@click.option("--retry", is_flag=True, help="Another go at what failed here, from its last checkpoint.")
@click.option("--push", is_flag=True, help="Push the branch in the end; only without --remote, which always does.")
@options.output
def start(
    remote: bool,
    issue: str,
    repo: str,
    base: str,
    profile: str,
    settings: str | None,
    title: str,
    description_file: Path | None,
    auto_approve: bool,
    priority: int,
    dollars: int | None,
    tokens: int | None,
    follow: bool,
    wait: bool,
    detach: bool,
    output: str,
    idempotency_key: str,
    url: str,
    replay: Path | None,
    new: bool,
    retry: bool,
    push: bool,
) -> None:
    """Work ISSUE: the path of a Markdown file, an issue of GitHub or Jira, or an id that --title explains.

    An issue is named as owner/repository#7, as #7 of the repository here, as PROJ-7 or by its address.

    Its plan waits for your approval, asked for here on a terminal. Exits with 1 when the workflow failed or was
    cancelled. Without --remote everything runs in this process, and the same command goes on after an interruption.
    A CI job gives --idempotency-key: run again, it follows the workflow it has started instead of starting another.

    \b
    Examples:
      amelia start issues/wrong-total.md
      amelia start acme/shop#7 --budget 2.50
      amelia start issues/wrong-total.md --remote --detach
      amelia start PROJ-7 --title "Totals are wrong" --remote --auto-approve --wait
      amelia start issues/wrong-total.md --remote --idempotency-key "$CI_JOB" --priority 10
    """
    _one_of(new=new, retry=retry)
    asked = Asked(
        issue=issue,
        repo=repo,
        base=base,
        profile=profile,
        settings=settings,
        title=title,
        description=description_file,
        auto_approve=auto_approve,
        priority=priority,
        dollars=dollars,
        tokens=tokens,
        mode=_one_of(follow=follow, wait=wait, detach=detach) or "follow",
        output=output,
        key=idempotency_key,
        url=url,
        replay=replay,
        new=new,
        retry=retry,
        push=push,
    )
    if remote:
        _only_with(not replay, "--replay", "without --remote; a fleet is given it by amelia up --replay")
        _only_with(not new, "--new", "without --remote; a fleet begins anew each time")
        _only_with(not retry, "--retry", "without --remote; a fleet's are retried by amelia workflows retry")
        _only_with(not push, "--push", "without --remote; a fleet always pushes")
        from .remote import run as run_remote

        run_remote(asked)
        return
    _only_with(not detach, "--detach", "with --remote")
    _only_with(not url, "--url", "with --remote")
    _only_with(not idempotency_key, "--idempotency-key", "with --remote")
    _only_with(not priority, "--priority", "with --remote")
    from .local import run as run_local

    run_local(asked)


def budget(asked: Asked, default: "Budget") -> "Budget":
    """What was asked for; what was not said is as in the profile."""
    from amelia.contract.workflow import Budget

    return Budget(
        microdollars=default.microdollars if asked.dollars is None else asked.dollars,
        tokens=default.tokens if asked.tokens is None else asked.tokens,
    )


def _one_of(**given: bool) -> str:
    """The one that was given, "" when none was."""
    names = [name for name, is_given in given.items() if is_given]
    if len(names) > 1:
        said = " and ".join(f"--{name}" for name in names)
        raise click.UsageError(f"{said} contradict each other; give one of them", click.get_current_context())
    return "".join(names)


def _only_with(fits: bool, option: str, where: str) -> None:
    if not fits:
        raise click.UsageError(f"{option} works only {where}", click.get_current_context())
