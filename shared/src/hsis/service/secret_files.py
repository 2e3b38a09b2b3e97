"""The generated credentials of one installation, one file each in one folder.

For the embedded default the folder is `$HSIS_HOME/secrets`, and each service has a folder of its
own in it that holds only what it may know, in the form in which containers get their secrets: one
file a setting, named after it in lower case. `python -m hsis.service.secret_files FOLDER` makes
what the containers of `compose/` need; what is there stays.
"""

import os
import secrets
import sys
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

from hsis.service.provision import SCHEMAS

CALLING_SERVICES = ("ingest", "storage-proxy", "tiles", "inference")
"""Services that call others and so have a password of their own at catalog."""
FOR_CONTAINERS = (
    "postgres_password",
    *(f"database_{schema}" for schema in SCHEMAS),
    *(f"service_{name}" for name in CALLING_SERVICES),
    "admin_password",
    "s3_root_user",
    "s3_root_password",
    "s3_access_key",
    "s3_secret_key",
    "pgadmin_password",
)
"""The random ones that `compose/` needs, besides the two keys of the tokens."""
IN_A_PRIVATE_FOLDER = 0o444
"""Containers run as users of their own and see a secret's file with the owner it has outside: only
the folder, which is its owner's alone, guards it here."""


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
    """The secrets below one folder; what is missing is made at first use and then kept.

    `mode` is that of the files; the folder is its owner's alone in any case.
    """

    def __init__(self, folder: Path, mode: int = 0o600) -> None:
        self.folder = folder
        self._mode = mode
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)

    def value(self, name: str, given: str | None = None) -> str:
        """The secret of that name: `given`, else the one kept, else a new random one."""
        path = self.folder / name
        if given is not None:
            self._write(path, given)
        elif not path.exists():
            self._write(path, secrets.token_hex(16))
        return path.read_text(encoding="utf-8").strip()

    def signing_keys(self) -> SigningKeys:
        """The key pair of the tokens."""
        path = self.folder / "token_private_key"
        if not path.exists():
            self._write(path, SigningKeys.generate().private_pem)
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
            self._write(folder / f"hsis_{name}", value)
        return folder

    def for_containers(self) -> None:
        """Make every secret that the containers need and that is not there yet."""
        for name in FOR_CONTAINERS:
            self.value(name)
        self._write(self.folder / "token_public_key", self.signing_keys().public_pem)

    def _write(self, path: Path, content: str) -> None:
        write_private(path, content, self._mode)


def write_private(path: Path, content: str, mode: int = 0o600) -> None:
    """Write a file that only its owner can read (or of another mode), whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    temporary.replace(path)


if __name__ == "__main__":
    Secrets(Path(sys.argv[1]), IN_A_PRIVATE_FOLDER).for_containers()
    print(f"the secrets are in {sys.argv[1]}")
