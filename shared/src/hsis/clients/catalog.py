"""Client of catalog: STAC, tokens, permissions, the spectral library."""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any
from urllib.parse import quote
from uuid import UUID

from hsis.clients.base import BaseClient, problem_of
from hsis.contracts.access import Access, TokenAnswer
from hsis.contracts.metadata import CubeMetadata
from hsis.contracts.quota import BytesReservation, Quota, QuotaRequest
from hsis.contracts.spectra import NewSpectrum, Spectrum, SpectrumList
from hsis.contracts.trash import TrashEntry, TrashPage
from hsis.errors import Conflict, NotFound

CHANGE_ATTEMPTS = 5
StacObject = dict[str, Any]
"""A STAC Item, Collection or ItemCollection as plain JSON."""


class CatalogClient(BaseClient):
    """STAC and access, for services, the CLI and users' programs."""

    async def login(self, username: str, password: str) -> TokenAnswer:
        """A token for a user's name and password; Unauthenticated when they are wrong."""
        response = await self._request(
            "POST", "/auth/token", data={"username": username, "password": password}
        )
        return TokenAnswer.model_validate_json(response.content)

    async def access(self, collection: str, *, token: str | None = None) -> Access:
        """The role of the token's bearer in a collection; role None where it may not be known.

        Without a token it is the role of the anonymous public, whatever the HTTP client's own
        authentication is.
        """
        anonymous: dict[str, Any] = {} if token else {"auth": None}
        response = await self._request(
            "GET", f"/auth/access/{quote(collection, safe='')}", token=token, **anonymous
        )
        return Access.model_validate_json(response.content)

    async def collections(self, *, token: str | None = None) -> list[StacObject]:
        """Every collection that the caller can see."""
        response = await self._request("GET", "/stac/collections", token=token)
        found: list[StacObject] = response.json()["collections"]
        return found

    async def collection(self, collection: str, *, token: str | None = None) -> StacObject:
        """One collection; NotFound where the caller cannot see it."""
        response = await self._request("GET", _collection(collection), token=token)
        return dict(response.json())

    async def create_collection(
        self, collection: StacObject, *, token: str | None = None
    ) -> StacObject:
        """Create a collection that the token's user then owns; Conflict when the id is taken."""
        response = await self._request("POST", "/stac/collections", json=collection, token=token)
        return dict(response.json())

    async def item(self, collection: str, item: str, *, token: str | None = None) -> StacObject:
        """One item with all of its bands; NotFound where the caller cannot see it."""
        response = await self._request("GET", _item(collection, item), token=token)
        return dict(response.json())

    async def create_item(
        self,
        collection: str,
        item: StacObject,
        *,
        counted: Sequence[str] | None = None,
        token: str | None = None,
    ) -> StacObject:
        """Register an item; Conflict when the id is taken in the collection.

        `counted` names the assets whose `file:size` a service has stored and counts; all by
        default.
        """
        params = {} if counted is None else {"counted": [*counted]}
        response = await self._request(
            "POST", _collection(collection) + "/items", json=item, params=params, token=token
        )
        return dict(response.json())

    async def delete_item(self, collection: str, item: str, *, token: str | None = None) -> None:
        """Move an item to its collection's trash; where that is off, remove it for good."""
        await self._request("DELETE", _item(collection, item), token=token)

    async def trash(
        self,
        collection: str,
        *,
        item: str | None = None,
        after: UUID | None = None,
        token: str | None = None,
    ) -> TrashPage:
        """A page of what is in a collection's trash, newest first, after an entry; of one item's
        id, where it is given."""
        query = {"item": item} if item else {}
        query |= {"after": str(after)} if after else {}
        response = await self._request(
            "GET", _collection(collection) + "/trash", params=query, token=token
        )
        return TrashPage.model_validate_json(response.content)

    async def trash_entry(
        self, collection: str, entry: UUID | str, *, token: str | None = None
    ) -> TrashEntry:
        """One entry of the trash."""
        response = await self._request("GET", _entry(collection, entry), token=token)
        return TrashEntry.model_validate_json(response.content)

    async def trash_item(
        self, collection: str, entry: UUID | str, *, token: str | None = None
    ) -> StacObject:
        """The item that an entry of the trash was."""
        response = await self._request("GET", _entry(collection, entry) + "/item", token=token)
        return dict(response.json())

    async def restore(
        self, collection: str, entry: UUID | str, *, token: str | None = None
    ) -> StacObject:
        """Make an entry of the trash the item again that it was. Conflict where its id or its
        cube's place is taken: `IngestClient.restore` then converts its original files again."""
        response = await self._request("POST", _entry(collection, entry) + "/restore", token=token)
        return dict(response.json())

    async def purge(
        self, collection: str, entry: UUID | str | None = None, *, token: str | None = None
    ) -> None:
        """Remove an entry of the trash for good, or all of them."""
        path = _collection(collection) + "/trash" if entry is None else _entry(collection, entry)
        await self._request("DELETE", path, token=token)

    async def forget_converted(self, collection: str, entry: UUID) -> None:
        """Say that what an entry of the trash keeps is another item's now; its cube goes, where it
        still lies there. Services only."""
        await self._request("POST", _entry(collection, entry) + "/converted")

    async def search(self, query: StacObject, *, token: str | None = None) -> StacObject:
        """One page of a STAC item search (the body of POST /stac/search)."""
        response = await self._request("POST", "/stac/search", json=query, token=token)
        return dict(response.json())

    async def search_all(
        self, query: StacObject, *, token: str | None = None
    ) -> AsyncGenerator[StacObject, None]:
        """Every item that a search finds, page after page; `limit` is the size of a page."""
        page_query: StacObject | None = query
        while page_query is not None:
            page = await self.search(page_query, token=token)
            for item in page["features"]:
                yield item
            page_query = _next_query(page)

    async def spectra(
        self, collection: str, *, names: list[str] | None = None, token: str | None = None
    ) -> list[Spectrum]:
        """The library spectra of a collection, all or those of the given names or ids."""
        query: dict[str, Any] = {"collection": collection}
        if names is not None:
            query["name"] = names
        response = await self._request("GET", "/spectra", params=query, token=token)
        return SpectrumList.model_validate_json(response.content).spectra

    async def add_spectrum(self, spectrum: NewSpectrum, *, token: str | None = None) -> Spectrum:
        """Add a spectrum to a collection's library."""
        response = await self._request(
            "POST", "/spectra", json=spectrum.model_dump(mode="json"), token=token
        )
        return Spectrum.model_validate_json(response.content)

    async def template(self, collection: str, *, token: str | None = None) -> CubeMetadata | None:
        """What is said of every cube of a collection that neither its files nor its uploader say;
        None where there is no template, or the collection cannot be seen."""
        try:
            response = await self._request(
                "GET", _collection(collection) + "/template", token=token
            )
        except NotFound:
            return None
        return CubeMetadata.model_validate_json(response.content)

    async def set_template(
        self, collection: str, template: CubeMetadata, *, token: str | None = None
    ) -> CubeMetadata:
        """Set a collection's template in place of any before. For its owners."""
        response = await self._request(
            "PUT", _collection(collection) + "/template", json=template.said(), token=token
        )
        return CubeMetadata.model_validate_json(response.content)

    async def remove_template(self, collection: str, *, token: str | None = None) -> None:
        """Remove a collection's template; NotFound where it has none."""
        await self._request("DELETE", _collection(collection) + "/template", token=token)

    async def replace_item(
        self, collection: str, item: StacObject, *, token: str | None = None
    ) -> StacObject:
        """Replace an item's document; NotFound where there is none."""
        response = await self._request("PUT", _item(collection, item["id"]), json=item, token=token)
        return dict(response.json())

    async def change_item(
        self,
        collection: str,
        item: str,
        change: Callable[[StacObject], StacObject],
        *,
        counted: Sequence[str] = (),
    ) -> StacObject:
        """Replace an item's document by what `change` makes of it, which is asked anew where
        another change came between; NotFound where there is none. For services.

        `counted` names the assets that a service has stored for it, whose `file:size` counts.
        """
        for attempt in range(CHANGE_ATTEMPTS):
            response = await self._request("GET", _item(collection, item))
            etag = response.headers.get("ETag")
            try:
                response = await self._request(
                    "PUT",
                    _item(collection, item),
                    json=change(dict(response.json())),
                    params={"counted": [*counted]},
                    headers={"If-Match": etag} if etag else {},
                )
            except Conflict as error:
                problem = problem_of(error)
                changed = problem is not None and problem.status == 412
                if not changed or attempt == CHANGE_ATTEMPTS - 1:
                    raise
            else:
                return dict(response.json())
        raise AssertionError("the last attempt returns or raises")

    async def removed_items(
        self, collection: str | None = None, item: str | None = None
    ) -> list[dict[str, Any]]:
        """Items whose stored objects are still to be removed: `{"seq", "collection", "item",
        "prefixes", "cube"}` each, oldest first; a page of all, or those that had this id. Services
        only."""
        query = {"collection": collection, "item": item} if collection and item else {}
        response = await self._request("GET", "/stac/removed-items", params=query)
        found: list[dict[str, Any]] = response.json()["removed"]
        return found

    async def reserve(
        self, collection: str, item: str, holder: str, *, replaces_trash: bool = False
    ) -> None:
        """Say that `holder` (`upload:<id>`, `job:<id>`) makes an item; Conflict where another does.
        To be repeated safely. Services only; who registers the item ends it.

        Conflict too (slug `item-in-trash`) where the trash keeps a cube of that id;
        `replaces_trash` takes its place where its original files are kept.
        """
        wanted = {
            "collection": collection,
            "item": item,
            "holder": holder,
            "replaces_trash": replaces_trash,
        }
        await self._request("POST", "/stac/reservations", json=wanted)

    async def release(self, collection: str, item: str, holder: str) -> None:
        """Say that `holder` does not make the item any more. Services only."""
        wanted = {"collection": collection, "item": item, "holder": holder}
        await self._request("DELETE", "/stac/reservations", params=wanted)

    async def quota(self, collection: str, *, token: str | None = None) -> Quota:
        """How much may be stored in a collection, and how much is."""
        response = await self._request("GET", _collection(collection) + "/quota", token=token)
        return Quota.model_validate_json(response.content)

    async def set_quota(
        self, collection: str, allowed_bytes: int | None, *, token: str | None = None
    ) -> Quota:
        """Set how much may be stored in a collection; None for no limit. For administrators."""
        response = await self._request(
            "PUT",
            _collection(collection) + "/quota",
            json=QuotaRequest(allowed_bytes=allowed_bytes).model_dump(),
            token=token,
        )
        return Quota.model_validate_json(response.content)

    async def reserve_bytes(self, collection: str, holder: str, count: int) -> None:
        """Say that a holder is about to store so many bytes in all, until it registers its item or
        releases it. TooLarge (slug `quota-exceeded`) where there is no room. Services only."""
        wanted = BytesReservation(collection=collection, holder=holder, bytes=count)
        await self._request("PUT", "/stac/reserved-bytes", json=wanted.model_dump())

    async def release_bytes(self, holder: str) -> None:
        """Say that a holder stores nothing more. Services only."""
        await self._request("DELETE", "/stac/reserved-bytes", params={"holder": holder})

    async def uses(self, prefix: str) -> bool:
        """Whether any item, one in the trash too, has files under `raw/<collection>/<upload>/` or
        `cubes/<collection>/<item>/`. Services only."""
        response = await self._request("GET", "/stac/stored-prefixes", params={"prefix": prefix})
        return bool(response.json()["used"])

    async def unknown_prefixes(self, prefixes: list[str]) -> list[str]:
        """Those of at most 1000 prefixes that no item, trash or maker of an item needs. Services
        only."""
        body = {"prefixes": prefixes}
        response = await self._request("POST", "/stac/unknown-prefixes", json=body)
        found: list[str] = response.json()["unknown"]
        return found

    async def forget_removed_prefixes(self, prefixes: list[str]) -> None:
        """Tell catalog that nothing lies any more under at most 1000 prefixes that it knows nothing
        of. Services only."""
        body = {"prefixes": prefixes}
        await self._request("POST", "/stac/removed-prefixes", json=body, repeatable=True)

    async def forget_removed_item(self, seq: int) -> None:
        """Tell catalog that nothing of a removed item is stored any more. Services only."""
        await self._request("DELETE", f"/stac/removed-items/{seq}")


def _collection(collection: str) -> str:
    return f"/stac/collections/{quote(collection, safe='')}"


def _item(collection: str, item: str) -> str:
    return f"{_collection(collection)}/items/{quote(item, safe='')}"


def _entry(collection: str, entry: UUID | str) -> str:
    return f"{_collection(collection)}/trash/{quote(str(entry), safe='')}"


def _next_query(page: StacObject) -> StacObject | None:
    """The body of the search's next page, as its link says; None on the last page."""
    for link in page.get("links", []):
        if link.get("rel") == "next":
            return dict(link["body"])
    return None
