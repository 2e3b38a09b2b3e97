"""What STAC Items and Collections have in common when they come in."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from fastapi import Request

from hsis.contracts.ids import ID_PATTERN, ID_RULE
from hsis_catalog.errors import InvalidDocument

Document = dict[str, Any]

STAC_VERSION = "1.1.0"
GENERATED_RELS = frozenset({"self", "root", "parent", "collection", "items"})
"""Links that catalog makes itself whenever it answers."""

_RFC3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_UNSAFE_SCHEME = re.compile(r"(javascript|data|vbscript):", re.IGNORECASE)
_IGNORED_IN_URLS = re.compile(r"[\x00-\x20]+")
"""Characters that browsers drop before they look for the scheme."""


async def read_json(request: Request) -> Document:
    """The body as a JSON object that Postgres can store; InvalidDocument otherwise."""
    try:
        document = json.loads(await request.body(), parse_constant=_refuse_constant)
    except RecursionError:
        raise InvalidDocument("The body is nested too deeply.") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are kinds of it
        raise InvalidDocument(f"The body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidDocument(f"The body is a {type(document).__name__}; an object is right.")
    for value in _leaves(document):
        _check_leaf(value)
    return document


def instant(text: object, name: str) -> datetime:
    """An RFC 3339 time with its offset, in UTC; ValueError says what would be right."""
    if isinstance(text, str) and _RFC3339.fullmatch(text):
        try:
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise ValueError(f"{name} is {text!r}; a time such as 2024-06-01T10:30:00Z is right.")


def require_id(document: Document) -> str:
    """The document's id; InvalidDocument when it cannot be part of a path."""
    found = document.get("id")
    if not isinstance(found, str) or not re.fullmatch(ID_PATTERN, found):
        raise InvalidDocument(f"id is {found!r}; right are {ID_RULE}.")
    return found


def require_type(document: Document, kind: str) -> None:
    """InvalidDocument unless it is of that type and of STAC 1."""
    if document.get("type") != kind:
        raise InvalidDocument(f"type is {document.get('type')!r}; {kind!r} is right.")
    version = document.get("stac_version", STAC_VERSION)
    if not isinstance(version, str) or not version.startswith("1."):
        raise InvalidDocument(f"stac_version is {version!r}; {STAC_VERSION!r} is right.")


def stored_links(document: Document, origin: str) -> list[Document]:
    """The links worth keeping, those to this platform relative (`/...`)."""
    links = document.get("links", [])
    if not isinstance(links, list):
        raise InvalidDocument("links must be a list.")
    kept = []
    for link in links:
        if not isinstance(link, dict) or not isinstance(link.get("rel"), str):
            raise InvalidDocument("Every link must be an object with rel and href.")
        href = stored_href(link.get("href"), "the href of a link", origin)
        if link["rel"] not in GENERATED_RELS:
            kept.append({**link, "href": href})
    return kept


def stored_assets(document: Document, origin: str) -> Document:
    """The assets with hrefs to this platform relative."""
    assets = document.get("assets", {})
    if not isinstance(assets, dict):
        raise InvalidDocument("assets must be an object.")
    kept = {}
    for name, asset in assets.items():
        if not isinstance(asset, dict):
            raise InvalidDocument(f"assets.{name} must be an object.")
        kept[name] = {
            **asset,
            "href": stored_href(asset.get("href"), f"assets.{name}.href", origin),
        }
    return kept


def stored_href(href: object, name: str, origin: str) -> str:
    """The href, relative to the origin where it points to this platform."""
    if not isinstance(href, str) or not href:
        raise InvalidDocument(f"{name} is missing or not text.")
    if _UNSAFE_SCHEME.match(_IGNORED_IN_URLS.sub("", href)):
        raise InvalidDocument(f"{name} must be a path or an address such as https://…")
    return href[len(origin) :] if href.startswith(origin + "/") else href


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _leaves(value: object) -> Iterator[object]:
    """Every key and every value that holds no others, without recursion."""
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, dict):
            yield from current
            waiting.extend(current.values())
        elif isinstance(current, list):
            waiting.extend(current)
        else:
            yield current


def _check_leaf(value: object) -> None:
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise InvalidDocument("A number of the body is too large for a double.")
    if isinstance(value, str):
        if "\x00" in value:
            raise InvalidDocument("A text of the body holds the character U+0000.")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidDocument("A text of the body holds half a surrogate pair.") from None
