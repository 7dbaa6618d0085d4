#!/usr/bin/env bash
# pydantic 2.14.3. Believed: with use_attribute_docstrings the docstrings of a dataclass's fields are the descriptions of
# its JSON schema. Seen: only while __module__ names the file with its source. A package that lets public classes name
# their public home (as many do, for shorter tracebacks) loses all descriptions, without an error or a warning.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet pydantic==2.14.3
cat >inner.py <<'END'
import dataclasses
from typing import ClassVar


@dataclasses.dataclass
class Settings:
    __pydantic_config__: ClassVar[dict[str, bool]] = {"use_attribute_docstrings": True}

    units: int = 1
    """Number of units."""
END
cat >public.py <<'END'
from inner import Settings

Settings.__module__ = "public"
END
env/bin/python -W error - <<'END'
import subprocess, sys
import pydantic
ask = "from {0} import Settings; import pydantic; print(pydantic.TypeAdapter(Settings).json_schema()['properties']['units'])"
said = [
    subprocess.run([sys.executable, "-W", "error", "-c", ask.format(name)], capture_output=True, text=True, check=True).stdout
    for name in ("inner", "public")
]
print("pydantic", pydantic.VERSION, "|", said[0].strip(), "|", said[1].strip())
seen = "Number of units." in said[0] and "description" not in said[1]
print("as found" if seen else "CHANGED: the description does not depend on __module__ now")
sys.exit(not seen)
END
