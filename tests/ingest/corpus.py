"""Damaged and hostile uploads, each with the problem that its uploader is told."""

import gzip
import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
import scipy.io
import tifffile

from tests.ingest.hdf5_files import h5

CUBE = np.arange(6 * 9 * 7, dtype=np.int16).reshape(6, 9, 7)
ENVI = {
    "samples": "7", "lines": "9", "bands": "6", "header offset": "0", "data type": "2",
    "interleave": "bsq", "byte order": "0",
}  # fmt: skip
ENTITIES = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c SYSTEM "file:///etc/passwd">]>'
)
ENMAP = "ENMAP01-L2A-X"
BY_CONVERSION = {"envi-of-nan-only", "envi-negative-wavelength"}
"""Cases that a reader takes."""


@dataclass(frozen=True)
class Case:
    """An upload, what is asked of it, and the last part of the problem's type."""

    name: str
    problem: str
    files: dict[str, bytes]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def format(self) -> str:
        """What the name begins with."""
        return self.name.partition("-")[0]


def cases() -> list[Case]:
    """All of them."""
    return [*_envi(), *_numpy(), *_matlab(), *_tiff(), *_hdf5(), *_products(), *_others()]


def few() -> list[Case]:
    """One of each format and problem, and those that only a conversion finds."""
    chosen = {(case.format, case.problem): case for case in reversed(cases())}
    kept = {case.name for case in chosen.values()}
    return [case for case in cases() if case.name in kept | BY_CONVERSION]


def header(**changes: str | None) -> bytes:
    """An ENVI header that fits CUBE, but for what is changed (None: left out)."""
    entries = ENVI | {key.replace("_", " "): value for key, value in changes.items()}
    lines = [f"{key} = {value}" for key, value in entries.items() if value is not None]
    return "\n".join(["ENVI", *lines, ""]).encode()


def _envi() -> list[Case]:
    data = CUBE.tobytes()
    mismatched: dict[str, dict[str, str | None]] = {
        "more-lines-said": {"lines": "8"},
        "no-bands": {"bands": None},
        "negative-lines": {"lines": "-9"},
        "samples-beyond-64-bits": {"samples": "9" * 25},
        "zero-samples": {"samples": "0"},
        "samples-of-no-number": {"samples": "seven"},
        "fractional-bands": {"bands": "6.5"},
        "unknown-interleave": {"interleave": "xyz"},
        "unknown-byte-order": {"byte_order": "7"},
        "negative-offset": {"header_offset": "-1"},
        "too-few-wavelengths": {"wavelength": "{400, 500}"},
        "a-wavelength-nan": {"wavelength": "{400, nan, 500, 600, 700, 800}"},
        "a-wavelength-infinite": {"wavelength": "{400, inf, 500, 600, 700, 800}"},
        "negative-wavelength": {"wavelength": "{400, -450, 500, 600, 700, 800}"},
        "bbl-too-long": {"bbl": "{1, 1, 1, 1, 1, 1, 1}"},
        "bbl-of-words": {"bbl": "{yes, yes, yes, yes, yes, no}"},
        "an-open-brace": {"wavelength": "{400, 500"},
        "map-info-of-words": {"map_info": "{UTM, one, 1, east, north, 30, 30, 33, North}"},
        "scale-of-no-number": {"reflectance_scale_factor": "ten"},
        "a-gain-of-zero": {"data_gain_values": "{1, 2, 0, 4, 5, 6}"},
    }
    truncated: dict[str, dict[str, str | None]] = {
        "fewer-bytes-than-said": {"lines": "10"},
        "offset-behind-the-end": {"header_offset": "999999999999"},
        "huge-sizes": {"samples": "2000000000", "lines": "2000000000", "bands": "2000000000"},
    }
    unsupported: dict[str, dict[str, str | None]] = {
        "unknown-data-type": {"data_type": "99"},
        "compressed-data": {"file_compression": "1"},
        "frame-offsets": {"major_frame_offsets": "{4, 4}"},
        "spectral-library": {"file_type": "ENVI Spectral Library"},
    }
    pairs = [
        Case(f"envi-{name}", problem, {"a.hdr": header(**changes), "a.raw": data})
        for problem, group in (
            ("header-mismatch", mismatched),
            ("truncated-file", truncated),
            ("unsupported-format", unsupported),
        )
        for name, changes in group.items()
    ]
    return [
        *pairs,
        Case("envi-without-data", "missing-data", {"a.hdr": header()}),
        Case("envi-without-header", "missing-header", {"a.raw": data}),
        Case("envi-of-nan-only", "no-valid-data",
             {"a.hdr": header(data_type="4"), "a.raw": np.full(378, np.nan, "<f4").tobytes()}),
        Case("envi-two-cubes", "unsupported-format",
             {"a.hdr": header(), "a.raw": data, "b.hdr": header(), "b.raw": data}),
    ]  # fmt: skip


def _numpy() -> list[Case]:
    content = _saved(lambda file: np.save(file, CUBE))

    def changed(old: bytes, new: bytes) -> bytes:
        assert old in content
        at = content.index(old)
        return content[:at] + new + content[at + len(old) :].replace(b" ", b"", len(new) - len(old))

    pickled = _saved(lambda file: np.save(file, np.array([[[{"a": 1}]]]), allow_pickle=True))
    files = {
        "truncated": ("truncated-file", content[:-5]),
        "cut-in-its-header": ("truncated-file", content[:40]),
        "of-objects": ("unsupported-format", pickled),
        "of-text": ("unsupported-format", _saved(lambda f: np.save(f, np.full((2, 2, 2), "text")))),
        "of-an-unknown-version": ("unsupported-format", content[:6] + b"\x09" + content[7:]),
        "of-four-axes": ("unsupported-format", _saved(lambda f: np.save(f, CUBE[None][[0, 0]]))),
        "empty": ("unsupported-format", _saved(lambda file: np.save(file, CUBE[:0]))),
        "negative": ("unsupported-format", changed(b"(6, 9, 7)", b"(6, 9,-7)")),
        "larger-than-it-is": ("truncated-file", changed(b"(6, 9, 7)", b"(66, 9, 7)")),
        "whose-header-calls": ("truncated-file", changed(b"(6, 9, 7)", b"print(69)")),
    }
    return [
        Case(f"npy-{name}", problem, {"a.npy": told}) for name, (problem, told) in files.items()
    ]


def _matlab() -> list[Case]:
    def saved(values: dict[str, Any], **options: Any) -> bytes:
        return _saved(lambda file: scipy.io.savemat(file, values, **options))

    content = saved({"cube": CUBE})
    packed = saved({"cube": CUBE}, do_compression=True)
    bomb = saved({"cube": np.zeros((300, 300, 300), np.uint8)}, do_compression=True)
    cells = saved({"cube": np.array([["a", {"b": 1}]], dtype=object)})
    plane = saved({"plane": CUBE[0]})
    files: dict[str, tuple[str, bytes, dict[str, Any]]] = {
        "truncated": ("truncated-file", content[:-40], {}),
        "damaged-zlib": ("truncated-file", packed[:160] + b"\xff" * 40 + packed[200:], {}),
        "bomb": ("decompression-bomb", bomb, {}),
        "of-cells": ("variable-needed", cells, {}),
        "without-cube": ("variable-needed", plane, {}),
        "of-two-cubes": ("variable-needed", saved({"a": CUBE, "b": CUBE}), {}),
        "without-the-variable": ("variable-needed", content, {"variable": "other"}),
        "of-another-shape": ("invalid-input", plane,
                             {"variable": "plane", "rows": 50, "columns": 50}),
    }  # fmt: skip
    return [
        Case(f"mat-{n}", problem, {"a.mat": c}, more) for n, (problem, c, more) in files.items()
    ]


def _tiff() -> list[Case]:
    def tif(values: Any = CUBE, **options: Any) -> bytes:
        return _saved(
            lambda file: tifffile.imwrite(file, values, **{"photometric": "minisblack"} | options)
        )

    content = tif()
    circle = bytearray(tif(CUBE[0]))
    with tifffile.TiffFile(io.BytesIO(bytes(circle))) as file:
        page = file.pages[0]
        tags = len(page.tags)
        after = page.offset + 2 + 12 * tags
        first = page.offset
    circle[after : after + 4] = first.to_bytes(4, "little")
    wide = bytearray(tif(np.zeros((9, 64), np.uint8), tile=(16, 16)))
    with tifffile.TiffFile(io.BytesIO(bytes(wide))) as file:
        width = file.pages[0].tags["ImageWidth"]
    wide[width.offset + 2 : width.offset + 4] = b"\4\0"
    wide[width.valueoffset : width.valueoffset + 4] = (10_000_000).to_bytes(4, "little")
    bomb = bytearray(wide)
    bomb[width.valueoffset : width.valueoffset + 4] = (2_000_000_000).to_bytes(4, "little")
    sizes = io.BytesIO()
    with tifffile.TiffWriter(sizes) as writer:
        writer.write(CUBE[0], photometric="minisblack")
        writer.write(CUBE[0, :4], photometric="minisblack")
    ome = tif(ome=True, metadata={"axes": "CYX"})
    other = f'<?xml version="1.0"?>{ENTITIES}<OME/>'
    files = {
        "truncated": ("truncated-file", content[:300]),
        "of-eight-bytes": ("truncated-file", content[:8]),
        "in-a-circle": ("truncated-file", bytes(circle)),
        "of-declared-tiles": ("truncated-file", bytes(wide)),
        "far-too-wide": ("decompression-bomb", bytes(bomb)),
        "of-two-sizes": ("unsupported-format", sizes.getvalue()),
        "of-five-axes": ("unsupported-format", tif(np.zeros((2, 3, 4, 5), "u1"), ome=True,
                                                   metadata={"axes": "TCYX"})),
        "with-entities": ("unsupported-format", _with_description(ome, other.encode())),
    }  # fmt: skip
    return [
        Case(f"tif-{name}", problem, {"a.tif": told}) for name, (problem, told) in files.items()
    ]


def _with_description(content: bytes, text: bytes) -> bytes:
    """A TIFF with another description of at most the same length."""
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        tag = file.pages[0].tags["ImageDescription"]
    assert len(text) <= tag.count - 1
    at = tag.valueoffset
    return content[:at] + text.ljust(tag.count - 1) + content[at + tag.count - 1 :]


def _hdf5() -> list[Case]:
    def with_chunk(content: bytes, **layout: Any) -> Callable[[h5py.File], Any]:
        def write(file: h5py.File) -> None:
            made = file.create_dataset("cube", (4, 8, 8), "u1", chunks=(4, 8, 8), **layout)
            made.id.write_direct_chunk((0, 0, 0), content)

        return write

    def circle(file: h5py.File) -> None:
        file["a"] = h5py.SoftLink("/b")
        file["b"] = h5py.SoftLink("/a")

    def virtual(file: h5py.File) -> None:
        layout = h5py.VirtualLayout((3, 3, 3), "f8")
        layout[...] = h5py.VirtualSource("/etc/other.h5", "cube", (3, 3, 3))
        file.create_virtual_dataset("cube", layout)

    whole = h5(lambda file: file.__setitem__("cube", CUBE)).content
    inflating = zlib.compress(bytes(100_000), 9)
    writers: dict[str, tuple[str, Callable[[h5py.File], Any], dict[str, Any]]] = {
        "linked-to-etc": ("external-reference",
                          lambda f: f.__setitem__("x", h5py.ExternalLink("/etc/passwd", "/")), {}),
        "stored-in-etc": ("external-reference", lambda f: f.create_dataset(
            "cube", (3, 3, 3), "f8", external=[("/etc/passwd", 0, 216)]), {}),
        "virtual": ("external-reference", virtual, {}),
        "soft-links-in-a-circle": ("unsupported-format", circle, {"variable": "a"}),
        "a-chunk-that-inflates": ("decompression-bomb",
                                  with_chunk(inflating, compression="gzip"), {}),
        "a-damaged-chunk": ("truncated-file", with_chunk(b"\1" * 40, compression="gzip"), {}),
        "a-short-checksum": ("truncated-file", with_chunk(b"\1\2", fletcher32=True), {}),
        "a-false-checksum": ("truncated-file",
                             with_chunk(bytes(256) + b"\1\2\3\4", fletcher32=True), {}),
        "declared-only": ("decompression-bomb",
                          lambda f: f.create_dataset("cube", (10**6, 10**6, 10**3), "u1"), {}),
        "an-unknown-filter": ("unsupported-format", lambda f: f.create_dataset(
            "cube", data=CUBE, chunks=True, scaleoffset=0), {}),
        "of-text": ("variable-needed", lambda f: f.__setitem__("x", ["a", "b"]), {}),
        "of-two-cubes": ("variable-needed",
                         lambda f: [f.__setitem__(name, CUBE) for name in "ab"], {}),
        "without-the-variable": ("variable-needed", lambda f: f.__setitem__("a", CUBE),
                                 {"variable": "b"}),
    }  # fmt: skip
    return [
        Case("h5-truncated", "truncated-file", {"a.h5": whole[:900]}),
        *(
            Case(f"h5-{name}", problem, {"a.h5": h5(write).content}, options)
            for name, (problem, write, options) in writers.items()
        ),
    ]


def _products() -> list[Case]:
    image = _saved(lambda file: tifffile.imwrite(file, CUBE, photometric="minisblack"))

    def enmap(metadata: str) -> dict[str, bytes]:
        return {
            f"{ENMAP}-METADATA.XML": metadata.encode(),
            f"{ENMAP}-SPECTRAL_IMAGE.TIF": image,
        }

    return [
        Case("enmap-with-entities", "unsupported-format",
             enmap(f'<?xml version="1.0"?>{ENTITIES}<level_X>&b;&c;</level_X>')),
        Case("enmap-cut", "truncated-file", enmap("<level_X><base>")),
        Case("enmap-without-image", "missing-data", {f"{ENMAP}-METADATA.XML": b"<level_X/>"}),
        Case("enmap-of-other-xml", "unsupported-format", enmap("<kml></kml>")),
        Case("prisma-without-cubes", "header-mismatch", {"a.he5": h5(
            lambda f: f.create_group("HDFEOS/SWATHS/PRS_L2D_HCO")).content}),
    ]  # fmt: skip


def _others() -> list[Case]:
    noise = np.random.default_rng(7).bytes(4000)
    files = {
        "text": b"wavelength,value\n400,0.1\n",
        "noise": noise,
        "not-utf-8": b"\xff\xfe\x00E\x00N\x00V\x00I",
        "a-picture": b"\x89PNG\r\n\x1a\n" + noise,
        "a-gdal-vrt": b"<VRTDataset><SourceFilename>/etc/passwd</SourceFilename></VRTDataset>",
        "a-program": b"\x7fELF" + noise,
        "only-zeros": bytes(5000),
        "something-packed": gzip.compress(noise),
    }
    return [
        Case("other-empty", "truncated-file", {"empty.dat2": b""}),
        *(Case(f"other-{n}", "unknown-format", {f"{n}.dat2": told}) for n, told in files.items()),
    ]


def _saved(write: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()
