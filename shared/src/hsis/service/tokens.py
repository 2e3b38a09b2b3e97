"""Verification of the tokens that catalog signs (JWT, Ed25519), and the caller of a request."""

import time
from collections.abc import Iterable
from typing import Annotated, Any

import jwt
from cachetools import LRUCache
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from fastapi import Depends, Request

from hsis.contracts.access import Caller, Scope
from hsis.errors import Forbidden, Unauthenticated

ISSUER = "hsis"
ALGORITHM = "EdDSA"
COOKIE = "hsis_token"
CSRF_HEADER = "X-Requested-With"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LEEWAY_S = 30
MAX_REMEMBERED = 4096
MAX_REMEMBERED_LENGTH = 4096
"""Tokens that were verified are remembered: this many, of at most so many characters each."""


class TokenVerifier:
    """Checks signature, issuer and times of a token with catalog's public key, without I/O.

    A token that passed is remembered until it expires: only its time is looked at again.
    """

    def __init__(self, public_key_pem: str) -> None:
        key = load_pem_public_key(public_key_pem.encode())
        if not isinstance(key, Ed25519PublicKey):
            raise TypeError(f"HSIS_TOKEN_PUBLIC_KEY holds a {type(key).__name__}, not Ed25519.")
        self._key = key
        self._verified: LRUCache[str, tuple[int, Caller]] = LRUCache(MAX_REMEMBERED)

    def verify(self, token: str) -> Caller:
        """The bearer of the token; Unauthenticated when it is forged, expired or not ours."""
        expires, caller = self._verified.get(token, (0, None))
        if caller is not None and time.time() - LEEWAY_S < expires:
            return caller
        claims = self._claims(token)
        caller = caller_of(claims, token)
        if len(token) <= MAX_REMEMBERED_LENGTH:
            self._verified[token] = int(claims["exp"]), caller
        return caller

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=ISSUER,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iat", "sub", "iss", "aud"]},
            )
            return claims
        except jwt.ExpiredSignatureError:
            raise Unauthenticated(
                "The token has expired; get a new one from /auth/token."
            ) from None
        except jwt.InvalidTokenError:
            raise Unauthenticated(
                "The token was not signed by this HSIS; get one from /auth/token."
            ) from None


def caller_of(claims: dict[str, Any], token: str) -> Caller:
    """The caller that a set of verified claims describes."""
    known = {str(scope) for scope in Scope}
    scopes: Iterable[str] = str(claims.get("scope", "")).split()
    collections = claims.get("collections")
    return Caller(
        subject=claims["sub"],
        name=claims.get("name", claims["sub"]),
        scopes=frozenset(Scope(scope) for scope in scopes if scope in known),
        is_admin=bool(claims.get("admin", False)),
        collections=None if collections is None else frozenset(collections),
        key_id=claims.get("key"),
        token=token,
    )


def token_of(request: Request) -> str | None:
    """The bearer token of the Authorization header, else the browser's session cookie.

    The cookie alone is not believed on a request that changes something: a page of another origin
    can make a browser send it, but not the header `X-Requested-With`.
    """
    header = request.headers.get("Authorization")
    if header:
        kind, _, value = header.partition(" ")
        if kind.lower() != "bearer" or not value.strip():
            raise Unauthenticated("Authorization must be `Bearer <token>`.")
        return value.strip()
    cookie = request.cookies.get(COOKIE)
    if cookie and request.method not in _SAFE_METHODS and CSRF_HEADER not in request.headers:
        raise Forbidden(
            f"A change made with the session cookie needs the header {CSRF_HEADER}; "
            "other clients send the token in Authorization."
        )
    return cookie or None


async def optional_caller(request: Request) -> Caller | None:
    """The caller, or None for an anonymous request. A bad token is never taken for none."""
    token = token_of(request)
    if token is None:
        return None
    verifier: TokenVerifier = request.app.state.token_verifier
    return verifier.verify(token)


async def required_caller(
    caller: Annotated[Caller | None, Depends(optional_caller)],
) -> Caller:
    """The caller; Unauthenticated for an anonymous request."""
    if caller is None:
        raise Unauthenticated("This needs a token: get one from POST /auth/token.")
    return caller


async def service_caller(caller: Annotated[Caller, Depends(required_caller)]) -> Caller:
    """The caller, which must be one of the platform's services."""
    if not caller.is_service:
        raise Forbidden("Only the platform's own services may do this.")
    return caller


OptionalCaller = Annotated[Caller | None, Depends(optional_caller)]
RequiredCaller = Annotated[Caller, Depends(required_caller)]
ServiceCaller = Annotated[Caller, Depends(service_caller)]
