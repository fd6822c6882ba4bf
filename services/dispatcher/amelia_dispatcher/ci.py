"""Orders from CI: its own queue, on which a role may start workflows and do nothing else."""

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from amelia.consumer import DONE, Verdict
from amelia.contract import codec
from amelia.contract.commands import AnyCommand, StartWorkflow
from amelia.contract.ids import derive_id, derived_workflow_id
from amelia.errors import Malformed, Refused, Unavailable
from amelia.ports.journal import Journal
from amelia.ports.queues import Message
from amelia.redaction import ours
from amelia.trackers.submitted import FullIssues, IssueReader
from amelia.workspace.address import check_branch, check_url

log = logging.getLogger(__name__)

EVERYBODY = "*"
_MOST_CHARACTERS = 2000
"""Of a repository's address, as in the API."""


def teams_of(text: str) -> dict[str, str]:
    """``AROAEXAMPLE=blue,AIDAEXAMPLE=red`` or the same as a JSON object. Raises ``Refused``."""
    text = text.strip()
    if text.startswith("{"):
        try:
            return msgspec.json.decode(text, type=dict[str, str])
        except msgspec.DecodeError as error:
            raise Refused(f"AMELIA_CI_TEAMS is no JSON object of names: {error}; write SENDER=TEAM,…") from error
    teams: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        sender, equals, team = (part.strip() for part in pair.partition("="))
        if not (sender and equals and team):
            raise Refused(f"AMELIA_CI_TEAMS has {pair!r}, which is not SENDER=TEAM; mend it")
        teams[sender] = team
    return teams


class Intake:
    """A command counts as taken when it is in the journal. Who sent it is the queue's word, never the body's: the team
    comes from there, and the workflow is derived from the team and the command's id, so that no order can touch
    another team's workflow, or one that is there already. ``judges``: there is a policy that may approve plans.
    ``issues`` looks up those of which only the reference came; after ``pause_seconds`` again when it cannot."""

    def __init__(
        self,
        journal: Journal,
        teams: Mapping[str, str],
        *,
        allow_file: bool,
        judges: bool,
        issues: IssueReader | None = None,
        pause_seconds: float = 5,
    ) -> None:
        self._journal = journal
        self._teams = teams
        self._allow_file = allow_file
        self._judges = judges
        self._issues = issues or FullIssues()
        self._pause_seconds = pause_seconds

    async def handle(self, messages: Sequence[Message]) -> Sequence[Verdict]:
        """Raises ``Unavailable``."""
        return await asyncio.gather(*map(self._take, messages))

    async def _take(self, message: Message) -> Verdict:
        try:
            ordered = self._read(message)
            command = await self._complete(ordered)
            if isinstance(command, Verdict):
                return command
            executed = await self._journal.execute(ours().value(command), _fingerprint(ordered))
        except (Malformed, Refused) as error:
            return Verdict("dead", str(error))
        log.info(
            "%s of %s %s", command.workflow_id, command.owner, "is there already" if executed.repeated else "begins"
        )
        return DONE

    async def _complete(self, ordered: StartWorkflow) -> StartWorkflow | Verdict:
        """What is there already is not looked up again; a tracker that is away holds up nobody else's order. Raises
        ``Refused`` and ``Unavailable``."""
        if ordered.issue.title:
            return ordered
        if await self._journal.get(ordered.workflow_id) is not None:
            return ordered
        try:
            issue, profile = await self._issues.complete(ordered.issue, ordered.profile, ordered.repository)
        except Unavailable as error:
            log.warning("the order %s has to wait: %s", ordered.id, error)
            await asyncio.sleep(self._pause_seconds)
            return Verdict("again", str(error))
        return replace(ordered, issue=issue, profile=profile)

    def _read(self, message: Message) -> StartWorkflow:
        """Raises ``Malformed`` and ``Refused``."""
        team = self._team(message.sender)
        asked = _decoded(message.body)
        if not isinstance(asked, StartWorkflow):
            kind = codec.type_of(asked)
            raise Refused(f"CI's queue takes start_workflow alone, and this is {kind}; use the API for the others")
        if not asked.id:
            raise Refused("the command has no id; give each run of a job one of its own, the same when it is repeated")
        if len(asked.repository) > _MOST_CHARACTERS:
            raise Refused(f"the repository's address has more than {_MOST_CHARACTERS} characters; use a shorter one")
        check_url(asked.repository, local=self._allow_file)
        if asked.base:
            check_branch(asked.base)
        return self._ours(asked, team)

    def _ours(self, asked: StartWorkflow, team: str) -> StartWorkflow:
        """What the body says about whose it is, and which workflow, is not believed."""
        owner = f"ci/{team}"
        return replace(
            asked,
            id=derive_id(f"ci/{team}", asked.id),
            workflow_id=derived_workflow_id(team, asked.id),
            actor="/".join(filter(None, (owner, _name(asked.actor)))),
            owner=owner,
            team=team,
            auto_approve=self._judges and (asked.auto_approve or asked.profile.auto_approve),
        )

    def _team(self, sender: str) -> str:
        """SQS names a role's session as ROLE-ID:SESSION. Raises ``Refused``."""
        role = sender.partition(":")[0]
        team = self._teams.get(sender) or self._teams.get(role) or self._teams.get(EVERYBODY)
        if team is None:
            known = role or "somebody the queue does not name"
            raise Refused(f"{known} is no sender of CI's queue; add {role or EVERYBODY}=TEAM to AMELIA_CI_TEAMS")
        return team


def _decoded(body: str) -> AnyCommand:
    """Which workflow and who: both may be left out, since neither is believed. Raises ``Malformed``."""
    fields = codec.decode_object(body)
    return codec.decode_command(msgspec.json.encode({"workflow_id": "", "actor": "", **fields}))


def _name(actor: str) -> str:
    return "".join(sign for sign in actor if sign.isprintable())[:100]


def _fingerprint(command: StartWorkflow) -> str:
    """What makes it the same order: not who repeats it, nor when."""
    wanted = (
        command.issue,
        command.repository,
        command.base,
        command.profile,
        command.auto_approve,
        command.priority,
        command.budget,
    )
    return hashlib.sha256(msgspec.json.encode(wanted, order="sorted")).hexdigest()
