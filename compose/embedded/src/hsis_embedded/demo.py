"""A synthetic scene whose truth is known, and its loading into a running HSIS.

The linear mixing model: a pixel is the sum of endmember spectra weighted by abundances that are
not negative and sum to one, plus noise. Some pixels are of another material: the planted anomaly.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from hsis.clients.catalog import CatalogClient
from hsis.clients.ingest import IngestClient
from hsis.clients.sending import send_files
from hsis.contracts.spectra import NewSpectrum
from hsis.contracts.uploads import DeclaredFile, Upload, UploadRequest, UploadState
from hsis.errors import DomainError, NotFound

COLLECTION, ITEM = "demo", "synthetic-scene"
BANDS, ROWS, COLUMNS = 96, 160, 200
REFLECTANCE_SCALE = 10_000
NOISE_REFLECTANCE = 0.002
SMOOTHING_PIXELS = 12.0
CONTRAST = 4.0
TIMEOUT_S = 60.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DemoScene:
    """A scene and everything that it was made of.

    `cube` is (band, y, x) uint16, reflectance x 10000. `endmembers` is (endmember, band) and
    `anomaly_spectrum` (band) in reflectance from 0 to 1. `abundances` is (endmember, y, x), not
    negative, of sum 1 over the endmembers. `anomaly_mask` is (y, x), true for the pixels that
    hold the anomaly's spectrum instead of a mixture.
    """

    cube: NDArray[np.uint16]
    wavelengths_nm: Floats
    fwhm_nm: Floats
    endmember_names: tuple[str, ...]
    endmembers: Floats
    abundances: Floats
    anomaly_spectrum: Floats
    anomaly_mask: NDArray[np.bool_]


def make_scene(
    seed: int = 7, *, bands: int = BANDS, rows: int = ROWS, columns: int = COLUMNS
) -> DemoScene:
    """The scene of a seed; the same seed gives the same scene. At least 16 rows and columns."""
    if min(rows, columns) < 16:
        raise ValueError(f"{rows} rows x {columns} columns; at least 16 each are right")
    random = np.random.default_rng(seed)
    wavelengths_nm = np.round(np.linspace(420.0, 2400.0, bands), 2)
    spectra = _materials(wavelengths_nm)
    abundances = _abundances(random, len(spectra), rows, columns)
    endmembers = np.stack(list(spectra.values()))
    reflectance = np.einsum("eb,eyx->byx", endmembers, abundances)
    mask = _anomaly_mask(random, rows, columns)
    anomaly = _anomaly(wavelengths_nm)
    reflectance[:, mask] = anomaly[:, None]
    reflectance += random.normal(0.0, NOISE_REFLECTANCE, reflectance.shape)
    stored = np.clip(np.rint(reflectance * REFLECTANCE_SCALE), 0, np.iinfo(np.uint16).max)
    return DemoScene(
        cube=stored.astype(np.uint16),
        wavelengths_nm=wavelengths_nm,
        fwhm_nm=np.full(bands, round(float(wavelengths_nm[1] - wavelengths_nm[0]), 2)),
        endmember_names=tuple(spectra),
        endmembers=endmembers,
        abundances=abundances,
        anomaly_spectrum=anomaly,
        anomaly_mask=mask,
    )


def write_envi(scene: DemoScene, folder: Path, name: str = ITEM) -> tuple[Path, Path]:
    """Write the scene as `<name>.hdr` and `<name>.raw` (band sequential, little endian)."""
    header, data = folder / f"{name}.hdr", folder / f"{name}.raw"
    bands, rows, columns = scene.cube.shape
    fields = {
        "description": "{Synthetic scene of HSIS: linear mixtures, noise, a planted anomaly}",
        "samples": columns,
        "lines": rows,
        "bands": bands,
        "header offset": 0,
        "file type": "ENVI Standard",
        "data type": 12,
        "interleave": "bsq",
        "byte order": 0,
        "reflectance scale factor": REFLECTANCE_SCALE,
        "wavelength units": "Nanometers",
        "wavelength": _listed(scene.wavelengths_nm),
        "fwhm": _listed(scene.fwhm_nm),
    }
    data.write_bytes(scene.cube.astype("<u2").tobytes())
    lines = ["ENVI", *(f"{key} = {value}" for key, value in fields.items())]
    header.write_text("\n".join(lines) + "\n", encoding="ascii")
    return header, data


async def load(url: str, password: str) -> None:
    """Put the scene and its endmembers into the collection `demo` of the HSIS at `url`.

    What is there already stays. Raises DomainError where HSIS refuses or cannot convert it.
    """
    async with _logged_in(url, password) as http:
        catalog, ingest = CatalogClient(http, url), IngestClient(http, url)
        scene = await asyncio.to_thread(make_scene)
        if not await _is_there(catalog):
            await _upload(ingest, scene)
        await _add_endmembers(catalog, scene)


@asynccontextmanager
async def _logged_in(url: str, password: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as http:
        token = (await CatalogClient(http, url).login("admin", password)).access_token
        http.headers["Authorization"] = f"Bearer {token}"
        yield http


async def _is_there(catalog: CatalogClient) -> bool:
    try:
        await catalog.item(COLLECTION, ITEM)
    except NotFound:
        return False
    return True


async def _upload(ingest: IngestClient, scene: DemoScene) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = await asyncio.to_thread(write_envi, scene, Path(folder))
        request = UploadRequest(
            collection=COLLECTION, id=ITEM, files=[DeclaredFile(name=path.name) for path in paths]
        )
        upload: Upload = await send_files(ingest, request, paths)
    async for current in ingest.wait(upload.id):
        upload = current
    if upload.state is UploadState.FAILED:
        reason = upload.error.detail if upload.error else "no reason was given"
        raise DomainError(f"The sample scene could not be stored: {reason}")


async def _add_endmembers(catalog: CatalogClient, scene: DemoScene) -> None:
    known = {spectrum.name for spectrum in await catalog.spectra(COLLECTION)}
    for name, values in zip(scene.endmember_names, scene.endmembers, strict=True):
        if name not in known:
            await catalog.add_spectrum(
                NewSpectrum(
                    collection=COLLECTION,
                    name=name,
                    values=values.tolist(),
                    wavelengths_nm=scene.wavelengths_nm.tolist(),
                    unit="reflectance",
                    source="made by code with the synthetic scene",
                )
            )


def _materials(wavelengths_nm: Floats) -> dict[str, Floats]:
    """Smooth reflectance spectra in the manner of common materials, by name."""

    def step(center: float, width: float) -> Floats:
        return np.asarray(1 / (1 + np.exp(-(wavelengths_nm - center) / width)), np.float64)

    def bump(center: float, width: float) -> Floats:
        return _bump(wavelengths_nm, center, width)

    water_bands = 1 - 0.45 * bump(1450, 70) - 0.6 * bump(1940, 80)
    return {
        "vegetation": (0.04 + 0.07 * bump(550, 35) + 0.44 * step(715, 14) - 0.22 * step(1350, 120))
        * water_bands,
        "soil": (0.08 + 0.3 * step(900, 260)) * (1 - 0.12 * bump(1920, 60) - 0.2 * bump(2205, 45)),
        "water": 0.015 + 0.07 * bump(520, 90) * (1 - step(720, 25)),
        "concrete": 0.26 + 0.08 * step(600, 110) - 0.06 * bump(2330, 50) - 0.03 * bump(1930, 50),
    }


def _anomaly(wavelengths_nm: Floats) -> Floats:
    """The spectrum of a painted surface, unlike any mixture of the endmembers."""
    peaks = 0.55 * _bump(wavelengths_nm, 640, 60) + 0.4 * _bump(wavelengths_nm, 1700, 90)
    return np.asarray(0.06 + peaks, np.float64)


def _bump(wavelengths_nm: Floats, center_nm: float, width_nm: float) -> Floats:
    return np.asarray(np.exp(-0.5 * ((wavelengths_nm - center_nm) / width_nm) ** 2), np.float64)


def _abundances(random: np.random.Generator, count: int, rows: int, columns: int) -> Floats:
    """Abundances (endmember, y, x) that vary smoothly: the softmax of smoothed noise."""
    fields = np.stack([_smoothed(random.standard_normal((rows, columns))) for _ in range(count)])
    fields = (fields - fields.mean((1, 2), keepdims=True)) / fields.std((1, 2), keepdims=True)
    weights = np.exp(CONTRAST * fields)
    return np.asarray(weights / weights.sum(0), np.float64)


def _smoothed(field: Floats) -> Floats:
    """The field under a Gaussian of SMOOTHING_PIXELS, periodic at the edges, by FFT."""
    y = np.fft.fftfreq(field.shape[0])[:, None]
    x = np.fft.fftfreq(field.shape[1])[None, :]
    transfer = np.exp(-2 * (np.pi * SMOOTHING_PIXELS) ** 2 * (y**2 + x**2))
    return np.asarray(np.fft.ifft2(np.fft.fft2(field) * transfer).real, np.float64)


def _anomaly_mask(random: np.random.Generator, rows: int, columns: int) -> NDArray[np.bool_]:
    """One patch of 2 rows x 3 columns, at least two pixels from the edges."""
    mask = np.zeros((rows, columns), np.bool_)
    y, x = int(random.integers(2, rows - 4)), int(random.integers(2, columns - 5))
    mask[y : y + 2, x : x + 3] = True
    return mask


def _listed(values: NDArray[Any]) -> str:
    return "{" + ", ".join(repr(float(value)) for value in values) + "}"
