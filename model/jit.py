"""How this package compiles its kernels: the same bits on every processor, cached on disk.

Most kernels only read and write the arrays that they are given, so they are compiled without reference counts; the few
that make arrays are marked `allocating`. The counts are atomic operations, and an event looks at some hundreds of
arrays: counting took about as long as the arithmetic of a small network.

`fastmath` stays off, so that a sum keeps its order and a product its rounding; division by zero follows IEEE 754;
the interpreter lock is released while a kernel runs.

numba keys its cache on the file of a function, not on the functions that it calls, so machine code could outlive
the source of something that was inlined. The cache therefore lives in a folder named after the digest of all of
this package's source.
"""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")


def source_digest(folder: Path) -> str:
    """First 16 hex digits of the SHA-256 over the paths and bytes of all Python files below `folder`."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _cache_folder() -> str:
    """Under NUMBA_CACHE_DIR where that is set; else beside the source, in the user's cache or in /tmp."""
    here = Path(__file__).parent
    candidates = [here / "__pycache__", Path("~/.cache/nobacktrack").expanduser(), Path(tempfile.gettempdir())]
    if numba.config.CACHE_DIR:
        candidates.insert(0, Path(numba.config.CACHE_DIR))
    base = next((folder for folder in candidates if _writable(folder)), candidates[-1])
    return str(base / f"kernels-{source_digest(here)}")


_CACHE = _cache_folder()

KERNELS: set[Callable[..., object]] = set()
"""The Python functions that are compiled and cached."""


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` with numba under the rules in the head of this file."""
    return _jit(function, cache=True, _nrt=False)


def allocating(function: Callable[P, R]) -> Callable[P, R]:
    """Like `compiled`, with reference counts, for a function that makes arrays.

    Its compiled callers must be `allocating` too: only such a function frees the arrays.
    """
    return _jit(function, cache=True)


def kernel_only(function: Callable[P, R]) -> Callable[P, R]:
    """Like `compiled`, for a function that only compiled code calls: it gets no entry point from Python.

    An entry point would unpack a whole state, and would take longer to compile than the function.
    """
    return _jit(function, cache=True, no_cpython_wrapper=True, _nrt=False)


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """For a function with one compiled caller: numba copies its source into the caller, so it is compiled once.

    LLVM optimises a function by itself and once more within each caller, so every layer over the passes costs seconds.
    For a small function this saves nothing and makes the caller larger.
    """
    return _jit(function, inline="always")


def _jit(function: Callable[P, R], **options: bool | str) -> Callable[P, R]:
    if options.get("cache"):
        KERNELS.add(function)
    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, _CACHE
    try:
        jit = numba.njit(nogil=True, fastmath=False, error_model="numpy", no_cfunc_wrapper=True, **options)
        return jit(function)  # type: ignore[no-any-return]
    finally:
        numba.config.CACHE_DIR = before
