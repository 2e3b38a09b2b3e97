"""Options that `hsis upload` and `hsis ingest` share."""

from typing import Annotated

import typer

from hsis.contracts.uploads import Calibration, OnDuplicate

Collection = Annotated[str, typer.Option(help="Made, private, where it does not exist.")]
ItemId = Annotated[str | None, typer.Option("--id", help="Item id; else of the name.")]
Axes = Annotated[str | None, typer.Option(help="Axes of an array without names; `yxb` by default.")]
Variable = Annotated[str | None, typer.Option(help="Of a file that holds several.")]
TableSide = Annotated[int | None, typer.Option(min=1, help="Of an array of pixels by bands.")]
CalibrationChoice = Annotated[
    Calibration,
    typer.Option(help="`reflectance` of a raw scene by its WHITEREF_ and DARKREF_ files."),
]
WhiteReflectance = Annotated[
    str | None,
    typer.Option(
        help="Of the white reference's panel: such as 0.99, or a file with columns wavelength and "
        "reflectance."
    ),
]
DuplicateChoice = Annotated[
    OnDuplicate,
    typer.Option(help="Where an item of the same files is there: another one, or none."),
]
Wait = Annotated[bool, typer.Option("--wait", help="Until the cube is stored.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the upload as JSON.")]
