"""Item search: by collection, id, place and time, page after page."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.catalog.conftest import Catalog
from tests.catalog.documents import item

SPAN = {"start_datetime": "2021-01-01T00:00:00Z", "end_datetime": "2021-12-31T00:00:00Z"}
SCENES: dict[str, dict[str, Any]] = {
    "munich": item("munich", "2020-05-01T12:00:00Z", [11.0, 48.0, 12.0, 49.0]),
    "fiji": item("fiji", "2022-05-01T12:00:00Z", [177.0, -19.0, -178.0, -16.0]),
    "nowhere": item("nowhere", "2023-05-01T12:00:00+02:00"),
    "year": item("year", bbox=[-100.0, 30.0, -99.0, 31.0])
    | {"properties": {"datetime": None} | SPAN},
}
NEWEST_FIRST = ["nowhere", "fiji", "year", "munich"]


@pytest.fixture(scope="module")
async def scenes(catalog: Catalog) -> Catalog:
    """The scenes in `private`, and one of the stranger's in a collection of its own."""
    for document in SCENES.values():
        await catalog.done("edda", "POST", "/stac/collections/private/items", document)
    await catalog.done("stranger", "POST", "/stac/collections", {"id": "secret"})
    await catalog.done("stranger", "POST", "/stac/collections/secret/items", item("hidden"))
    return catalog


async def both(scenes: Catalog, who: str, query: dict[str, Any]) -> list[str]:
    """The ids found, which must be the same by POST and by GET."""
    posted = await scenes.done(who, "POST", "/stac/search", query)
    parameters = {
        name: ",".join(map(str, value)) if isinstance(value, list) else value
        for name, value in query.items()
    }
    got = (await scenes.call(who, "GET", "/stac/search", params=parameters)).json()
    assert got["features"] == posted["features"]
    assert got["numberMatched"] == posted["numberMatched"]
    return [feature["id"] for feature in posted["features"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, NEWEST_FIRST),
        ({"collections": ["private"]}, NEWEST_FIRST),
        ({"collections": ["secret"]}, []),
        ({"collections": ["absent"]}, []),
        ({"ids": ["munich", "fiji", "absent"]}, ["fiji", "munich"]),
        ({"bbox": [11.5, 48.5, 11.6, 48.6]}, ["munich"]),
        ({"bbox": [12.0, 49.0, 20.0, 60.0]}, ["munich"]),  # a common corner is enough
        ({"bbox": [12.1, 49.0, 20.0, 60.0]}, []),
        ({"bbox": [11.5, 48.5, 0, 11.6, 48.6, 100]}, ["munich"]),
        ({"bbox": [-180, -90, 180, 90]}, ["fiji", "year", "munich"]),
        ({"bbox": [178.0, -18.0, 179.0, -17.0]}, ["fiji"]),
        ({"bbox": [-179.5, -18.0, -179.0, -17.0]}, ["fiji"]),
        ({"bbox": [170.0, -20.0, -170.0, -10.0]}, ["fiji"]),
        ({"bbox": [-170.0, -20.0, 170.0, -10.0]}, []),
        ({"datetime": "2020-05-01T12:00:00Z"}, ["munich"]),
        ({"datetime": "2023-05-01T10:00:00Z"}, ["nowhere"]),  # said with +02:00
        ({"datetime": "2021-06-01T00:00:00Z"}, ["year"]),
        ({"datetime": "2020-05-01T12:00:00Z/2021-01-01T00:00:00Z"}, ["year", "munich"]),
        ({"datetime": "2021-12-31T00:00:01Z/.."}, ["nowhere", "fiji"]),
        ({"datetime": "../2020-12-31T23:59:59Z"}, ["munich"]),
        ({"datetime": "/2020-12-31T23:59:59Z"}, ["munich"]),
        ({"datetime": "2022-05-01T12:00:00Z/"}, ["nowhere", "fiji"]),
        ({"datetime": "2021-01-01T00:00:00Z/..", "bbox": [0, 0, 180, 90]}, []),
        ({"limit": 2}, ["nowhere", "fiji"]),
    ],
)
async def test_a_search_finds_what_matches(
    scenes: Catalog, query: dict[str, Any], found: list[str]
) -> None:
    assert await both(scenes, "vera", query) == found


async def test_everyone_finds_only_what_they_see(scenes: Catalog) -> None:
    assert await both(scenes, "anonymous", {}) == []
    assert await both(scenes, "stranger", {}) == ["hidden"]
    everything = ["hidden", *NEWEST_FIRST]
    for who in ("admin", "service"):
        assert sorted(await both(scenes, who, {})) == sorted(everything)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": "many"},
        {"bbox": [1, 2, 3]},
        {"bbox": [1, 2, 3, "x"]},
        {"bbox": [10**400, 2, 3, 4]},
        {"bbox": [0, 10, 1, 5]},
        {"bbox": [0, 0, 200, 5]},
        {"datetime": "yesterday"},
        {"datetime": "2020-01-01"},
        {"datetime": "../.."},
        {"datetime": "2021-01-01T00:00:00Z/2020-01-01T00:00:00Z"},
        {"datetime": "2021-01-01T00:00:00Z/2021-01-01T00:00:00Z/.."},
        {"token": "abc"},
        {"token": "999999999999999999.1"},
        {"intersects": "x"},
        {"filter": "a = 1"},
    ],
)
async def test_bad_input_is_refused_in_the_form_of_stac(
    scenes: Catalog, query: dict[str, Any]
) -> None:
    parameters = {
        name: ",".join(map(str, value)) if isinstance(value, list) else value
        for name, value in query.items()
    }
    for answer in (
        await scenes.call("vera", "POST", "/stac/search", query),
        await scenes.call("vera", "GET", "/stac/search", params=parameters),
        await scenes.call("vera", "GET", "/stac/collections/private/items", params=parameters),
    ):
        assert answer.status_code == 400, answer.text
        assert answer.json()["code"] == "invalid-query"
        assert next(iter(query)) in answer.json()["description"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_pages_follow_each_other_without_gap_or_repetition(
    scenes: Catalog, method: str
) -> None:
    name = f"pages-{method.lower()}"
    await scenes.done("olga", "POST", "/stac/collections", {"id": name})
    path = f"/stac/collections/{name}/items"
    for number in range(7):  # several at the same time, so that the order needs more than that
        moment = f"2020-01-0{1 + number // 3}T00:00:00.123456Z"
        await scenes.done("olga", "POST", path, item(f"i{number}", moment))
    seen: list[str] = []
    sizes = []
    page = (
        await scenes.done("olga", "POST", "/stac/search", {"collections": [name], "limit": 3})
        if method == "POST"
        else await scenes.done("olga", "GET", path + "?limit=3")
    )
    while True:
        sizes.append(page["numberReturned"])
        assert page["numberMatched"] == (7 if len(sizes) < 2 else 8)
        seen += [feature["id"] for feature in page["features"]]
        following = [link for link in page["links"] if link["rel"] == "next"]
        if not following:
            break
        if len(sizes) == 1:  # what comes in meanwhile, newer than the page, does not shift it
            await scenes.done("olga", "POST", path, item("late", "2024-01-01T00:00:00Z"))
        link = following[0]
        assert link["method"] == method
        parts = urlsplit(link["href"])
        page = await scenes.done("olga", method, f"{parts.path}?{parts.query}", link.get("body"))
    assert seen == ["i6", "i5", "i4", "i3", "i2", "i1", "i0"]
    assert sizes == [3, 3, 1]


async def test_the_limit_is_ten_unless_said_and_at_most_the_setting(scenes: Catalog) -> None:
    await scenes.done("edda", "POST", "/stac/collections", {"id": "many"})
    for number in range(25):
        await scenes.done("edda", "POST", "/stac/collections/many/items", item(f"m{number}"))
    for query, size in (({}, 10), ({"limit": 12}, 12), ({"limit": 5000}, 20)):
        page = await scenes.done("edda", "POST", "/stac/search", {"collections": ["many"]} | query)
        assert (page["numberReturned"], page["numberMatched"]) == (size, 25)
