"""Print what a package of this repository needs from elsewhere, one requirement a line.

An image installs that first, in a layer of its own: the code changes daily, the requirements do
not. Runs with the standard library alone: `python requirements.py services/catalog [EXTRA…]`.
"""

import re
import sys
import tomllib
from pathlib import Path

_OWN = re.compile(r"^hsis(?:\[(?P<extras>[^]]*)\])?$")


def requirements(package: Path, extras: set[str], library: Path) -> set[str]:
    """What `package[extras]` needs, with what the library in `library` needs in its place."""
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project.get("optional-dependencies", {})
    unknown = extras - optional.keys()
    if unknown:
        raise SystemExit(f"{package} has no extra {', '.join(sorted(unknown))}.")
    found: set[str] = set()
    for line in [*project["dependencies"], *(r for extra in extras for r in optional[extra])]:
        own = _OWN.match(line)
        if own is None:
            found.add(line)
        else:
            named = {extra.strip() for extra in (own["extras"] or "").split(",") if extra.strip()}
            found |= requirements(library, named, library)
    return found


if __name__ == "__main__":
    root = Path.cwd()
    for requirement in sorted(requirements(root / sys.argv[1], set(sys.argv[2:]), root / "shared")):
        print(requirement)
