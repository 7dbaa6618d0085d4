#!/usr/bin/env bash
# hatchling 1.33.0. Believed: a wheel built from the source distribution has what a wheel built from the folder has.
# Seen: a sub-package that is a symbolic link is in the wheel, and is left out of the source distribution silently.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet hatchling==1.33.0
mkdir core pkg
echo "VALUE = 1" >core/__init__.py
touch pkg/__init__.py
ln -s ../core pkg/core
cat >pyproject.toml <<'END'
[build-system]
requires = ["hatchling==1.33.0"]
build-backend = "hatchling.build"
[project]
name = "demo"
version = "1"
[tool.hatch.build.targets.sdist]
include = ["/pkg"]
[tool.hatch.build.targets.wheel]
packages = ["pkg"]
END
env/bin/python -m hatchling build --target sdist --target wheel
env/bin/python - <<'END'
import glob, sys, tarfile, zipfile
from importlib.metadata import version
wheel = [name for name in zipfile.ZipFile(*glob.glob("dist/*.whl")).namelist() if name.startswith("pkg/")]
sdist = [name for name in tarfile.open(*glob.glob("dist/*.tar.gz")).getnames() if "/pkg/" in name]
print("hatchling", version("hatchling"), "| wheel:", sorted(wheel), "| sdist:", sorted(sdist))
seen = "pkg/core/__init__.py" in wheel and "demo-1/pkg/core/__init__.py" not in sdist
print("as found" if seen else "CHANGED: wheel and source distribution agree now")
sys.exit(not seen)
END
