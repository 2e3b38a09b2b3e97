"""Item search by a GeoJSON geometry; what is expected follows from drawing the shapes."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.catalog.conftest import Catalog
from tests.catalog.documents import item

COLLECTION = "shapes"
ITEMS = f"/stac/collections/{COLLECTION}/items"

Positions = list[list[float]]


def box(west: float, south: float, east: float, north: float) -> Positions:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def polygon(*rings: Positions) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def point(x: float, y: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [x, y]}


def placed(name: str, moment: str, bbox: list[float], geometry: dict[str, Any]) -> dict[str, Any]:
    return item(name, moment, bbox) | {"geometry": geometry}


SHAPES = [
    # The half of its bbox below the diagonal from (0, 10) to (10, 0).
    placed(
        "triangle",
        "2020-01-01T00:00:00Z",
        [0, 0, 10, 10],
        polygon([[0, 0], [10, 0], [0, 10], [0, 0]]),
    ),
    placed(
        "ring",
        "2020-01-02T00:00:00Z",
        [20, 0, 30, 10],
        polygon(box(20, 0, 30, 10), box(22, 2, 28, 8)),
    ),
    # Two triangles that meet in (45, 5): a ring that crosses itself.
    placed(
        "bow",
        "2020-01-03T00:00:00Z",
        [40, 0, 50, 10],
        polygon([[40, 0], [50, 10], [50, 0], [40, 10], [40, 0]]),
    ),
    placed(
        "track",
        "2020-01-04T00:00:00Z",
        [60, 0, 70, 10],
        {"type": "LineString", "coordinates": [[60, 0, 500], [70, 10, 500]]},
    ),
    placed(
        "cut",
        "2020-01-05T00:00:00Z",
        [175, -10, -175, 0],
        {
            "type": "MultiPolygon",
            "coordinates": [[box(175, -10, 180, 0)], [box(-180, -10, -175, 0)]],
        },
    ),
    placed("uncut", "2020-01-06T00:00:00Z", [175, 10, -175, 20], polygon(box(175, 10, -175, 20))),
    placed(
        "both",
        "2020-01-07T00:00:00Z",
        [80, 0, 90, 10],
        {"type": "GeometryCollection", "geometries": [point(80, 0), point(90, 10)]},
    ),
    item("nowhere", "2020-01-08T00:00:00Z"),
]


@pytest.fixture(scope="module")
async def shapes(catalog: Catalog) -> Catalog:
    await catalog.done("olga", "POST", "/stac/collections", {"id": COLLECTION})
    for document in SHAPES:
        await catalog.done("olga", "POST", ITEMS, document)
    return catalog


async def both(shapes: Catalog, query: dict[str, Any]) -> dict[str, Any]:
    """The answer, which must be the same by POST and by GET."""
    posted = await shapes.done("olga", "POST", "/stac/search", query)
    text = {"intersects": json.dumps(query["intersects"])}
    got = (await shapes.call("olga", "GET", "/stac/search", params=query | text)).json()
    assert got["features"] == posted["features"]
    assert got["numberMatched"] == posted["numberMatched"]
    return dict(posted)


@pytest.mark.parametrize(
    ("geometry", "found"),
    [
        (point(2, 2), ["triangle"]),
        (point(9, 9), []),  # in its bbox, above the diagonal
        (point(5, 5), ["triangle"]),  # on the diagonal
        (point(25, 5), []),  # in the hole
        (point(21, 5), ["ring"]),
        (polygon(box(23, 3, 27, 7)), []),  # wholly in the hole
        (polygon(box(-10, -10, 40, 40), box(15, -5, 35, 35)), ["bow", "triangle"]),
        (polygon(box(43, 0, 47, 1)), []),
        (point(49, 5), ["bow"]),
        (point(45, 9), []),
        (point(65, 5), ["track"]),
        (point(65, 6), []),
        ({"type": "LineString", "coordinates": [[60, 10], [70, 0]]}, ["track"]),
        ({"type": "MultiPoint", "coordinates": [[2, 2], [65, 5]]}, ["track", "triangle"]),
        (point(85, 5), []),
        (
            {"type": "GeometryCollection", "geometries": [point(90, 10), point(1, 1)]},
            ["both", "triangle"],
        ),
        (point(178, -5), ["cut"]),
        (point(-178, -5), ["cut"]),
        (point(180, -5), ["cut"]),
        (point(-180, -5), ["cut"]),
        (point(174, -5), []),
        (point(0, -5), []),  # as far from both halves as can be
        (point(178, 15), ["uncut"]),
        (point(-178, 15), ["uncut"]),
        (point(0, 15), []),  # between the corners, were they joined the wrong way round
        (
            polygon(box(-180, -90, 180, 90)),
            ["both", "uncut", "cut", "track", "bow", "ring", "triangle"],
        ),
    ],
)
async def test_an_item_is_found_where_its_geometry_is(
    shapes: Catalog, geometry: dict[str, Any], found: list[str]
) -> None:
    page = await both(shapes, {"collections": [COLLECTION], "intersects": geometry})
    assert [feature["id"] for feature in page["features"]] == found
    assert page["numberMatched"] == len(found)


async def test_other_conditions_hold_too(shapes: Catalog) -> None:
    everywhere = polygon(box(-180, -90, 180, 90))
    since = {"datetime": "2020-01-06T00:00:00Z/..", "intersects": everywhere}
    page = await both(shapes, since)
    assert [feature["id"] for feature in page["features"]] == ["both", "uncut"]
    answer = await shapes.call("stranger", "POST", "/stac/search", {"intersects": everywhere})
    assert answer.json()["numberMatched"] == 0


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_pages_of_a_search_by_geometry_follow_each_other(
    shapes: Catalog, method: str
) -> None:
    name = f"strips-{method.lower()}"
    await shapes.done("olga", "POST", "/stac/collections", {"id": name})
    for number in range(9):  # the bbox of each meets the query, every third geometry does not
        inner = (
            polygon([[0, 0], [1, 0], [0, 1], [0, 0]])
            if number % 3 == 2
            else polygon(box(0, 0, 1, 1))
        )
        document = placed(f"s{number}", "2020-01-01T00:00:00Z", [0, 0, 1, 1], inner)
        await shapes.done("olga", "POST", f"/stac/collections/{name}/items", document)
    geometry = polygon(box(0.8, 0.8, 0.9, 0.9))
    if method == "POST":
        query = {"collections": [name], "limit": 2, "intersects": geometry}
        page = await shapes.done("olga", "POST", "/stac/search", query)
    else:
        query = {"limit": 2, "intersects": json.dumps(geometry)}
        answer = await shapes.call("olga", "GET", f"/stac/collections/{name}/items", params=query)
        page = answer.json()
    seen: list[list[str]] = []
    while True:
        assert page["numberMatched"] == 6
        seen.append([feature["id"] for feature in page["features"]])
        following = [link for link in page["links"] if link["rel"] == "next"]
        if not following:
            break
        parts = urlsplit(following[0]["href"])
        path = f"{parts.path}?{parts.query}"
        page = await shapes.done("olga", method, path, following[0].get("body"))
    assert seen == [["s7", "s6"], ["s4", "s3"], ["s1", "s0"]]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (
            {"intersects": {"type": "Circle", "coordinates": [0, 0]}},
            "one of GeometryCollection, Line",
        ),
        (
            {"intersects": {"type": "Feature", "geometry": point(0, 0)}},
            "must be a GeoJSON geometry",
        ),
        ({"intersects": {"type": "Point"}}, "do not make a Point"),
        ({"intersects": {"type": "Point", "coordinates": ["a", 1]}}, "do not make a Point"),
        ({"intersects": {"type": "Point", "coordinates": []}}, "no positions"),
        ({"intersects": polygon([[0, 0], [1, 0], [0, 1]])}, "a ring ends where it begins"),
        ({"intersects": polygon([[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]])}, "Self-intersection"),
        ({"intersects": point(48, 91)}, "longitude (-180 to 180), latitude"),
        ({"intersects": point(181, 4)}, "longitude (-180 to 180), latitude"),
        ({"intersects": point(0, 0), "bbox": [0, 0, 1, 1]}, "intersects and bbox"),
        (
            {"intersects": {"type": "MultiPoint", "coordinates": [[0, 0]] * 51}},
            "51 positions; at most 50",
        ),
        ({"intersects": [1, 2]}, "must be a GeoJSON geometry"),
    ],
)
async def test_a_geometry_that_cannot_be_is_refused_with_the_reason(
    shapes: Catalog, query: dict[str, Any], words: str
) -> None:
    parameters = {"intersects": json.dumps(query["intersects"])}
    if "bbox" in query:
        parameters["bbox"] = ",".join(map(str, query["bbox"]))
    for answer in (
        await shapes.call("olga", "POST", "/stac/search", query),
        await shapes.call("olga", "GET", "/stac/search", params=parameters),
    ):
        assert answer.status_code == 400, answer.text
        assert answer.json()["code"] == "invalid-query"
        assert words in answer.json()["description"]


@pytest.mark.parametrize(
    "text", ["{", "[" * 5000, "NaN", '{"type": "Point", "coordinates": [NaN, 1]}']
)
async def test_a_parameter_that_is_no_geometry_is_refused(shapes: Catalog, text: str) -> None:
    answer = await shapes.call("olga", "GET", "/stac/search", params={"intersects": text})
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "invalid-query"
    assert "intersects" in answer.json()["description"]
