"""ENVI cubes that hypothesis makes: written by spectral, and by a writer of its own that lays
headers out as people and programs do. What comes out is held against spectral's reader and numpy.

The examples are the same in every run: a suite that fails now and then helps nobody. Whoever
changes the parser lets them vary: derandomize=False and max_examples=5000 in EXAMPLES.
"""

import math
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import spectral
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hsis_ingest.detect import open_source
from hsis_ingest.formats.source import ReadOptions
from tests.ingest.files import MemoryFile, open_files, whole

EXAMPLES = settings(
    derandomize=True,
    max_examples=80,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
CODES = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 6: "c8", 9: "c16", 12: "u2", 13: "u4",
         14: "i8", 15: "u8"}  # fmt: skip
AXES = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (2, 0, 1)}
"""Where band, y and x of a stored cube are among the file's axes."""
UNITS = {
    "Nanometers": 1, "nm": 1, "Micrometers": 1000, "um": 1000, "µm": 1000, "Microns": 1000,
    "Millimeters": 1e6, "Angstroms": 0.1,
}  # fmt: skip
NO_LENGTHS = ("Wavenumber", "GHz", "MHz", "Index")

DESCRIPTIONS = (
    "",
    "{A scan.}",
    "{A scan,\n  bands = 77,\n  of leaves}",
    "{Made by {some program}\n  bands = 77\n  of {the} lab}",
    "{A brace { that stays open}",
    "a scan\x85 bands = 77",
    "a scan\x0c\u2028bands = 77",
)
"""Texts that look like fields: none of them is one."""

numbers = st.floats(1e-3, 1e5, allow_nan=False).map(lambda value: float(f"{value:.6g}"))
names = st.text("abcdefgh XYZ0123456789_-()./", min_size=1, max_size=12).map(
    lambda text: " ".join(text.split()) or "band"
)


@dataclass
class Cube:
    """A file that is to be read: its header's fields, its bytes and what they are."""

    values: np.ndarray
    fields: dict[str, str]
    lists: dict[str, list[str]]
    content: bytes
    expected: dict[str, Any] = field(default_factory=dict)


@st.composite
def cubes(draw):
    """Any interleave, type, byte order and offset; any of the lists; values of any bits."""
    bands, lines, samples = (draw(st.integers(1, 5)) for _ in range(3))
    code, order = draw(st.sampled_from([*CODES])), draw(st.sampled_from([0, 1]))
    interleave = draw(st.sampled_from([*AXES]))
    offset = draw(st.sampled_from([0, 1, 7, 128]))
    dtype = np.dtype("<>"[order] + CODES[code])
    axes = AXES[interleave]
    size = bands * lines * samples * dtype.itemsize
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    data = rng.bytes(size)
    sizes = (bands, lines, samples)
    shape = tuple(sizes[axes.index(place)] for place in range(3))
    values = np.frombuffer(data, dtype).reshape(shape).transpose(axes)
    fields = {
        "samples": str(samples), "lines": str(lines), "bands": str(bands),
        "data type": str(code), "interleave": interleave, "byte order": str(order),
        "header offset": str(offset), "file type": "ENVI Standard",
    }  # fmt: skip
    lists, expected = draw(band_lists(bands))
    unit = draw(st.sampled_from([None, "Unknown", *UNITS, *NO_LENGTHS]))
    if unit is not None:
        fields["wavelength units"] = unit
    expected |= in_nanometres(lists, unit)
    nodata = draw(st.none() | st.integers(-9999, 9999) | numbers)
    if nodata is not None:
        fields["data ignore value"] = repr(nodata)
    factor = draw(st.none() | st.sampled_from([1, 100, 10000.0]))
    if factor is not None:
        fields["reflectance scale factor"] = repr(factor)
    expected |= {"nodata": nodata, "scale": 1 / factor if factor else 1}
    return Cube(values, fields, lists, rng.bytes(offset) + data, expected)


@st.composite
def band_lists(draw, bands):
    """Lists of one entry a band as texts, and what they say but for lengths."""

    def one_each(entries):
        return st.none() | st.lists(entries, min_size=bands, max_size=bands)

    given_lists = {
        "wavelength": draw(one_each(numbers)),
        "fwhm": draw(one_each(numbers)),
        "bbl": draw(one_each(st.sampled_from([0, 1]))),
    }
    lists = {key: [repr(v) for v in values] for key, values in given_lists.items() if values}
    flags = given_lists["bbl"]
    band_names = draw(one_each(names))
    if band_names:
        lists["band names"] = band_names
    expected = {
        "good_bands": tuple(map(bool, flags)) if flags else None,
        "band_names": tuple(band_names) if band_names else None,
    }
    return lists, expected


def in_nanometres(lists, unit):
    """What the lists of lengths say; a unit that is missing or unknown is guessed: no sensor of
    light has a band below 100 nm or above 100 µm."""
    found = {}
    wavelengths = [float(text) for text in lists.get("wavelength", [])]
    factor = UNITS.get(unit or "")
    if factor is None:
        factor = 1000 if wavelengths and max(wavelengths) < 100 else 1
    guessed = unit not in UNITS and not wavelengths
    for key, name in (("wavelength", "wavelengths_nm"), ("fwhm", "fwhm_nm")):
        values = [float(text) * factor for text in lists.get(key, [])]
        nothing = not values or unit in NO_LENGTHS or guessed
        found[name] = None if nothing else tuple(values)
    return found


@st.composite
def layouts(draw):
    """How a header is laid out."""
    return {
        "newline": draw(st.sampled_from(["\n", "\r\n"])),
        "before": draw(st.sampled_from(["", " ", "\t", "   "])),
        "after": draw(st.sampled_from(["", " ", "\t"])),
        "opening": draw(st.sampled_from(["{", "{ ", "{\n", "\n{", "\n  {\n "])),
        "between": draw(st.sampled_from([",", ", ", ",\n", " ,\n  ", ",\n; a comment\n", "\n,\n"])),
        "closing": draw(st.sampled_from(["}", " }", "\n}", ",}", ",\n}"])),
        "case": draw(st.sampled_from([str.lower, str.title, str.upper])),
        "comment": draw(st.booleans()),
        "bom": draw(st.booleans()),
        "description": draw(st.sampled_from(DESCRIPTIONS)),
        "order": draw(st.randoms(use_true_random=False)),
        "last_newline": draw(st.booleans()),
    }


def header_of(cube: Cube, layout) -> bytes:
    def line(key, value):
        return f"{layout['case'](key)}{layout['before']}={layout['after']}{value}"

    lines = [line(key, value) for key, value in cube.fields.items()]
    for key, entries in cube.lists.items():
        text = layout["opening"] + layout["between"].join(entries) + layout["closing"]
        lines.append(line(key, text))
    if layout.get("description"):
        lines.append(line("description", layout["description"]))
    layout["order"].shuffle(lines)
    if layout["comment"]:
        lines.insert(len(lines) // 2, "; bands = 77 {")
    text = "\n".join(["ENVI", *lines]) + "\n" * layout["last_newline"]
    encoding = "latin-1" if "\x85" in text and not layout["bom"] else "utf-8"  # as older programs
    encoded = text.replace("\n", layout["newline"]).encode(encoding)
    return b"\xef\xbb\xbf" * layout["bom"] + encoded


def assert_is(source, cube: Cube):
    values = whole(source)
    native = cube.values.astype(cube.values.dtype.newbyteorder("="))
    swapped = cube.values.dtype.byteorder not in {"|", "="} and not cube.values.dtype.isnative
    exact = np.ascontiguousarray(cube.values.byteswap() if swapped else cube.values).tobytes()
    assert values.shape == native.shape
    assert values.dtype == native.dtype
    assert values.tobytes() == exact  # NaN of any bits too
    for name, value in cube.expected.items():
        said = getattr(source.info, name)
        if isinstance(value, tuple) and isinstance(value[0], float):
            np.testing.assert_allclose(said, value, rtol=1e-15)
        else:
            assert said == value, name


@EXAMPLES
@given(cubes(), layouts())
def test_headers_of_any_layout(cube, layout):
    files = [MemoryFile("c.hdr", header_of(cube, layout)), MemoryFile("c.raw", cube.content)]
    assert_is(open_source(files, ReadOptions()), cube)


PLAIN = {
    "newline": "\n", "before": " ", "after": " ", "opening": "{", "between": ", ", "closing": "}",
    "case": str.lower, "comment": False, "bom": False, "last_newline": True,
}  # fmt: skip


@settings(EXAMPLES, max_examples=40)
@given(cubes(), st.randoms(use_true_random=False))
def test_what_spectral_reads_is_read(cube, order):
    """The same bytes through spectral's reader: values, lists and number of bands."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "c.hdr")
        path.write_bytes(header_of(cube, PLAIN | {"order": order}))
        Path(name, "c.raw").write_bytes(cube.content)
        image = spectral.envi.open(str(path), str(path.with_suffix(".raw")))
        theirs = np.array(image.open_memmap(interleave="bip")).transpose(2, 0, 1)
        source = open_files(path, path.with_suffix(".raw"))
        ours = whole(source)
    if theirs.dtype != ours.dtype:
        theirs = theirs.byteswap().view(theirs.dtype.newbyteorder("="))
    assert np.ascontiguousarray(theirs).tobytes() == ours.tobytes()
    centres = image.bands.centers
    unit = cube.fields.get("wavelength units", "")
    if centres and unit in UNITS:
        expected = [value * UNITS[unit] for value in centres]
        np.testing.assert_allclose(source.info.wavelengths_nm, expected, rtol=1e-15)
    if "band names" in cube.lists:
        assert list(source.info.band_names) == image.metadata["band names"]


@settings(EXAMPLES, max_examples=40)
@given(cubes())
def test_what_spectral_writes_is_read(cube):
    assume(cube.values.shape[1] > 1)  # else spectral asks for a buffer of one byte
    metadata = {key: [*entries] for key, entries in cube.lists.items()}
    said = ("wavelength units", "data ignore value", "reflectance scale factor")
    metadata |= {key: cube.fields[key] for key in said if key in cube.fields}
    dtype = cube.values.dtype.newbyteorder("=")
    native = cube.values if cube.values.dtype == dtype else cube.values.byteswap().view(dtype)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "c.hdr")
        spectral.envi.save_image(
            str(path), np.ascontiguousarray(native.transpose(1, 2, 0)), dtype=dtype, ext="raw",
            interleave=cube.fields["interleave"], byteorder=int(cube.fields["byte order"]),
            metadata=metadata,
        )  # fmt: skip
        assert_is(open_files(path, path.with_suffix(".raw")), cube)


def test_nan_values_keep_their_bits():
    payload = np.array([0x7FC0BEEF, 0xFFC00001], ">u4").tobytes()
    header = "ENVI\nsamples=2\nlines=1\nbands=1\ndata type=4\nbyte order=1\n"
    files = [MemoryFile("c.hdr", header.encode()), MemoryFile("c.raw", payload)]
    values = whole(open_source(files, ReadOptions()))
    assert values.view("u4").ravel().tolist() == [0x7FC0BEEF, 0xFFC00001]
    assert math.isnan(values.ravel()[0])
