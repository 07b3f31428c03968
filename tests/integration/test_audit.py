"""The audit of an honest federation finds nothing; every alteration of what was published is found and named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from web3 import Web3

from processor.artifacts.report import Report
from processor.chain.provider import connect
from processor.daemons.organization import OrganizationDaemon
from processor.privacy.sealing import generate_key_pair
from processor.types import Adjustment
from tests.integration.local_federation import LocalFederation
from tests.nodes import start_anvil


@pytest.fixture(scope="module")
def web3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web3]:
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        yield connect(node.rpc_url)


@pytest.fixture
def honest(web3: Web3, tmp_path: Path) -> LocalFederation:
    played = LocalFederation(web3, tmp_path)
    played.play()
    return played


def play_with(web3: Web3, folder: Path, liar: type[OrganizationDaemon]) -> LocalFederation:
    """One round whose organization lies, and signs its lie on chain."""
    played = LocalFederation(web3, folder, rounds_wanted=1, organization_type=liar)
    played.play()
    return played


def test_honest_federation_has_no_violation_and_every_round_is_recomputed(honest: LocalFederation) -> None:
    result = honest.audit()
    assert result.ok, result.violations
    assert result.checks > 50
    assert [row.recomputed for row in result.rounds] == [True, True]


def test_audit_changes_nothing_and_gives_the_same_answer_twice(honest: LocalFederation) -> None:
    assert honest.audit() == honest.audit()


def test_contract_with_other_code_is_found(honest: LocalFederation, web3: Web3) -> None:
    code = web3.eth.get_code(Web3.to_checksum_address(honest.federation.address)).hex()
    web3.provider.make_request("anvil_setCode", [honest.federation.address, "0x" + code[:-2]])  # type: ignore[arg-type]
    assert [line for line in honest.violations() if "code of the contract" in line]


def test_one_byte_of_a_model_is_found(honest: LocalFederation) -> None:
    view = honest.federation.round_view(1)
    flip_a_byte(honest.folder / "store" / str(view.released.model))
    found = honest.violations()
    assert any(f"round 1: model {view.released.model}" in line and "hash" in line for line in found)


def test_one_byte_of_a_report_is_found(honest: LocalFederation) -> None:
    view = honest.federation.round_view(2)
    flip_a_byte(honest.folder / "store" / str(view.released.report))
    assert any(f"round 2: report {view.released.report}" in line for line in honest.violations())


def test_one_byte_of_an_update_is_found(honest: LocalFederation) -> None:
    update = honest.federation.updates(1)[0]
    flip_a_byte(honest.folder / "store" / str(update.update))
    found = honest.violations()
    assert any("round 1: recomputed model" in line for line in found)
    assert any(f"round 1: reason for {update.client}" in line and "unavailable" in line for line in found)


def test_missing_artifact_is_a_violation_and_not_an_error(honest: LocalFederation) -> None:
    view = honest.federation.round_view(1)
    (honest.folder / "store" / str(view.plan)).unlink()
    assert any(f"round 1: plan {view.plan}" in line for line in honest.violations())


class Boaster(OrganizationDaemon):
    """Reports a better accuracy than it measured."""

    def _publish(self, *arguments) -> Report:  # type: ignore[no-untyped-def]
        report = super()._publish(*arguments)
        return replace(report, metrics=replace(report.metrics, before=report.metrics.before + 0.3))


def test_a_better_accuracy_is_found_where_the_validation_data_is_published(web3: Web3, tmp_path: Path) -> None:
    played = LocalFederation(web3, tmp_path, rounds_wanted=1, organization_type=Boaster, publish_validation=True)
    played.play()
    found = played.violations()
    assert len(found) == 1 and "round 1: accuracy of the base model in the report" in found[0]


def test_accuracy_on_private_validation_data_is_taken_as_claimed(web3: Web3, tmp_path: Path) -> None:
    assert play_with(web3, tmp_path, Boaster).violations() == []


class HeavyHand(OrganizationDaemon):
    """Reports another weight than the one it averaged with."""

    def _publish(self, *arguments) -> Report:  # type: ignore[no-untyped-def]
        report = super()._publish(*arguments)
        first, *others = report.updates
        return replace(report, updates=(replace(first, weight=first.weight + 1), *others))


def test_a_weight_in_a_report_is_found(web3: Web3, tmp_path: Path) -> None:
    found = play_with(web3, tmp_path, HeavyHand).violations()
    assert len(found) == 1
    assert "round 1: weight of 0x" in found[0] and "in the report" in found[0]


class Miser(OrganizationDaemon):
    """Credits one client half of its time, on chain and in the report."""

    def _publish(self, view, plan, settlement):  # type: ignore[no-untyped-def]
        report = super()._publish(view, plan, settlement)
        first, *others = report.updates
        lowered = replace(first, credited_ms=first.credited_ms // 2, reason="metering")
        object.__setattr__(settlement, "adjustments", (Adjustment(lowered.client, lowered.credited_ms),))
        return replace(report, updates=(lowered, *others))


def test_a_credited_time_is_found(web3: Web3, tmp_path: Path) -> None:
    found = play_with(web3, tmp_path, Miser).violations()
    assert any("credited time of 0x" in line and "in the report" in line for line in found)
    assert any("reason for 0x" in line and "expected nothing, found metering" in line for line in found)


class Swapper(OrganizationDaemon):
    """Reports two clients' updates under each other's name."""

    def _publish(self, *arguments) -> Report:  # type: ignore[no-untyped-def]
        report = super()._publish(*arguments)
        first, second, *others = report.updates
        swapped = (replace(first, update=second.update), replace(second, update=first.update))
        return replace(report, updates=(*swapped, *others))


def test_a_swapped_update_is_found(web3: Web3, tmp_path: Path) -> None:
    found = play_with(web3, tmp_path, Swapper).violations()
    assert len([line for line in found if "round 1: update of 0x" in line and "in the report" in line]) == 2


class Forgetful(OrganizationDaemon):
    """Publishes another secret than the one that opens the updates."""

    def _finalize(self, view, block):  # type: ignore[no-untyped-def]
        federation = self.federation
        honest = federation.finalize_round
        federation.finalize_round = with_another_secret(honest)  # type: ignore[method-assign]
        try:
            return super()._finalize(view, block)
        finally:
            federation.finalize_round = honest  # type: ignore[method-assign]


def test_a_wrong_secret_is_found(web3: Web3, tmp_path: Path) -> None:
    found = play_with(web3, tmp_path, Forgetful).violations()
    assert any("round 1: sealing key of the published secret" in line for line in found)
    assert any("sealed_wrong" in line for line in found)


def with_another_secret(honest: Any) -> Any:
    return lambda *values: honest(*values[:-1], generate_key_pair().secret)


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
