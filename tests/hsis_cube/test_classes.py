"""Classes: names of their own, and the same after a way through CF's attributes."""

import json

import numpy as np

from hsis.cube import layout
from hsis.cube.classes import (
    CubeClass,
    cf_attributes,
    classes_of_cf,
    numbered_classes,
    stac_classes,
)
from hsis.cube.layout import CubeInfo


def test_every_class_has_a_name_and_a_colour_of_its_own() -> None:
    classes = numbered_classes(["soil", "(1, 2)", "soil", "none", "土", "soil-3"])
    assert [(c.value, c.title) for c in classes][:2] == [(1, "soil"), (2, "(1, 2)")]
    assert len({c.colour for c in classes}) == 6
    names = [entry["name"] for entry in stac_classes(classes, None)]
    assert names == ["soil", "1-2", "soil-3", "none-4", "class-5", "soil-3-6"]


def test_nodata_is_an_entry_of_its_own() -> None:
    [nothing, soil] = stac_classes([CubeClass(1, "Soil", "AA5500")], 0)
    assert (nothing["value"], nothing["nodata"]) == (0, True)
    assert soil == {"value": 1, "name": "Soil", "title": "Soil", "color_hint": "AA5500"}


def test_the_store_says_the_classes() -> None:
    classes = (CubeClass(3, "winter wheat", "00FF7F"), CubeClass(7, "corn", "AA5500"))
    info = CubeInfo((1, 4, 5), np.dtype("uint8"), nodata=0, classes=classes)
    root = json.loads(layout.store_documents(info)["zarr.json"])
    attributes = root["consolidated_metadata"]["metadata"]["cube"]["attributes"]
    assert attributes["flag_values"] == [3, 7]
    assert attributes["flag_meanings"] == "winter-wheat corn"
    assert attributes["flag_colors"] == "#00FF7F #AA5500"
    assert layout.info_of_documents(root, {}) == info
    assert classes_of_cf(cf_attributes(())) == classes_of_cf({}) == ()
