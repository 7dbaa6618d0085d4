"""The files of the live page and of reports: those in `static/`, and plotly.js from the wheel of plotly.

No file is loaded from elsewhere, so pages and reports work in closed networks.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import metadata, util
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
PLOTLY = "plotly.min.js"
KINDS = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
PLOTLY_PLACE = b"{{ plotly }}"
"""The place in the page for the address of plotly.js. The address has the version, so a browser may keep the file."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, ready to be sent."""

    packed: bytes
    """The content, compressed with gzip."""
    media_type: str
    tag: str
    """The ETag, in quotes: a digest of the content."""

    @property
    def plain(self) -> bytes:
        """The content, not compressed."""
        return gzip.decompress(self.packed)


def text(name: str) -> str:
    """The text of a file of `static/`, for a report."""
    return (FOLDER / name).read_text(encoding="utf-8")


def plotly() -> Path:
    """The path of plotly.js. The package plotly, which is large, is not imported."""
    spec = util.find_spec("plotly")
    places = None if spec is None else spec.submodule_search_locations
    assert places, "a dependency of this package"
    return Path(places[0], "package_data", PLOTLY)


@cache
def names() -> frozenset[str]:
    """The names of all files of the page."""
    return frozenset({PLOTLY, *(path.name for path in FOLDER.iterdir() if path.is_file())})


@cache
def asset(name: str) -> Asset:
    """One of `names`. The first call reads and compresses the file: plotly.js takes a quarter of a second."""
    content = (plotly() if name == PLOTLY else FOLDER / name).read_bytes()
    content = content.replace(PLOTLY_PLACE, f"static/{PLOTLY}?v={metadata.version('plotly')}".encode())
    # mtime=0: the same bytes at any time.
    packed = gzip.compress(content, mtime=0)
    return Asset(packed, KINDS[Path(name).suffix], f'"{hashlib.sha256(content).hexdigest()[:16]}"')
