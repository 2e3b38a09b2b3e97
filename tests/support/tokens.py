"""Tokens signed with the tests' own key, as catalog would."""

import time
from collections.abc import Iterable
from typing import Any

import jwt

from hsis.service.secret_files import SigningKeys


def sign(
    keys: SigningKeys,
    subject: str = "11111111-1111-4111-8111-111111111111",
    name: str | None = None,
    scopes: Iterable[str] = ("read", "write"),
    admin: bool = False,
    collections: list[str] | None = None,
    expires_in: float = 86_400,
) -> str:
    """A JWT with these claims."""
    now = time.time()
    claims: dict[str, Any] = {
        "iss": "hsis",
        "aud": "hsis",
        "sub": subject,
        "name": name or subject,
        "scope": " ".join(scopes),
        "admin": admin,
        "iat": int(now),
        "exp": int(now + expires_in),
    }
    if collections is not None:
        claims["collections"] = collections
    return jwt.encode(claims, keys.private_pem, algorithm="EdDSA")
