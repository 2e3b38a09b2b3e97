"""STAC documents as they go out: with links, and hrefs made absolute."""

from typing import Any
from urllib.parse import quote

from hsis_catalog.stac.documents import STAC_VERSION, Document

GEOJSON = "application/geo+json"
JSON = "application/json"
CONFORMANCE = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
    "https://api.stacspec.org/v1.0.0/item-search",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
]


def landing(origin: str) -> Document:
    """The root catalog."""
    stac = f"{origin}/stac"
    search = {"rel": "search", "href": f"{stac}/search", "type": GEOJSON}
    return {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": "hsis",
        "title": "HSIS",
        "description": "Hyperspectral cubes",
        "conformsTo": CONFORMANCE,
        "links": [
            _link("root", stac),
            _link("self", stac),
            _link("conformance", f"{stac}/conformance"),
            _link("data", f"{stac}/collections"),
            {**search, "method": "GET"},
            {**search, "method": "POST"},
            _link(
                "service-desc",
                f"{stac}/openapi.json",
                "application/vnd.oai.openapi+json;version=3.1",
            ),
            _link("service-doc", f"{origin}/docs", "text/html"),
        ],
    }


def collection(document: Document, origin: str) -> Document:
    """A collection with its links."""
    here = collection_url(document["id"], origin)
    stac = f"{origin}/stac"
    links = [
        _link("root", stac),
        _link("parent", stac),
        _link("self", here),
        _link("items", f"{here}/items", GEOJSON),
    ]
    return _absolute(document, links, origin)


def collections(documents: list[Document], origin: str) -> Document:
    """The list of collections."""
    stac = f"{origin}/stac"
    return {
        "collections": [collection(document, origin) for document in documents],
        "links": [_link("root", stac), _link("self", f"{stac}/collections")],
        "numberMatched": len(documents),
        "numberReturned": len(documents),
    }


def item(document: Document, origin: str) -> Document:
    """An item with its links."""
    parent = collection_url(document["collection"], origin)
    links = [
        _link("root", f"{origin}/stac"),
        _link("parent", parent),
        _link("collection", parent),
        _link("self", f"{parent}/items/{quote(document['id'], safe='')}", GEOJSON),
    ]
    return _absolute(document, links, origin)


def item_page(
    summaries: list[Document], matched: int, links: list[dict[str, Any]], origin: str
) -> Document:
    """One page of items; `links` are its own."""
    return {
        "type": "FeatureCollection",
        "features": [item(summary, origin) for summary in summaries],
        "links": [_link("root", f"{origin}/stac"), *links],
        "numberMatched": matched,
        "numberReturned": len(summaries),
    }


def collection_url(name: str, origin: str) -> str:
    """Where the collection is found."""
    return f"{origin}/stac/collections/{quote(name, safe='')}"


def _link(rel: str, href: str, media_type: str = JSON) -> dict[str, str]:
    return {"rel": rel, "href": href, "type": media_type}


def _absolute(document: Document, links: list[dict[str, str]], origin: str) -> Document:
    kept = [{**link, "href": _href(link["href"], origin)} for link in document["links"]]
    made = {**document, "links": links + kept}
    if "assets" in document:
        made["assets"] = {
            name: {**asset, "href": _href(asset["href"], origin)}
            for name, asset in document["assets"].items()
        }
    return made


def _href(href: str, origin: str) -> str:
    return origin + href if href.startswith("/") and not href.startswith("//") else href
