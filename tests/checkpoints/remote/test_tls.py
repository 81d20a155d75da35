"""Over TLS: an unknown certificate is refused, and a redirect does not leave TLS."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web

import parentage
from tests.checkpoints.remote.servers import Site, Threaded

x509 = pytest.importorskip("cryptography.x509", reason="it makes the certificate")


def certificate(folder: Path) -> Path:
    """A self-signed certificate of 127.0.0.1 with its key, in one file."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / "certificate.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


CODE = """
import sys
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import ParentageError
for locator in sys.argv[1:]:
    try:
        with open_checkpoint(locator) as checkpoint:
            print(len(checkpoint.tensors))
    except ParentageError as error:
        print(error.code)
"""


def test_tls_is_checked_and_never_left(site: Site, threaded: Threaded, tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/down"):
            return web.Response(status=302, headers={"Location": f"{site.address}/m/x.safetensors"})
        return site.answer(request, request.path)

    secure = threaded.serve(handle, context)
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    environment["PYTHONPATH"] = str(Path(parentage.__file__).parents[1])
    command = [sys.executable, "-c", CODE, f"{secure}/m", f"{secure}/down/x.safetensors"]
    found = []
    for trusted in (True, False):
        if trusted:
            environment["SSL_CERT_FILE"] = str(pem)
        else:
            del environment["SSL_CERT_FILE"]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        found.append(done.stdout.split())
    assert found == [["8", "remote-redirect"], ["remote-unreachable", "remote-unreachable"]]
    assert site.asked == []
