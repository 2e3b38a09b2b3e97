"""Digests in headers (RFC 9530): what a client says of its body, what is said of a blob."""

import asyncio
import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from starlette.datastructures import Headers

from hsis.errors import InvalidInput
from hsis_storage_proxy.errors import DigestMismatch

ALGORITHMS = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}
# A blob is stored as it comes, without a coding: both are of the same bytes.
_FIELDS = ("Content-Digest", "Repr-Digest")
_BYTES = re.compile(r":([A-Za-z0-9+/]*={0,2}):[ \t]*(;.*)?", re.ASCII)
_WANTED = re.compile(r"(?:^|,)[ \t]*sha-256[ \t]*=[ \t]*(?:[1-9]|10)[ \t]*(?:$|[,;])", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Claim:
    field: str
    algorithm: str
    expected: bytes


class BodyDigests:
    """What a request says of its body, and the body's own digests as it comes."""

    def __init__(self, claims: list[_Claim]) -> None:
        self._claims = claims
        self._found: dict[str, Any] = {
            algorithm: ALGORITHMS[algorithm]()
            for algorithm in {claim.algorithm for claim in claims}
        }

    @classmethod
    def of(cls, headers: Headers) -> Self:
        """Those in a request; InvalidInput where one is no digest. Algorithms that are not known
        are left out, as RFC 9530 has it."""
        claims = []
        for field in _FIELDS:
            for member in ",".join(headers.getlist(field)).split(","):
                algorithm, _, value = member.strip(" \t").partition("=")
                if algorithm in ALGORITHMS:
                    claims.append(_Claim(field, algorithm, _decoded(field, algorithm, value)))
        return cls(claims)

    @property
    def sha256(self) -> str | None:
        """The SHA-256 that the body is said to have, in hexadecimal: true after `require`."""
        for claim in self._claims:
            if claim.algorithm == "sha-256":
                return claim.expected.hex()
        return None

    async def update(self, pieces: Sequence[bytes]) -> None:
        """Take the body's next bytes."""

        def take(digest: Any) -> None:
            for piece in pieces:
                digest.update(piece)

        for digest in self._found.values():
            await asyncio.to_thread(take, digest)

    def require(self) -> None:
        """DigestMismatch unless all bytes that were taken have the digests claimed."""
        for claim in self._claims:
            found = self._found[claim.algorithm].digest()
            if found != claim.expected:
                raise DigestMismatch(
                    f"{claim.field} says {field_value(claim.algorithm, claim.expected)}; what came "
                    f"has {field_value(claim.algorithm, found)}. Nothing was stored."
                )


def field_value(algorithm: str, digest: bytes) -> str:
    """A digest as the headers have it."""
    return f"{algorithm}=:{base64.b64encode(digest).decode()}:"


def wants_sha256(header: str | None) -> bool:
    """Whether Want-Content-Digest asks for it."""
    return header is not None and _WANTED.search(header) is not None


def _decoded(field: str, algorithm: str, value: str) -> bytes:
    match = _BYTES.fullmatch(value)
    try:
        digest = base64.b64decode(match[1], validate=True) if match else b""
    except binascii.Error:
        digest = b""
    if len(digest) != ALGORITHMS[algorithm]().digest_size:
        raise InvalidInput(
            f"{field}: {algorithm} is not ':', the digest's {ALGORITHMS[algorithm]().digest_size} "
            "bytes in base64, ':'."
        )
    return digest
