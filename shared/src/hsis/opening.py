"""`hsis.open`: a stored cube as an `xarray.Dataset`, read from the server as it is used."""

from typing import TYPE_CHECKING

import httpx

from hsis.clients.base import error_of
from hsis.contracts.blobs import cube_prefix
from hsis.credentials import connection
from hsis.errors import Unavailable

if TYPE_CHECKING:
    import xarray

TIMEOUT_S = 30.0


def open(
    collection: str, item: str, url: str | None = None, token: str | None = None
) -> "xarray.Dataset":
    """The item's cube: variable `cube` (band, y, x) in stored units, with its coordinates.

    Nothing is read but metadata; values come by ranges when they are used. `url` and `token` are
    by default those of `HSIS_URL` and `HSIS_TOKEN`, else of `hsis login`. Raises NotFound,
    Forbidden, Unauthenticated or Unavailable as the server answers; reading values raises
    FileNotFoundError where they are there no more, as when the item was removed meanwhile.
    """
    import xarray
    from zarr.storage import FsspecStore

    to = connection(url, token)
    store_url = f"{to.url}/blobs/{cube_prefix(collection, item).rstrip('/')}"
    headers = {"Authorization": f"Bearer {to.token}"} if to.token else {}
    _check(store_url, headers, to.through_proxy)
    client = {"headers": headers, "trust_env": to.through_proxy}
    # Every shard is stored: a missing one is an error, and no values of 0 as zarr would have it.
    store = FsspecStore.from_url(
        store_url,
        storage_options={"client_kwargs": client},
        read_only=True,
        allowed_exceptions=(),
    )
    dataset: xarray.Dataset = xarray.open_zarr(store, consolidated=True, zarr_format=3)
    return dataset


def _check(store_url: str, headers: dict[str, str], through_proxy: bool) -> None:
    # fsspec tells a refusal as it tells a missing object; this tells it as it is.
    try:
        response = httpx.get(
            f"{store_url}/zarr.json", headers=headers, timeout=TIMEOUT_S, trust_env=through_proxy
        )
    except httpx.TransportError as error:
        raise Unavailable(f"{store_url} got no answer ({type(error).__name__}).") from error
    if response.status_code >= 400:
        raise error_of(response)
