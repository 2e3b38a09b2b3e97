"""Collections and items: stored, shown with links, removed."""

import asyncio
import hashlib
import json
from typing import Any

import httpx
import pystac
import pytest
from pystac_client import Client

from tests.catalog.conftest import Catalog
from tests.catalog.documents import item

ITEMS = "/stac/collections/private/items"
UPLOAD = "5a7f2c1e-8d3b-4c6a-9e10-2b4f6d8a0c3e"


async def test_an_item_comes_back_with_its_bands_and_absolute_links(catalog: Catalog) -> None:
    origin = str(catalog.http.base_url).rstrip("/")
    sent = item("one", bbox=[10.0, 50.0, 11.0, 51.0], gsd=30) | {
        "links": [
            {"rel": "derived_from", "href": ITEMS + "/zero"},
            {"rel": "self", "href": "https://elsewhere.example/one"},
        ]
    }
    made = await catalog.done("edda", "POST", ITEMS, sent)
    shown = await catalog.done("vera", "GET", ITEMS + "/one")
    assert made == shown
    assert shown["properties"] == {"datetime": "2024-06-01T10:30:00Z", "gsd": 30}
    assert shown["assets"]["cube"]["bands"] == [{"name": "1"}, {"name": "2"}]
    assert shown["assets"]["cube"]["href"] == f"{origin}/blobs/cubes/private/one/cube.zarr"
    assert {link["rel"]: link["href"] for link in shown["links"]} == {
        "root": f"{origin}/stac",
        "parent": f"{origin}/stac/collections/private",
        "collection": f"{origin}/stac/collections/private",
        "self": f"{origin}{ITEMS}/one",
        "derived_from": f"{origin}{ITEMS}/zero",
    }
    read = pystac.Item.from_dict(shown, preserve_dict=True)
    assert (read.collection_id, read.bbox) == ("private", [10.0, 50.0, 11.0, 51.0])
    [listed] = (await catalog.done("vera", "GET", ITEMS + "?ids=one"))["features"]
    assert "bands" not in listed["assets"]["cube"]
    assert (await catalog.call("edda", "POST", ITEMS, sent)).status_code == 409


async def test_links_follow_the_edge(catalog: Catalog) -> None:
    token = catalog.tokens["vera"]
    answer = await catalog.http.get(
        "/stac/collections/private",
        headers={
            "Authorization": f"Bearer {token}",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "hsis.example",
        },
    )
    [own] = [link["href"] for link in answer.json()["links"] if link["rel"] == "self"]
    assert own == "https://hsis.example/stac/collections/private"


async def test_an_item_sent_back_as_it_came_stays_relative(catalog: Catalog) -> None:
    await catalog.done("edda", "POST", ITEMS, item("round"))
    shown = await catalog.done("edda", "GET", ITEMS + "/round")
    shown["properties"]["title"] = "changed"
    await catalog.done("edda", "PUT", ITEMS + "/round", shown)
    answer = await catalog.http.get(
        ITEMS + "/round",
        headers={
            "Authorization": f"Bearer {catalog.tokens['vera']}",
            "X-Forwarded-Host": "other.example",
        },
    )
    again = answer.json()
    assert again["properties"]["title"] == "changed"
    assert again["assets"]["cube"]["href"].startswith("http://other.example/blobs/")
    assert len(again["links"]) == 4


async def test_an_item_is_changed_only_as_it_was_seen(catalog: Catalog) -> None:
    path = ITEMS + "/seen"
    made = await catalog.call("edda", "POST", ITEMS, item("seen"))

    async def sent(method: str, body: Any = None, **conditions: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {catalog.tokens['edda']}"}
        headers |= {name.replace("_", "-"): value for name, value in conditions.items()}
        return await catalog.http.request(method, path, json=body, headers=headers)

    first = await sent("GET")
    etag = first.headers["ETag"]
    assert etag == f'"{hashlib.sha256(first.content).hexdigest()}"'
    assert (made.status_code, made.headers["ETag"], made.content) == (201, etag, first.content)
    assert made.headers["Location"] == str(first.url)
    again = await sent("GET", If_None_Match=f'"other", W/{etag}')
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)

    changed = first.json()
    changed["properties"]["title"] = "mine"
    mine = await sent("PUT", changed, If_Match=f'"other", {etag}')
    assert (mine.status_code, mine.headers["Content-Location"]) == (200, str(mine.url))
    assert mine.headers["ETag"] == f'"{hashlib.sha256(mine.content).hexdigest()}"'
    read = await sent("GET", If_None_Match=mine.headers["ETag"])
    assert read.status_code == 304  # the ETag of what was answered is that of GET
    # Another client, which still has what was there before:
    theirs = first.json()
    theirs["properties"]["title"] = "theirs"
    for method, body in (("PUT", theirs), ("DELETE", None)):
        refused = await sent(method, body, If_Match=etag)
        assert refused.status_code == 412
        assert refused.json()["code"] == "precondition-failed"
        assert (await sent("GET")).headers["ETag"] in refused.json()["description"]
    now = await sent("GET", If_None_Match=etag)
    assert (now.status_code, now.json()["properties"]["title"]) == (200, "mine")
    weak = await sent("DELETE", If_Match=f"W/{now.headers['ETag']}")
    assert weak.status_code == 412  # only strong ones say that it is the same
    assert (await sent("PUT", theirs, If_Match="*")).status_code == 200
    last = await sent("PUT", theirs, If_Match="*")
    assert (await sent("DELETE", If_Match=last.headers["ETag"])).status_code == 204
    assert (await sent("PUT", theirs, If_Match="*")).status_code == 404


async def test_one_of_two_changes_at_once_counts(catalog: Catalog) -> None:
    await catalog.done("edda", "POST", ITEMS, item("raced"))
    shown = await catalog.call("edda", "GET", ITEMS + "/raced")
    headers = {
        "Authorization": f"Bearer {catalog.tokens['edda']}", "If-Match": shown.headers["ETag"]
    }  # fmt: skip
    bodies = [
        shown.json() | {"properties": shown.json()["properties"] | {"title": str(n)}}
        for n in range(6)
    ]
    found = await asyncio.gather(
        *(catalog.http.put(ITEMS + "/raced", json=body, headers=headers) for body in bodies)
    )
    assert sorted(answer.status_code for answer in found) == [200] + [412] * 5


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"type": "Collection"}, "type"),
        ({"id": "../escape"}, "id"),
        ({"id": 5}, "id"),
        ({"stac_version": "0.9.0"}, "stac_version"),
        ({"collection": "other"}, "collection"),
        ({"properties": None}, "properties"),
        ({"properties": {}}, "start_datetime"),
        ({"properties": {"datetime": "2024-06-01"}}, "datetime"),
        ({"properties": {"datetime": "9999-12-31T23:59:59-23:59"}}, "datetime"),
        (
            {
                "properties": {
                    "datetime": None,
                    "start_datetime": "2024-06-02T00:00:00Z",
                    "end_datetime": "2024-06-01T00:00:00Z",
                }
            },
            "after",
        ),
        ({"geometry": {"type": "Point", "coordinates": [1, 2]}}, "bbox"),
        ({"geometry": {"type": "Blob", "coordinates": [1, 2]}, "bbox": [1, 2, 1, 2]}, "geometry"),
        (
            {"geometry": {"type": "Point", "coordinates": [1]}, "bbox": [1, 2, 1, 2]},
            "geometry: the coordinates do not make a Point",
        ),
        (
            {"geometry": {"type": "Point", "coordinates": [1, 2]}, "bbox": [1, 95, 2, 96]},
            "latitudes",
        ),
        ({"assets": {"a": {}}}, "assets.a.href"),
        ({"assets": {"a": {"href": "javascript:alert(1)"}}}, "assets.a.href"),
        ({"assets": {"a": {"href": "\x01 java\tscript:alert(1)"}}}, "assets.a.href"),
        ({"assets": []}, "assets"),
        ({"links": [{"rel": 1, "href": "/x"}]}, "link"),
        ({"links": {}}, "links"),
        ({"properties": {"datetime": "2024-06-01T00:00:00Z", "t": "a\x00"}}, "U+0000"),
        ({"properties": {"datetime": "2024-06-01T00:00:00Z", "t": "\ud800"}}, "surrogate"),
        ({"properties": {"datetime": "2024-06-01T00:00:00Z", "t": float("nan")}}, "NaN"),
    ],
)
async def test_an_item_that_cannot_be_is_refused_with_the_reason(
    catalog: Catalog, change: dict[str, Any], word: str
) -> None:
    answer = await catalog.call(
        "edda", "POST", ITEMS, content=json.dumps(item("bad") | change).encode()
    )
    assert answer.status_code == 400, answer.text
    assert set(answer.json()) == {"code", "description", "request_id"}
    assert answer.json()["code"] == "invalid-document"
    assert word in answer.json()["description"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"a": 1e999}'])
async def test_a_body_that_is_no_object_is_refused(catalog: Catalog, body: bytes) -> None:
    answer = await catalog.call("edda", "POST", ITEMS, content=body)
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid-document"


async def test_a_removed_item_waits_in_the_outbox(catalog: Catalog) -> None:
    document = item("gone")
    document["assets"] |= {
        "original": {"href": f"/blobs/raw/private/{UPLOAD}/a.hdr"},
        "original-2": {"href": f"/blobs/raw/private/{UPLOAD}/a.img"},
        "foreign": {"href": f"/blobs/raw/another/{UPLOAD}/a.img"},
        "up": {"href": "/blobs/raw/private/../a.img"},
        "reserved": {"href": "/blobs/raw/private/.rclone_temp_x/a.img"},
        "whole": {"href": "/blobs/raw/private/"},
        "outside": {"href": "https://elsewhere.example/blobs/raw/private/upload-3/a"},
    }
    await catalog.done("edda", "POST", ITEMS, document)
    assert (await catalog.call("olga", "DELETE", "/stac/collections/private")).status_code == 409
    await catalog.done("edda", "DELETE", ITEMS + "/gone")
    assert (await catalog.call("vera", "GET", ITEMS + "/gone")).status_code == 404
    await catalog.done("olga", "DELETE", "/stac/collections/private/trash")
    removed = (await catalog.done("service", "GET", "/stac/removed-items"))["removed"]
    [entry] = [entry for entry in removed if entry["item"] == "gone"]
    own = "/stac/removed-items?collection=private&item=gone"
    assert (await catalog.done("service", "GET", own))["removed"] == [entry]
    for other in ("collection=private&item=stays", "collection=other&item=gone"):
        found = await catalog.done("service", "GET", f"/stac/removed-items?{other}")
        assert found == {"removed": []}
    assert entry["collection"] == "private"
    assert entry["prefixes"] == ["cubes/private/gone/", f"raw/private/{UPLOAD}/"]

    async def used(prefix: str) -> bool:
        answer = await catalog.done("service", "GET", f"/stac/stored-prefixes?prefix={prefix}")
        return bool(answer["used"])

    prefixes = (f"raw/private/{UPLOAD}/", "cubes/private/gone/", f"raw/another/{UPLOAD}/")
    assert [await used(prefix) for prefix in prefixes] == [False, False, False]
    renamed = document | {"id": "renamed"}
    await catalog.done("edda", "POST", ITEMS, renamed)
    assert [await used(prefix) for prefix in prefixes] == [True, True, False]
    await catalog.done("edda", "PUT", ITEMS + "/renamed", renamed | {"assets": {}})
    assert [await used(prefix) for prefix in prefixes] == [False, False, False]
    await catalog.done("edda", "DELETE", ITEMS + "/renamed")
    for _ in range(2):
        await catalog.done("service", "DELETE", f"/stac/removed-items/{entry['seq']}")
    removed = (await catalog.done("service", "GET", "/stac/removed-items"))["removed"]
    assert entry not in removed


async def test_a_collection_lives_and_ends(catalog: Catalog) -> None:
    path = "/stac/collections/brief"
    made = await catalog.done("olga", "POST", "/stac/collections", {"id": "brief"})
    pystac.Collection.from_dict(made, preserve_dict=True)
    changed = made | {"title": "A title", "description": "What it is"}
    await catalog.done("olga", "PUT", path, changed)
    shown = await catalog.done("olga", "GET", path)
    assert (shown["title"], shown["description"]) == ("A title", "What it is")
    assert [link["rel"] for link in shown["links"]] == ["root", "parent", "self", "items"]
    wrong = await catalog.call("olga", "PUT", path, {"id": "other"})
    assert wrong.status_code == 400
    last = item("last")
    last["assets"]["cube"]["href"] = "/blobs/cubes/brief/last/cube.zarr"
    await catalog.done("olga", "POST", path + "/items", last)
    full = await catalog.call("olga", "DELETE", path)
    assert (full.status_code, full.json()["code"]) == (409, "collection-not-empty")
    await catalog.done("olga", "DELETE", path + "/items/last")
    full = await catalog.call("olga", "DELETE", path)
    assert (full.status_code, full.json()["code"]) == (409, "collection-not-empty")
    assert "trash" in full.json()["description"]
    assert await catalog.done("olga", "DELETE", path + "/trash") == {"purged": 1}
    # Of a document alone nothing is lost: it goes with its collection.
    await catalog.done("olga", "POST", path + "/items", item("a-document"))
    await catalog.done("olga", "DELETE", path + "/items/a-document")
    await catalog.done("olga", "DELETE", path)
    assert (await catalog.call("olga", "GET", path)).status_code == 404


async def test_the_landing_page_leads_everywhere(catalog: Catalog) -> None:
    landing = await catalog.done("anonymous", "GET", "/stac")
    pystac.Catalog.from_dict(landing, preserve_dict=True)
    conformance = await catalog.done("anonymous", "GET", "/stac/conformance")
    assert landing["conformsTo"] == conformance["conformsTo"]
    links = {link["rel"]: link["href"] for link in landing["links"]}
    assert {"root", "self", "conformance", "data", "search", "service-desc"} <= links.keys()
    for rel in ("self", "conformance", "data", "service-desc", "search"):
        assert (await catalog.http.get(links[rel])).status_code == 200, rel
    missing = await catalog.call("anonymous", "GET", "/stac/nowhere")
    assert (missing.status_code, missing.json()["code"]) == (404, "not-found")


async def test_pystac_client_reads_it(catalog: Catalog) -> None:
    for number in range(3):
        await catalog.done("edda", "POST", ITEMS, item(f"client-{number}"))
    url = f"{catalog.http.base_url}".rstrip("/") + "/stac"
    headers = {"Authorization": f"Bearer {catalog.tokens['vera']}"}

    def read() -> tuple[list[str], list[str]]:
        client = Client.open(url, headers=headers)
        found = client.search(
            collections=["private"], ids=[f"client-{n}" for n in range(3)], limit=1
        )
        return [c.id for c in client.get_collections()], [i.id for i in found.items()]

    collections, items = await asyncio.to_thread(read)
    assert collections == ["private"]
    assert items == ["client-2", "client-1", "client-0"]
