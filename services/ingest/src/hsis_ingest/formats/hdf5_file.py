"""An HDF5 file read by ranges: its datasets, found without leaving the file or going in circles."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np

from hsis.errors import DomainError
from hsis.texts import decoded, unescaped
from hsis_ingest.errors import (
    DecompressionBomb,
    ExternalReference,
    HeaderMismatch,
    TruncatedFile,
    UnsupportedFormat,
    VariableNeeded,
)
from hsis_ingest.formats.source import ByteSource, RangeFile, ReadOptions

MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_ATTRIBUTE_BYTES = 4 * 1024 * 1024
MAX_SOFT_LINKS = 16
"""On the way to one object: more are a circle."""


class Hdf5File:
    """An open file. Every call that may read is inside `guarded`."""

    def __init__(self, data: ByteSource, options: ReadOptions) -> None:
        self.data = data
        self.name = data.name
        self.outside: list[str] = []
        """Links that lead to other files, none of which was followed."""
        self.opened: list[h5py.Dataset] = []
        """The datasets whose values are read."""
        self._options = options
        self._file = RangeFile(data)
        with self.guarded():
            self.root = h5py.File(self._file, "r")

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """TruncatedFile instead of whatever h5py raises on damaged bytes; the store's errors."""
        try:
            yield
        except (DomainError, MemoryError):
            raise
        except Exception as error:  # HDF5's errors have no class of their own
            if self._file.error is not None:
                raise self._file.error from error
            raise TruncatedFile(f"{self.name} is damaged or truncated: {error}.") from error

    def close(self) -> None:
        """Close it, with all that was opened in it."""
        self.root.close()

    def datasets(self) -> dict[str, h5py.Dataset]:
        """Every dataset by its path without the leading `/`, each once, in the file's order.

        Links are followed only where they are hard, so that a circle is walked once and nothing
        outside is opened. DecompressionBomb where there are too many objects.
        """
        found: dict[str, h5py.Dataset] = {}
        with self.guarded():
            seen = {self._address(self.root)}
            waiting: list[tuple[str, h5py.Group]] = [("", self.root)]
            while waiting:
                prefix, group = waiting.pop()
                for name, link in self._links(group):
                    path = f"{prefix}{name}"
                    if isinstance(link, h5py.ExternalLink):
                        self.outside.append(f"{path} (to {link.filename})")
                    if not isinstance(link, h5py.HardLink):
                        continue
                    child = group[name]
                    address = self._address(child)
                    if address in seen:
                        continue
                    seen.add(address)
                    self._check_count(len(seen))
                    if isinstance(child, h5py.Dataset):
                        found[path] = child
                    elif isinstance(child, h5py.Group):
                        waiting.append((path + "/", child))
        return found

    def dataset(self, path: str) -> h5py.Dataset | None:
        """The dataset at a path, through links inside the file; None where there is none.

        ExternalReference where the way leads out of the file.
        """
        with self.guarded():
            found = self._resolve(path)
            return found if isinstance(found, h5py.Dataset) else None

    def group(self, path: str) -> h5py.Group | None:
        """The group at a path; as `dataset`."""
        with self.guarded():
            found = self._resolve(path)
            return found if isinstance(found, h5py.Group) else None

    def attribute(self, node: Any, name: str) -> Any:
        """An attribute's value: a str, a NumPy scalar or an array; None where there is none, or
        an empty one."""
        with self.guarded():
            if name not in node.attrs:
                return None
            stored = node.attrs.get_id(name)
            if stored.get_space().get_simple_extent_npoints() == 0:
                return None
            if stored.get_storage_size() > MAX_ATTRIBUTE_BYTES:
                raise DecompressionBomb(
                    f"{self.name}: the attribute {name} of {node.name} takes more than "
                    f"{MAX_ATTRIBUTE_BYTES} bytes."
                )
            value = node.attrs[name]
            if isinstance(value, np.ndarray) and value.size == 1:
                value = value.ravel()[0]
            if isinstance(value, bytes):
                return decoded(value)
            return unescaped(value) if isinstance(value, str) else value

    def text(self, node: Any, name: str) -> str | None:
        """An attribute that is text."""
        value = self.attribute(node, name)
        return value.strip() if isinstance(value, str) else None

    def number(self, node: Any, name: str) -> float | None:
        """An attribute that is one number; HeaderMismatch for anything else."""
        value = self.attribute(node, name)
        return None if value is None else self._number(value, value, node, name)

    def numbers(self, node: Any, name: str) -> list[float] | None:
        """An attribute that is one number or several; HeaderMismatch for anything else."""
        value = self.attribute(node, name)
        if value is None:
            return None
        each = value.ravel() if isinstance(value, np.ndarray) else [value]
        return [self._number(one, value, node, name) for one in each]

    def items(self, node: Any, name: str, count: int) -> list[Any]:
        """The `count` items of an attribute that is a list; Nones where it is none of as many."""
        with self.guarded():
            if name in node.attrs and node.attrs.get_id(name).shape == (count,):
                return list(node.attrs[name])
        return [None] * count

    def referred(self, references: Any) -> h5py.Dataset | None:
        """The first dataset of an array of object references; None where there is none."""
        with self.guarded():
            for reference in np.atleast_1d(references):
                if isinstance(reference, h5py.Reference) and reference:
                    found = self.root[reference]
                    return found if isinstance(found, h5py.Dataset) else None
        return None

    def check_inside(self, dataset: h5py.Dataset) -> None:
        """ExternalReference where the dataset's values lie in other files."""
        if dataset.external or dataset.is_virtual:
            raise ExternalReference(
                f"{self.name}: the values of {dataset.name} lie in other files; a file that holds "
                "them itself is right."
            )

    def no_candidates(self, wanted: str) -> Exception:
        """The error where nothing of what is wanted is in the file."""
        if self.outside:
            return ExternalReference(
                f"{self.name} holds {wanted} only by links to other files, which are not followed: "
                f"{', '.join(self.outside[:4])}."
            )
        return VariableNeeded(f"{self.name} holds {wanted}: none.")

    def _links(self, group: h5py.Group) -> Iterator[tuple[str, Any]]:
        self._check_count(len(group))
        for name in group:
            try:
                link = group.get(name, getlink=True)
            except TypeError:  # a user-defined kind of link
                continue
            yield name, link

    def _number(self, one: Any, value: Any, node: Any, name: str) -> float:
        try:
            return float(one)
        except (TypeError, ValueError):
            raise HeaderMismatch(
                f"{self.name}: the attribute {name} of {node.name} is {str(value)[:40]!r}; "
                "a number is right."
            ) from None

    def _check_count(self, count: int) -> None:
        if count > self._options.hdf5_max_objects:
            raise DecompressionBomb(
                f"{self.name} has more than {self._options.hdf5_max_objects} groups and datasets "
                "(setting hdf5_max_objects)."
            )

    def _resolve(self, path: str) -> Any:
        node: Any = self.root
        parts = [part for part in reversed(path.split("/")) if part]
        soft_links = 0
        while parts:
            name = parts.pop()
            # Never `in`, which opens what a link leads to.
            link = node.get(name, getlink=True) if isinstance(node, h5py.Group) else None
            if link is None:
                return None
            if isinstance(link, h5py.ExternalLink):
                raise ExternalReference(
                    f"{self.name}: {path} is a link to the file {link.filename}, which is not "
                    "followed."
                )
            if isinstance(link, h5py.SoftLink):
                soft_links += 1
                if soft_links > MAX_SOFT_LINKS:
                    raise UnsupportedFormat(f"{self.name}: the links at {path} go in a circle.")
                if link.path.startswith("/"):
                    node = self.root
                parts.extend(part for part in reversed(link.path.split("/")) if part)
                continue
            node = node[name]
        return node

    @staticmethod
    def _address(node: Any) -> int:
        return int(h5py.h5o.get_info(node.id).addr)
