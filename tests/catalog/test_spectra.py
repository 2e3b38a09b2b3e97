"""The spectral library."""

from typing import Any

import pytest

from hsis.clients.catalog import CatalogClient
from hsis.contracts.spectra import NewSpectrum
from hsis.errors import Conflict
from tests.catalog.conftest import Catalog

TREE: dict[str, Any] = {
    "collection": "private",
    "name": "tree",
    "values": [0.25, 0.5, 0.125],
    "wavelengths_nm": [450.0, 550.5, 650.0],
    "unit": "1",
    "source": "field",
}


async def test_spectra_are_found_by_name_or_id(catalog: Catalog) -> None:
    client = CatalogClient(catalog.http, str(catalog.http.base_url))
    token = catalog.tokens["edda"]
    tree = await client.add_spectrum(NewSpectrum(**TREE), token=token)
    assert tree.model_dump(include=set(TREE)) == TREE
    water = NewSpectrum(collection="private", name="water, deep", values=[1e-300])
    added = await client.add_spectrum(water, token=token)
    assert added.wavelengths_nm is None
    with pytest.raises(Conflict):
        await client.add_spectrum(water, token=token)
    viewer = catalog.tokens["vera"]
    for names, found in (
        (None, ["tree", "water, deep"]),
        (["tree"], ["tree"]),
        ([added.id, "tree"], ["tree", "water, deep"]),
        (["absent"], []),
    ):
        spectra = await client.spectra("private", names=names, token=viewer)
        assert [spectrum.name for spectrum in spectra] == found
    path = f"/spectra/{tree.id}"
    for who, status in (("anonymous", 401), ("stranger", 404), ("vera", 403), ("edda", 204)):
        assert (await catalog.call(who, "DELETE", path)).status_code == status
    assert (await catalog.call("edda", "DELETE", path)).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"values": []},
        {"values": [1.0, 2.0]},
        {"wavelengths_nm": [3.0, 2.0, 1.0]},
        {"name": ""},
        {"name": "a\x00"},
        {"name": "two\nlines"},
        {"collection": "../x"},
    ],
)
async def test_a_spectrum_that_cannot_be_is_refused(
    catalog: Catalog, change: dict[str, Any]
) -> None:
    answer = await catalog.call("edda", "POST", "/spectra", TREE | change)
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:hsis:problem:invalid-input"


async def test_numbers_are_finite(catalog: Catalog) -> None:
    body = b'{"collection": "private", "name": "n", "values": [NaN]}'
    answer = await catalog.http.post(
        "/spectra",
        content=body,
        headers={
            "Authorization": f"Bearer {catalog.tokens['edda']}",
            "Content-Type": "application/json",
        },
    )
    assert answer.status_code == 400
