"""Pictures of cubes: which bands, stretched how, encoded as PNG or WebP."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hsis.cube.classes import CubeClass
from hsis.cube.layout import CubeInfo
from hsis.cube.statistics import CubeStatistics, magnitudes, valid_mask

NATURAL_COLOUR_NM = (640.0, 550.0, 460.0)
"""Centre wavelengths of red, green and blue."""
MAX_DISTANCE_NM = 40.0
"""A band further than this from a colour does not stand for it."""
THUMBNAIL_PIXELS = 256


def natural_colour_bands(info: CubeInfo) -> tuple[int, ...]:
    """The bands (from 0) for red, green, blue: nearest to 640, 550 and 460 nm among the good ones,
    else the first, middle and last good band; a cube of fewer than three good bands gives one."""
    good = [band for band, fit in enumerate(info.good) if fit] or list(range(info.bands))
    if len(good) < 3:
        return (good[0],)
    if info.wavelengths_nm is not None:
        wavelengths = np.array([info.wavelengths_nm[band] for band in good])
        distances = np.abs(wavelengths[:, None] - np.array(NATURAL_COLOUR_NM))
        if (distances.min(axis=0) <= MAX_DISTANCE_NM).all():
            return tuple(good[place] for place in distances.argmin(axis=0).tolist())
    return good[0], good[len(good) // 2], good[-1]


def band_limits(statistics: CubeStatistics, bands: Sequence[int]) -> list[tuple[float, float]]:
    """The 2-98 % stretch of each band (from 0), in stored units; (0, 1) for an empty band."""
    limits: list[tuple[float, float]] = []
    for band in bands:
        found = statistics.bands[band]
        low, high = found.p2, found.p98
        if low is None or high is None:
            limits.append((0.0, 1.0))
        elif high > low:
            limits.append((low, high))
        else:
            limits.append((found.min or 0.0, found.max if found.max is not None else 1.0))
    return limits


def stretch(
    values: NDArray[Any], limits: Sequence[tuple[float, float]], nodata: float | None
) -> NDArray[np.uint8]:
    """An RGBA image, shape (rows, columns, 4), of one or three bands (band, y, x).

    Each band is mapped linearly from its limits to 0..255; a pixel with an invalid band is
    transparent.
    """
    if values.dtype.kind == "c":
        values, nodata = magnitudes(values, nodata), None
    mask = valid_mask(values, nodata).all(axis=0)
    image = np.zeros((*values.shape[1:], 4), np.uint8)
    for channel in range(3):
        band = channel if values.shape[0] == 3 else 0
        low, high = limits[band]
        scaled = (values[band].astype(np.float64) - low) * (255.0 / ((high - low) or 1.0))
        image[..., channel] = np.where(mask, np.clip(np.nan_to_num(scaled), 0, 255).round(), 0)
    image[..., 3] = np.where(mask, 255, 0)
    return image


def class_colours(values: NDArray[Any], classes: Sequence[CubeClass]) -> NDArray[np.uint8]:
    """An RGBA image, shape (rows, columns, 4), of class values (y, x) in the classes' colours; a
    value that is none of theirs is transparent."""
    ordered = sorted(classes, key=lambda entry: entry.value)
    known = np.array([entry.value for entry in ordered])
    colours = np.array([[*bytes.fromhex(entry.colour), 255] for entry in ordered], np.uint8)
    places = np.searchsorted(known, values).clip(max=known.size - 1)
    return np.where((known[places] == values)[..., None], colours[places], np.uint8(0))


def encode(
    image: NDArray[np.uint8], kind: str, max_pixels: int | None = None, *, mixed: bool = True
) -> bytes:
    """The picture as `PNG` or `WEBP`, its longer side brought to at most `max_pixels`; by the
    nearest pixel unless colours may be `mixed`. Colours are kept exactly where they may not."""
    picture = Image.fromarray(image)
    if max_pixels is not None:
        resampling = Image.Resampling.BICUBIC if mixed else Image.Resampling.NEAREST
        picture.thumbnail((max_pixels, max_pixels), resampling)
    buffer = io.BytesIO()
    picture.save(buffer, kind, lossless=not mixed)
    return buffer.getvalue()
