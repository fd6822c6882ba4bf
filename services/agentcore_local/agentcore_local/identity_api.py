"""AgentCore Identity's token operations, answered from the configuration."""

import base64
import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from agentcore_local.errors import Invalid, NotFound, Unauthorized
from agentcore_local.events import parse
from agentcore_local.settings import Identity
from agentcore_local.wire import Reply, Request, json_reply

WorkloadName = Annotated[str, Meta(min_length=3, max_length=255, pattern=r"^[A-Za-z0-9_.\-]+\Z")]
ProviderName = Annotated[str, Meta(max_length=128, pattern=r"^[a-zA-Z0-9\-_]+\Z")]


class WorkloadRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    workload_name: WorkloadName


class UserRequest(WorkloadRequest, frozen=True):
    user_id: Annotated[str, Meta(min_length=1, max_length=128)]


class JwtRequest(WorkloadRequest, frozen=True):
    user_token: Annotated[str, Meta(pattern=r"^[A-Za-z0-9\-_=]+\.[A-Za-z0-9\-_=]+\.[A-Za-z0-9\-_=]*\Z")]


class KeyRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    workload_identity_token: str
    resource_credential_provider_name: ProviderName


class OauthRequest(KeyRequest, frozen=True):
    scopes: list[str]
    oauth2_flow: Literal["USER_FEDERATION", "M2M", "ON_BEHALF_OF_TOKEN_EXCHANGE"]


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a workload access token speaks for."""

    workload: str
    user: str | None = None


class IdentityApi:
    """Workload tokens are signed with a key kept in the state directory, so they outlive a restart."""

    def __init__(self, settings: Identity, key_file: Path) -> None:
        self._settings = settings
        self._key = _signing_key(key_file)

    def mint(self, workload: str, user: str | None) -> str:
        claims = base64.urlsafe_b64encode(msgspec.json.encode(Holder(workload=workload, user=user))).decode()
        return f"{claims}.{self._signature(claims)}"

    async def get_workload_access_token(self, request: Request) -> Reply:
        return self._token(parse(request.body, WorkloadRequest).workload_name, None)

    async def get_workload_access_token_for_user_id(self, request: Request) -> Reply:
        asked = parse(request.body, UserRequest)
        return self._token(asked.workload_name, asked.user_id)

    async def get_workload_access_token_for_jwt(self, request: Request) -> Reply:
        """The user is the token's `sub`; its signature is not checked."""
        asked = parse(request.body, JwtRequest)
        return self._token(asked.workload_name, _subject(asked.user_token))

    async def get_resource_api_key(self, request: Request) -> Reply:
        asked = parse(request.body, KeyRequest)
        self._holder(asked.workload_identity_token)
        name = asked.resource_credential_provider_name
        if name not in self._settings.api_keys:
            raise _unknown(name, "api_keys")
        return json_reply({"apiKey": self._settings.api_keys[name]})

    async def get_resource_oauth2_token(self, request: Request) -> Reply:
        asked = parse(request.body, OauthRequest)
        holder = self._holder(asked.workload_identity_token)
        name = asked.resource_credential_provider_name
        provider = self._settings.oauth2.get(name)
        if provider is None:
            raise _unknown(name, "oauth2")
        if token := provider.users.get(holder.user or "", provider.access_token):
            return json_reply({"accessToken": token})
        if provider.authorization_url is None:
            raise Unauthorized(f"the provider {name} has no token for {holder.user or holder.workload}")
        uri = f"urn:ietf:params:oauth:request_uri:{secrets.token_urlsafe(16)}"
        answer = {"authorizationUrl": provider.authorization_url, "sessionUri": uri}
        return json_reply({**answer, "sessionStatus": "IN_PROGRESS"})

    def _token(self, workload: str, user: str | None) -> Reply:
        if self._settings.workloads and workload not in self._settings.workloads:
            raise NotFound(f"there is no workload identity {workload}; name it under `identity.workloads`")
        return json_reply({"workloadAccessToken": self.mint(workload, user)})

    def _holder(self, token: str) -> Holder:
        claims, _, signature = token.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(claims).encode()):
            raise Unauthorized("the workload access token was not issued here; ask for a new one")
        return msgspec.json.decode(base64.urlsafe_b64decode(claims), type=Holder)

    def _signature(self, claims: str) -> str:
        return hmac.new(self._key, claims.encode(), hashlib.sha256).hexdigest()


def _signing_key(path: Path) -> bytes:
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(32))
    return path.read_bytes()


def _subject(token: str) -> str:
    claims = token.split(".")[1]
    try:
        decoded = msgspec.json.decode(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    except (ValueError, msgspec.DecodeError) as error:
        raise Invalid("userToken is not a JWT") from error
    if not isinstance(decoded, dict) or not isinstance(decoded.get("sub"), str):
        raise Invalid("userToken has no sub claim")
    return str(decoded["sub"])


def _unknown(name: str, section: str) -> NotFound:
    return NotFound(f"there is no credential provider {name}; name it under `identity.{section}`")
