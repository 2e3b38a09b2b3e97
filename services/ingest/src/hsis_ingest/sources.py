"""Where fetched files come from: a URL or a blob of the store, opened at the byte to go on from."""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from hsis.clients.storage import StorageClient
from hsis.digits import natural
from hsis.errors import NotFound
from hsis_ingest.addresses import CONNECT_TIMEOUT_S, AddressRules, CheckedTransport
from hsis_ingest.errors import (
    SourceChanged,
    SourceNotAllowed,
    SourceRefused,
    SourceUnavailable,
)
from hsis_ingest.settings import Settings

PASSING_STATUSES = frozenset({408, 425, 429})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
STRONG_TAG = re.compile(r'"[\x21\x23-\x7e]{0,1000}"')
CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)", re.IGNORECASE)
SETTLED = timedelta(seconds=1)
"""So long after its last change, a time in whole seconds tells a source from a later one (RFC 9110,
section 8.8.2.2)."""


@dataclass(frozen=True, slots=True)
class Known:
    """What earlier attempts know of a source: the bytes that are here, its size, and its validator,
    without which it is asked for from the beginning."""

    received: int
    size: int | None
    validator: str | None


@dataclass(frozen=True, slots=True)
class Opened:
    """What a source sends. `pieces` begin at `start`, which is 0 where it does not go on; `size` is
    that of the whole, None where it is not told."""

    start: int
    size: int | None
    validator: str | None
    pieces: AsyncGenerator[bytes, None]


@asynccontextmanager
async def open_blob(
    storage: StorageClient, key: str, etag: str | None, received: int
) -> AsyncIterator[Opened]:
    """A blob from `received` on; SourceRefused where it is not the one with that entity tag."""
    try:
        found = await storage.head(key)
    except NotFound:
        raise SourceRefused(f"The blob {key!r} is not there any more.") from None
    if found.etag != etag:
        raise SourceRefused(f"The blob {key!r} was changed after it was asked for.")
    async with aclosing(storage.stream(key, start=received)) as pieces:
        yield Opened(received, found.size, None, pieces)


@asynccontextmanager
async def open_url(
    settings: Settings, rules: AddressRules, url: str, known: Known
) -> AsyncIterator[Opened]:
    """What a URL has, from `known.received` on where its server shows that it is still the same.

    SourceChanged where what is here cannot be gone on from; SourceUnavailable where trying again
    may help, also while bytes come; SourceRefused or SourceNotAllowed where it does not.
    """
    timeout = httpx.Timeout(settings.fetch_idle_s, connect=CONNECT_TIMEOUT_S)
    transport = CheckedTransport(rules)
    async with httpx.AsyncClient(transport=transport, timeout=timeout, trust_env=False) as client:
        try:
            response = await _answer(client, settings, rules, url, known)
            try:
                opened = _opened(response, known)
                async with aclosing(opened.pieces):
                    yield opened
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            shown, name = url.split("?")[0], type(error).__name__
            raise SourceUnavailable(f"{shown} cannot be fetched ({name}).") from error


async def _answer(
    client: httpx.AsyncClient, settings: Settings, rules: AddressRules, url: str, known: Known
) -> httpx.Response:
    """The last answer of a chain of redirections; its body is still to come."""
    headers = {"Accept-Encoding": "identity"}
    if known.received and known.validator is not None:
        headers |= {"Range": f"bytes={known.received}-", "If-Range": known.validator}
    target = rules.check_url(url)
    for _ in range(settings.fetch_max_redirects + 1):
        request = client.build_request("GET", target, headers=headers)
        response = await client.send(request, stream=True)
        if response.status_code not in REDIRECTS:
            return response
        await response.aclose()
        target = _next(rules, target, response)
    raise SourceRefused(
        f"{url.split('?')[0]} redirects more than {settings.fetch_max_redirects} "
        "times (setting fetch_max_redirects)."
    )


def _next(rules: AddressRules, url: httpx.URL, response: httpx.Response) -> httpx.URL:
    """Where a redirection leads; a secure one only to a secure one."""
    try:
        joined = url.join(response.headers.get("Location", ""))
    except httpx.InvalidURL:
        raise SourceRefused(f"{url.host} redirects to what is no URL.") from None
    if url.scheme == "https" and joined.scheme == "http":
        raise SourceNotAllowed(f"{url.host} redirects from https to http.")
    return rules.check_url(str(joined))


def _opened(response: httpx.Response, known: Known) -> Opened:
    host, status = response.url.host, response.status_code
    asked = known.received if "Range" in response.request.headers else 0
    if status in PASSING_STATUSES or status >= 500:
        raise SourceUnavailable(f"{host} answers {status}.")
    if asked and status == 416:
        raise SourceChanged(f"{host} has no bytes from {asked} on any more (416).")
    if status != 200 and not (asked and status == 206):
        raise SourceRefused(f"{host} answers {status}; 200 and the file is right.")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise SourceRefused(f"{host} sends the file encoded, though it was asked not to.")
    if status == 206:
        return _going_on(response, known)
    size = natural(response.headers.get("Content-Length", ""))
    return Opened(0, size, strong_validator(response.headers), _of_size(response, size))


def _going_on(response: httpx.Response, known: Known) -> Opened:
    """SourceChanged where the answer is not the rest of what is here."""
    host, told = response.url.host, response.headers.get("Content-Range", "")
    _require_same(response, known)
    found = CONTENT_RANGE.fullmatch(told.strip())
    first, last, size = (natural(text) for text in found.groups()) if found else (None, None, None)
    if first is None or last is None or (size is None and not told.endswith("*")):
        raise SourceChanged(
            f"{host} answers 206 with Content-Range {told[:100]!r}; "
            f"'bytes {known.received}-<last>/<size>' is right."
        )
    if first != known.received or last < first or (size is not None and last >= size):
        raise SourceChanged(f"{host} answers {told!r}; bytes from {known.received} on were asked.")
    if known.size is not None and size not in {None, known.size}:
        raise SourceChanged(f"{host} says now that the file has {size} bytes, not {known.size}.")
    size = known.size if size is None else size
    if size is not None and last >= size:
        raise SourceChanged(f"{host} answers {told!r} of a file of {size} bytes.")
    return Opened(first, size, known.validator, _of_size(response, last + 1 - first))


def _require_same(response: httpx.Response, known: Known) -> None:
    """SourceChanged where the rest is of another file, of a server that does not look at If-Range.

    A time of change may be left out of such an answer (RFC 9110, section 15.3.7).
    """
    validator = known.validator or ""
    field = "ETag" if validator.startswith('"') else "Last-Modified"
    found = response.headers.get(field)
    if found != validator and not (found is None and field == "Last-Modified"):
        raise SourceChanged(
            f"{response.url.host} sends the rest of another file: {field} is {found}, "
            f"not {validator}."
        )


async def _of_size(response: httpx.Response, size: int | None) -> AsyncGenerator[bytes, None]:
    """The body; SourceChanged past `size` bytes, SourceUnavailable where it ends before."""
    count = 0
    async for piece in response.aiter_raw():
        count += len(piece)
        if size is not None and count > size:
            raise SourceChanged(f"{response.url.host} sends more than the {size} bytes told.")
        yield piece
    if size is not None and count < size:
        raise SourceUnavailable(f"{response.url.host} sends {count} of the {size} bytes told.")


def strong_validator(headers: httpx.Headers) -> str | None:
    """What a server can be asked to go on with only while the file is the same: a strong entity
    tag, or the time of the last change where that is past; None where there is neither."""
    tag, changed = headers.get("ETag", ""), headers.get("Last-Modified", "")
    if STRONG_TAG.fullmatch(tag):
        return str(tag)
    modified, now = _time_of(changed), _time_of(headers.get("Date", ""))
    settled = modified is not None and now is not None and now - modified >= SETTLED
    return str(changed) if settled else None


def _time_of(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text[:100] if text.isascii() else "")
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo is not None else None
