"""Secrets by their shape. Those here were made up for the tests, and are put together so that no scanner finds them."""

import pytest

from amelia.redaction import Redactor

REDACTOR = Redactor()
B = "0123456789abcdefghijABCDEFGHIJ0123456789"
DASHES = "-" * 5

SECRETS = {
    "aws-access-key": "AKIA" + "QWERTY2345ASDFGH",
    "github-token": "ghp_" + B[:36],
    "gitlab-token": "glpat-" + B[:20],
    "slack-token": "xoxb-" + "123456789012-abcdefghij",
    "anthropic-key": "sk-ant-" + "api03-" + B,
    "openai-key": "sk-" + "proj-" + B,
    "stripe-key": "sk_live_" + B[:24],
    "google-key": "AIza" + B[:35],
    "jira-token": "ATATT3" + B,
    "npm-token": "npm_" + B[:36],
    "jwt": "eyJ" + "hbGciOiJIUzI1NiJ9" + "." + "eyJ" + "zdWIiOiIxMjM0NTY3" + "." + B[:30],
    "private-key": f"{DASHES}BEGIN RSA PRIVATE KEY{DASHES}\n{B}{B}\n{B}\n{DASHES}END RSA PRIVATE KEY{DASHES}",
}


@pytest.mark.parametrize(("kind", "secret"), SECRETS.items())
def test_a_well_known_secret_is_replaced_wherever_it_stands(kind: str, secret: str) -> None:
    for text in (
        secret,
        f"it is {secret}, keep it",
        f'{{"x": "{secret}"}}',
        f"a\\n{secret}\\n",
        f"KEY={secret}\nNEXT=1",
    ):
        clean = REDACTOR.text(text)
        assert secret not in clean
        assert secret[len(secret) // 2 :] not in clean
    assert REDACTOR.text(f"it is {secret}, keep it") == f"it is [redacted:{kind}], keep it"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("password=hunter2hunter2", "hunter2hunter2"),
        ("DB_PASSWORD: correct-horse-7", "correct-horse-7"),
        ('api_key = "k3y0fthek1ngdom"', "k3y0fthek1ngdom"),
        ('{"client_secret": "s3cr3t-0f-cl13nt"}', "s3cr3t-0f-cl13nt"),
        ('{\\"client_secret\\": \\"s3cr3t-0f-cl13nt\\"}', "s3cr3t-0f-cl13nt"),
        ("AWS_SECRET_ACCESS_KEY=" + "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "0123456789", "wJalrXUtnFEMI/K7MDENG"),
        ("aws_secret_access_key = " + "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "0123456789", "wJalrXUtnFEMI/K7MDENG"),
        ("Authorization: Bearer " + B[:30], B[:30]),
        ("the admin password is hunter2-hunter2, tell nobody", "hunter2-hunter2"),
        ("our API key is: k3y0fthek1ngdom", "k3y0fthek1ngdom"),
        ("curl --token=" + B[:24] + " x", B[:24]),
        ("postgresql://amelia:pa55word@db/amelia", "pa55word"),
        ("https://ada:" + B[:20] + "@git.example/x.git", B[:20]),
    ],
)
def test_what_is_assigned_to_the_name_of_a_secret_is_replaced(text: str, secret: str) -> None:
    clean = REDACTOR.text(text)
    assert secret not in clean
    assert clean.startswith(text[: text.index(secret)])


@pytest.mark.parametrize(
    "text",
    [
        "token = response1.json_data",
        "token = next_token2",
        "if password is not None:",
        "The token is what it is.",
        "password: str = ''",
        "credentials: AccessTokenProvider | None = None",
        "api_key = base64.b64encode(value1)",
        'secret = os.environ["SECRET_NAME_12"]',
        "GITHUB_TOKEN: ${{ secrets.GITHUB_TOKEN }}",
        "password=$DB_PASSWORD_1",
        "AMELIA_API_TOKEN_FILE=/run/secrets/token1",
        '"js-tokens": "^4.0.0"',
        "input_tokens=1234567890",
        "max_tokens: 16384",
        "token_sha256=" + "ab12" * 16,
        "commit 3f2a9c8e7d6b5a4f3e2d1c0b9a8f7e6d5c4b3a29",
        "wf-3f2a9c8e-7d6b-5a4f-8e2d-1c0b9a8f7e6d",
        "integrity sha512-" + "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=",
        "src/amelia/orchestrator/agents/developer.py",
        "the disk-usage-of-every-folder-in-the-tree",
        "http://user@example.invalid:8080/path",
        "password=[redacted:password]",
        "https://example.invalid/a:b@c",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert REDACTOR.text(text) is text


@pytest.mark.parametrize("lines", [slice(0, 6), slice(4, None), slice(0, None)])
def test_a_part_of_a_private_key_is_replaced_as_well(lines: slice) -> None:
    head = ["Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,00", ""] if lines == slice(0, None) else []
    body = [f"{B}{number:02}abcdefABCDEF" for number in range(12)]
    key = [f"{DASHES}BEGIN RSA PRIVATE KEY{DASHES}", *head, *body, f"{DASHES}END RSA PRIVATE KEY{DASHES}"]
    clean = REDACTOR.text("\n".join(["Look:", *key[lines], ""]))
    assert B not in clean
    assert clean.startswith("Look:\n")
