"""Settings of the services: environment variables named ``AMELIA_*``, each with a default that suits a laptop."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec

from .errors import Refused

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """``database_url`` is read from ``AMELIA_DATABASE_URL``, and so on. Durations are seconds.

    ``max_receives`` is after how many failures a consumer gives a message up, with its reason; ``redrive_receives`` is
    the queue's own limit, far above, because receives while the world is away are nobody's failure. An empty endpoint
    means AWS itself. Queue names end in ``.fifo`` where the queue is FIFO. ``delivery_patience_seconds``: a delivery
    that stays impossible for so long becomes a pause. Work is delivered to GitHub by a token that writes
    (``github_token_file``; another that reads is for clones), or by an App with its id and private key;
    ``github_web_url`` is where the addresses of its repositories begin, derived when empty. The same credentials read
    and comment on GitHub's issues. Jira's are at ``jira_base_url``: the token in ``jira_token_file`` is an API token of
    the account ``jira_email``, or without one a bearer token. ``public_url`` is where people reach this control plane,
    and what comments link to.

    ``max_in_progress`` is how many workflows have a place at once in the fleet, and ``max_in_progress_per_user`` and
    ``max_in_progress_per_repository`` how many of them one user or one repository (0: as many as the fleet);
    ``session_starts_per_second`` is what the account of AWS allows. ``monthly_budget_dollars`` and
    ``monthly_budget_tokens`` bound what one user spends in a calendar month (UTC; 0: no bound); where they do,
    ``workflow_budget_dollars`` is set aside for a workflow that names no budget (0: all that is left). A repository
    whose clone failed ``quarantine_failures`` times within ``quarantine_minutes`` waits until that is past (0 failures:
    never). An attempt that says nothing new for ``progress_seconds`` is taken over even though it lives;
    ``session_seconds`` is the platform's longest life of a session. ``approval_policy_file`` is the YAML with the rules
    that ``auto_approve`` selects. ``ci_teams`` says which sender of CI's queue is which team, as in
    ``AROAEXAMPLE=blue,AIDAEXAMPLE=red``; ``*=blue`` is everybody, for a laptop.
    """

    database_url: str = ""
    aws_endpoint_url: str = ""
    agentcore_endpoint_url: str = ""
    aws_region: str = "us-east-1"

    commands_queue: str = "amelia-commands.fifo"
    commands_dead_queue: str = "amelia-commands-dead.fifo"
    events_queue: str = "amelia-events"
    events_dead_queue: str = "amelia-events-dead"
    ci_queue: str = "amelia-ci"
    ci_dead_queue: str = "amelia-ci-dead"
    event_bus: str = "amelia"
    event_source: str = "amelia.runtime"
    control_source: str = "amelia.control"
    bucket: str = "amelia-artifacts"
    master_secret: str = "amelia/master-key"  # noqa: S105 - the name of it

    runtime_arn: str = "arn:aws:bedrock-agentcore:us-east-1:000000000000:runtime/amelia"
    memory_id: str = "amelia_memory-0000000000"

    api_host: str = "127.0.0.1"
    api_port: Port = 8420
    api_token_file: str = ""
    max_body_bytes: int = 1_048_576

    lease_seconds: float = 20
    heartbeat_seconds: float = 5
    sweep_seconds: float = 2
    max_attempts: int = 3
    gap_seconds: float = 3
    resend_seconds: float = 5
    receives_in_flight: int = 4
    visibility_seconds: int = 10
    max_receives: int = 3
    redrive_receives: int = 1000
    claim_check_bytes: int = 32_768

    max_in_progress: int = 50
    max_in_progress_per_user: int = 0
    max_in_progress_per_repository: int = 0
    session_starts_per_second: float = 25
    monthly_budget_dollars: float = 0
    monthly_budget_tokens: int = 0
    workflow_budget_dollars: float = 0
    quarantine_failures: int = 3
    quarantine_minutes: float = 10
    progress_seconds: float = 900
    session_seconds: int = 28_800
    approval_policy_file: str = ""
    ci_teams: str = ""

    delivery_patience_seconds: float = 900
    github_api_url: str = "https://api.github.com"
    github_web_url: str = ""
    github_token_file: str = ""
    github_read_token_file: str = ""
    github_app_id: str = ""
    github_private_key_file: str = ""
    jira_base_url: str = ""
    jira_email: str = ""
    jira_token_file: str = ""
    public_url: str = ""

    allow_file_repositories: bool = True
    log_level: str = "INFO"

    @property
    def takes_local_repositories(self) -> bool:
        """``file://`` addresses: not where the services speak to AWS itself, whatever is set."""
        return self.allow_file_repositories and bool(self.aws_endpoint_url)


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Raises ``Refused`` naming the variable whose value does not fit."""
    values: dict[str, object] = {}
    for name, kind in get_type_hints(Settings, include_extras=True).items():
        variable = f"AMELIA_{name.upper()}"
        if variable in environ:
            values[name] = _parse(variable, environ[variable], kind)
    return Settings(**values)  # type: ignore[arg-type]


def read_secret(path: str) -> str:
    """What a file holds; "" when none is named. Raises ``Refused`` when it cannot be read."""
    if not path:
        return ""
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"the secret in {path} cannot be read ({type(error).__name__}); name a file that can") from error


_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Port: "a port from 1 to 65535",
}


def _parse(variable: str, text: str, kind: Any) -> object:
    if variable == "AMELIA_DATABASE_URL" and text and not text.startswith(("postgresql://", "postgres://")):
        raise Refused("AMELIA_DATABASE_URL is no address of a PostgreSQL; give postgresql://user:password@host/amelia")
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Refused(f"{variable}={text!r} does not fit: {error}; unset it or give {_WORDS[kind]}") from error
