"""Logins of users, services and browsers."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import jwt
import pytest
from argon2 import Parameters, PasswordHasher, extract_parameters

from hsis.service.secret_files import SigningKeys
from hsis_catalog.errors import TooManyAttempts
from hsis_catalog.login import Attempts
from tests.catalog.conftest import PASSWORD, Catalog, login
from tests.support.platform import SERVICE_SECRET, catalog_settings, service_app
from tests.support.servers import ready, served

ASK = {"X-Requested-With": "fetch"}


def scopes(keys: SigningKeys, token: str | None) -> tuple[str, bool]:
    assert token is not None
    claims = jwt.decode(
        token, keys.public_pem, algorithms=["EdDSA"], audience="hsis", issuer="hsis"
    )
    return claims["scope"], claims["admin"]


async def test_a_token_has_the_scopes_of_its_user(catalog: Catalog, keys: SigningKeys) -> None:
    assert scopes(keys, catalog.tokens["olga"]) == ("read write", False)
    assert scopes(keys, catalog.tokens["admin"]) == ("read write admin", True)
    assert scopes(keys, catalog.tokens["service"]) == ("service", False)


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"username": "olga", "password": "wrong"}, 401),
        ({"username": "nobody", "password": "wrong"}, 401),
        ({"username": "nul\x00", "password": "wrong"}, 400),
        ({"username": "olga"}, 400),
        ({"grant_type": "implicit", "username": "olga", "password": PASSWORD}, 400),
        ({"grant_type": "client_credentials", "client_id": "ingest", "client_secret": "x"}, 401),
        ({"grant_type": "client_credentials", "client_id": "other", "client_secret": ""}, 401),
        (
            {
                "grant_type": "client_credentials",
                "client_id": "tiles",
                "client_secret": SERVICE_SECRET + "ingest",
            },
            401,
        ),
    ],
)
async def test_a_wrong_login_is_refused(
    catalog: Catalog, form: dict[str, str], status: int
) -> None:
    answer = await catalog.http.post("/auth/token", data=form)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    if "password" in form and status == 401:
        assert answer.json()["detail"] == "The name or the password is wrong."


async def test_an_unknown_user_costs_as_much_as_a_wrong_password(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify, costs = PasswordHasher.verify, list[Parameters]()

    def noted(self: PasswordHasher, encoded: str, password: bytes) -> bool:
        costs.append(extract_parameters(encoded))
        return verify(self, encoded, password)

    async with catalog.replica(password_memory_kib=64, password_passes=2) as replica:
        body = {"name": "costly", "password": PASSWORD}
        await replica.done("admin", "POST", "/auth/users", body)
        with monkeypatch.context() as watched:
            watched.setattr(PasswordHasher, "verify", noted)
            for name in ("costly", "nobody-1"):
                form = {"username": name, "password": "wrong"}
                assert (await replica.http.post("/auth/token", data=form)).status_code == 401
        known, unknown = costs  # one hash each
        assert known == unknown
        assert (known.memory_cost, known.time_cost) == (64, 2)
        # Whatever it costs now, a password that was hashed at another cost stays right.
        await login(replica.http, "vera", PASSWORD)
    await login(catalog.http, "costly", PASSWORD)


async def test_too_many_failures_lock_the_name_for_a_while(
    keys: SigningKeys, database: Callable[[str], Awaitable[dict[str, Any]]]
) -> None:
    settings = catalog_settings(keys) | await database("catalog")
    app = service_app(
        "hsis_catalog", token_public_key=keys.public_pem, login_failures_max=2, **settings
    )
    password = settings["admin_password"]
    async with (
        served(app) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as http,
    ):
        for tried, status in (("x", 401), (password, 200), ("x", 401), ("x", 401), (password, 429)):
            form = {"username": "admin", "password": tried}
            answer = await http.post("/auth/token", data=form)
            assert answer.status_code == status
        assert answer.json()["type"] == "urn:hsis:problem:too-many-attempts"
        other = await http.post("/auth/token", data={"username": "other", "password": "x"})
        assert other.status_code == 401


def test_failures_are_forgotten_after_the_window() -> None:
    now_s = 100.0
    attempts = Attempts(most=1, window_s=60, clock=lambda: now_s)
    attempts.failed("name")
    now_s = 159.0
    with pytest.raises(TooManyAttempts, match=r"try again in 1 s\."):
        attempts.check("name")
    now_s = 160.0
    attempts.check("name")


async def test_a_browser_logs_in_and_out_by_cookie(catalog: Catalog) -> None:
    credentials = {"username": "olga", "password": PASSWORD}
    async with httpx.AsyncClient(base_url=catalog.http.base_url, trust_env=False) as browser:
        opened = await browser.post("/auth/session", json=credentials)
        assert opened.status_code == 204
        cookie = opened.headers["Set-Cookie"].lower()
        assert cookie.startswith("hsis_token=")
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "secure" not in cookie  # this origin is http
        me = await browser.get("/auth/me")
        assert (me.json()["name"], me.json()["admin"]) == ("olga", False)
        new = {"id": "by-cookie"}
        assert (await browser.post("/stac/collections", json=new)).status_code == 403
        made = await browser.post("/stac/collections", json=new, headers=ASK)
        assert made.status_code == 201
        assert (await browser.delete("/auth/session")).status_code == 403
        assert (await browser.delete("/auth/session", headers=ASK)).status_code == 204
        assert (await browser.get("/auth/me")).status_code == 401


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("application/x-www-form-urlencoded", f"username=olga&password={PASSWORD}"),
        ("text/plain", json.dumps({"username": "olga", "password": PASSWORD})),
    ],
)
async def test_a_form_of_another_origin_logs_nobody_in(
    catalog: Catalog, kind: str, content: str
) -> None:
    answer = await catalog.http.post(
        "/auth/session", content=content, headers={"Content-Type": kind}
    )
    assert answer.status_code == 400
    assert "Set-Cookie" not in answer.headers


async def test_a_session_behind_tls_is_secure(catalog: Catalog) -> None:
    opened = await catalog.http.post(
        "/auth/session",
        json={"username": "olga", "password": PASSWORD},
        headers={"X-Forwarded-Proto": "https"},
    )
    catalog.http.cookies.clear()
    assert "secure" in opened.headers["Set-Cookie"].lower()


async def test_a_removed_user_is_out_at_once(catalog: Catalog) -> None:
    body = {"name": "guest", "password": PASSWORD, "admin": True}
    made = await catalog.done("admin", "POST", "/auth/users", body)
    assert made["admin"] is True
    assert "password" not in "".join(made)
    assert (await catalog.call("admin", "POST", "/auth/users", body)).status_code == 409
    catalog.tokens["guest"] = await login(catalog.http, "guest", PASSWORD)
    listed = await catalog.done("guest", "GET", "/auth/users")
    assert "guest" in [user["name"] for user in listed["users"]]
    assert (await catalog.call("guest", "DELETE", "/auth/users/guest")).status_code == 409
    await catalog.done("admin", "DELETE", "/auth/users/guest")
    for path in ("/auth/users", "/auth/access/private", "/stac/collections"):
        assert (await catalog.call("guest", "GET", path)).status_code == 401
    assert (await catalog.call("admin", "DELETE", "/auth/users/guest")).status_code == 404


async def test_the_first_user_keeps_its_password_when_started_again(
    keys: SigningKeys, database: Callable[[str], Awaitable[dict[str, Any]]]
) -> None:
    settings = catalog_settings(keys) | await database("catalog")
    for given in ("the first password", "another password"):
        app = service_app(
            "hsis_catalog",
            token_public_key=keys.public_pem,
            **settings | {"admin_password": given},
        )
        async with (
            served(app) as url,
            httpx.AsyncClient(base_url=url, trust_env=False) as http,
        ):
            await login(http, "admin", "the first password")
            assert await ready(http) == {"postgres": "ok"}
