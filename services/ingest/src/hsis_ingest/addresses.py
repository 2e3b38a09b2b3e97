"""Which addresses may be fetched from, and a transport that connects to no other.

A URL comes from a user, and ingest stands inside the platform's network: without this, users
would reach what only the platform may (server-side request forgery).
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpx

from hsis_ingest.errors import SourceNotAllowed, SourceUnavailable
from hsis_ingest.settings import Settings

RESOLVE_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 10.0
MAX_ADDRESSES = 4
"""Of one name that are tried."""
RESOLVED_AT_ONCE = 8
"""Hosts of one request."""
UNICAST_V6 = IPv6Network("2000::/3")
NOT_PUBLIC_V4 = tuple(map(IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "240.0.0.0/4")))
NOT_PUBLIC_V6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
"""Protocol assignments with Teredo and ORCHID, documentation, 6to4."""

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host; SourceUnavailable where it has none."""


def is_public(address: str) -> bool:
    """Whether an IP address is of one host on the internet and holds no other address inside."""
    found = ip_address(address)
    if isinstance(found, IPv4Address):
        special = any(found in network for network in NOT_PUBLIC_V4)
        return found.is_global and not found.is_multicast and not special
    assert isinstance(found, IPv6Address)
    # IPv4-mapped (::ffff:0:0/96), NAT64 (64:ff9b::/96), local and multicast lie outside of this.
    special = any(found in network for network in NOT_PUBLIC_V6)
    return found in UNICAST_V6 and found.is_global and not special


async def resolve(host: str, port: int) -> list[str]:
    """The addresses that the system's resolver has for a host."""
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
    except (OSError, UnicodeError, TimeoutError):
        raise SourceUnavailable(f"The host {host!r} has no address that is found here.") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class AddressRules:
    """What a setting lets be fetched from."""

    def __init__(self, settings: Settings, resolve: Resolve = resolve) -> None:
        names = (settings.fetch_private_hosts or "").split(",")
        self._private = frozenset(name.strip().lower() for name in names if name.strip())
        self._any = settings.fetch_allow_private
        self._resolve = resolve

    def check_url(self, url: str) -> httpx.URL:
        """The URL; SourceNotAllowed where its form alone forbids it."""
        try:
            parsed = httpx.URL(url)
            host = parsed.host
        except (httpx.InvalidURL, UnicodeError) as error:  # also a name such as xn--a
            raise SourceNotAllowed(f"{url!r} is no URL: {error}.") from None
        if parsed.scheme not in {"http", "https"} or not host:
            raise SourceNotAllowed("A URL to fetch begins with http:// or https:// and a host.")
        if parsed.userinfo:
            raise SourceNotAllowed("A URL to fetch has no user name or password in it.")
        return parsed

    async def addresses(self, url: httpx.URL) -> list[str]:
        """Where to connect to; SourceNotAllowed unless every address of the host may be."""
        port = url.port or (443 if url.scheme == "https" else 80)
        found = await self._resolve(url.host, port)
        trusted = self._any or url.host.lower() in self._private
        if not trusted and not all(is_public(address) for address in found):
            raise SourceNotAllowed(
                f"{url.host} has an address that is not public. An operator lets it be fetched "
                "from with HSIS_FETCH_PRIVATE_HOSTS; else upload the file."
            )
        return found[:MAX_ADDRESSES]

    async def check_hosts(self, urls: Sequence[httpx.URL]) -> None:
        """SourceNotAllowed where the host of one is found and may not be fetched from: of several
        the first one's.

        Each host is looked up once, some at a time, and all of them within RESOLVE_TIMEOUT_S: the
        check comes again when a file is fetched.
        """
        places = asyncio.Semaphore(RESOLVED_AT_ONCE)

        async def check(url: httpx.URL) -> None:
            async with places:
                await self.addresses(url)

        hosts: dict[tuple[str, str, int | None], httpx.URL] = {}
        for url in urls:
            hosts.setdefault((url.scheme, url.host, url.port), url)
        checks = [asyncio.create_task(check(url)) for url in hosts.values()]
        try:
            if checks:
                await asyncio.wait(checks, timeout=RESOLVE_TIMEOUT_S)
        finally:
            for task in checks:
                task.cancel()
            results = await asyncio.gather(*checks, return_exceptions=True)
        for result in results:  # a name not found now may be found when it is fetched
            if isinstance(result, Exception) and not isinstance(result, SourceUnavailable):
                raise result


class CheckedTransport(httpx.AsyncBaseTransport):
    """Resolves a host once, checks what it found, and connects to just that.

    The name stays in the Host header and in TLS, whose certificate is checked against it. No
    connection is used again: those of two names at one address are not to be mixed up.
    """

    def __init__(self, rules: AddressRules) -> None:
        self._rules = rules
        limits = httpx.Limits(max_keepalive_connections=0)
        self._inner = httpx.AsyncHTTPTransport(limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. SourceNotAllowed, SourceUnavailable or an httpx.TransportError."""
        url = request.url
        extensions = {**request.extensions, "sni_hostname": url.host}
        failed: httpx.TransportError | None = None
        for address in await self._rules.addresses(url):
            try:
                return await self._inner.handle_async_request(
                    httpx.Request(
                        request.method,
                        url.copy_with(host=address),
                        headers=request.headers,
                        stream=request.stream,
                        extensions=extensions,
                    )
                )
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failed = error
        raise failed or httpx.ConnectError("no address")

    async def aclose(self) -> None:
        """Close what is open."""
        await self._inner.aclose()


def name_in(url: httpx.URL) -> str:
    """The last part of a URL's path, for a file's name; empty where there is none."""
    return url.path.rstrip("/").rpartition("/")[2]  # which httpx has decoded
