"""Damaged input without end, guided by what it reaches: `python -m tests.fuzz FORMAT [SECONDS]`.

Each own reader gets mutated input. Whatever it raises but a named fault is a finding, as is one
that takes longer than `TIMEOUT_S` or more memory than `MEMORY_MIB`: atheris prints it, keeps the
input in the folder of this run and ends with a status that is not 0.
"""

import logging
import sys
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

import atheris
import numpy as np

from hsis.errors import DomainError

INSTRUMENTED = ["hsis", "hsis_catalog", "hsis_ingest", "hsis_storage_proxy", "hsis_tiles"]
with atheris.instrument_imports(include=INSTRUMENTED):
    from tests.fuzz.formats import FORMATS

TIMEOUT_S = 20
MEMORY_MIB = 2048
MAX_INPUT_BYTES = 65536


def main(name: str, seconds: int) -> None:
    """Fuzz one format; it does not return."""
    chosen = FORMATS[name]
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")

    def try_one(content: bytes) -> None:
        with suppress(DomainError):  # named: what it should be
            chosen.read(content)

    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(chosen.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
        chosen.read(seed)
    print(f"fuzzing {name} for {seconds} s in {folder}", flush=True)
    arguments = [
        sys.argv[0], str(corpus), f"-artifact_prefix={folder}/", f"-max_total_time={seconds}",
        f"-timeout={TIMEOUT_S}", f"-rss_limit_mb={MEMORY_MIB}", f"-max_len={MAX_INPUT_BYTES}",
        "-verbosity=1", "-print_final_stats=1",
    ]  # fmt: skip
    atheris.Setup(arguments, try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in FORMATS:
        sys.exit(f"one of {', '.join(FORMATS)} is to be named")
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 300)
