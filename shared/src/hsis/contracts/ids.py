"""Names that become parts of paths and object keys."""

import re
from typing import Annotated

from pydantic import StringConstraints

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
ID_RULE = "1 to 128 of A-Z a-z 0-9 . _ -, the first a letter or digit"

ResourceId = Annotated[str, StringConstraints(pattern=ID_PATTERN)]


def id_from_filename(filename: str) -> str:
    """An item id made of a file's name: without its last suffix, other characters as `-`.

    >>> id_from_filename("Jasper Ridge (R198).mat")
    'Jasper-Ridge-R198'
    """
    stem = filename.rsplit("/", 1)[-1]
    stem = stem.rsplit(".", 1)[0] if "." in stem[1:] else stem
    made = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:128]
    return made or "item"
