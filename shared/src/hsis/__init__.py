"""HSIS: hyperspectral image storage. Contracts, typed clients, stored cubes, command line."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hsis.opening import open as open

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Lazily: a service or the command line that never opens a cube needs no xarray.
    if name == "open":
        from hsis.opening import open as open_cube

        return open_cube
    raise AttributeError(f"module 'hsis' has no attribute {name!r}")
