"""Listings in pages and folders, and removing all under a prefix."""

from typing import Any

from tests.storage_proxy.conftest import Proxy

from hsis.clients.storage import StorageClient


async def test_listing_in_pages(proxy: Proxy, service_token: str) -> None:
    names = ["B", "a-b", "a.b", "a/1", "a/2/3", "a0", "b", "é"]
    keys = [f"cubes/listing/i/{name}" for name in names]
    for key in keys:
        assert (await proxy.put(key, key.encode())).status_code == 201
    assert sorted(keys, key=str.encode) == keys
    for limit in (1, 3, 8, 1000):
        found: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        while True:
            query = {"prefix": "cubes/listing/", "limit": str(limit)} | after
            page = (await proxy.http.get("/blobs", params=query)).json()
            assert len(page["blobs"]) <= limit
            found += page["blobs"]
            if page["next"] is None:
                break
            after = {"after": page["next"]}
        assert [blob["key"] for blob in found] == keys
        assert [blob["size"] for blob in found] == [len(key.encode()) for key in keys]
    for blob in found:
        assert blob["etag"] == (await proxy.get(blob["key"])).headers["ETag"]
    page = (await proxy.http.get("/blobs", params={"prefix": "cubes/listing/i/a"})).json()
    assert [blob["key"] for blob in page["blobs"]] == keys[1:6]
    for limit in ("0", "1001", "x"):
        assert (await proxy.http.get("/blobs", params={"limit": limit})).status_code == 400
    client = StorageClient(proxy.http, proxy.url)
    assert [blob.key async for blob in client.list("cubes/listing/")] == keys


async def test_listing_of_folders(proxy: Proxy) -> None:
    names = ["B", "a-b", "a.b/1", "a/1", "a/2/3", "a0", "b/c", "b/d/e", "é/1"]
    for name in names:
        await proxy.put(f"cubes/folders/i/{name}", b"x")
    # Worked out by hand, in the order of the bytes.
    expected = ["B", "a-b", "a.b/", "a/", "a0", "b/", "é/"]
    for limit in (1, 2, 3, 7, 1000):
        found: list[str] = []
        after: dict[str, str] = {}
        while True:
            query = {"prefix": "cubes/folders/i/", "delimiter": "/", "limit": str(limit)} | after
            page = (await proxy.http.get("/blobs", params=query)).json()
            entries = sorted([blob["key"] for blob in page["blobs"]] + page["prefixes"])
            assert len(entries) <= limit
            found += entries
            if page["next"] is None:
                break
            assert page["next"] == entries[-1]
            after = {"after": page["next"]}
        assert found == [f"cubes/folders/i/{name}" for name in expected], limit
    client = StorageClient(proxy.http, proxy.url)
    folders = [folder async for folder in client.folders("cubes/folders/i/")]
    assert folders == [f"cubes/folders/i/{name}" for name in ("a.b/", "a/", "b/", "é/")]
    assert [folder async for folder in client.folders("cubes/folders/none/")] == []
    for wrong in ({"delimiter": "."}, {"after": "a\0b"}):
        assert (await proxy.http.get("/blobs", params=wrong)).status_code == 400


async def test_removing_a_prefix(proxy: Proxy) -> None:
    for name in ("i/1", "i/2/3", "i0/1"):
        await proxy.put(f"cubes/removing/{name}", b"x")
    answer = await proxy.http.delete("/blobs", params={"prefix": "cubes/removing/i/"})
    assert answer.json() == {"deleted": 2}
    answer = await proxy.http.delete("/blobs", params={"prefix": "cubes/removing/i/"})
    assert answer.json() == {"deleted": 0}
    page = (await proxy.http.get("/blobs", params={"prefix": "cubes/removing/"})).json()
    assert [blob["key"] for blob in page["blobs"]] == ["cubes/removing/i0/1"]
    for prefix in ("", "cubes/removing/", "cubes/removing/i0", "cubes/../x/"):
        answer = await proxy.http.delete("/blobs", params={"prefix": prefix})
        assert answer.status_code == 400, prefix
    assert (await proxy.http.delete("/blobs")).status_code == 400
