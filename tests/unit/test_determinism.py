"""The same events give the same bits: in another process, and on another processor.

The other processor is numba's `generic`: plain x86-64 (or arm64) instructions without AVX or fused operations.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.digests import digests

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("processor", ["", "generic"], ids=["native", "generic"])
def test_another_process_has_the_same_bits(processor: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_CPU")}
    if processor:
        environment |= {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": ""}
    command = [sys.executable, "-m", "tests.unit.digests"]
    other = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    assert json.loads(other.stdout) == digests()
