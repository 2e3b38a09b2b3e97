"""Readers that are sent to the object store itself."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import ValidationError
from tests.storage_proxy.conftest import Proxy

from hsis_embedded.object_store import ObjectStore
from hsis_storage_proxy.settings import Settings

CONTENT = bytes(range(256)) * 40
KEY = "raw/redirects/u/a b+c.bin"
PATH = "raw/redirects/u/a%20b%2Bc.bin"
ASKED = PATH + "?redirect=true"


@pytest.fixture(scope="module")
async def outward(make_proxy: Callable[..., Any], object_store: ObjectStore) -> Proxy:
    """One whose object store has another name outside."""
    proxy: Proxy = await make_proxy(
        redirect_reads=True,
        s3_public_endpoint_url=f"http://localhost:{object_store.port}",
        redirect_lifetime_s=300,
    )
    assert (await proxy.put(PATH, CONTENT)).json()["key"] == KEY
    return proxy


async def test_a_reader_that_asks_is_sent_to_the_store(
    outward: Proxy, object_store: ObjectStore
) -> None:
    sent = await outward.get(ASKED, Range="bytes=300-309")
    assert (sent.status_code, sent.content) == (307, b"")
    assert sent.headers["Cache-Control"] == "no-store"
    place = urlsplit(sent.headers["Location"])
    assert (place.hostname, place.port) == ("localhost", object_store.port)
    query = parse_qs(place.query)
    assert query["X-Amz-Expires"] == ["300"]
    assert query["response-content-disposition"] == ["attachment"]
    async with httpx.AsyncClient(trust_env=False) as anybody:
        part = await anybody.get(sent.headers["Location"], headers={"Range": "bytes=300-309"})
        assert part.content == CONTENT[300:310]
        assert (await anybody.get(sent.headers["Location"])).content == CONTENT
        # It is for this blob and for reading.
        for method, url in (
            ("PUT", sent.headers["Location"]),
            ("DELETE", sent.headers["Location"]),
            ("GET", sent.headers["Location"].replace("b%2Bc", "other")),
        ):
            refused = await anybody.request(method, url, content=b"x" if method == "PUT" else None)
            assert refused.status_code == 403, method
    assert (await outward.get(PATH)).content == CONTENT


async def test_who_is_not_sent_there(outward: Proxy, proxy: Proxy) -> None:
    etag = (await outward.get(PATH)).headers["ETag"]
    assert (await outward.get(ASKED, If_None_Match=etag)).status_code == 304
    assert (await outward.get(ASKED, If_Match='"x"')).status_code == 412
    assert (await outward.get("raw/redirects/u/none?redirect=true")).status_code == 404
    assert (await outward.get(ASKED, Authorization="Bearer x")).status_code == 401
    assert (await outward.get(PATH + "?redirect=false")).status_code == 200
    assert (await outward.http.head(f"/blobs/{ASKED}")).status_code == 200
    assert (await outward.put("raw/redirects/u/w?redirect=true", b"x")).status_code == 201
    await proxy.put(PATH, CONTENT)
    assert (await proxy.get(ASKED)).content == CONTENT  # off, as it comes


def test_settings_that_lead_nowhere() -> None:
    keys = {"token_public_key": "-", "s3_access_key": "a", "s3_secret_key": "s"}
    with pytest.raises(ValidationError, match="s3_public_endpoint_url"):
        Settings(**keys, redirect_reads=True)
