"""The files that belong together: an ENVI header and its data file."""

from collections.abc import Sequence
from pathlib import Path

from hsis.contracts.scenes import DATA_SUFFIXES, HEADER, REFERENCES, belongs
from hsis.errors import InvalidInput


def with_companions(files: Sequence[Path]) -> list[Path]:
    """The files, and beside an ENVI header its data file, or the other way round.

    Something is added only where exactly one file matches and none of those given does.
    InvalidInput when two files have the same name.
    """
    found = list(dict.fromkeys(files))
    for path in files:
        matching = _matching(path)
        if len(matching) == 1 and not any(_same(matching[0], other) for other in found):
            given = {other.name for other in found if belongs(other.name, path.name)}
            found += [] if given else matching
    names = [path.name for path in found]
    if len(set(names)) != len(names):
        raise InvalidInput("Two files of one upload have the same name: " + ", ".join(names) + ".")
    return found


def with_references(files: Sequence[Path]) -> list[Path]:
    """The files, and the white and dark references beside them that are called after them:
    `WHITEREF_scan.raw`, `DARKREF_scan.raw`, `WHITEDARKREF_scan.raw` and their headers."""
    given = {path.name.lower() for path in files}
    wanted = {prefix + name for prefix in REFERENCES for name in given} - given
    folders = dict.fromkeys(path.absolute().parent for path in files)
    beside = [other for folder in folders for other in sorted(folder.iterdir())]
    return [*files, *(other for other in beside if other.name.lower() in wanted)]


def _matching(path: Path) -> list[Path]:
    if path.suffix.lower() != HEADER and path.suffix.lower() not in DATA_SUFFIXES:
        return []
    return sorted(
        other
        for other in path.absolute().parent.iterdir()
        if belongs(other.name, path.name) and other.is_file()
    )


def _same(one: Path, other: Path) -> bool:
    return one.absolute() == other.absolute()
