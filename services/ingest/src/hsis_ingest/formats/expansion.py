"""How far a file may expand when its values are decoded."""

from hsis_ingest.errors import DecompressionBomb
from hsis_ingest.formats.source import ReadOptions


def check_expansion(declared: int, stored: int, where: str, options: ReadOptions) -> None:
    """DecompressionBomb where `declared` bytes of values are far more than the `stored` ones.

    Values that fit into one chunk of the largest size allowed are let pass.
    """
    largest = max(options.max_chunk_bytes, int(options.max_expansion * stored))
    if declared > largest:
        raise DecompressionBomb(
            f"{where} declares {declared} bytes of values, but {stored} are stored; at most "
            f"{options.max_expansion:g} times as many are read (setting max_expansion)."
        )


def check_chunk(size: int, where: str, options: ReadOptions) -> None:
    """DecompressionBomb where one chunk, strip or tile takes more memory than allowed."""
    if size > options.max_chunk_bytes:
        raise DecompressionBomb(
            f"{where} is stored in pieces of {size} bytes; at most {options.max_chunk_bytes} are "
            "decoded at once (setting max_chunk_bytes)."
        )
