"""Reflectance of a raw scene by the white and dark references of its camera."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsis.contracts.uploads import Calibration
from hsis.cube import gains
from hsis_ingest.errors import DecompressionBomb, ReferenceMismatch, UnsupportedFormat
from hsis_ingest.formats import repair
from hsis_ingest.formats.envi import EnviSource
from hsis_ingest.formats.panels import WhitePanel
from hsis_ingest.formats.source import ReadOptions

FORMAT = "ENVI capture"
BLOCK_BYTES = 16 * 1024 * 1024
"""Of a reference, averaged at once, about."""
SAME_WAVELENGTH_NM = 0.05


class ReflectanceSource:
    """(scene - dark) / (white - dark of the white) x reflectance of the white panel, a band and
    sample of the detector each, as float32; the references are averaged over their lines.

    Where the headers say exposure times, both sides are those of one unit of time. Without a dark
    reference of its own the white one has the scene's. Nodata is NaN.
    """

    format_name = FORMAT
    outline = None

    def __init__(
        self,
        scene: EnviSource,
        white: EnviSource,
        dark: EnviSource,
        white_dark: EnviSource | None,
        options: ReadOptions,
    ) -> None:
        frames = [white, dark, *([] if white_dark is None else [white_dark])]
        _check_frame(scene, options)
        for frame in frames:
            _check_fits(scene, frame)
        _check_same_exposure(scene, dark)
        if white_dark is not None:
            _check_same_exposure(white, white_dark)
        ratio = _exposure_ratio(scene, white)
        told = options.panel
        panel = np.ones(scene.info.bands) if told is None else told.of_bands(scene.info)
        self._scene = scene
        self._dark = _mean(dark)
        under_white = self._dark if white_dark is None else _mean(white_dark)
        bright = _mean(white) - under_white
        with np.errstate(all="ignore"):  # an exposure may be absurd
            self._span = bright if ratio is None else bright / ratio[:, None]
            self._span = self._span / panel[:, None]
        dead = ~(np.isfinite(self._span) & np.isfinite(self._dark) & (self._span > 0))
        _check_bright(dead, white, dark)
        self._span[dead] = np.nan
        self._repairs = repair.planned(dead)
        self.axes = scene.axes
        self.acquired_at: datetime | None = scene.acquired_at
        self.info = dataclasses.replace(
            scene.info, dtype=np.dtype(np.float32), unit="1", scale=1.0, offset=0.0,
            nodata=float("nan"), classes=(),
        )  # fmt: skip
        self.properties: Mapping[str, Any] = {
            "processing:level": "L2",
            "processing:lineage": _lineage(white_dark is not None, ratio, told),
            "hsi:calibration": Calibration.REFLECTANCE.value,
            "hsi:calibration_files": [frame.data_name for frame in frames],
            "hsi:repaired_elements": self._repairs.count,
            "hsi:lost_elements": self._repairs.lost,
            **_told(ratio),
            **({} if told is None else told.told(panel)),
        }

    def read(self, bands: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """A window, shape (band, y, x)."""
        wide_bands, wide_columns = self._repairs.bounds(bands, columns)
        raw = self._scene.read(wide_bands, rows, wide_columns)
        values = np.empty(raw.shape, np.float32)
        for place, band in enumerate(range(wide_bands.start, wide_bands.stop)):
            physical = _physical(self._scene, raw[place], band)
            physical -= self._dark[band, wide_columns]
            physical /= self._span[band, wide_columns]
            values[place] = physical
        self._repairs.apply(values, wide_bands, wide_columns)
        first, left = bands.start - wide_bands.start, columns.start - wide_columns.start
        return np.ascontiguousarray(
            values[
                first : first + bands.stop - bands.start,
                :,
                left : left + columns.stop - columns.start,
            ]
        )

    def close(self) -> None:
        """Nothing is held."""


def _physical(source: EnviSource, stored: NDArray[Any], band: int) -> NDArray[np.float64]:
    """Values of a band as the header scales them, NaN for those that are none."""
    info = source.info
    scale, offset = (gains.of_bands(each, [band]) for each in (info.scale, info.offset))
    values = gains.physical(stored, scale, offset)
    if info.nodata is not None:
        values[stored == info.nodata] = np.nan
    return values


def _mean(source: EnviSource) -> NDArray[np.float64]:
    """A reference averaged over its lines, shape (band, sample); NaN where no line has a value."""
    bands, lines, samples = source.info.shape
    total = np.zeros((bands, samples))
    counts = np.zeros((bands, samples), np.int64)
    step = max(1, BLOCK_BYTES // (bands * samples * 8))
    for start in range(0, lines, step):
        rows = slice(start, min(start + step, lines))
        block = source.read(slice(0, bands), rows, slice(0, samples))
        for band, stored in enumerate(block):
            values = _physical(source, stored, band)
            known = np.isfinite(values)
            total[band] += np.where(known, values, 0.0).sum(axis=0)
            counts[band] += known.sum(axis=0)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)


def _check_frame(scene: EnviSource, options: ReadOptions) -> None:
    bands, _, samples = scene.info.shape
    if bands * samples * 8 > options.max_chunk_bytes:
        raise DecompressionBomb(
            f"{scene.data_name}: a frame of {bands} bands x {samples} samples takes "
            f"{bands * samples * 8} bytes; at most {options.max_chunk_bytes} are taken (setting "
            "max_chunk_bytes)."
        )
    if scene.info.dtype.kind == "c" or scene.info.classes:
        raise UnsupportedFormat(
            f"{scene.data_name} holds classes or complex numbers: no counts of a detector."
        )


def _check_fits(scene: EnviSource, frame: EnviSource) -> None:
    """ReferenceMismatch where a reference was not measured as the scene was."""
    (bands, _, samples), (own_bands, _, own_samples) = scene.info.shape, frame.info.shape
    if (bands, samples) != (own_bands, own_samples):
        raise ReferenceMismatch(
            f"{frame.data_name} has {own_bands} bands x {own_samples} samples; the {bands} x "
            f"{samples} of {scene.data_name} are right."
        )
    if frame.info.dtype.kind == "c":
        raise UnsupportedFormat(f"{frame.data_name} holds complex numbers, no counts.")
    mine, its = scene.info.wavelengths_nm, frame.info.wavelengths_nm
    if mine and its and np.abs(np.subtract(mine, its)).max() > SAME_WAVELENGTH_NM:
        raise ReferenceMismatch(
            f"{frame.data_name} and {scene.data_name} have bands of different wavelengths."
        )


def _check_same_exposure(lit: EnviSource, dark: EnviSource) -> None:
    """A dark frame is subtracted as it is: it must be exposed as long, where both say."""
    one, other = lit.exposure, dark.exposure
    if one is not None and other is not None and not one.same_as(other):
        raise ReferenceMismatch(
            f"{dark.header_name} says {other}, {lit.header_name} {one}: a dark reference of the "
            "same exposure is right."
        )


def _exposure_ratio(scene: EnviSource, white: EnviSource) -> NDArray[np.float64] | None:
    """How much longer the white reference was exposed than the scene, one value a band; None where
    neither header says."""
    one, other = scene.exposure, white.exposure
    if one is None and other is None:
        return None
    if one is None or other is None:
        silent, telling = (scene, white) if one is None else (white, scene)
        raise ReferenceMismatch(
            f"{telling.header_name} says {telling.exposure}, {silent.header_name} no exposure: "
            "both or neither is right."
        )
    if one.key != other.key:
        raise ReferenceMismatch(
            f"{scene.header_name} says {one}, {white.header_name} {other}: exposures of the same "
            "name and so the same unit are right."
        )
    ratio: NDArray[np.float64] = other.times / one.times
    return ratio


def _check_bright(dead: NDArray[np.bool_], white: EnviSource, dark: EnviSource) -> None:
    """ReferenceMismatch where most of the white reference is no brighter than the dark one."""
    if 2 * int(dead.sum()) > dead.size:
        raise ReferenceMismatch(
            f"{white.data_name} is no brighter than the dark reference {dark.data_name} at "
            f"{int(dead.sum())} of {dead.size} detector elements; are they what their names say?"
        )


def _lineage(own_dark: bool, ratio: NDArray[np.float64] | None, panel: WhitePanel | None) -> str:
    under = "dark of white" if own_dark else "dark"
    exposures = "" if ratio is None else " x exposure of white / exposure of scene"
    reflected = "" if panel is None else " x reflectance of white"
    return f"(scene - dark) / (white - {under}){exposures}{reflected}"


def _told(ratio: NDArray[np.float64] | None) -> dict[str, Any]:
    """One number, or of two cameras one each, in the order of bands."""
    if ratio is None:
        return {}
    different = list(dict.fromkeys(ratio.tolist()))
    return {"hsi:exposure_ratio": different[0] if len(different) == 1 else different}
