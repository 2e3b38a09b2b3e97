"""The origin that a client sees, for absolute links in answers."""

from fastapi import Request

from hsis.service.settings import ServiceSettings


def public_origin(request: Request, settings: ServiceSettings) -> str:
    """`scheme://host[:port]` of the edge: the setting, else as the edge forwarded it."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    scheme = request.headers.get("X-Forwarded-Proto", request.url.scheme)
    host = request.headers.get("X-Forwarded-Host") or request.headers.get("Host", "localhost")
    return f"{scheme}://{host}"
