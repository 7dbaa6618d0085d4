"""The same events give the same bits: in another process, and on another processor.

The other processor is numba's `generic`: plain x86-64 (or arm64) instructions without AVX or fused operations. What
the digests must be is kept in golden.json, which this writes, after a change that means to change the numbers:
`python -m tests.unit.model.digests > tests/unit/model/golden.json`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.model.digests import digests
from tests.unit.model.streams import CONFIGS

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.parametrize("processor", ["", "generic"], ids=["native", "generic"])
def test_another_process_has_the_same_bits(processor: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_CPU")}
    if processor:
        environment |= {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": ""}
    golden = json.loads((Path(__file__).with_name("golden.json")).read_text())
    # Compiling for another processor takes a minute for each precision; the one that is the default is enough.
    prefixes = ["float32"] if processor else ["float32", "float64"]
    command = [sys.executable, "-m", "tests.unit.model.digests", *prefixes]
    other = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    found = json.loads(other.stdout)
    assert found == {name: golden[name] for name in found}
    assert {CONFIGS[name].dtype for name in found} == set(prefixes)


def test_every_configuration_has_its_golden_digest() -> None:
    golden = json.loads((Path(__file__).with_name("golden.json")).read_text())
    assert digests(("float32", "float64")) == golden
