"""buildah and podman, in a directory of their own: the image is built and run without a Docker daemon.

No registry is needed: where the base image cannot be pulled, debootstrap makes one of the same Debian and Python in its
place. It is not the official one (that compiles its own Python), so sizes are near, not equal.
"""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".image-test"
"""Images and containers; kept for the next time."""
TOOLS = ("buildah", "podman", "runc", "debootstrap")
IMAGE = "localhost/nobacktrack:image-test"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
"""Whom this machine trusts, the build trusts."""
# Not mounted on itself, which would outlast the containers and keep `make clean` from removing it.
STORAGE = """\
[storage]
driver = "{driver}"
graphroot = "{place}/graph"
runroot = "{place}/run"
[storage.options.overlay]
skip_mount_home = "true"
"""
# Without systemd, and inside of another container, as well.
ENGINE = """\
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


def missing() -> str | None:
    """What has to be done before anything here can run; None when nothing has."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    absent = [tool for tool in TOOLS if shutil.which(tool, path=path) is None]
    if absent:
        return f"{', '.join(absent)} missing. Debian, Ubuntu: apt-get install {' '.join(TOOLS)}"
    return None if os.geteuid() == 0 else "debootstrap and this use of buildah need root"


class Engine:
    """Commands of buildah and podman."""

    def __init__(self) -> None:
        PLACE.mkdir(exist_ok=True)
        _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
        storage, engine = PLACE / "storage.conf", PLACE / "containers.conf"
        engine.write_text(ENGINE.format(files=files if files != resource.RLIM_INFINITY else 1_048_576))
        self._environment = os.environ | {
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
            "CONTAINERS_STORAGE_CONF": str(storage),
            "CONTAINERS_CONF": str(engine),
        }
        # Layers, where the file system can; else whole copies, which are slow and large.
        for driver in ("overlay", "vfs"):
            storage.write_text(STORAGE.format(driver=driver, place=PLACE))
            if self._try("podman", "info") == 0:
                break

    def run(self, *command: str, status: int = 0) -> str:
        """What a command prints; its exit code must be `status`."""
        done = subprocess.run(
            command, cwd=ROOT, env=self._environment, capture_output=True, text=True, errors="replace", check=False
        )
        assert done.returncode == status, f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _try(self, *command: str) -> int:
        """The exit code of a command."""
        return subprocess.run(command, env=self._environment, capture_output=True, check=False).returncode

    def podman(self, *arguments: str, status: int = 0) -> str:
        """The same of podman."""
        return self.run("podman", *arguments, status=status)

    def size(self, image: str) -> int:
        """In bytes."""
        return int(json.loads(self.podman("image", "inspect", image))[0]["Size"])

    def build(self) -> str:
        """Build the Dockerfile; returns the base image's name. Says what takes long."""
        base = base_image()
        self._base(base)
        say("building the Dockerfile: packages from the index, kernels compiled")
        trust = ["--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro"] if CERTIFICATES.exists() else []
        start = time.monotonic()
        self.run(
            *("buildah", "bud", "--isolation", "chroot", "--pull=never", "--format", "docker", *trust),
            *("--tag", IMAGE, "."),
        )
        say(f"built in {time.monotonic() - start:.0f} s")
        return base

    def _base(self, name: str) -> None:
        if self._try("podman", "image", "exists", name) == 0:
            say(f"base: {name}, from the last time")
            return
        if self._try("podman", "pull", "--quiet", name) == 0:
            say(f"base: {name}, pulled")
            return
        version, suite = re.findall(r":([\d.]+)-slim-(\w+)$", name)[0]
        say(f"base: {name} cannot be pulled; debootstrap makes one of Debian {suite}, which takes a minute")
        tree = PLACE / "base"
        shutil.rmtree(tree, ignore_errors=True)
        packages = "--include=ca-certificates,python3,python3-venv"
        self.run("debootstrap", "--variant=minbase", packages, suite, str(tree))
        (tree / "usr/bin/python").symlink_to("python3")
        found = self.run("chroot", str(tree), "python", "--version").split()[1]
        assert found.startswith(f"{version}."), f"Debian {suite} has Python {found}"
        archive = PLACE / "base.tar"
        unneeded = [f"--exclude=./var/{place}" for place in ("cache/apt", "lib/apt/lists")]
        self.run("tar", "--create", "--file", str(archive), "--numeric-owner", *unneeded, "--directory", str(tree), ".")
        path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.podman("import", "--quiet", "--change", path, str(archive), name)
        archive.unlink()
        shutil.rmtree(tree)


def base_image() -> str:
    """What the Dockerfile is built on, by its whole name."""
    names = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(set(names)) == 1
    return f"docker.io/library/{names[0]}"


def limits(service: dict[str, object]) -> Sequence[str]:
    """The options of podman that say what the compose file says of this service."""
    options = ["--memory", str(service["mem_limit"]), "--pids-limit", str(service["pids_limit"])]
    for key, option in (("cap_drop", "--cap-drop"), ("security_opt", "--security-opt"), ("tmpfs", "--tmpfs")):
        values = service[key]
        assert isinstance(values, list)
        # podman's word for it has no value.
        options += [part for value in values for part in (option, str(value).removesuffix(":true"))]
    return [*options, *(["--read-only"] if service["read_only"] else [])]


def say(text: str) -> None:
    """A line for who waits."""
    print(f"\n{text}", end="", file=sys.stdout, flush=True)
