"""What tus clients say in headers."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit
from uuid import UUID

from hsis.digits import natural
from hsis.errors import InvalidInput, NotFound

PATH = "/uploads/files"
MAX_PARTIALS = 1000
MAX_METADATA = 8192
PLAIN_METADATA = (
    "wavelengths_file",
    "wavelength_unit",
    "unit",
    "sensor",
    "platform",
    "scale",
    "offset",
    "nodata",
    "datetime",
    "license",
)
"""Fields of CubeMetadata that are keys of Upload-Metadata too."""


def count(headers: Mapping[str, str], name: str) -> int:
    """A header that is a number of bytes; InvalidInput where it is missing or something else."""
    value = headers.get(name, "").strip()
    found = natural(value)
    if found is None:
        raise InvalidInput(f"{name} must be a number of bytes, not {value!r}.")
    return found


def parse_metadata(header: str | None) -> dict[str, str]:
    """Upload-Metadata: `key base64,key base64,key`. Values that are no text are left out.

    InvalidInput where it is not of that form, or a key is there twice.
    """
    if header is None or not header.strip():
        return {}
    if len(header) > MAX_METADATA or not (header.isascii() and header.isprintable()):
        raise InvalidInput(f"Upload-Metadata is printable ASCII, at most {MAX_METADATA} bytes.")
    values: dict[str, str] = {}
    seen = set()
    for pair in header.split(","):
        key, _, encoded = pair.strip().partition(" ")
        if not key or key in seen:
            raise InvalidInput("The keys of Upload-Metadata are not empty and each there once.")
        seen.add(key)
        try:
            values[key] = base64.b64decode(encoded.strip(), validate=True).decode()
        except UnicodeDecodeError:
            continue
        except (binascii.Error, ValueError):
            raise InvalidInput(f"The value of {key!r} in Upload-Metadata is no Base64.") from None
    return values


def parse_concat(header: str) -> list[UUID]:
    """The partial transfers that an Upload-Concat of `final;` and URLs names, in its order.

    InvalidInput where one is no URL of a transfer, NotFound where its last part is no id of one.
    """
    urls = header.removeprefix("final;").split()
    if not 1 <= len(urls) <= MAX_PARTIALS:
        raise InvalidInput(f"A final upload has 1 to {MAX_PARTIALS} parts.")
    return [transfer_id(_path_in(url).removeprefix(PATH + "/")) for url in urls]


def transfer_id(text: str) -> UUID:
    """The id of a transfer; NotFound where it cannot be one."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"There is no transfer {text!r}.") from None


def _path_in(url: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:  # brackets around what is no IPv6 address
        path = ""
    if not path.startswith(PATH + "/"):
        raise InvalidInput(f"Upload-Concat names {url[:100]!r}; the URLs in it are of {PATH}/…")
    return path


def metadata_of(values: Mapping[str, str]) -> dict[str, Any]:
    """What is said of the cube: the JSON object `metadata`, and the keys of PLAIN_METADATA.

    InvalidInput where `metadata` is no JSON object; the fields are not checked here.
    """
    plain = {key: values[key] for key in PLAIN_METADATA if values.get(key)}
    if not values.get("metadata"):
        return plain
    try:
        said = json.loads(values["metadata"], parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InvalidInput("`metadata` in Upload-Metadata is no JSON.") from None
    if not isinstance(said, dict):
        raise InvalidInput("`metadata` in Upload-Metadata is no JSON object.")
    return said | plain


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
