"""The files of the live page and of reports: those in `static/`, and plotly.js, which comes in the wheel of plotly.

None of them is loaded from elsewhere, so that both work in networks that are closed.
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
"""Stands in the page for the address of plotly.js: its version is part of it, so that a browser may keep it."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, ready to be sent."""

    packed: bytes
    """gzip."""
    media_type: str
    tag: str
    """Tells it from any other content, in quotes."""

    @property
    def plain(self) -> bytes:
        """As it is."""
        return gzip.decompress(self.packed)


def text(name: str) -> str:
    """A file of `static/`, for a report."""
    return (FOLDER / name).read_text(encoding="utf-8")


def plotly() -> Path:
    """Where plotly.js is. The package itself, which is large, is not imported."""
    spec = util.find_spec("plotly")
    places = None if spec is None else spec.submodule_search_locations
    assert places, "a dependency of this package"
    return Path(places[0], "package_data", PLOTLY)


@cache
def names() -> frozenset[str]:
    """Every file of the page."""
    return frozenset({PLOTLY, *(path.name for path in FOLDER.iterdir() if path.is_file())})


@cache
def asset(name: str) -> Asset:
    """One of `names`. The first time it is read and packed, which takes plotly.js a quarter of a second."""
    content = (plotly() if name == PLOTLY else FOLDER / name).read_bytes()
    content = content.replace(PLOTLY_PLACE, f"static/{PLOTLY}?v={metadata.version('plotly')}".encode())
    # The same bytes wherever it is packed: no time of day in it.
    packed = gzip.compress(content, mtime=0)
    return Asset(packed, KINDS[Path(name).suffix], f'"{hashlib.sha256(content).hexdigest()[:16]}"')
