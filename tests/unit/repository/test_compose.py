"""docker-compose.yml against the compose specification's schema, and for what the promises rest on."""

from __future__ import annotations

import importlib.resources
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tickrouter.config import load_config

ROOT = Path(__file__).parents[3]
OURS = ("collector", "router", "archiver")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    folder = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    loaded: dict[str, Any] = json.loads((folder / "compose-spec.json").read_text(encoding="utf-8"))
    return loaded


def test_it_follows_the_specification(compose: dict[str, Any], schema: dict[str, Any]) -> None:
    jsonschema.validate(compose, schema)


def test_the_schema_finds_a_planted_error(compose: dict[str, Any], schema: dict[str, Any]) -> None:
    compose = {**compose, "services": {**compose["services"], "router": {"image": 5, "restarts": "always"}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(compose, schema)


def test_names_that_are_used_exist(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", ())) <= set(services), name
        if network := service.get("network_mode"):
            assert network.removeprefix("service:") in services, name
        for mount in service.get("volumes", ()):
            source = mount.partition(":")[0]
            if source.startswith("./configs"):
                assert (ROOT / source).exists(), mount
            elif not source.startswith("./"):
                assert source in compose["volumes"], mount


def test_every_process_has_limits_and_restarts_and_all_but_the_exporter_a_health_check(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert {"cpus", "memory"} <= set(service["deploy"]["resources"]["limits"]), name
        assert service["restart"] == "unless-stopped", name
        assert "healthcheck" in service or name == "redis-exporter", name


def test_both_profiles_run_every_service(compose: dict[str, Any]) -> None:
    for profile, tail in (("paper", ""), ("live", "-live")):
        for name in OURS:
            assert compose["services"][name + tail]["profiles"] == [profile]
    assert compose["services"]["simulator"]["profiles"] == ["paper"]


def test_prometheus_asks_the_ports_on_which_the_services_answer() -> None:
    folder = ROOT / "configs" / "compose"
    jobs = yaml.safe_load((folder / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    [ours] = [job for job in jobs if job["job_name"] == "tickrouter"]
    ports = yaml.safe_load((folder / "paper.yaml").read_text(encoding="utf-8"))["metrics_ports"]
    assert ours["static_configs"][0]["targets"] == [f"localhost:{ports[name]}" for name in OURS]


def test_redis_keeps_orders_and_evicts_nothing(compose: dict[str, Any]) -> None:
    for name, fsync in (("redis-market", "everysec"), ("redis-orders", "always")):
        command = compose["services"][name]["command"]
        for option in ("--appendonly yes", f"--appendfsync {fsync}", "--maxmemory-policy noeviction", "--requirepass"):
            assert option in command, name


def test_nothing_listens_beyond_this_machine(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert ports
    assert all(str(port).startswith("127.0.0.1:") for port in ports)


def test_secrets_come_from_the_environment(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            if any(word in variable for word in ("PASSWORD", "KEY", "AUTH", "URL")):
                assert "${" in value, f"{name}: {variable}"


def test_the_configuration_on_paper_is_valid_and_local(tmp_path: Path) -> None:
    (tmp_path / "tickrouter.yaml").write_bytes((ROOT / "configs" / "compose" / "paper.yaml").read_bytes())
    (tmp_path / "venues").symlink_to(ROOT / "configs" / "venues")
    config = load_config(tmp_path / "tickrouter.yaml")
    assert config.is_local("btcturk")
    assert {account.mode for account in config.accounts.values()} == {"paper"}


@pytest.mark.parametrize("name", ["prometheus.yml", "grafana-datasource.yml"])
def test_the_other_files_are_yaml_with_content(name: str) -> None:
    assert yaml.safe_load((ROOT / "configs" / "compose" / name).read_text(encoding="utf-8"))


def test_the_image_is_built_from_what_the_ignore_file_lets_in() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    copied = {
        part
        for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for part in line.split()[1:-1]
    }
    assert ignore[0] == "*"
    assert copied <= allowed
    assert all((ROOT / part).exists() for part in copied)
