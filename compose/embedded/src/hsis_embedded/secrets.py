"""The generated credentials of one installation, kept in `$HSIS_HOME/secrets` (mode 0600).

Each service has a folder of its own there that holds only what it may know, in the form in which
containers get their secrets: one file a setting, named after it in lower case.
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

CALLING_SERVICES = ("ingest", "storage-proxy", "tiles", "inference")
"""Services that call others and so have a password of their own at catalog."""
SCHEMAS = ("catalog", "ingest", "inference")
"""Services that own a Postgres schema of their name."""


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The Ed25519 key pair of catalog's tokens, as PEM."""

    private_pem: str
    public_pem: str

    @classmethod
    def generate(cls) -> "SigningKeys":
        """A fresh pair."""
        return cls.of(Ed25519PrivateKey.generate())

    @classmethod
    def of(cls, key: Ed25519PrivateKey) -> "SigningKeys":
        """The pair of a private key."""
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return cls(private.decode(), public.decode())


class Secrets:
    """The secrets below one folder; what is missing is made at first use and then kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)

    def value(self, name: str, given: str | None = None) -> str:
        """The secret of that name: `given`, else the one kept, else a new random one."""
        path = self.folder / name
        if given is not None:
            write_private(path, given)
        elif not path.exists():
            write_private(path, secrets.token_urlsafe(24))
        return path.read_text(encoding="utf-8").strip()

    def signing_keys(self) -> SigningKeys:
        """The key pair of the tokens."""
        path = self.folder / "token_private_key"
        if not path.exists():
            write_private(path, SigningKeys.generate().private_pem)
        key = load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError(f"{path} holds no Ed25519 private key.")
        return SigningKeys.of(key)

    def service_folder(self, service: str) -> Path:
        """Write the folder that the service reads its secrets from, and name it."""
        keys = self.signing_keys()
        values = {"token_public_key": keys.public_pem}
        if service in CALLING_SERVICES:
            values["service_secret"] = self.value(f"service_{service}")
        if service in SCHEMAS:
            values["database_password"] = self.value(f"database_{service}")
        if service == "storage-proxy":
            values["s3_access_key"] = self.value("s3_access_key")
            values["s3_secret_key"] = self.value("s3_secret_key")
        if service == "catalog":
            values["token_private_key"] = keys.private_pem
            values["admin_password"] = self.value("admin_password")
            for caller in CALLING_SERVICES:
                name = f"service_secret_{caller.replace('-', '_')}"
                values[name] = self.value(f"service_{caller}")
        folder = self.folder / service
        folder.mkdir(mode=0o700, exist_ok=True)
        for name, value in values.items():
            write_private(folder / f"hsis_{name}", value)
        return folder


def write_private(path: Path, content: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    temporary.replace(path)
