"""Which of many files belong together: the scenes of a folder or of an archive, by their names."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import count
from pathlib import PurePosixPath

from hsis.contracts.ids import id_from_filename

HEADER = ".hdr"
DATA_SUFFIXES = frozenset(
    {"", ".raw", ".img", ".dat", ".bin", ".bsq", ".bil", ".bip", ".cube", ".cub", ".envi"}
)
"""Of ENVI data files, in lower case. ENVI itself prescribes none."""
REFERENCES = ("whiteref_", "darkref_", "whitedarkref_")
"""How the references of a raw scene begin, in lower case; its own name follows."""
HYPERION = "EO1H"
"""How the files of a Hyperion product begin; `_MTL_…` or a band as in `_B001_…` follow."""
HYPERION_METADATA, HYPERION_BAND = "MTL", re.compile(r"B\d{3}")
ENMAP_METADATA, ENMAP_IMAGE = "METADATA.XML", "SPECTRAL_IMAGE.TIF"
BESIDE = frozenset(
    {
        ".txt", ".md", ".rst", ".pdf", ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".svg",
        ".xml", ".json", ".geojson", ".csv", ".tsv", ".html", ".htm", ".kml", ".kmz", ".log",
        ".md5", ".sha1", ".sha256", ".doc", ".docx", ".odt", ".xls", ".xlsx", ".ods", ".yaml",
        ".yml", ".ini", ".cfg", ".py", ".ipynb", ".m", ".r", ".prj", ".aux", ".ovr", ".tfw",
        ".enp", ".sta", ".lnk", ".url", ".db", ".shp", ".shx", ".dbf", ".sct",
    }
)  # fmt: skip
"""Suffixes of what lies beside scenes and is none, in lower case."""

Scene = tuple[PurePosixPath, ...]
"""The files of one scene; the first one is that which it is called after."""


def belongs(name: str, other: str) -> bool:
    """Whether one is the ENVI header of the other: `a.hdr` or `a.raw.hdr` of `a.raw`."""
    if name.lower().endswith(HEADER) == other.lower().endswith(HEADER):
        return False
    header, data = (name, other) if name.lower().endswith(HEADER) else (other, name)
    stem = header[: -len(HEADER)]
    if stem == data:
        return True
    path = PurePosixPath(data)
    return path.stem == stem and path.suffix.lower() in DATA_SUFFIXES


def scenes_of(paths: Sequence[PurePosixPath]) -> tuple[list[Scene], list[PurePosixPath]]:
    """The scenes among files, by folder and name, and the files that are of none.

    A scene is an ENVI header with its data file (and the references called after it), the metadata
    of an EnMAP product with its image or of a Hyperion product with its bands, or any other file
    that is not just beside scenes: pictures, notes, hidden files.
    """
    folders: dict[PurePosixPath, list[PurePosixPath]] = {}
    beside: list[PurePosixPath] = []
    for path in sorted(paths):
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
        (beside if hidden else folders.setdefault(path.parent, [])).append(path)
    scenes: list[Scene] = []
    for files in folders.values():
        found, rest = _of_folder(files)
        scenes += found
        beside += rest
    return scenes, beside


def scene_ids(scenes: Sequence[Scene], given: str | None = None) -> list[str]:
    """An item id for each scene, made of its first file's name, with its folders where two are
    called the same. A `given` id is that of a single scene; of several it is the beginning."""
    if given is not None and len(scenes) == 1:
        return [given]
    short = [id_from_filename(scene[0].name) for scene in scenes]
    alike, taken = Counter(short), set[str]()
    again: dict[str, int] = {}  # by id, the next number to try
    ids: list[str] = []
    for scene, name in zip(scenes, short, strict=True):
        chosen = name if alike[name] == 1 else id_from_filename("-".join(scene[0].parts))
        base = chosen = chosen if given is None else f"{given}-{chosen}"[:128]
        numbers = count(again.get(base, 2))
        while chosen in taken:
            again[base] = (number := next(numbers)) + 1
            chosen = f"{base[:120]}-{number}"
        taken.add(chosen)
        ids.append(chosen)
    return ids


def _of_folder(files: list[PurePosixPath]) -> tuple[list[Scene], list[PurePosixPath]]:
    scenes = _of_enmap(files)
    taken = {path for scene in scenes for path in scene}
    prefixes = {image.name[: -len(ENMAP_IMAGE)] for image, _ in scenes}
    lengths = {len(prefix) for prefix in prefixes}
    left: list[PurePosixPath] = []
    beside: list[PurePosixPath] = []
    for path in files:  # beside an EnMAP product lie its quicklooks and masks
        if path not in taken:
            is_of = any(path.name[:length] in prefixes for length in lengths)
            (beside if is_of else left).append(path)
    for of_kind in (_of_hyperion, _of_envi):
        found, left = of_kind(left)
        scenes += found
    for path in left:
        # A header here is another one's of the same data.
        kept = path.suffix and path.suffix.lower() not in BESIDE | {HEADER}
        if kept:
            scenes.append((path,))
        else:
            beside.append(path)
    return scenes, beside


def _of_enmap(files: list[PurePosixPath]) -> list[Scene]:
    images = {
        path.name[: -len(ENMAP_IMAGE)]: path
        for path in reversed(files)
        if path.name.upper().endswith(ENMAP_IMAGE)
    }
    metadata = {
        path.name[: -len(ENMAP_METADATA)]: path
        for path in reversed(files)
        if path.name.upper().endswith(ENMAP_METADATA)
    }
    return [(images[prefix], metadata[prefix]) for prefix in sorted(images.keys() & metadata)]


def _of_hyperion(left: list[PurePosixPath]) -> tuple[list[Scene], list[PurePosixPath]]:
    metadata: dict[str, PurePosixPath] = {}
    bands = defaultdict[str, list[PurePosixPath]](list)
    for path in left:
        if not path.name.upper().startswith(HYPERION):
            continue
        scene, kind = _hyperion_part(path.stem.upper())
        if kind == HYPERION_METADATA and path.suffix.upper() == ".TXT":
            metadata.setdefault(scene, path)
        elif kind not in {"", HYPERION_METADATA} and path.suffix.upper() in {".TIF", ".TIFF"}:
            bands[scene].append(path)
    scenes = [(metadata[scene], *bands[scene]) for scene in sorted(metadata.keys() & bands.keys())]
    taken = {path for scene in scenes for path in scene}
    return scenes, [path for path in left if path not in taken]


def _hyperion_part(stem: str) -> tuple[str, str]:
    """Of which scene a file is, and whether its metadata or which band; no kind where neither."""
    words = stem.split("_")
    for place, word in enumerate(words):
        if word == HYPERION_METADATA or HYPERION_BAND.fullmatch(word):
            return "_".join(words[:place]), word
    return stem, ""


def _of_envi(left: list[PurePosixPath]) -> tuple[list[Scene], list[PurePosixPath]]:
    headers, data = [], defaultdict[str, list[PurePosixPath]](list)
    for path in left:  # data by the names that a header of it has, as `belongs` says
        if path.name.lower().endswith(HEADER):
            headers.append(path)
            continue
        data[path.name].append(path)
        if path.suffix and path.suffix.lower() in DATA_SUFFIXES:
            data[path.stem].append(path)
    pairs: dict[PurePosixPath, Scene] = {
        header: (*data.get(header.name[: -len(HEADER)], ()), header) for header in headers
    }
    pairs = _each_once(pairs)
    taken = {path for pair in pairs.values() for path in pair}
    left = [path for path in left if path not in taken]
    own = {header: pair for header, pair in pairs.items() if not _is_reference(header.name)}
    named: dict[str, PurePosixPath] = {}
    for header in own:
        named.setdefault(header.name.lower(), header)
    for header, pair in pairs.items():
        if _is_reference(header.name):
            only = next(iter(own)) if len(own) == 1 else header
            whose = named.get(header.name.partition("_")[2].lower(), only)
            own[whose] = own.get(whose, ()) + pair
    return list(own.values()), left


def _each_once(pairs: dict[PurePosixPath, Scene]) -> dict[PurePosixPath, Scene]:
    """The same pairs, with data that has two headers (`a.raw.hdr` and `a.hdr`) given to the one
    called after all of its name. A header that is left without data then is of no scene."""
    whole = {header.name[: -len(HEADER)]: header for header in pairs}
    kept: dict[PurePosixPath, Scene] = {}
    for header, pair in pairs.items():
        data = tuple(path for path in pair[:-1] if whole.get(path.name, header) == header)
        if data or len(pair) == 1:
            kept[header] = (*data, header)
    return kept


def _is_reference(name: str) -> bool:
    return name.lower().startswith(REFERENCES)
