"""The files of deployment against the code and against each other: what would otherwise be noticed in a container."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus" / "prometheus.yml"
LOCKS = [ROOT / "requirements.lock", ROOT / "requirements-dev.lock"]

Node = dict[str, Any]


def read_yaml(path: Path) -> Node:
    node = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(node, dict)
    return node


COMPOSE = read_yaml(ROOT / "docker-compose.yml")
SERVICES: dict[str, Node] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


# Compose and the image


def mount(volume: str) -> tuple[str, str, bool]:
    """Origin, place in the container and whether it is read-only, of the short form `origin:place[:ro]`."""
    origin, target, *mode = volume.split(":")
    return origin, target, mode == ["ro"]


def has_health_check(service: Node) -> bool:
    return "healthcheck" in service or ("build" in service and "HEALTHCHECK" in DOCKERFILE)


each_service = pytest.mark.parametrize("name", SERVICES)


@each_service
def test_a_container_waits_for_what_it_needs(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert how == {"condition": "service_healthy"}
        assert has_health_check(SERVICES[other]), other


@each_service
def test_a_container_can_do_little(name: str) -> None:
    service = SERVICES[name]
    user = re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE)[-1] if "build" in service else service["user"]
    assert re.fullmatch(r"[1-9]\d*:\d+", user)
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert has_health_check(service)
    assert service["mem_limit"]
    assert service["stop_grace_period"]
    assert service["restart"] == "unless-stopped"


@each_service
def test_a_container_is_reached_from_this_machine_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


@each_service
def test_mounts_exist(name: str) -> None:
    for origin, _, read_only in map(mount, SERVICES[name].get("volumes", [])):
        if origin.startswith("."):
            assert (ROOT / origin).exists(), origin
            assert read_only, origin
        else:
            assert origin in COMPOSE["volumes"], origin


def test_volumes_are_used() -> None:
    used = {mount(volume)[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert set(COMPOSE["volumes"]) <= used


def test_images_are_pinned_to_a_version() -> None:
    images = [service["image"] for service in SERVICES.values()]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    for image in images:
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+[\w.-]*", image), image


def test_the_image_is_built_from_files_that_get_into_it() -> None:
    admitted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        origin
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for origin in line.split()[:-1]
    }
    assert copied <= admitted
    for name in copied:
        assert (ROOT / name).exists(), name


def test_the_settings_of_the_image_exist() -> None:
    known = {f"NBT_{name.upper()}" for name in Settings.model_fields} | {"REDIS_URL"}
    environment = set(re.findall(r"\b(NBT_\w+)=", DOCKERFILE)) | set(SERVICES["service"]["environment"])
    assert environment <= known


def test_the_settings_that_are_explained_exist() -> None:
    paths = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*.md")]
    text = "".join(path.read_text(encoding="utf-8") for path in paths)
    known = {f"NBT_{name.upper()}": field for name, field in Settings.model_fields.items()}
    assert set(re.findall(r"\bNBT_\w+", text)) <= known.keys()
    limits = re.findall(r"^\| `(NBT_\w+)` \| (\d+) \|", text, re.MULTILINE)
    assert len(limits) == 4
    assert [(name, known[name].default) for name, _ in limits] == [(name, int(value)) for name, value in limits]


@pytest.mark.parametrize("path", [*ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*.md")], ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """To a file, and to a heading of it where they name one."""
    for target in re.findall(r"\]\((?!http)([^)]+)\)", path.read_text(encoding="utf-8")):
        file, _, heading = target.partition("#")
        place = path.parent / file if file else path
        assert place.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", place.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^a-z0-9 -]", "", name.lower()).replace(" ", "-") for name in headings}, target


def test_the_service_may_start_without_keys_because_it_is_reached_from_this_machine_only() -> None:
    assert "NBT_HOST=0.0.0.0" in DOCKERFILE
    settings = Settings.model_validate({
        name.removeprefix("NBT_").lower(): value for name, value in SERVICES["service"]["environment"].items()
    })
    assert settings.allow_anonymous or settings.keys_file is not None


def test_what_is_scraped_is_the_port_of_the_service() -> None:
    (job,) = read_yaml(PROMETHEUS)["scrape_configs"]
    ((target,),) = [config["targets"] for config in job["static_configs"]]
    name, port = target.split(":")
    (published,) = SERVICES[name]["ports"]
    assert published.endswith(f":{port}")
    assert f"NBT_PORT={port}" in DOCKERFILE
    assert f"EXPOSE {port}" in DOCKERFILE


def test_promtool_accepts_the_configuration() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian: prometheus) is not installed")
    answer = subprocess.run([promtool, "check", "config", PROMETHEUS], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


# The lock files


def requirements(lock: Path) -> list[str]:
    """The logical lines: a requirement with its hashes is one."""
    return lock.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_requirement_is_pinned_and_hashed(lock: Path) -> None:
    assert "://" not in lock.read_text(encoding="utf-8")
    for requirement in requirements(lock):
        assert re.match(r"[a-z0-9-]+==\S+ ", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement


def test_the_tools_are_added_to_what_the_service_runs_on() -> None:
    runtime, tools = map(requirements, LOCKS)
    assert set(runtime) <= set(tools)
