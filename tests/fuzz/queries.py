"""Queries of the catalog's search and of exports and previews."""

from contextlib import suppress
from urllib.parse import parse_qsl

import numpy as np
from rasterio.crs import CRS

from hsis.cube.layout import CubeInfo
from hsis.errors import DomainError
from hsis_catalog.settings import Settings
from hsis_catalog.stac.query import from_parameters
from hsis_tiles.export.selection import describe, select
from hsis_tiles.render import parse_bands, parse_stretch

PLACED = CubeInfo(
    (6, 9, 7),
    np.dtype(np.int16),
    crs_wkt=CRS.from_epsg(32633).to_wkt(),
    transform=(30.0, 0.0, 500000.0, 0.0, -30.0, 5000000.0),
)
SETTINGS = Settings.model_construct(search_limit_max=100, search_positions_max=1000)
NAMES = ("bands", "window", "bbox", "stretch")
SEEDS = [
    b"bbox=10,40,11,41&datetime=2024-06-01T10:00:00Z/..&limit=5&collections=a,b",
    b'intersects={"type": "Polygon", "coordinates": [[[0,0],[1,0],[1,1],[0,0]]]}&limit=3',
    b"ids=a,b&token=1717236000000000.12",
    b"bands=1:5:2,6&window=0,0,3,3",
    b"bbox=500000,4999800,500090,5000000&bands=good",
    b"stretch=2-98&bands=3,2,1",
    b"stretch=-1.5,2e3",
]


def read(content: bytes) -> None:
    """One text as the parameters of a search, and as those of an export."""
    text = content.decode("utf-8", "replace")
    pairs = parse_qsl(text, keep_blank_values=True)
    with suppress(DomainError):
        from_parameters(pairs, SETTINGS)
    said = {name: dict(pairs).get(name) for name in NAMES}
    for lonlat in (False, True):
        with suppress(DomainError):
            chosen = select(
                PLACED,
                bands=said["bands"],
                window=said["window"],
                bbox=said["bbox"],
                lonlat=lonlat,
            )
            describe(PLACED, chosen)
    for parse in (lambda text: parse_bands(text, PLACED), parse_stretch):
        with suppress(DomainError):
            parse(said["bands"])
        with suppress(DomainError):
            parse(said["stretch"])
