"""How long a start takes until the service takes events: with kernels to compile, and with kernels in the cache."""

import time
from pathlib import Path

import pytest

from nobacktrack.service.cli.local_service import LocalService

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
    print(f"\nready after {cold:.1f} s with kernels to compile (claim: {COLD_SECONDS:g} s), after {warm:.1f} s with")
    print(f"kernels in the cache (claim: {WARM_SECONDS:g} s): compiling takes {cold / warm:.0f} times as long")
    assert cold < COLD_SECONDS
    assert warm < WARM_SECONDS
