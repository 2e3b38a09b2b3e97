"""Which HSIS to talk to and as whom, for the command line and for `hsis.open`.

`HSIS_URL` and `HSIS_TOKEN` win over what `hsis login` stored in
`$XDG_CONFIG_HOME/hsis/credentials.json`. A stored token is sent only to the URL it came from.
"""

import os
import tempfile
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from hsis.errors import InvalidInput

DEFAULT_URL = "http://127.0.0.1:8080"


class StoredCredentials(BaseModel):
    """The content of the credentials file."""

    url: str
    token: str


@dataclass(frozen=True, slots=True)
class Connection:
    """The origin of an HSIS, without a trailing slash, and the token for it, if any."""

    url: str
    token: str | None = field(repr=False)

    @property
    def through_proxy(self) -> bool:
        """Whether the environment's proxies count: they cannot reach this machine's own HSIS."""
        host = urlsplit(self.url).hostname or ""
        try:
            return not ip_address(host).is_loopback
        except ValueError:
            return host != "localhost" and not host.endswith(".localhost")


def credentials_path() -> Path:
    """Where `hsis login` keeps what it got."""
    base = os.environ.get("XDG_CONFIG_HOME")
    folder = Path(base) if base else Path.home() / ".config"
    return folder / "hsis" / "credentials.json"


def checked_url(url: str) -> str:
    """The URL without a trailing slash; InvalidInput unless it is http(s)://host[:port][/path]."""
    try:
        parts = urlsplit(url)
        right = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        right = False
    if not right:
        raise InvalidInput(f"{url!r} is no URL of an HSIS; one looks like {DEFAULT_URL}.")
    return url.rstrip("/")


def load_credentials() -> StoredCredentials | None:
    """What `hsis login` stored, None when nothing is; InvalidInput when the file is damaged, or is
    not to be read."""
    path = credentials_path()
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from None
    try:
        return StoredCredentials.model_validate_json(content)
    except ValidationError:
        raise InvalidInput(f"{path} is damaged; `hsis login` writes it anew.") from None


def save_credentials(credentials: StoredCredentials) -> Path:
    """Store them, readable by their owner only (mode 0600), and say where; InvalidInput where they
    cannot be stored."""
    path = credentials_path()
    try:
        _save(path, credentials)
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be written: {error.strerror}. XDG_CONFIG_HOME may name another folder."
        ) from None
    return path


def _save(path: Path, credentials: StoredCredentials) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".credentials-")  # mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(credentials.model_dump_json(indent=2) + "\n")
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _checked_token(token: str) -> str | None:
    """The token without the line break that a file of it ends with; InvalidInput for what no header
    holds."""
    token = token.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidInput("The token has characters that no token of HSIS has.")
    return token or None


def connection(url: str | None = None, token: str | None = None) -> Connection:
    """Where to connect: what is given, else the environment, else what `hsis login` stored."""
    url = url or os.environ.get("HSIS_URL") or None
    token = _checked_token(token or os.environ.get("HSIS_TOKEN") or "")
    stored = load_credentials() if url is None or token is None else None
    found = checked_url(url or (stored.url if stored else DEFAULT_URL))
    if token is None and stored is not None and stored.url == found:
        token = stored.token
    return Connection(found, token)
