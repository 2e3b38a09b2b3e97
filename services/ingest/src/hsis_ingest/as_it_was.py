"""What an item in the trash was, beside what is made of its original files again. Nothing is stored
here."""

from dataclasses import dataclass
from typing import Any

from hsis.contracts.blobs import item_prefix, path_in
from hsis.contracts.metadata import CubeMetadata
from hsis.cube.layout import CubeInfo
from hsis_ingest.corrected import corrected_info
from hsis_ingest.given import OF_INFO, check
from hsis_ingest.registration import UPLOAD_PROPERTY

Item = dict[str, Any]
OF_THE_NEW = (UPLOAD_PROPERTY, "created", "updated")
OF_THE_CUBE = frozenset(
    [
        "hsi:band_count",
        "hsi:data_type",
        "hsi:wavelength_min",
        "hsi:wavelength_max",
        "cube:dimensions",
        "proj:transform",
        "proj:shape",
    ]
)
"""Properties that tell what is stored: this version may convert the same files otherwise."""
OF_ITS_VALUES = frozenset(
    ["unit", "nodata", "raster:scale", "raster:offset", "classification:classes", "file:size"]
)
"""The same of the members of the asset `cube`."""


@dataclass(frozen=True, slots=True)
class Before:
    """The item as it was deleted, and the corrections of its metadata, the oldest first."""

    item: Item
    corrections: tuple[CubeMetadata, ...]

    def corrected(self, info: CubeInfo) -> CubeInfo:
        """The description of the cube, as files, uploader and template say it, corrected again.
        MetadataMismatch where a correction does not fit."""
        for changes in self.corrections:
            for name in OF_INFO:
                value = getattr(changes, name)
                if value is not None:
                    check(info, name, value, f"`{name}` of a correction")
            info = corrected_info(info, changes)
        return info

    def restored(self, made: Item) -> Item:
        """The item as it was, with the cube and the files of `made`.

        Its label maps and what users wrote into its document are there again; assets under the
        prefix of its cube are not, since that lies elsewhere now or is another one.
        """
        gone = item_prefix(self.item["collection"], self.item["id"])
        kept = {
            name: asset
            for name, asset in self.item["assets"].items()
            if not key_of(asset).startswith(gone)
        }
        own = {
            name: value
            for name, value in self.item["assets"].get("cube", {}).items()
            if name not in OF_ITS_VALUES
        }
        assets = kept | made["assets"] | {"cube": own | made["assets"]["cube"]}
        properties = {
            name: value
            for name, value in self.item["properties"].items()
            if name not in OF_THE_CUBE
        } | {
            name: value
            for name, value in made["properties"].items()
            if name in OF_THE_CUBE or name in OF_THE_NEW
        }
        return self.item | {"id": made["id"], "assets": assets, "properties": properties}


def needed_prefixes(item: Item) -> list[str]:
    """The prefixes `raw/<collection>/<upload or label map>/` of an item's assets."""
    keys = (key_of(asset) for asset in item["assets"].values())
    own = f"raw/{item['collection']}/"
    return sorted({"/".join(key.split("/")[:3]) + "/" for key in keys if key.startswith(own)})


def key_of(asset: Item) -> str:
    """Where an asset lies in the object store; of those elsewhere, what no key is."""
    path = path_in(str(asset.get("href", "")))
    return path.removeprefix("/blobs/") if path.startswith("/blobs/") else ""
