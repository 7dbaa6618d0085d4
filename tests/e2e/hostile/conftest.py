"""What is for `make test-hostile` alone is not collected otherwise."""

import os

collect_ignore = [] if os.environ.get("NBT_TEST_HOSTILE") == "long" else ["test_neighbours.py"]
