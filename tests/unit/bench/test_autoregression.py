"""The benchmark's autoregression compiles where nothing has been compiled before, and computes what its source says."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.learning import autoregression

ROOT = Path(__file__).parents[3]
PROGRAM = """
import json
import numpy as np
from tests.bench.learning import autoregression
print(json.dumps(autoregression.predict(np.sin(np.arange(40.0)), lags=3).tolist()))
"""


def test_it_runs_on_an_empty_kernel_cache(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*.nbc")), "nothing was compiled"
    y, expected = np.sin(np.arange(40.0)), np.empty(40)
    interpreted: Any = autoregression.predictions
    interpreted.py_func(y, 3, autoregression.FORGETTING, autoregression.PRIOR, autoregression.CUT, expected)
    np.testing.assert_allclose(json.loads(done.stdout), expected, rtol=1e-9)
