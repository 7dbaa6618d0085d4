"""The built wheel in an environment of its own, which borrows the installed packages that the wheel asks for."""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from nobacktrack import model
from nobacktrack.model import jit

ROOT = Path(__file__).parents[2]
HERE = "nobacktrack"


def build(target: str, folder: Path, source: Path = ROOT) -> Path:
    """Build the `wheel` or the `sdist` of a source tree into `folder`; the path of the file."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=60)
    [found] = folder.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return found


class Environment:
    """A virtual environment with a wheel, and links to the packages that its extras need: no others are there."""

    def __init__(self, folder: Path, wheel: Path, *extras: str) -> None:
        venv.create(folder, symlinks=True)
        self.python = folder / "bin" / "python"
        [self.packages] = (folder / "lib").glob("python*/site-packages")
        install = ["install", "--quiet", "--no-index", "--no-deps", str(wheel)]
        subprocess.run(
            [sys.executable, "-m", "pip", "--python", str(self.python), "--disable-pip-version-check", *install],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        own = metadata.Distribution.at(next(self.packages.glob("*.dist-info")))
        self.borrowed = _closure(own, frozenset(extras))
        """Names of the distributions that are linked."""
        for name in self.borrowed:
            self._borrow(metadata.distribution(name))

    @property
    def command(self) -> Path:
        """The console script."""
        return self.python.with_name(HERE)

    def run(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the interpreter in a folder, with nothing of the tests' environment; the caller looks at the code."""
        return subprocess.run(
            [str(self.python), *arguments], cwd=folder, env=clean(folder), check=False, capture_output=True, text=True,
            timeout=75,
        )  # fmt: skip

    def size(self) -> int:
        """Bytes of the wheel and of all that it borrows, without compiled Python."""
        files = (Path(parent, name) for parent, _, names in os.walk(self.packages, followlinks=True) for name in names)
        return sum(path.stat().st_size for path in files if path.suffix != ".pyc")

    def borrow_kernels(self) -> None:
        """Copy the kernels that this checkout has compiled, so that a service starts in seconds.

        numba files machine code by the folder of its source and by that source's time and size. Where it finds none,
        the service compiles.
        """
        model.warm_up()
        ours, theirs = ROOT / HERE / "model", self.packages / HERE / "model"
        cache = theirs / "__pycache__" / Path(jit._CACHE).name
        for source in theirs.rglob("*.py"):
            original = ours / source.relative_to(theirs)
            shutil.copystat(original, source)
            compiled = Path(jit._CACHE, _numba_name(original.parent))
            if compiled.is_dir():
                shutil.copytree(compiled, cache / _numba_name(source.parent), dirs_exist_ok=True)

    def _borrow(self, distribution: metadata.Distribution) -> None:
        tops = {file.parts[0] for file in distribution.files or () if file.parts[0] not in {"..", "__pycache__"}}
        for top in tops:
            if not (self.packages / top).exists():  # two distributions may share a namespace
                (self.packages / top).symlink_to(Path(str(distribution.locate_file(top))))


def clean(folder: Path) -> dict[str, str]:
    """An environment that names nothing but the folder that its processes work in."""
    return {"PATH": os.defpath, "HOME": str(folder)}


def _numba_name(folder: Path) -> str:
    return f"{folder.name}_{hashlib.sha1(str(folder).encode()).hexdigest()}"  # noqa: S324 - a name, no secret


def _closure(own: metadata.Distribution, extras: frozenset[str]) -> frozenset[str]:
    """Names of the distributions that `own` needs with some extras, directly or not."""
    found: set[tuple[str, str]] = set()
    waiting = [(own, extra) for extra in (*extras, "")]
    while waiting:
        distribution, extra = waiting.pop()
        for line in distribution.requires or ():
            needed = Requirement(line)
            if needed.marker is not None and not needed.marker.evaluate({"extra": extra}):
                continue
            other = own if needed.name == HERE else metadata.distribution(needed.name)
            for wanted in (*needed.extras, ""):
                if (needed.name, wanted) not in found:
                    found.add((needed.name, wanted))
                    waiting.append((other, wanted))
    return frozenset(name for name, _ in found) - {HERE}
