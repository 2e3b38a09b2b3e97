"""Bodies of requests: STAC documents, searches, and what is said of uploads and spectra."""

import json
from contextlib import suppress
from typing import NoReturn

from pydantic import ValidationError

from hsis.contracts.metadata import CubeMetadata
from hsis.contracts.spectra import NewSpectrum
from hsis.contracts.uploads import IngestRequest, RetryRequest, SceneNames, UploadRequest
from hsis.errors import DomainError
from hsis_catalog.stac.collections import collection_of
from hsis_catalog.stac.items import item_of, removable_prefixes, stored_sizes
from hsis_catalog.stac.query import from_body
from hsis_ingest.wanted import check_request, data_name
from tests.fuzz.queries import SETTINGS

MODELS = (CubeMetadata, NewSpectrum, IngestRequest, RetryRequest, SceneNames)
SEEDS = [
    json.dumps(document, separators=(",", ":")).encode()
    for document in (
        {
            "type": "Feature", "stac_version": "1.1.0", "id": "a", "bbox": [1, 2, 3, 4],
            "geometry": {"type": "Point", "coordinates": [1, 2]},
            "properties": {"datetime": "2024-06-01T10:00:00Z"},
            "links": [{"rel": "via", "href": "https://a/b"}],
            "assets": {"cube": {"href": "/blobs/cubes/c/a/cube.zarr", "file:size": 5}},
        },
        {"type": "Collection", "id": "a", "description": "b", "license": "other"},
        {"bbox": [1, 2, 3, 4], "ids": ["a"], "datetime": "../2024-06-01T10:00:00Z", "limit": 3},
        {"intersects": {"type": "MultiPoint", "coordinates": [[0, 0], [1, 0]]}, "token": "1.2"},
        {
            "wavelengths": [400, 500], "wavelength_unit": "nm", "fwhm": [5, 5], "unit": "1",
            "good_bands": [True, False], "band_names": ["a", "b"], "scale": [0.5, 2], "offset": 0,
            "nodata": "nan", "datetime": "2024-06-01T10:00:00+02:00", "sensor": "x",
            "place": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
            "properties": {"gsd": 30, "keywords": ["a"], "my:x": {"y": [1]}},
        },
        {
            "collection": "c", "id": "a", "axes": "yxb", "calibration": "reflectance",
            "white_reflectance": "p.csv", "files": [{"name": "a.hdr"}, {"name": "p.csv"}],
            "metadata": {"place": [10, 50, 11, 51], "wavelengths_file": "p.csv"},
        },
        {"collection": "c", "sources": ["https://a/b.npy", {"blob": "raw/c/a/b.npy"}]},
        {"collection": "c", "name": "x", "values": [1, 2], "wavelengths_nm": [400, 500]},
    )
]  # fmt: skip


def read(content: bytes) -> None:
    """One JSON object as each of the bodies."""
    try:
        body = json.loads(content, parse_constant=_refused)
    except (ValueError, RecursionError):  # refused before
        return
    if not isinstance(body, dict):
        return
    with suppress(DomainError):
        from_body(body, SETTINGS)
    with suppress(DomainError):
        collection_of(body, "http://a")
    with suppress(DomainError):
        item = item_of(body, "c", "http://a")
        removable_prefixes(item.document)
        stored_sizes(item.document)
    for model in MODELS:
        with suppress(ValidationError):
            model.model_validate(body)
    with suppress(ValidationError, DomainError):
        request = UploadRequest.model_validate(body)
        check_request(request, 100)
        data_name(request)


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
