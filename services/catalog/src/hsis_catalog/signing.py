"""Signing of the tokens that every service verifies (see hsis.service.tokens for the claims)."""

import time
from collections.abc import Iterable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hsis.contracts.access import Scope, TokenAnswer
from hsis.service.tokens import ALGORITHM, ISSUER

USER_SCOPES = (Scope.READ, Scope.WRITE)


class TokenSigner:
    """Makes JWTs with catalog's private key."""

    def __init__(self, private_key_pem: str) -> None:
        key = load_pem_private_key(private_key_pem.encode(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError(f"HSIS_TOKEN_PRIVATE_KEY holds a {type(key).__name__}, not Ed25519.")
        self._key = key

    def sign(
        self,
        subject: str,
        name: str,
        scopes: Iterable[str],
        ttl_s: int,
        *,
        admin: bool = False,
        collections: list[str] | None = None,
        key_id: str | None = None,
    ) -> TokenAnswer:
        """A token that expires in `ttl_s` seconds."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": ISSUER,
            "sub": subject,
            "name": name,
            "scope": " ".join(scopes),
            "admin": admin,
            "iat": now,
            "exp": now + ttl_s,
        }
        if collections is not None:
            claims["collections"] = collections
        if key_id is not None:
            claims["key"] = key_id
        token = jwt.encode(claims, self._key, algorithm=ALGORITHM)
        return TokenAnswer(access_token=token, expires_in=ttl_s)
