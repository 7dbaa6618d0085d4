"""The files of deployment against the code and against each other: what would otherwise be noticed in a container."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from nobacktrack.service.server.run import DRAIN_SECONDS, SHUTDOWN_SECONDS
from nobacktrack.service.settings import Settings
from nobacktrack.service.streams.service import CLOSE_SECONDS
from tests.support.needs import path_of

ROOT = Path(__file__).parents[3]
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
    if "healthcheck" in service:
        return not service["healthcheck"].get("disable", False)
    return "build" in service and "HEALTHCHECK" in DOCKERFILE


each_service = pytest.mark.parametrize("name", SERVICES)

ALWAYS_THERE = {name for name, service in SERVICES.items() if "profiles" not in service}
PROFILES = {profile for service in SERVICES.values() for profile in service.get("profiles", [])}
REPLICAS = {name for name, service in SERVICES.items() if "REDIS_URL" in service.get("environment", {})}
ONCE = {name for name, service in SERVICES.items() if service["restart"] == "no"}
"""Commands, rather than what runs."""
NGINX = ROOT / "deploy" / "nginx"
PORT = int(re.findall(r"NBT_PORT=(\d+)", DOCKERFILE)[-1])


def default(value: str) -> str:
    """A value with what holds for each variable that is not set: `${A:-b}` is b, `${A:+b}` is nothing."""
    return re.sub(r"\$\{\w+:([-+])([^}]*)\}", lambda found: found[2] if found[1] == "-" else "", value)


def reaches(origin: str, target: str) -> bool:
    """Whether two containers have a network in common."""
    return bool(set(SERVICES[origin].get("networks", [])) & set(SERVICES[target].get("networks", [])))


def test_one_command_starts_everything_that_is_needed() -> None:
    assert sorted(ALWAYS_THERE) == ["grafana", "prometheus", "redis", "service"]
    assert sorted(PROFILES) == ["demo", "keys", "replicas"]


@each_service
def test_a_container_waits_for_what_it_needs(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert how == {"condition": "service_healthy"}
        assert has_health_check(SERVICES[other]), other
        assert reaches(name, other), other


@each_service
def test_each_profile_is_complete_without_the_others(name: str) -> None:
    for other in SERVICES[name].get("depends_on", {}):
        assert other in ALWAYS_THERE or SERVICES[other]["profiles"] == SERVICES[name]["profiles"], other


@each_service
def test_a_container_can_do_little(name: str) -> None:
    service = SERVICES[name]
    user = re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE)[-1] if "build" in service else service["user"]
    assert re.fullmatch(r"[1-9]\d*:\d+", user)
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert all("size=" in place for place in service["tmpfs"])
    assert service["stop_grace_period"]
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    # The demo asks and is not asked: there is nothing to look at.
    assert has_health_check(service) == (name not in ONCE | {"demo"})


@each_service
def test_a_container_is_reached_from_this_machine_only(name: str) -> None:
    service = SERVICES[name]
    ports = service.get("ports", [])
    assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port) for port in ports)
    # Published ports need a network with a way out, and nobody else does.
    assert ("frontend" in service.get("networks", [])) == bool(ports)


def test_published_ports_differ() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == len(set(ports))


def test_the_store_and_the_other_replicas_are_inside_only() -> None:
    assert COMPOSE["networks"]["backend"] == {"internal": True}
    assert SERVICES["redis"]["networks"] == ["backend"]
    assert "ports" not in SERVICES["redis"]
    for name in REPLICAS - {"service"}:
        assert SERVICES[name]["networks"] == ["backend"]


@each_service
def test_networks_and_secrets_are_declared(name: str) -> None:
    service = SERVICES[name]
    assert service.get("network_mode") == "none" or service["networks"]
    assert set(service.get("networks", [])) <= COMPOSE["networks"].keys()
    assert {secret["source"] for secret in service.get("secrets", [])} <= COMPOSE["secrets"].keys()


def test_networks_and_secrets_are_used() -> None:
    networks = {network for service in SERVICES.values() for network in service.get("networks", [])}
    secrets = {secret["source"] for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert networks == COMPOSE["networks"].keys()
    assert secrets == COMPOSE["secrets"].keys()


def test_secrets_are_there_at_the_first_start() -> None:
    for name, secret in COMPOSE["secrets"].items():
        assert "${" in secret["file"], f"{name} is always the file that is here"
        assert (ROOT / default(secret["file"])).is_file()


@each_service
def test_mounts_exist(name: str) -> None:
    for origin, _, read_only in map(mount, SERVICES[name].get("volumes", [])):
        if origin.startswith("."):
            assert (ROOT / origin).exists(), origin
            assert read_only, origin
        else:
            assert origin in COMPOSE["volumes"], origin


@each_service
def test_whom_a_container_asks_is_there(name: str) -> None:
    service = SERVICES[name]
    words = [*service.get("command", []), *map(str, service.get("environment", {}).values())]
    for host, port in re.findall(r"\w+://([\w-]+):(\d+)", " ".join(words)):
        assert reaches(name, host)
        assert port == {"redis": "6379"}.get(host, str(PORT))


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


def test_the_settings_of_the_containers_exist() -> None:
    known = {f"NBT_{name.upper()}" for name in Settings.model_fields} | {"REDIS_URL", "FORWARDED_ALLOW_IPS"}
    assert set(re.findall(r"\b(NBT_\w+)=", DOCKERFILE)) <= known
    for service in SERVICES.values():
        assert "build" not in service or service.get("environment", {}).keys() <= known


def settings_of(name: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As its process reads them, where nobody has set a variable."""
    for variable, value in SERVICES[name]["environment"].items():
        monkeypatch.setenv(variable, default(value))
    return Settings()


@pytest.mark.parametrize("name", sorted(REPLICAS))
def test_the_service_may_start_without_keys_because_it_is_reached_from_this_machine_only(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "NBT_HOST=0.0.0.0" in DOCKERFILE
    settings = settings_of(name, monkeypatch)
    assert settings.allow_anonymous
    assert settings.keys_file is None


def test_replicas_know_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in REPLICAS:
        assert set(settings_of(name, monkeypatch).allowed_hosts) == REPLICAS


def test_keys_are_a_directory_that_one_command_writes_and_replicas_read() -> None:
    file = Path(SERVICES["keys"]["environment"]["NBT_KEYS_FILE"])
    assert re.search(rf"install --directory --owner=10001 .*{file.parent}( |$)", DOCKERFILE, re.MULTILINE)
    assert [mount(volume) for volume in SERVICES["keys"]["volumes"]] == [("keys", str(file.parent), False)]
    for name in REPLICAS:
        assert ("keys", str(file.parent), True) in map(mount, SERVICES[name]["volumes"])
        given = SERVICES[name]["environment"]["NBT_KEYS_FILE"]
        assert given == f"${{NOBACKTRACK_KEYS:+{file}}}"


def test_containers_may_finish_what_they_do() -> None:
    for name in REPLICAS:
        grace = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
        assert grace > DRAIN_SECONDS + SHUTDOWN_SECONDS + CLOSE_SECONDS


def test_what_is_scraped_are_the_replicas() -> None:
    (job,) = read_yaml(PROMETHEUS)["scrape_configs"]
    (always,), (names,) = job["static_configs"], job["dns_sd_configs"]
    assert always["targets"] == [f"{name}:{PORT}" for name in REPLICAS & ALWAYS_THERE]
    assert set(names["names"]) == REPLICAS - ALWAYS_THERE
    assert names["port"] == PORT
    assert [rule["replacement"] for rule in job["relabel_configs"]] == [f"$1:{PORT}"]
    assert SERVICES["service"]["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    assert f"EXPOSE {PORT}" in DOCKERFILE
    assert all(reaches("prometheus", name) for name in REPLICAS)


def test_prometheus_finds_its_key_beside_its_configuration() -> None:
    (job,) = read_yaml(PROMETHEUS)["scrape_configs"]
    places = {origin: place for origin, place, _ in map(mount, SERVICES["prometheus"]["volumes"])}
    place = Path(places["./deploy/prometheus"])
    assert f"--config.file={place / PROMETHEUS.name}" in SERVICES["prometheus"]["command"]
    (secret,) = SERVICES["prometheus"]["secrets"]
    assert secret["target"] == str(place / job["authorization"]["credentials_file"])
    # A file is mounted over one that is there; in a directory that is read-only none can be made.
    assert (PROMETHEUS.parent / job["authorization"]["credentials_file"]).is_file()


def test_nginx_stands_in_front_of_the_replicas() -> None:
    upstream = (NGINX / "upstream.conf").read_text(encoding="utf-8")
    servers = dict(re.findall(r"^ *server ([\w-]+):(\d+) ", upstream, re.MULTILINE))
    assert servers == dict.fromkeys(REPLICAS, str(PORT))
    assert SERVICES["nginx"]["depends_on"].keys() == REPLICAS
    (idle,) = re.findall(r"keepalive_timeout (\d+)s;", upstream)
    assert int(idle) < Settings.model_fields["keep_alive_seconds"].default


def test_the_service_ends_slow_clients_before_nginx_does() -> None:
    text = (NGINX / "nginx.conf").read_text(encoding="utf-8")
    for directive, setting in (("client_body_timeout", "body_seconds"), ("send_timeout", "socket_seconds")):
        (seconds,) = re.findall(rf"^ *{directive} (\d+)s;", text, re.MULTILINE)
        assert int(seconds) > Settings.model_fields[setting].default


def test_nginx_listens_where_it_is_asked() -> None:
    text = (NGINX / "nginx.conf").read_text(encoding="utf-8")
    (listen,) = re.findall(r"listen (\d+);", text)
    assert SERVICES["nginx"]["ports"] == [f"127.0.0.1:{listen}:{listen}"]
    assert f":{listen}/" in SERVICES["nginx"]["healthcheck"]["test"][-1]
    (include,) = re.findall(r"include (\S+);", text)
    ((origin, place, _),) = map(mount, SERVICES["nginx"]["volumes"])
    assert SERVICES["nginx"]["entrypoint"][-1] == f"{place}/nginx.conf"
    assert (ROOT / origin / include).is_file()
    # Where it writes: below -p, which is the one place where it can.
    at = SERVICES["nginx"]["entrypoint"].index("-p")
    assert SERVICES["nginx"]["entrypoint"][at + 1] in {place.split(":")[0] for place in SERVICES["nginx"]["tmpfs"]}
    assert not re.findall(r"^ *(?:pid|\w+_temp_path) +/", text, re.MULTILINE)


def test_promtool_accepts_the_configuration() -> None:
    command = [path_of("promtool"), "check", "config", str(PROMETHEUS)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
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
