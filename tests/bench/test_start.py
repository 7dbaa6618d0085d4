"""How long a start takes until the service takes events: with kernels to compile, and with kernels in the cache."""

import time
from pathlib import Path

import pytest

from nobacktrack.service.cli.local_service import LocalService
from tests.bench.timing import report

COLD_SECONDS, WARM_SECONDS = 60.0, 5.0


def start(data_dir: Path) -> float:
    """Seconds from nothing to ready."""
    began = time.perf_counter()
    with LocalService(data_dir, embedded=True):
        return time.perf_counter() - began


def test_a_service_is_ready_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernels"))
    cold = start(tmp_path / "first")
    warm = min(start(tmp_path / name) for name in ("second", "third"))
    report("seconds to ready with kernels to compile", cold, f"at most {COLD_SECONDS:g}", met=cold <= COLD_SECONDS)
    report("seconds to ready with kernels in the cache", warm, f"at most {WARM_SECONDS:g}", met=warm <= WARM_SECONDS)
    print(f"\ncompiling takes {cold / warm:.0f} times as long")
