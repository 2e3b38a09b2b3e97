"""A raw scene of a pushbroom camera beside its white and dark references, as Specim's programs name
them: which file is which."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hsis_ingest.errors import MissingReference, UnsupportedFormat
from hsis_ingest.formats.source import ByteSource


class Part(StrEnum):
    """What an ENVI header of a capture describes."""

    SCENE = "scene"
    WHITE = "white reference"
    DARK = "dark reference"
    WHITE_DARK = "dark reference of the white one"
    RESULT = "reflectance that the camera computed"


PREFIXES = {
    "whitedarkref_": Part.WHITE_DARK,
    "darkref_": Part.DARK,
    "whiteref_": Part.WHITE,
    "reflectance_": Part.RESULT,
}
REFERENCES = frozenset({Part.WHITE, Part.DARK, Part.WHITE_DARK})


@dataclass(frozen=True, slots=True)
class Capture:
    """The headers of one capture; `white` or `dark` is None where the upload has none."""

    scene: ByteSource
    white: ByteSource | None
    dark: ByteSource | None
    white_dark: ByteSource | None


def part_of(name: str) -> Part:
    """What a file is by its name; the case of letters does not matter."""
    lower = name.lower()
    return next((part for prefix, part in PREFIXES.items() if lower.startswith(prefix)), Part.SCENE)


def capture_of(headers: Sequence[ByteSource]) -> Capture | None:
    """The capture in several ENVI headers of one upload; None where there are no references.

    Of several references of a kind, the one that is called after the scene is its.
    UnsupportedFormat for several scenes, MissingReference where it is not clear which one is meant.
    """
    if not any(part_of(header.name) in REFERENCES for header in headers):
        return None
    scenes = [header for header in headers if part_of(header.name) is Part.SCENE]
    if len(scenes) != 1:
        names = ", ".join(header.name for header in scenes or headers)
        raise UnsupportedFormat(
            f"{names}: one raw scene beside its references (WHITEREF_…, DARKREF_…) is right; "
            "upload others one by one."
        )
    [scene] = scenes
    return Capture(
        scene,
        _reference(headers, scene, Part.WHITE),
        _reference(headers, scene, Part.DARK),
        _reference(headers, scene, Part.WHITE_DARK),
    )


def _reference(headers: Sequence[ByteSource], scene: ByteSource, part: Part) -> ByteSource | None:
    found = [header for header in headers if part_of(header.name) is part]
    own = [
        header for header in found if header.name.partition("_")[2].lower() == scene.name.lower()
    ]
    chosen = own if len(found) > 1 else found
    if found and not chosen:
        names = ", ".join(header.name for header in found)
        raise MissingReference(
            f"It is not clear which of {names} is the {part} of {scene.name}: the one called after "
            "it, or one alone, is right."
        )
    return chosen[0] if chosen else None
