"""The examples, as far as a machine without images and without a service manager can try them."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.cli.command_lines import parse

EXAMPLES = Path(__file__).parents[2] / "examples"
UNITS = sorted((EXAMPLES / "systemd").glob("*.service"))
COMPOSE: dict[str, Any] = yaml.safe_load((EXAMPLES / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (EXAMPLES / "Dockerfile").read_text()


class _Unit(configparser.RawConfigParser):
    """A unit's settings: a key may come several times, and the values are joined by new lines."""

    def __init__(self, path: Path) -> None:
        super().__init__(strict=False, interpolation=None, dict_type=_Several)
        self.optionxform = str  # type: ignore[assignment,method-assign]
        self.read_string(path.read_text())


class _Several(dict[str, Any]):
    def __setitem__(self, key: str, value: Any) -> None:
        known = self.get(key)
        super().__setitem__(key, known + value if isinstance(known, list) and isinstance(value, list) else value)


def test_a_command_line_that_the_program_does_not_take_is_noticed() -> None:
    assert parse(["client", "run", "--config", "client.toml"])["config"] == Path("client.toml")
    with pytest.raises(Exception, match="No such option: --configuration"):
        parse(["client", "run", "--configuration", "client.toml"])
    with pytest.raises(KeyError):
        parse(["client", "walk"])


# --------------------------------------------------------------------------------------------------------- systemd


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_is_one_that_systemd_takes(unit: Path, tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("needs `systemd-analyze`")
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/koinon/bin/koinon", sys.executable))  # which must be there
    verified = subprocess.run([program, "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_the_daemon_of_its_role_with_secrets_from_outside_of_its_files(unit: Path) -> None:
    role = unit.name.removeprefix("koinon-").removesuffix("@.service")
    service = _Unit(unit)["Service"]
    program, *words = shlex.split(service["ExecStart"])
    assert program == "/opt/koinon/bin/koinon" and words[:2] == [role, "run"]
    assert parse(words)["config"] == Path(f"/etc/koinon/%i/{role}.toml")
    environment = dict(line.split("=", 1) for line in service["Environment"].split("\n"))
    assert environment["KOINON_PASSPHRASE_FILE"] == "%d/passphrase"
    assert service["LoadCredential"] == "passphrase:/etc/koinon/%i/passphrase"
    assert environment["KOINON_STATE"] == f"%S/{service['StateDirectory']}"


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_is_started_again_however_often_it_failed(unit: Path) -> None:
    assert _Unit(unit)["Unit"]["StartLimitIntervalSec"] == "0"
    assert "StartLimitBurst" not in _Unit(unit)["Unit"]


def test_a_settlement_is_given_time_to_come_to_its_end() -> None:
    client, organization = (_Unit(unit)["Service"]["TimeoutStopSec"] for unit in UNITS)
    assert (client, organization) == ("2min", "15min")


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_is_hardened_and_comes_back_after_a_failure(unit: Path) -> None:
    service = _Unit(unit)["Service"]
    assert service["User"] == "koinon" and service["Restart"] == "on-failure" and service["KillSignal"] == "SIGTERM"
    assert service["ProtectSystem"] == "strict" and service["CapabilityBoundingSet"] == ""
    for each in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "RestrictSUIDSGID", "RestrictNamespaces"):
        assert service[each] == "yes"


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_daemon_ends_its_worker_itself_and_outlives_one_that_took_too_much_memory(unit: Path) -> None:
    service = _Unit(unit)["Service"]
    assert (service["KillMode"], service["OOMPolicy"]) == ("mixed", "continue")


def test_there_is_a_unit_for_each_role() -> None:
    assert [unit.name for unit in UNITS] == ["koinon-client@.service", "koinon-organization@.service"]


# --------------------------------------------------------------------------------------------------------- docker


def test_the_federation_has_a_chain_a_node_an_organization_and_three_clients() -> None:
    assert set(SERVICES) == {"anvil", "kubo", "stage", "organization", "client-1", "client-2", "client-3"}


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned(name: str) -> None:
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?", SERVICES[name]["image"])


def test_the_image_is_built_from_a_pinned_one_and_runs_as_nobody_special() -> None:
    bases = re.findall(r"^FROM (\S+)$", DOCKERFILE, re.MULTILINE)
    assert bases and all(re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?", base) for base in bases)
    assert re.search(r"^USER koinon$", DOCKERFILE, re.MULTILINE)
    for sources in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE):
        assert all((EXAMPLES.parent / source).exists() for source in sources.split()[:-1])


@pytest.mark.parametrize("name", ["organization", "client-1", "client-2", "client-3"])
def test_a_daemon_is_started_as_the_program_takes_it_and_asked_for_its_health(name: str) -> None:
    service, role = SERVICES[name], name.split("-")[0]
    assert service["command"][:2] == [role, "run"]
    assert parse(service["command"])["config"] == Path(f"/federation/{name}/{role}.toml")
    port = service["environment"]["KOINON_METRICS"].rsplit(":", 1)[1]
    assert f"127.0.0.1:{port}/healthz" in service["healthcheck"]["test"][-1]
    compile(service["healthcheck"]["test"][-1], "healthcheck", "exec")
    assert service["read_only"] and service["cap_drop"] == ["ALL"] and "ports" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_is_defined_and_can_be_waited_for(name: str) -> None:
    for other, condition in SERVICES[name].get("depends_on", {}).items():
        if condition["condition"] == "service_healthy":
            assert SERVICES[other]["healthcheck"]["test"][0] == "CMD"
        else:
            assert (other, condition["condition"]) == ("stage", "service_completed_successfully")
    for volume in SERVICES[name].get("volumes", []):
        assert volume.split(":")[0] in COMPOSE["volumes"]


def test_the_stage_is_set_with_the_nodes_and_clients_that_there_are() -> None:
    folder, rpc, ipfs, clients, rounds = SERVICES["stage"]["command"]
    assert (folder, rpc) == ("/federation", f"http://anvil:{SERVICES['anvil']['command'][3]}")
    assert ipfs == "/dns/kubo/tcp/5001"
    assert int(clients) == sum(name.startswith("client-") for name in SERVICES) and int(rounds) >= 10
    script = Path(SERVICES["stage"]["entrypoint"][1])
    assert f"COPY examples/{script.name} {script}" in DOCKERFILE
