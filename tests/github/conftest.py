"""A peer over http for the REST API, and the same one over https for git."""

import datetime
import ipaddress
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from amelia.adapters.github.connection import Access, Connection, open_github
from amelia.ports.forge import PullRequest

from .ledger import Ledger
from .peer import Peer

BRANCH = "amelia/shop-1-0a1b2c3d"
WORKFLOW = "wf-0a1b2c3d-0000-4000-8000-000000000000"
TOKEN = "peer-token-0123456789"
PEM = serialization.Encoding.PEM


class Keys(msgspec.Struct, frozen=True):
    """An RSA key, and a certificate of 127.0.0.1 that it signed itself."""

    private: str
    public: str
    certificate: Path
    both: Path

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.both)
        return context


class GitHubPeer:
    """``git`` and ``api`` are where the two listeners' addresses begin."""

    def __init__(self, ledger: Ledger, git: str, api: str, stack: AsyncExitStack) -> None:
        self.ledger = ledger
        self.git = git
        self.api = api
        self._stack = stack

    def url(self, name: str = "acme/shop") -> str:
        return f"{self.git}/{name}.git"

    async def connect(self, access: Access | None = None) -> Connection:
        told = Access(token=TOKEN) if access is None else access
        return await self._stack.enter_async_context(open_github(told, api=self.api, web=self.git))

    async def open(self, connection: Connection | None = None, **changes: Any) -> PullRequest:
        forge = (connection or await self.connect()).forge
        asked: dict[str, Any] = {
            "branch": BRANCH,
            "base": "",
            "title": "t",
            "body": "b",
            "draft": False,
            "workflow_id": WORKFLOW,
        }
        return await forge.open_pull_request(changes.pop("repository", self.url()), **(asked | changes))

    def requests(self, method: str = "", path: str = "") -> list[dict[str, Any]]:
        """Those of a method, to a path that ends like this."""
        told: list[dict[str, Any]] = self.ledger.requests()
        return [r for r in told if r["method"] == (method or r["method"]) and r["path"].endswith(path)]


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    ).public_bytes(PEM)
    plain = serialization.NoEncryption()
    private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, plain)
    public = key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "certificate.pem").write_bytes(certificate)
    (folder / "both.pem").write_bytes(private + certificate)
    return Keys(private.decode(), public.decode(), folder / "certificate.pem", folder / "both.pem")


@pytest.fixture
async def peer(tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GitHubPeer]:
    """It has acme/shop, with a branch of the workflow's that is one commit ahead of main."""
    monkeypatch.setenv("GIT_SSL_CAINFO", str(keys.certificate))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("HOME", str(tmp_path))
    peer = Peer(tmp_path / "peer")
    peer.ledger.grant(TOKEN)
    add_branch(peer.ledger.add_repository("acme/shop"), BRANCH)
    async with AsyncExitStack() as listeners, AsyncExitStack() as stack:
        secure = await listeners.enter_async_context(peer.listening(tls=keys.context()))
        plain = await listeners.enter_async_context(peer.listening())
        yield GitHubPeer(peer.ledger, f"https://127.0.0.1:{secure}", f"http://127.0.0.1:{plain}", stack)


def add_branch(bare: Path, branch: str, text: str = "change") -> str:
    """One commit ahead of main; its name."""
    script = (
        f"commit refs/heads/{branch}\ncommitter t <t@t.invalid> 1700000001 +0000\n"
        f"data <<END\n{text}\n\nAmelia-Workflow: {WORKFLOW}\nEND\nfrom refs/heads/main\n"
    )
    run(bare, "fast-import", "--quiet", "--force", stdin=script)
    return run(bare, "rev-parse", f"refs/heads/{branch}")


def run(where: Path, *arguments: str, stdin: str = "") -> str:
    done = subprocess.run(["git", *arguments], cwd=where, input=stdin, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
