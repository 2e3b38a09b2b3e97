"""The HTTP client of a service: pooled, with timeouts, the request id, and the service's token."""

import asyncio
import time
from collections.abc import AsyncGenerator

import httpx

from hsis.contracts.access import TokenAnswer
from hsis.errors import Unavailable
from hsis.service.logs import REQUEST_ID_HEADER, request_id
from hsis.service.settings import ServiceSettings
from hsis.service.transport import ServiceTransport

RENEW_BEFORE_S = 60.0
LIMITS = httpx.Limits(max_connections=128, max_keepalive_connections=64)


async def _add_request_id(request: httpx.Request) -> None:
    current = request_id.get()
    if current is not None:
        request.headers.setdefault(REQUEST_ID_HEADER, current)


def open_http(settings: ServiceSettings, auth: httpx.Auth | None = None) -> httpx.AsyncClient:
    """A client to enter into the lifespan's exit stack."""
    return httpx.AsyncClient(
        auth=auth,
        timeout=httpx.Timeout(settings.http_timeout_s, connect=5.0),
        transport=ServiceTransport(LIMITS),
        event_hooks={"request": [_add_request_id]},
        trust_env=False,
    )


class ServiceAuth(httpx.Auth):
    """Signs a service's own requests; one with an Authorization of its own is left as it is.

    The token comes from catalog by client credentials and is kept until a minute before it
    expires, or until a callee refuses it.
    """

    def __init__(self, name: str, settings: ServiceSettings) -> None:
        if settings.service_secret is None:
            raise ValueError("HSIS_SERVICE_SECRET is missing: the service cannot sign its calls.")
        self._name = name
        self._secret = settings.service_secret
        self._token_url = f"{settings.catalog_url}/auth/token"
        self._token = ""
        self._renew_at = 0.0
        self._lock = asyncio.Lock()

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Add the service's token, renewing it first where it is due."""
        if "Authorization" in request.headers:
            yield request
            return
        async with self._lock:
            if time.monotonic() >= self._renew_at:
                answer = yield self._token_request()
                await answer.aread()
                self._accept(answer)
        request.headers["Authorization"] = f"Bearer {self._token}"
        response = yield request
        if response.status_code == 401:
            self._renew_at = 0.0

    def _token_request(self) -> httpx.Request:
        return httpx.Request(
            "POST",
            self._token_url,
            data={
                "grant_type": "client_credentials",
                "client_id": self._name,
                "client_secret": self._secret.get_secret_value(),
            },
        )

    def _accept(self, response: httpx.Response) -> None:
        if response.status_code != 200:
            raise Unavailable(f"catalog gave no token to {self._name} ({response.status_code}).")
        answer = TokenAnswer.model_validate_json(response.content)
        self._token = answer.access_token
        self._renew_at = time.monotonic() + max(0.0, answer.expires_in - RENEW_BEFORE_S)
