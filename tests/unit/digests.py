"""Prints the digest of every test configuration after its stream, as JSON. Run by test_determinism in new processes."""

import json

import model
from tests.unit.streams import CONFIGS, stream


def digests() -> dict[str, str]:
    """Name of the configuration → digest of its learner after 500 events."""
    found = {}
    for name, config in CONFIGS.items():
        learner = model.Learner(config)
        learner.observe_many(*stream(config, 500))
        found[name] = learner.digest()
    return found


if __name__ == "__main__":
    print(json.dumps(digests()))
