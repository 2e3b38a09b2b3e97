"""TLS with a certificate of one's own, and the consoles that the edge shows on loopback."""

import datetime
import os
import re
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.containers import Containers

EDGE_USER = 10001


def self_made_certificate(folder: Path) -> Path:
    """A certificate for localhost and its key, as compose/cert/README.md asks for them."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "tls.crt"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = folder / "tls.key"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    private.chmod(0o400)
    os.chown(private, EDGE_USER, -1)
    return path


@pytest.fixture
def own_certificate(
    containers: Containers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Containers, Path]]:
    """The installation with HSIS_TLS=own, and its certificate; afterwards as it was."""
    folder = tmp_path_factory.mktemp("cert")
    folder.chmod(0o755)
    certificate = self_made_certificate(folder)
    with_tls = containers.configured(HSIS_TLS="own", HSIS_CERT_FOLDER=str(folder))
    with_tls.up("edge")
    yield with_tls, certificate
    containers.up("edge")


async def test_own_certificate_is_served_and_http_is_sent_on(
    own_certificate: tuple[Containers, Path],
) -> None:
    installation, certificate = own_certificate
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with httpx.AsyncClient(trust_env=False, verify=trusting) as http:
        secure = f"https://localhost:{installation.port + 1}"
        page = await http.get(f"{secure}/stac")
        assert page.status_code == 200
        hrefs = [link["href"] for link in page.json()["links"]]
        assert hrefs
        assert all(href.startswith(secure) for href in hrefs), hrefs
        # Asked for by plain HTTP it ends at the same place.
        sent_on = await http.get(f"http://localhost:{installation.port}/stac?a=b")
        assert sent_on.status_code == 308
        assert sent_on.headers["Location"] == f"{secure}/stac?a=b"


async def test_the_object_stores_console_is_on_loopback(containers: Containers) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        page = await http.get(f"http://127.0.0.1:{containers.port + 2}/")
    assert page.status_code == 200
    assert "console" in page.text.lower()


@pytest.fixture
def pgadmin(containers: Containers) -> Iterator[str]:
    """The address of pgAdmin, started as the README says; its container is removed afterwards."""
    containers.compose("--profile", "admin", "up", "--detach", "pgadmin")
    url = f"http://127.0.0.1:{containers.port + 3}"
    deadline = time.monotonic() + 120
    while True:
        try:
            if httpx.get(f"{url}/login", trust_env=False, timeout=10).status_code == 200:
                break
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, "pgAdmin does not answer"
        time.sleep(0.5)
    yield url
    containers.compose("--profile", "admin", "rm", "--force", "--stop", "pgadmin")


async def test_pgadmin_knows_the_server_and_its_password(
    containers: Containers, pgadmin: str
) -> None:
    password = (containers.secrets / "pgadmin_password").read_text().strip()
    async with httpx.AsyncClient(
        base_url=pgadmin, trust_env=False, timeout=60, follow_redirects=True
    ) as http:
        page = await http.get("/login")
        token = re.search(r'"csrfToken": ?"([^"]+)"', page.text)
        assert token is not None
        login = {"email": "admin@hsis.example", "password": password, "csrf_token": token[1]}
        entered = await http.post("/authenticate/login", data=login)
        assert entered.url.path == "/browser/"
        script = (await http.get("/browser/js/utils.js")).text
        token = re.search(r"\['csrf_token'\] = '([^']+)'", script)
        assert token is not None
        headers = {"X-pgA-CSRFToken": token[1]}
        servers = (await http.get("/browser/server/nodes/1/", headers=headers)).json()["result"]
        assert [server["label"] for server in servers] == ["HSIS"]
        path = f"/browser/server/connect/1/{servers[0]['_id']}"
        connected = (await http.post(path, headers=headers)).json()
        assert connected["success"] == 1, connected
        assert connected["data"]["connected"] is True
