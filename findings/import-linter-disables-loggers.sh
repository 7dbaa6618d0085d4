#!/usr/bin/env bash
# import-linter 2.17. Believed: calling lint_imports from a test checks imports and nothing else.
# Seen: it configures logging, which disables every logger that the process has; later tests see no records.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet import-linter==2.17
mkdir package
touch package/__init__.py package/lower.py package/upper.py
cat >.importlinter <<'END'
[importlinter]
root_package = package
[importlinter:contract:1]
name = Layers
type = layers
layers =
    package.upper
    package.lower
END
env/bin/python - <<'END'
import logging, sys
from importlib.metadata import version
sys.path.insert(0, ".")
logger = logging.getLogger("somebody.elses")
before = logger.disabled
from importlinter.cli import lint_imports
status = lint_imports(cache_dir=None)
print("import-linter", version("import-linter"), "| status", status, "| disabled before", before, "after", logger.disabled)
seen = (status, before, logger.disabled) == (0, False, True)
print("as found" if seen else "CHANGED: loggers stay as they were")
sys.exit(not seen)
END
