"""A GitHub of public repositories, as a process: the API over http, git over https with a certificate of its own."""

import argparse
import asyncio
import datetime
import ipaddress
import ssl
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.github.backend import serve
from tests.github.ledger import Ledger
from tests.github.peer import Peer

TOKEN = "chaos-token-0123456789"


class PublicPeer(Peer):
    async def _git(self, request: web.Request) -> web.Response:
        """Anybody may read."""
        name, rest = f"{request.match_info['owner']}/{request.match_info['name']}", request.match_info["rest"]
        writes = "git-receive-pack" in (request.query.get("service", ""), rest)
        if not writes and name in self.ledger.kept.repositories:
            return await serve(request, self.ledger.root / "repos", f"/{name}.git/{rest}", "anybody")
        return await super()._git(request)


def make(root: Path, count: int) -> dict[str, Path]:
    """Bare repositories by their full name; the certificate is ``root/certificate.pem``."""
    ledger = Ledger(root)
    ledger.grant(TOKEN)
    _certify(root)
    return {f"chaos/r{number}": ledger.add_repository(f"chaos/r{number}") for number in range(count)}


def _certify(root: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    ).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (root / "certificate.pem").write_bytes(certificate)
    (root / "both.pem").write_bytes(private + certificate)
    (root / "token").write_text(TOKEN)


async def _serve(root: Path, api: int, git: int) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(root / "both.pem")
    peer = PublicPeer(root)
    async with peer.listening(api), peer.listening(git, tls=context):
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.forge")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--api", type=int, required=True)
    parser.add_argument("--git", type=int, required=True)
    options = parser.parse_args()
    asyncio.run(_serve(options.root, options.api, options.git))


if __name__ == "__main__":
    main()
