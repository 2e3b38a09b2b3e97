"""The values of `-p name=value`."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from hsis.errors import InvalidInput

RESERVED = frozenset({"collection", "item"})


def parse_parameters(given: Iterable[str]) -> dict[str, Any]:
    """Process inputs from `name=value`: a value is JSON, else a string; `@file` is a JSON file.

    InvalidInput for a missing `=`, a name given twice, a name that the command sets itself, and a
    file that cannot be read or is no JSON.

    >>> parse_parameters(["threshold=0.1", "names=[\\"corn\\"]", "method=plain"])
    {'threshold': 0.1, 'names': ['corn'], 'method': 'plain'}
    """
    found: dict[str, Any] = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise InvalidInput(f"-p {text!r}: name=value is right.")
        if name in RESERVED:
            raise InvalidInput(f"-p {name}: it is given by the arguments COLLECTION and ITEM.")
        if name in found:
            raise InvalidInput(f"-p {name} is given twice; once is right.")
        found[name] = _file_value(name, value[1:]) if value.startswith("@") else _value(value)
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return text


def _file_value(name: str, path: str) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_no_constant)
    except OSError as error:
        raise InvalidInput(f"-p {name}: {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise InvalidInput(f"-p {name}: {path} is no JSON: {error}.") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
