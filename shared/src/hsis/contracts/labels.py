"""Label maps of a stored cube: class rasters of its rows and columns, such as ground truth."""

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from hsis.contracts.blobs import raw_prefix
from hsis.contracts.ids import ResourceId
from hsis.contracts.uploads import Axes

ClassTitle = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f]{1,200}$")]


class LabelRequest(BaseModel):
    """What to attach to a cube, under a name of its own.

    `files` are keys of blobs under `raw/<collection>/`: a GeoTIFF, an ENVI classification (header
    and data), a MATLAB or .npy array. `axes` is `yx` (rows, columns) where an array of two axes has
    no names. `class_names` are those of the values 1, 2, …; 0 is unlabelled then.
    """

    name: ResourceId
    files: list[str] = Field(min_length=1, max_length=8)
    axes: Axes | None = None
    variable: str | None = Field(default=None, max_length=256)
    class_names: list[ClassTitle] | None = Field(default=None, min_length=1, max_length=4096)


class LabelClass(BaseModel):
    """A class of a label map, and how many pixels have it."""

    value: int
    title: str
    pixels: int


class LabelMap(BaseModel):
    """A label map as it is stored: a GeoTIFF on the cube's grid, asset `labels-<name>` of its item.

    `nodata` is the value of unlabelled pixels, None where all are labelled.
    """

    name: str
    asset: str
    href: str
    data_type: str
    nodata: int | None
    unlabelled_pixels: int
    classes: list[LabelClass]


def labels_key(collection: str, label_map: str, name: str) -> str:
    """Where a label map lies, in a folder of its own (a UUID): it outlives the stored cube where
    that is made again of the original files."""
    return f"{raw_prefix(collection, label_map)}{name}.tif"


def labels_asset(name: str) -> str:
    """The key of its asset in the item."""
    return f"labels-{name}"
