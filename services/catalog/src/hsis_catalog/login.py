"""Logins of users and services."""

import hmac
import time
from collections import deque
from collections.abc import Callable

import asyncpg
from cachetools import TTLCache

from hsis.contracts.access import Scope, TokenAnswer
from hsis.service.postgres import autocommit
from hsis_catalog.errors import TooManyAttempts, WrongCredentials
from hsis_catalog.passwords import Passwords
from hsis_catalog.repository import users
from hsis_catalog.settings import Settings
from hsis_catalog.signing import USER_SCOPES, TokenSigner

MAX_NAMES = 10_000
_WRONG = "The name or the password is wrong."


class Attempts:
    """Failed logins by name within the last seconds, in this process's memory."""

    def __init__(
        self, most: int, window_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._window_s = window_s
        self._clock = clock
        self._failures: TTLCache[str, deque[float]] = TTLCache(MAX_NAMES, window_s, clock)

    def check(self, name: str) -> None:
        """TooManyAttempts when the name has failed too often; waiting is right."""
        recent = self._recent(name)
        if len(recent) >= self._most:
            wait_s = max(1, round(recent[0] + self._window_s - self._clock()))
            raise TooManyAttempts(
                f"{len(recent)} failed logins for this name; try again in {wait_s} s."
            )

    def failed(self, name: str) -> None:
        """Count a failure, before its check so that parallel tries count too."""
        recent = self._recent(name)
        recent.append(self._clock())
        self._failures[name] = recent

    def succeeded(self, name: str) -> None:
        """Forget the name's failures."""
        self._failures.pop(name, None)

    def _recent(self, name: str) -> deque[float]:
        recent = self._failures.get(name) or deque()
        while recent and recent[0] <= self._clock() - self._window_s:
            recent.popleft()
        return recent


async def log_in_user(
    pool: asyncpg.Pool,
    passwords: Passwords,
    attempts: Attempts,
    signer: TokenSigner,
    settings: Settings,
    name: str,
    password: str,
) -> TokenAnswer:
    """A token for the user; WrongCredentials, TooManyAttempts."""
    limited = f"user:{name[:200]}"
    attempts.check(limited)
    attempts.failed(limited)
    async with autocommit(pool) as connection:
        user = await users.by_name(connection, name)
    if not await passwords.verify(user.password_hash if user else None, password) or user is None:
        raise WrongCredentials(_WRONG)
    attempts.succeeded(limited)
    scopes = (*USER_SCOPES, Scope.ADMIN) if user.is_admin else USER_SCOPES
    return signer.sign(str(user.id), user.name, scopes, settings.token_ttl_s, admin=user.is_admin)


def log_in_service(
    attempts: Attempts, signer: TokenSigner, settings: Settings, client_id: str, secret: str
) -> TokenAnswer:
    """A token with the scope `service`; WrongCredentials, TooManyAttempts."""
    limited = f"service:{client_id[:200]}"
    expected = settings.service_secrets().get(client_id)
    right = hmac.compare_digest(
        (expected.get_secret_value() if expected else "").encode(),
        secret.encode("utf-8", "surrogatepass"),
    )
    if expected is None or not expected.get_secret_value() or not right:
        attempts.check(limited)
        attempts.failed(limited)
        raise WrongCredentials("The client id or the secret is wrong.")
    return signer.sign(
        f"service:{client_id}", client_id, (Scope.SERVICE,), settings.service_token_ttl_s
    )
