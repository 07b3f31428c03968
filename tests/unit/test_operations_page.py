"""docs/operations.md says what is so: its metrics, alerts, settings and commands exist."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from processor.cli.check import _Checks
from processor.config import load_client
from processor.metrics import PHASES, Metrics
from tests.unit.cli.command_lines import parse

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "operations.md").read_text()


def blocks(language: str) -> list[str]:
    """The blocks of the page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def used() -> Metrics:
    """Metrics in which everything has happened once."""
    metrics = Metrics()
    metrics.cycle("trouble")
    metrics.transaction("mined")
    metrics.reported("accepted")
    metrics.storage("get", 1.0, "ok")
    metrics.round(1, PHASES[1])
    return metrics


def series() -> Iterator[tuple[str, frozenset[str]]]:
    """The name and the labels of every series that a daemon serves."""
    for family in text_string_to_metric_families(generate_latest(used().registry).decode()):
        for sample in family.samples:
            yield sample.name, frozenset(sample.labels)


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load(blocks("yaml")[0])
    return [rule for group in document["groups"] for rule in group["rules"]]


def test_every_metric_is_listed_with_its_labels_and_no_other() -> None:
    listed = dict(re.findall(r"^\| `(koinon_\w+)(?:\{([\w,]+)\})?` \|", PAGE, re.MULTILINE))
    served = {
        re.sub(r"_(bucket|sum|count)$", "", name): ",".join(sorted(labels - {"le"}))
        for name, labels in series()
        if name.startswith("koinon_")
    }
    assert {name: ",".join(sorted(filter(None, labels.split(",")))) for name, labels in listed.items()} == served


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_and_labels_that_there_are(rule: dict[str, Any]) -> None:
    known: dict[str, set[str]] = {"up": {"job"}}
    for name, labels in series():
        known.setdefault(name, set()).update(labels)
    asked = re.findall(r"\b((?:koinon|process)_\w+|up)\b(?:\{([^}]*)\})?", rule["expr"])
    assert asked and set(rule) <= {"alert", "expr", "for", "annotations"} and rule["annotations"]["summary"]
    for name, matchers in asked:
        assert name in known
        assert set(re.findall(r"(\w+)\s*[=!]", matchers)) <= known[name]


def test_every_alert_has_a_name_of_its_own() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names) and all(re.fullmatch(r"Koinon[A-Z]\w+", name) for name in names)


def test_what_else_is_yaml_on_the_page_can_be_read() -> None:
    assert yaml.safe_load(blocks("yaml")[1])["scrape_configs"][0]["job_name"] == "koinon"


def test_the_configuration_on_the_page_is_one_that_the_daemon_takes(tmp_path: Path) -> None:
    network, client = blocks("toml")
    client += 'federation = "0x000000000000000000000000000000000000dEaD"\nwallet = "w"\ndata = "d"\n'
    (tmp_path / "client.toml").write_text(network + client + 'metrics = "127.0.0.1:9464"\n')
    settings = load_client({}, tmp_path / "client.toml", {})
    assert (
        len(settings.relays) == 2
        and len(settings.network.rpc) == 2
        and settings.network.quorum == 2
        and settings.metrics == ("127.0.0.1", 9464)
    )
    assert tomllib.loads(network)["network"]["chain_id"] == 1


@pytest.mark.parametrize("line", [line for block in blocks("") for line in block.splitlines() if line[:7] == "koinon "])
def test_a_command_on_the_page_is_one_that_the_program_takes(line: str) -> None:
    parse(shlex.split(line, comments=True)[1:])


def test_every_check_is_listed(tmp_path: Path) -> None:
    (tmp_path / "client.toml").write_text(
        '[network]\nrpc = "http://127.0.0.1:1"\nstorage = ["/ip4/127.0.0.1/tcp/1", "file:///srv"]\nquorum = 2\n'
        'gateways = ["http://127.0.0.1:1"]\n'
        '[client]\nfederation = "0x000000000000000000000000000000000000dEaD"\nwallet = "w"\ndata = "d"\n'
        'device = "cuda"\n'
    )
    found = {name for name, _ in _Checks(load_client({}, tmp_path / "client.toml", {}))._all()}
    table = PAGE.split("| check | what it looks at |")[1].split("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", "\n".join(row.split("|")[1] for row in table.splitlines()[2:]))) == found


def test_the_page_links_to_files_that_are_there() -> None:
    for target in re.findall(r"\]\((\.\./[^)#]+|[\w-]+\.md)\)", PAGE):
        assert (CHECKOUT / "docs" / target).exists(), target
