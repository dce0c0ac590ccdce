"""Numba decorators with one cache directory that changes whenever the compiled sources do.

Numba's own cache watches only the file that defines a function, so an edited helper elsewhere would leave stale
machine code behind. The directory's name therefore holds a digest of every compiled source and Numba's version.
"""

import hashlib
import os
from pathlib import Path

import numba

TASKS = Path(__file__).parents[1]


def sources_digest() -> str:
    """Digest of every compiled source and of Numba's version."""
    digest = hashlib.blake2b(numba.__version__.encode(), digest_size=8)
    for source in sorted(TASKS.rglob("_*.py")):
        if source.name != "__init__.py":
            digest.update(source.read_bytes())
    return digest.hexdigest()


def cache_directory() -> str:
    """Where this process keeps machine code: ``NUMBA_CACHE_DIR``, or a folder of the home named after the sources."""
    home = Path(os.environ.get("NIGHTLOOM_HOME", ".nightloom")).absolute()
    return os.environ.get("NUMBA_CACHE_DIR") or str(home / "numba" / sources_digest())


numba.config.CACHE_DIR = cache_directory()  # pyright: ignore[reportPrivateImportUsage] - Numba exports it at run time

jit = numba.njit(cache=True, nogil=True)
"""Serial machine code that releases the GIL: tiles run side by side, one thread each."""
