"""The options by which a user says what is known of a cube."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from hsis.cli.session import EXIT_USAGE, fail
from hsis.contracts.metadata import CubeMetadata
from hsis.cube.band_table import MAX_BYTES, parse_band_table
from hsis.errors import InvalidInput, fault_told

YAML_SUFFIXES = frozenset({".yaml", ".yml"})


def _file(help: str) -> Any:
    return typer.Option(exists=True, dir_okay=False, readable=True, help=help)


def read_options(
    metadata: Annotated[
        Path | None, _file("JSON or YAML of all that is known; the options below win.")
    ] = None,
    wavelengths: Annotated[
        Path | None, _file("A wavelength a line, or `wavelength, fwhm, good` (1 or 0).")
    ] = None,
    wavelength_unit: Annotated[
        str | None, typer.Option(help="`nm` or `um`; else as the numbers are.")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="Of `stored * scale + offset`.")] = None,
    sensor: Annotated[str | None, typer.Option(help="The instrument.")] = None,
    platform: Annotated[str | None, typer.Option(help="What carried it.")] = None,
    scale: Annotated[
        str | None,
        typer.Option(help="Multiplies stored values; one a band: by commas, or a file of lines."),
    ] = None,
    offset: Annotated[
        str | None, typer.Option(help="Added to scaled values; one a band as `--scale`.")
    ] = None,
    nodata: Annotated[float | None, typer.Option(help="Stored value of no data.")] = None,
    datetime: Annotated[
        str | None, typer.Option(help="When it was measured, such as 2024-06-01T10:30:00+02:00.")
    ] = None,
    place: Annotated[
        str | None,
        typer.Option(help="`lon,lat`, `west,south,east,north` or a file of GeoJSON."),
    ] = None,
    license: Annotated[str | None, typer.Option(help="SPDX identifier, or `other`.")] = None,
    properties: Annotated[
        list[str] | None, typer.Option("--property", help="name=value; may be repeated.")
    ] = None,
) -> dict[str, Any]:
    """The fields of CubeMetadata that the options give; InvalidInput where a file is wrong."""
    said: dict[str, Any] = {} if metadata is None else _document(metadata)
    if wavelengths is not None:
        said |= _table(wavelengths)
    plain = {
        "wavelength_unit": wavelength_unit,
        "unit": unit,
        "sensor": sensor,
        "platform": platform,
        "nodata": nodata,
        "datetime": datetime,
        "license": license,
    }
    said |= {name: value for name, value in plain.items() if value is not None}
    for name, text in (("scale", scale), ("offset", offset)):
        if text is not None:
            said[name] = _gain(name, text)
    if place is not None:
        said["place"] = _place(place)
    if properties:
        said["properties"] = (said.get("properties") or {}) | dict(map(_property, properties))
    return said


def takes_metadata(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command those options; it gets what they say as `said`, None where nothing."""
    own = inspect.signature(command)
    options = inspect.signature(read_options).parameters

    def with_options(**arguments: Any) -> None:
        given = {name: arguments.pop(name) for name in options}
        try:
            fields = read_options(**given)
            said = CubeMetadata.model_validate(fields) if fields else None
        except InvalidInput as error:
            fail(error.detail, EXIT_USAGE)
        except ValidationError as error:
            fail(told(error), EXIT_USAGE)
        command(**arguments, said=said)

    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in (*own.parameters.values(), *options.values())
        if parameter.name != "said"
    ]
    with_options.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {p.name: p.annotation for p in parameters}
    with_options.__name__, with_options.__doc__ = command.__name__, command.__doc__
    return with_options


def told(error: ValidationError) -> str:
    """The first fault, in a line: where, what is there, what would be right."""
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where} {fault['input']!r:.80}: {fault_told(fault)}"


def _document(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() in YAML_SUFFIXES:
            import yaml

            try:
                found = yaml.safe_load(text)
            except yaml.YAMLError as error:
                raise InvalidInput(f"{path} is no YAML: {error}.") from None
        else:
            found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} is no JSON: {error}.") from None
    if not isinstance(found, dict):
        raise InvalidInput(f"{path} holds no object of fields such as `unit`.")
    return found


def _table(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        table = parse_band_table(file.read(MAX_BYTES + 1), path.name)
    found: dict[str, Any] = {"wavelengths": table.wavelengths}
    for name, value in (
        ("fwhm", table.fwhm),
        ("good_bands", table.good_bands),
        ("wavelength_unit", table.unit),
    ):
        if value is not None:
            found[name] = value
    return found


def _gain(name: str, text: str) -> float | list[float]:
    """A number, numbers joined by commas, or a file of a number a line."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = _numbers_in(name, Path(text))
    return numbers[0] if len(numbers) == 1 else numbers


def _numbers_in(name: str, path: Path) -> list[float]:
    what = f"--{name} {str(path)[:80]}: a number is right, or one a band, by commas or in a file"
    try:
        return [float(line) for line in path.read_text(encoding="utf-8-sig").split()]
    except OSError as error:
        raise InvalidInput(f"{what} ({error.strerror}).") from None
    except ValueError:
        raise InvalidInput(f"{what} of a number a line.") from None


def _place(text: str) -> Any:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        pass
    try:
        found = json.loads(Path(text).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InvalidInput(
            f"--place {text}: lon,lat or west,south,east,north is right, or a file "
            f"({error.strerror})."
        ) from None
    except (ValueError, RecursionError):
        raise InvalidInput(f"--place {text}: the file is no JSON.") from None
    if isinstance(found, dict) and found.get("type") == "Feature":
        return found.get("geometry")
    return found


def _property(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        raise InvalidInput(f"--property {text!r}: name=value is right.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
