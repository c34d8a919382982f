"""docker-compose.yml: what the specification allows, exact images, guarded services, limits that fit a small server."""

import re
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import pytest
import yaml
from compose_spec import PyCompose

from grafana.sources import providers_text, sources_text
from shouwang.settings import ROLES
from tests.deploy.compose_file import (
    ROOT,
    bytes_of,
    composed,
    example_variables,
    filled,
    in_order,
    platform_services,
    services,
    used_variables,
)

SERVICES = services()
LONG_RUNNING = {name: each for name, each in SERVICES.items() if name != "setup"}
(SETUP,) = SERVICES["setup"]["command"]
SERVER_BYTES = 4 * 2**30
SYSTEM_BYTES = 384 * 2**20
"""What the system keeps for itself."""


def test_it_is_what_the_compose_specification_allows() -> None:
    # without digests: Compose takes a tag and a digest, this reader of the specification only one of them
    merged = re.sub("@sha256:[0-9a-f]{64}", "", yaml.safe_dump(composed()))
    PyCompose.from_yaml(merged).validate()
    with pytest.raises(ValueError, match="restrat"):
        PyCompose.from_yaml(merged.replace("restart:", "restrat:", 1))


def test_the_example_sets_every_variable_and_no_other() -> None:
    assert used_variables() == set(example_variables()) - {"COMPOSE_PROFILES"}  # which Compose itself reads


def test_services_wait_for_services_that_are_there_and_can_be_waited_for() -> None:
    assert set(in_order()) == set(SERVICES)  # raises for a circle
    for name, service in SERVICES.items():
        for other, waits in service.get("depends_on", {}).items():
            if waits["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], (name, other)
            else:
                assert (other, waits["condition"]) == ("setup", "service_completed_successfully"), name


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_exact(name: str) -> None:
    image = SERVICES[name]["image"]
    assert re.fullmatch(r"shouwang:\d+\.\d+\.\d+|[\w/-]+:v?\d+\.\d+[\w.-]*@sha256:[0-9a-f]{64}", image), image


def test_the_image_is_of_the_version_that_is_built() -> None:
    (version,) = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert {each["image"] for each in SERVICES.values() if each["image"].startswith("shouwang:")} == {
        f"shouwang:{version}"
    }
    assert f'image.version="{version}"' in (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_do_nothing_that_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert int(service["user"].split(":")[0]) > 0
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "devices"}
    assert service["deploy"]["resources"]["limits"]["pids"] <= 256
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_a_service_comes_back_and_is_looked_at(name: str) -> None:
    service = LONG_RUNNING[name]
    assert service["restart"] == "unless-stopped"
    check = service["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries", "start_period"} <= check.keys()


def test_each_role_is_a_service_that_is_asked_for_its_own_pulse() -> None:
    found = platform_services()
    assert {name: each["command"] for name, each in found.items()} == {role: ["run", "--roles", role] for role in ROLES}
    for role, service in found.items():
        assert service["healthcheck"]["test"] == ["CMD", "python", "-m", "shouwang.healthy", role]
        assert service["environment"] == SERVICES["setup"]["environment"]


def test_all_together_fit_a_server_of_4_gb() -> None:
    limits = [bytes_of(each["deploy"]["resources"]["limits"]["memory"]) for each in LONG_RUNNING.values()]
    assert sum(limits) <= SERVER_BYTES - SYSTEM_BYTES


def test_secrets_are_files_and_each_is_used_and_given() -> None:
    whole = composed()
    used = {name for each in SERVICES.values() for name in each.get("secrets", [])}
    assert used == set(whole["secrets"])
    for service in SERVICES.values():
        for key, value in ((key, str(value)) for key, value in service["environment"].items()):
            if "/run/secrets/" in value and urlsplit(value).scheme == "":
                assert key.endswith("_FILE"), key
            for named in re.findall(r"/run/secrets/(\w+)", value):
                assert named in service["secrets"], (key, named)
        for named in re.findall(r"/run/secrets/(\w+)", f"{service.get('command')} {service.get('healthcheck')}"):
            assert named in service["secrets"], named
    assert not [key for each in SERVICES.values() for key in each["environment"] if re.search("PASSWORD$|TOKEN$", key)]


def test_volumes_are_named_and_what_is_bound_from_here_is_there_and_can_not_be_written() -> None:
    named = set()
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source, target, *mode = volume.split(":")
            assert PurePosixPath(target).is_absolute()
            if source.startswith("./"):
                assert (ROOT / source).exists(), source
                assert mode == ["ro"], volume
            else:
                named.add(source)
    assert named == set(composed()["volumes"])


def test_only_what_people_and_gateways_need_can_be_reached_from_outside() -> None:
    published = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}
    assert published == {
        "mosquitto": ["8883:8883"],
        "console": ["127.0.0.1:8000:8000"],
        "grafana": ["127.0.0.1:3000:3000"],
    }
    assert composed()["networks"]["inside"]["internal"] is True
    for name in ("postgres", "influxdb"):
        assert SERVICES[name]["networks"] == ["inside"]


def test_the_platform_asks_for_what_the_servers_are_told_to_make() -> None:
    platform = SERVICES["ingest"]["environment"]
    database, store, broker = (urlsplit(platform[f"SHOUWANG_{name}"]) for name in ("DATABASE", "STORE", "BROKER"))
    postgres, influx = SERVICES["postgres"]["environment"], SERVICES["influxdb"]["environment"]
    assert (database.username, database.path) == (postgres["POSTGRES_USER"], f"/{postgres['POSTGRES_DB']}")
    assert postgres["POSTGRES_PASSWORD_FILE"] == platform["SHOUWANG_DATABASE_PASSWORD_FILE"]
    made = (influx["DOCKER_INFLUXDB_INIT_ORG"], influx["DOCKER_INFLUXDB_INIT_BUCKET"])
    assert tuple(store.path.split("/")[1:]) == made
    assert influx["DOCKER_INFLUXDB_INIT_ADMIN_TOKEN_FILE"] == platform["SHOUWANG_STORE_TOKEN_FILE"]
    assert {database.hostname, store.hostname, broker.hostname} <= SERVICES.keys()
    assert f"--platform-port {broker.port}" in SETUP
    assert f"--platform-password-file {platform['SHOUWANG_BROKER_PASSWORD_FILE']}" in SETUP
    assert SERVICES["mosquitto"]["user"] == SERVICES["setup"]["user"]  # one writes what the other reads
    assert "/broker/mosquitto.conf" in SERVICES["mosquitto"]["command"]


def grafana_place(path: str) -> PurePosixPath:
    """Where a path of Grafana's container is in the one of `setup`, which writes it."""
    volumes = (dict(volume.split(":")[:2] for volume in SERVICES[name]["volumes"]) for name in ("grafana", "setup"))
    seen, written = (volume["grafana-files"] for volume in volumes)
    return written / PurePosixPath(path).relative_to(seen)


@pytest.mark.parametrize("metrics", [True, False])
def test_grafana_is_given_what_its_provisioning_asks_for(metrics: bool) -> None:
    grafana = SERVICES["grafana"]
    asked = f"{providers_text()}{sources_text(metrics)}"
    values = "\n".join(line for line in asked.splitlines() if not line.lstrip().startswith("#"))
    assert set(re.findall(r"\$(\w+)(?!\{)\b", values)) - {"__file"} <= grafana["environment"].keys()
    for file in re.findall(r"\$__file\{(.+?)\}", values):
        secret = file.removeprefix("/run/secrets/")
        assert secret in grafana["secrets"] or f"store reader {grafana_place(file)}\n" in SETUP
    address, database = (
        grafana["environment"]["SHOUWANG_DESK_ADDRESS"],
        grafana["environment"]["SHOUWANG_DESK_DATABASE"],
    )
    assert (address.split(":")[0] in SERVICES, database) == (True, SERVICES["postgres"]["environment"]["POSTGRES_DB"])
    bucket = SERVICES["influxdb"]["environment"]["DOCKER_INFLUXDB_INIT_BUCKET"]
    assert grafana["environment"]["SHOUWANG_READINGS_DATABASE"] == bucket


def test_prometheus_asks_every_role_where_it_tells_its_figures() -> None:
    prometheus = SERVICES["prometheus"]
    assert prometheus["profiles"] == ["metrics"]
    assert not [name for name, each in SERVICES.items() if "prometheus" in each.get("depends_on", {})]
    (job,) = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    (asked,) = job["static_configs"]
    ports = {role: each["environment"]["SHOUWANG_METRICS__PORT"] for role, each in platform_services().items()}
    assert sorted(asked["targets"]) == sorted(f"{role}:{port}" for role, port in ports.items())
    (label,) = job["relabel_configs"]
    assert re.fullmatch(label["regex"], asked["targets"][0])
    assert f"./deploy/prometheus.yml:{prometheus['command'][0].partition('=')[2]}:ro" in prometheus["volumes"]
    for name in (*platform_services(), "prometheus"):
        assert "inside" in SERVICES[name]["networks"]
        assert not any("9464" in port or "9090" in port for port in SERVICES[name].get("ports", []))


def test_grafana_asks_a_prometheus_only_where_there_is_one() -> None:
    assert SERVICES["setup"]["environment"]["SHOUWANG_GRAFANA__METRICS_URL"] in ("", None)
    chosen = yaml.safe_load(filled({**example_variables(), "SHOUWANG_PROMETHEUS_URL": "http://prometheus:9090"}))
    for name, variable in (("setup", "SHOUWANG_GRAFANA__METRICS_URL"), ("grafana", "SHOUWANG_PROMETHEUS_URL")):
        assert chosen["services"][name]["environment"][variable] == "http://prometheus:9090"


def test_grafana_starts_from_what_setup_wrote_and_has_no_token_that_writes() -> None:
    grafana = SERVICES["grafana"]
    written = grafana_place(grafana["environment"]["GF_PATHS_PROVISIONING"]).parent
    assert f"grafana provision {written}\n" in SETUP
    assert grafana_place(grafana["environment"]["SHOUWANG_DASHBOARDS"]) == written / "dashboards"
    assert next(volume for volume in grafana["volumes"] if volume.startswith("grafana-files:")).endswith(":ro")
    assert "store_token" not in grafana["secrets"]
    assert SERVICES["setup"]["environment"]["SHOUWANG_CONSOLE__BASE_URL"] == example_variables()["SHOUWANG_BASE_URL"]
