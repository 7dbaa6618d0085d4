"""Prints the digest of every test configuration after its stream, as JSON. Run by test_determinism in new processes."""

import json
import sys
from collections.abc import Collection

from nobacktrack import model
from tests.unit.model.streams import CONFIGS, stream


def digests(precisions: Collection[str]) -> dict[str, str]:
    """Name of the configuration → digest of its learner after 500 events, for those of the given precisions."""
    found = {}
    for name, config in CONFIGS.items():
        if config.dtype in precisions:
            learner = model.Learner(config)
            learner.observe_many(*stream(config, 500))
            found[name] = learner.digest()
    return found


if __name__ == "__main__":
    print(json.dumps(digests(sys.argv[1:] or ("float32", "float64")), indent=2))
