import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .conftest import Server

CONFIGURED = {
    "workloads": ["agent"],
    "api_keys": {"weather": "key-1"},
    "oauth2": {
        "git": {"access_token": "shared", "users": {"ada": "of-ada"}},
        "calendar": {"authorization_url": "https://example.org/consent"},
        "empty": {},
    },
}


@pytest.fixture
def identity(servers: Callable[..., Server]) -> Iterator[Server]:
    yield servers(identity=CONFIGURED)


def jwt(subject: str) -> str:
    part = base64.urlsafe_b64encode(json.dumps({"sub": subject}).encode()).decode().rstrip("=")
    return f"e30.{part}.c2ln"


def oauth(client: Any, token: str, provider: str) -> Any:
    return client.get_resource_oauth2_token(
        workloadIdentityToken=token,
        resourceCredentialProviderName=provider,
        scopes=["read"],
        oauth2Flow="USER_FEDERATION",
    )


def test_tokens_are_those_of_the_configuration_and_of_the_user(identity: Server) -> None:
    client = identity.client()
    plain = client.get_workload_access_token(workloadName="agent")["workloadAccessToken"]
    user = client.get_workload_access_token_for_user_id(workloadName="agent", userId="ada")
    bearer = client.get_workload_access_token_for_jwt(workloadName="agent", userToken=jwt("ada"))
    key = client.get_resource_api_key(workloadIdentityToken=plain, resourceCredentialProviderName="weather")
    assert key["apiKey"] == "key-1"
    assert oauth(client, plain, "git")["accessToken"] == "shared"
    for answer in (user, bearer):
        assert oauth(client, answer["workloadAccessToken"], "git")["accessToken"] == "of-ada"
    consent = oauth(client, plain, "calendar")
    assert consent["authorizationUrl"] == "https://example.org/consent"
    assert consent["sessionStatus"] == "IN_PROGRESS"
    with pytest.raises(client.exceptions.UnauthorizedException):
        oauth(client, plain, "empty")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        oauth(client, plain, "unknown")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_workload_access_token(workloadName="stranger")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_resource_api_key(workloadIdentityToken=plain, resourceCredentialProviderName="unknown")


def test_a_token_holds_over_a_restart_and_a_forged_one_never(identity: Server) -> None:
    client = identity.client()
    token = client.get_workload_access_token(workloadName="agent")["workloadAccessToken"]
    identity.restart()
    assert oauth(client, token, "git")["accessToken"] == "shared"
    for forged in ("nonsense", "e30." + token.partition(".")[2], token[:-1]):
        with pytest.raises(client.exceptions.UnauthorizedException):
            oauth(client, forged, "git")
