"""Every header that has a parser of ours, and the fields of texts that come with uploads."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import httpx
from starlette.datastructures import Headers

from hsis.contracts.blobs import Blob
from hsis.digits import natural
from hsis.errors import DomainError
from hsis_ingest.addresses import AddressRules, name_in
from hsis_ingest.bodies import Checksum
from hsis_ingest.settings import Settings
from hsis_ingest.sources import Known, strong_validator
from hsis_ingest.sources import _opened as opened_source
from hsis_ingest.tus_headers import count, parse_concat, parse_metadata
from hsis_ingest.wanted import check_request, request_from
from hsis_storage_proxy.conditions import Conditions
from hsis_storage_proxy.digests import BodyDigests, wants_sha256
from hsis_storage_proxy.keys import check_key, check_prefix, check_removable_prefix
from hsis_storage_proxy.ranges import parse_content_range, parse_ranges
from hsis_tiles.answers import UnsatisfiableRange, parse_range

BLOB = Blob(
    key="raw/c/a",
    size=100,
    etag='"abc"',
    content_type=None,
    last_modified=datetime(2026, 1, 1, tzinfo=UTC),
)
RULES = AddressRules(Settings.model_construct(fetch_private_hosts=None, fetch_allow_private=False))
NAMES = (
    b"if-match",
    b"if-none-match",
    b"if-modified-since",
    b"if-unmodified-since",
    b"if-range",
    b"content-digest",
    b"etag",
    b"last-modified",
    b"date",
    b"content-range",
    b"content-length",
)
SEEDS = [
    b"filename YS5ucHk=,collection YQ==,metadata eyJzY2FsZSI6IDAuMX0=",
    b"filename YS5ucHk=,collection YQ==,wavelength_unit bm0=,white_reflectance MC45OQ==",
    b"sha1 YQ==",
    b"bytes=0-4,-7",
    b"bytes 0-4/9",
    b"final;/uploads/files/0b9a1c5e-5d1a-4f6e-9c58-0e4f6c1e7a11 https://a/uploads/files/1",
    b'W/"abc", "abc"',
    b"Sun, 06 Nov 1994 08:49:37 GMT",
    b"sha-256=:" + b"A" * 43 + b"=:",
    b"cubes/c/i/zarr.json",
    b"5",
    b"http://xn--bcher-kva.example:80/a%20b.npy?x=1",
]


def read(content: bytes) -> None:
    """One text as each of the headers."""
    text = content.decode("latin-1").replace("\n", " ").replace("\r", " ")
    for parse in PARSERS:
        with suppress(DomainError):
            parse(text)


def _announced(text: str) -> None:
    values = parse_metadata(text)
    check_request(request_from(values, [(values.get("filename", "a"), 1)], "Upload-Metadata"), 100)


def _conditions(text: str) -> None:
    for name in NAMES[:5]:
        conditions = Conditions.of(Headers(raw=[(name, text.encode("latin-1"))]))
        conditions.range_applies(BLOB)
        with suppress(DomainError):
            conditions.not_modified(BLOB)
        with suppress(DomainError):
            conditions.require_for_change(BLOB)


def _answer(text: str) -> None:
    """An answer of a server that a file is fetched from, with the text as each of its headers."""
    for name in NAMES[6:]:
        for status in (200, 206):
            headers = [(name, text.encode("latin-1")), (b"ETag", b'"abc"')]
            asked = httpx.Request("GET", "http://a/b", headers={"Range": "bytes=5-"})
            response = httpx.Response(status, headers=headers, request=asked)
            strong_validator(response.headers)
            with suppress(DomainError):
                opened_source(response, Known(5, None, '"abc"'))


def _url(text: str) -> None:
    for url in (text, f"http://{text}"):
        with suppress(DomainError):
            name_in(RULES.check_url(url))


def _range_of_export(text: str) -> None:
    with suppress(UnsatisfiableRange):
        parse_range(text, 100)


PARSERS: tuple[Callable[[str], object], ...] = (
    _announced,
    Checksum.of,
    parse_concat,
    lambda text: count({"Upload-Offset": text}, "Upload-Offset"),
    natural,
    parse_content_range,
    lambda text: [wanted.within(100) for wanted in parse_ranges(text, 32)],
    _conditions,
    lambda text: BodyDigests.of(Headers(raw=[(b"content-digest", text.encode("latin-1"))])),
    wants_sha256,
    lambda text: check_key(text, privileged=False),
    check_prefix,
    check_removable_prefix,
    _answer,
    _url,
    _range_of_export,
)
