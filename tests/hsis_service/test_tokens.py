"""Tokens that passed once are remembered, and never longer than they are good for."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo

import pytest

from hsis.errors import Unauthenticated
from hsis.service.secret_files import SigningKeys
from hsis.service.tokens import LEEWAY_S, MAX_REMEMBERED_LENGTH, TokenVerifier


class Later(datetime):
    """A minute more than it is."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime.now(tz) + timedelta(seconds=60)

    @staticmethod
    def time() -> float:
        return time.time() + 60


def test_a_remembered_token_expires_like_any_other(
    keys: SigningKeys, make_token: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = TokenVerifier(keys.public_pem)
    token = make_token("service:ingest", scopes=("service",), expires_in=60 - LEEWAY_S)
    first = verifier.verify(token)
    assert (first.subject, first.is_service, first.token) == ("service:ingest", True, token)
    assert verifier.verify(token) == first
    monkeypatch.setattr("hsis.service.tokens.time", Later)
    monkeypatch.setattr("jwt.api_jwt.datetime", Later)
    for asked in (verifier, TokenVerifier(keys.public_pem)):
        with pytest.raises(Unauthenticated, match="expired"):
            asked.verify(token)


def test_what_was_refused_stays_refused_beside_a_good_token(
    keys: SigningKeys, make_token: Callable[..., str]
) -> None:
    verifier = TokenVerifier(keys.public_pem)
    token = make_token("someone")
    assert verifier.verify(token).subject == "someone"
    head, claims, signature = token.split(".")
    other = make_token("service:ingest", scopes=("service",)).split(".")[1]
    for forged in (f"{head}.{other}.{signature}", f"{head}.{claims}.AAAA", token + "A"):
        for _ in range(2):
            with pytest.raises(Unauthenticated, match="not signed"):
                verifier.verify(forged)


def test_a_long_token_passes_and_is_not_remembered(
    keys: SigningKeys, make_token: Callable[..., str]
) -> None:
    verifier = TokenVerifier(keys.public_pem)
    token = make_token("someone", name="n" * MAX_REMEMBERED_LENGTH)
    for _ in range(2):
        assert verifier.verify(token).subject == "someone"
    assert token not in verifier._verified
