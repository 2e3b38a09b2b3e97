"""Password hashes (argon2id), made and checked in threads of their own."""

import asyncio
from concurrent.futures import Executor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError


class Passwords:
    """Hashes and checks; one check costs the same whether the user exists or not."""

    def __init__(self, executor: Executor, hasher: PasswordHasher, nobody: str) -> None:
        self._executor = executor
        self._hasher = hasher
        self._nobody = nobody

    @classmethod
    async def create(cls, executor: Executor, memory_kib: int, passes: int) -> "Passwords":
        """With a hash of nobody's password to check unknown users against; a password that was
        hashed at another cost stays right."""
        hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib)
        made = cls(executor, hasher, nobody="")
        made._nobody = await made.hash("nobody has this password")
        return made

    async def hash(self, password: str) -> str:
        """The encoded hash, with its salt and parameters."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._hasher.hash, _bytes(password))

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Whether the password is right; False for `encoded` None after the same work."""
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(
            self._executor, self._verify, encoded or self._nobody, password
        )
        return right and encoded is not None

    def _verify(self, encoded: str, password: str) -> bool:
        try:
            return self._hasher.verify(encoded, _bytes(password))
        except (VerificationError, InvalidHashError):
            return False


def _bytes(password: str) -> bytes:
    # JSON can hold half a surrogate pair, which is a wrong password and no error.
    return password.encode("utf-8", "surrogatepass")
