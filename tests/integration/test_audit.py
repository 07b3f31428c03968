"""The audit of an honest federation finds nothing; every lie and every alteration is found and named, and what nobody
gives is named as what it is: not proved."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result
from web3 import Web3
from web3.exceptions import Web3RPCError
from web3.middleware import Web3Middleware
from web3.types import RPCEndpoint

from processor.artifacts.canonical import Fields
from processor.artifacts.report import REPORT, AbandonedRound, FinishedRound, Report
from processor.artifacts.round import ROUND
from processor.artifacts.versions import Kind
from processor.chain.federation import Federation
from processor.chain.provider import connect
from processor.cid import cid_of
from processor.cli.audit import INCOMPLETE
from processor.cli.tree import app
from processor.daemons.organization import OrganizationDaemon
from processor.errors import ConfigurationError, NewerVersion
from processor.privacy.sealing import generate_key_pair
from processor.protocol.audit import Audit
from processor.storage import put_bytes
from processor.types import FederationTerms, Phase
from processor.worker import process as worker
from processor.worker.group import Process
from tests.integration.local_federation import LocalFederation
from tests.integration.played import ETHER, PlayedFederation
from tests.nodes import ChainNode, start_anvil


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainNode]:
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        yield node


@pytest.fixture(scope="module")
def web3(node: ChainNode) -> Web3:
    return connect(node.rpc_url)


@pytest.fixture(scope="module")
def six_rounds(web3: Web3, tmp_path_factory: pytest.TempPathFactory) -> PlayedFederation:
    """Four rounds were finalized, the third and the fifth abandoned."""
    federation = PlayedFederation(web3, tmp_path_factory.mktemp("six-rounds"))
    federation.round()
    federation.round(2, 0)
    lose_a_round(federation, 1)
    federation.round(1, 2, 0)
    lose_a_round(federation, 2, 1)
    federation.round(0, 2, 1)
    return federation


@pytest.fixture
def played(six_rounds: PlayedFederation, web3: Web3, tmp_path: Path) -> Iterator[PlayedFederation]:
    yield from for_one_test(six_rounds, web3, tmp_path)


def for_one_test(federation: PlayedFederation, web3: Web3, folder: Path) -> Iterator[PlayedFederation]:
    """The federation, to do with as a test likes: with a store of its own, on a chain that forgets it afterwards."""
    snapshot = web3.provider.make_request(RPCEndpoint("evm_snapshot"), [])["result"]
    yield federation.copied(folder)
    web3.provider.make_request(RPCEndpoint("evm_revert"), [snapshot])


def lose_a_round(federation: PlayedFederation, *numbers: int) -> None:
    federation.open()
    federation.submit(*numbers)
    federation.abandon()


def unproved(result: Audit) -> dict[int, str]:
    return {one.round: one.because for one in result.unproved}


class Forgetful(Web3Middleware):
    """A node that keeps no logs and no state but that of the latest block."""

    def request_processor(self, method: RPCEndpoint, params: Any) -> Any:
        if method == "eth_getLogs":
            raise Web3RPCError("logs are pruned")
        if method in ("eth_call", "eth_getCode", "eth_getBalance", "eth_getStorageAt"):
            latest = self._w3.eth.get_block("latest")
            head = (Web3.to_hex(latest["hash"]), hex(latest["number"]), "latest")  # type: ignore[index]
            asked = params[-1]
            if (asked["blockHash"] if isinstance(asked, dict) else asked) not in head:
                raise Web3RPCError("state is pruned")
        return method, params


def forgetful(node: ChainNode, federation: Federation) -> Federation:
    web3 = connect(node.rpc_url)
    web3.middleware_onion.inject(Forgetful, layer=0)
    return Federation(web3, federation.address)


# -------------------------------------------------------------------------------------- state and artifacts, no server


def test_honest_federation_has_no_violation_and_every_round_is_proved_and_recomputed(played: PlayedFederation) -> None:
    result = played.audit()
    assert (result.violations, result.unproved) == ((), ())
    assert [row.phase for row in result.rounds] == [
        *(Phase.FINALIZED, Phase.FINALIZED, Phase.ABANDONED, Phase.FINALIZED, Phase.ABANDONED, Phase.FINALIZED)
    ]
    assert [row.recomputed for row in result.rounds] == [True, True, False, True, False, True]
    assert [row.updates for row in result.rounds] == [3, 2, 1, 3, 2, 3]
    assert all(row.proved for row in result.rounds)
    assert [file.round for file in result.files] == [1, 2, 3, 4, 5, 6]


def test_audit_changes_nothing_and_gives_the_same_answer_twice(played: PlayedFederation) -> None:
    assert played.audit() == played.audit()


def test_audit_before_the_first_round_and_in_the_middle_of_one_finds_nothing(web3: Web3, tmp_path: Path) -> None:
    federation = PlayedFederation(web3, tmp_path)
    assert federation.audit().rounds == ()
    federation.open()
    federation.submit(1)
    result = federation.audit()
    assert (result.violations, result.unproved, result.rounds[0].phase) == ((), (), Phase.TRAINING)
    federation.end_training()
    assert federation.violations() == []
    federation.finalize()
    federation.open()
    result = federation.audit()
    assert (result.violations, result.unproved) == ((), ())
    assert [row.recomputed for row in result.rounds] == [True, False]


def test_a_node_without_logs_and_past_state_is_enough_though_a_report_is_withheld_and_a_round_was_abandoned(
    played: PlayedFederation, node: ChainNode
) -> None:
    played.withhold(played.reports[4])
    result = played.audit(logs=True, by=forgetful(node, played.federation))
    assert result.violations == ()
    assert list(unproved(result)) == [4]
    assert f"its report {played.reports[4]} cannot be had" in unproved(result)[4]
    assert [row.proved for row in result.rounds] == [True, True, True, False, True, True]
    assert [row.recomputed for row in result.rounds] == [True, True, False, False, False, True]


def test_where_two_reports_are_withheld_in_a_row_rounds_kept_before_are_proved_all_the_same(
    web3: Web3, tmp_path: Path
) -> None:
    federation = PlayedFederation(web3, tmp_path)
    for number in range(1, 6):
        federation.round()
        if number == 2:
            assert federation.audit(tmp_path / "kept").complete
    for number in (3, 4):
        federation.withhold(federation.reports[number])
    result = federation.audit()
    assert (result.violations, list(unproved(result))) == ((), [1, 2, 3, 4])
    assert "no report, log or kept round that was found says" in unproved(result)[2]
    result = federation.audit(tmp_path / "kept")
    assert (result.violations, list(unproved(result))) == ((), [3, 4])
    assert federation.audit(logs=True).complete


def test_list_of_an_abandoned_round_that_is_withheld_breaks_no_walk(played: PlayedFederation) -> None:
    played.withhold(cid_of(ROUND.encode(played.lists[3])))
    result = played.audit()
    assert (result.violations, list(unproved(result))) == ((), [3])
    assert [row.proved for row in result.rounds] == [True, True, False, True, True, True]


def test_without_the_newest_report_the_audit_says_that_it_cannot_go_back(played: PlayedFederation) -> None:
    played.withhold(played.reports[6])
    result = played.audit()
    assert result.violations == ()
    assert list(unproved(result)) == [1, 2, 3, 4, 5, 6]
    assert "nothing leads back behind it" in unproved(result)[6]
    assert [row.updates for row in result.rounds] == [None] * 5 + [3]


def test_logs_stand_in_for_the_newest_report(played: PlayedFederation) -> None:
    played.withhold(played.reports[6])
    result = played.audit(logs=True)
    assert (result.violations, result.unproved) == ((), ())
    assert result.rounds[5].recomputed


def test_kept_folder_stands_in_for_all_reports(played: PlayedFederation, tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    assert played.audit(keep).complete
    for cid in played.reports.values():
        played.withhold(cid)
    result = played.audit(keep)
    assert (result.violations, result.unproved) == ((), ())
    assert [row.recomputed for row in result.rounds] == [True, True, False, True, False, True]
    assert [row.metric is not None for row in result.rounds] == [True, True, False, True, False, True]


def test_kept_rounds_are_enough_without_kept_reports(played: PlayedFederation, tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    assert played.audit(keep).complete
    for cid in played.reports.values():
        played.withhold(cid)
        (keep / "artifacts" / cid).unlink()
    result = played.audit(keep)
    assert (result.violations, result.unproved) == ((), ())
    assert [row.recomputed for row in result.rounds] == [True, True, False, True, False, True]


def test_rounds_abandoned_since_the_last_report_are_named_and_logs_or_a_kept_folder_prove_them(
    played: PlayedFederation, tmp_path: Path
) -> None:
    lose_a_round(played, 0)
    assert played.audit(tmp_path / "kept").complete
    lose_a_round(played, 0, 2)
    played.open()
    result = played.audit()
    assert result.violations == ()
    assert list(unproved(result)) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert "no report, log or kept round that was found says" in unproved(result)[8]
    assert all("round 8, which comes after it, is missing" in unproved(result)[number] for number in range(1, 7))
    assert list(unproved(played.audit(tmp_path / "kept"))) == [*range(1, 9)]
    assert played.audit(tmp_path / "kept", logs=True).complete
    assert played.audit(tmp_path / "kept").complete


def test_round_whose_list_a_leaver_took_along_is_named_and_the_rounds_before_are_proved(
    played: PlayedFederation,
) -> None:
    lose_a_round(played, 0, 2)
    leaver = played.clients[2]
    leaver.send(played.federation.leave(leaver.address))
    result = played.audit()
    assert (result.violations, list(unproved(result))) == ((), [7])
    assert "state holds a part of its list" in unproved(result)[7]
    assert played.audit(logs=True).complete


def test_a_kept_folder_of_another_federation_is_refused(played: PlayedFederation, web3: Web3, tmp_path: Path) -> None:
    played.audit(tmp_path / "kept")
    other = PlayedFederation(web3, tmp_path / "other")
    with pytest.raises(ConfigurationError, match="keeps rounds of the federation"):
        other.audit(tmp_path / "kept")


def test_what_was_changed_in_a_kept_folder_is_not_believed(played: PlayedFederation, tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    played.audit(keep)
    path = keep / "rounds" / "4.json"
    honest = path.read_bytes()
    file = ROUND.decode(honest)
    path.write_bytes(ROUND.encode(replace(file, updates=file.updates[::-1], record_before="00" * 32)))
    (keep / "rounds" / "2.json").write_bytes(b"half of a rou")
    (keep / "artifacts" / played.reports[1]).write_bytes(b"half of a report")
    result = played.audit(keep)
    assert (result.violations, result.unproved) == ((), ())
    assert path.read_bytes() == honest


# --------------------------------------------------------------------------------------------------------------- lies


@pytest.fixture(scope="module")
def five_rounds(web3: Web3, tmp_path_factory: pytest.TempPathFactory) -> PlayedFederation:
    """The second and the fourth were abandoned, the fifth waits for its report."""
    federation = PlayedFederation(web3, tmp_path_factory.mktemp("five-rounds"))
    federation.round(0, 1)
    lose_a_round(federation, 2, 1)
    federation.round(2, 1)
    lose_a_round(federation, 0)
    federation.open()
    federation.submit(1, 2)
    federation.end_training()
    return federation


@pytest.fixture
def before_the_lie(five_rounds: PlayedFederation, web3: Web3, tmp_path: Path) -> Iterator[PlayedFederation]:
    yield from for_one_test(five_rounds, web3, tmp_path)


def other_order(report: Report) -> Report:
    return replace(report, updates=report.updates[::-1])


def swapped_updates(report: Report) -> Report:
    first, second, *others = report.updates
    return replace(
        report, updates=(replace(first, update=second.update), replace(second, update=first.update), *others)
    )


def one_update_less(report: Report) -> Report:
    return replace(report, updates=report.updates[1:])


def another_record_before(report: Report) -> Report:
    return replace(report, record_before="ab" * 32)


def larger_pool(report: Report) -> Report:
    return replace(report, opening=replace(report.opening, pool=str(2 * int(report.opening.pool))))


def no_abandoned_round(report: Report) -> Report:
    return replace(report, abandoned=())


def changed_abandoned(report: Report, **changes: Any) -> Report:
    last: AbandonedRound = report.abandoned[-1]
    return replace(report, abandoned=(*report.abandoned[:-1], replace(last, **changes)))


def other_digest_of_the_abandoned(report: Report) -> Report:
    return changed_abandoned(report, digest="ab" * 20)


def changed_before(report: Report, **changes: Any) -> Report:
    newest: FinishedRound = report.before[0]
    return replace(report, before=(replace(newest, **changes), *report.before[1:]))


def other_secret_before(report: Report) -> Report:
    return changed_before(report, secret="ab" * 32)


def other_record_in_before(report: Report) -> Report:
    return changed_before(report, record="ab" * 32)


def fewer_rounds_in_before(report: Report) -> Report:
    return replace(report, before=report.before[:1])


def older_abandoned_left_out(report: Report) -> Report:
    return changed_before(report, abandoned=())


LIES: dict[Callable[[Report], Report], tuple[str, str]] = {
    other_order: ("digest of opening and updates in the report", "order of the updates in the report"),
    swapped_updates: ("digest of opening and updates in the report", "update of 0x"),
    one_update_less: ("digest of opening and updates in the report", "clients in the report"),
    larger_pool: ("digest of opening and updates in the report", "pool of the opening in the report"),
    another_record_before: ("record before the round in the report", "record before the round in the report"),
    no_abandoned_round: ("abandoned", "abandoned rounds before round 5 in the report"),
    other_digest_of_the_abandoned: ("abandoned", "digest of abandoned round 4 in the report"),
    other_secret_before: ("before of the report, round 3", "secret in before of the report, round 3"),
    other_record_in_before: ("before of the report, round 3", "record in before of the report, round 3"),
    fewer_rounds_in_before: ("rounds in before of the report", "rounds in before of the report"),
    older_abandoned_left_out: ("abandoned", "abandoned rounds before round 3 in the report"),
}
"""Each with what the audit says from state and artifacts alone, and with logs."""


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_report_that_lies_is_named_with_round_and_field(
    before_the_lie: PlayedFederation, lie: Callable[[Report], Report]
) -> None:
    """Also once the next report, which repeats the lie where it speaks of that round, is there."""
    federation = before_the_lie
    federation.finalize(lie)
    alone, with_logs = LIES[lie]
    for found, field in ((federation.violations(), alone), (federation.violations(logs=True), with_logs)):
        assert any(field in line for line in found), found
        assert all(line.startswith("round 5: ") for line in found), found
    federation.round(2, 0)
    found = federation.violations(logs=True)
    assert any(line.startswith("round 5: ") and with_logs in line for line in found), found
    assert all(line.startswith(("round 5: ", "round 6: ")) for line in found), found


def test_a_list_that_is_not_the_abandoned_rounds_is_named(web3: Web3, tmp_path: Path) -> None:
    federation = PlayedFederation(web3, tmp_path)
    lose_a_round(federation, 2, 1)

    def another_list(report: Report) -> Report:
        file = federation.lists[1]
        cid = put_bytes(federation.storage, ROUND.encode(replace(file, updates=file.updates[::-1])))
        return changed_abandoned(report, list=cid)

    federation.round(change=another_list)
    assert any("round 2: digest of the list of abandoned round 1" in line for line in federation.violations())


def test_a_report_of_version_1_is_refused_by_name(web3: Web3, tmp_path: Path) -> None:
    federation = PlayedFederation(web3, tmp_path)
    federation.open()
    federation.submit()
    federation.end_training()
    old = put_bytes(federation.storage, b'{"kind":"report","version":1}')
    view, opening = federation.federation.round_view(), federation.opening
    parts = (1, view.digest, opening.base_model, old, (), federation.keys.secret)
    federation.organization.send(federation.federation.finalize_round(*parts))
    found = federation.violations()
    assert len(found) == 1
    assert found[0].startswith(f"round 1: report {old}: ")
    assert "version 1, of contracts before those that this program knows" in found[0]


@pytest.mark.parametrize("kind", ["plan", "model", "state", "report", "round"])
def test_what_a_newer_version_wrote_is_not_proved_and_no_violation(
    played: PlayedFederation, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    value_of = Kind._value_of

    def of_an_older_program(self: Kind[Any], *document: Any, **how: Any) -> Fields:
        if self.name == kind:
            raise NewerVersion(f"this {kind} has version 9, this program reads up to 8: update Koinon")
        return value_of(self, *document, **how)

    monkeypatch.setattr(Kind, "_value_of", of_an_older_program)
    for logs in (False, True):
        result = played.audit(logs=logs)
        assert result.violations == ()
        assert not result.complete
        assert any(f"this {kind} has version 9" in because for because in unproved(result).values())


def test_a_wrong_weight_reason_or_model_is_found(web3: Web3, tmp_path: Path) -> None:
    def heavier(report: Report) -> Report:
        first, *others = report.updates
        return replace(report, updates=(replace(first, weight=first.weight + 1), *others))

    federation = PlayedFederation(web3, tmp_path)
    federation.round(change=heavier)
    federation.round(change=lambda report: replace(report, initialization_seed=99))
    federation.round(change=lambda report: replace(report, stop="max_rounds"))
    federation.round(change=lambda report: replace(report, model=report.base_model))
    found = federation.violations(logs=True)
    assert [line.split(":")[0] for line in found] == ["round 1", "round 2", "round 3", "round 4"]
    assert "round 1: weight of 0x" in found[0]
    assert "round 2: model-initialization seed in the report: expected 2, found 99" in found[1]
    assert "round 3: stopping rule: expected nothing, found max_rounds" in found[2]
    assert "round 4: model in the report" in found[3]


def test_a_wrong_secret_is_found(web3: Web3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    federation = PlayedFederation(web3, tmp_path)
    federation.open()
    federation.submit()
    honest_keys = federation.keys
    finalize = federation.federation.finalize_round
    other = generate_key_pair().secret
    monkeypatch.setattr(
        federation.federation,
        "finalize_round",
        lambda round, digest, model, report, adjustments, secret: finalize(
            round, digest, model, report, adjustments, other
        ),
    )
    federation.finalize()
    found = federation.violations()
    assert honest_keys.secret != other
    assert any("round 1: sealing key of the published secret" in line for line in found)
    assert any("sealed_wrong" in line for line in found)


def test_a_sealing_key_that_serves_two_rounds_is_found(web3: Web3, tmp_path: Path) -> None:
    federation = PlayedFederation(web3, tmp_path)
    federation.round()
    first = federation.keys
    federation.round()
    federation.open(first)
    assert federation.violations() == ["round 3: sealing key: expected one of its own, found the key of round 1"]
    federation.submit()
    federation.finalize()
    assert federation.violations() == ["round 3: sealing key: expected one of its own, found the key of round 1"]


class Boaster(OrganizationDaemon):
    """Reports a better accuracy than it measured."""

    def _publish(self, *arguments: Any) -> Report:
        report = super()._publish(*arguments)
        return replace(report, metrics=replace(report.metrics, before=report.metrics.before + 0.3))


def audited(node: ChainNode, federation: LocalFederation) -> Result:
    """The command, with a worker of its own."""
    store = str(federation.folder / "store")
    return CliRunner().invoke(app, ["audit", federation.federation.address, "--rpc", node.rpc_url, "--store", store])


@pytest.mark.parametrize("published", [True, False], ids=["published", "private"])
def test_a_better_accuracy_is_found_where_the_validation_data_is_published_and_else_taken_as_claimed(
    web3: Web3, node: ChainNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: bool
) -> None:
    federation = LocalFederation(
        web3,
        tmp_path,
        clients_wanted=1,
        rounds_wanted=1,
        organization_type=Boaster,
        publish_validation=published,
    )
    federation.play()
    workers: list[Process] = []
    start = worker.start

    def counting(*arguments: Any) -> Process:
        workers.append(start(*arguments))
        return workers[-1]

    monkeypatch.setattr(worker, "start", counting)
    done = audited(node, federation)
    found = [line for line in done.stdout.splitlines() if line.startswith("VIOLATION")]
    assert done.exit_code == len(found) == published
    assert len(workers) == 1
    assert all("round 1: accuracy of the base model in the report" in line for line in found)
    assert all(each.poll() is not None for each in workers)


def test_where_the_worker_dies_the_metrics_are_not_proved_and_nobody_is_blamed(
    web3: Web3, node: ChainNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    federation = LocalFederation(
        web3, tmp_path, clients_wanted=1, rounds_wanted=1, organization_type=Boaster, publish_validation=True
    )
    federation.play()
    dies = [sys.executable, "-c", "import os; os.abort()"]
    monkeypatch.setattr(worker, "start", lambda *pipes: subprocess.Popen(dies, start_new_session=True))
    done = audited(node, federation)
    assert done.exit_code == INCOMPLETE
    assert "not proved: round 1, because its models cannot be measured again: the worker" in done.stdout
    assert "VIOLATION" not in done.stdout


# -------------------------------------------------------------------------------------------------------- alterations


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_contract_with_other_code_is_found(played: PlayedFederation, web3: Web3) -> None:
    code = web3.eth.get_code(Web3.to_checksum_address(played.federation.address)).hex()
    web3.provider.make_request("anvil_setCode", [played.federation.address, "0x" + code[:-2]])  # type: ignore[arg-type]
    assert [line for line in played.violations() if "code of the contract" in line]


def test_one_byte_of_a_model_is_found(played: PlayedFederation) -> None:
    model = REPORT.decode((played.folder / "store" / played.reports[2]).read_bytes()).model
    flip_a_byte(played.folder / "store" / model)
    assert any(f"round 2: model {model}" in line and "hash" in line for line in played.violations())


def test_one_byte_of_a_report_is_found(played: PlayedFederation) -> None:
    for number in (2, 6):
        flip_a_byte(played.folder / "store" / played.reports[number])
    found = played.violations(logs=True)
    assert [line.split(":")[0] for line in found] == ["round 6", "round 2"]
    assert all("report Qm" in line and "hash" in line for line in found)


def test_one_byte_of_an_update_is_found(played: PlayedFederation) -> None:
    update = played.audit().files[0].updates[0]
    flip_a_byte(played.folder / "store" / update.update)
    found = played.violations()
    assert any("round 1: recomputed model" in line for line in found)
    assert any(f"round 1: reason for {update.client}" in line and "unavailable" in line for line in found)


def test_missing_plan_is_a_violation_and_not_an_error(played: PlayedFederation) -> None:
    plan = played.audit().files[3].opening.plan
    played.withhold(plan)
    assert any(f"round 4: plan {plan}" in line for line in played.violations())


def test_coins_that_are_missing_are_found(played: PlayedFederation, web3: Web3) -> None:
    address = played.federation.address
    left = web3.eth.get_balance(Web3.to_checksum_address(address)) - 10**12
    web3.provider.make_request("anvil_setBalance", [address, hex(left - ETHER // 100)])  # type: ignore[arg-type]
    assert any("federation: balance of the contract" in line for line in played.violations())


# ------------------------------------------------------------------------------------------------- money and membership


def test_claims_leavers_and_members_who_come_back_leave_nothing_to_find(web3: Web3, tmp_path: Path) -> None:
    federation = PlayedFederation(web3, tmp_path, terms=FederationTerms(stake=ETHER, max_slash_rate=5_000))
    contract = federation.federation
    federation.round()
    first, second, _ = federation.clients
    first.send(contract.claim(first.address))
    second.send(contract.leave(second.address))
    federation.round(0, 2)
    second.send(contract.register())
    federation.round(0, 1, 2)
    lose_a_round(federation, 1)
    federation.round(2)
    result = federation.audit()
    assert (result.violations, result.unproved) == ((), ())


def test_a_rejected_and_slashed_update_is_recomputed_and_listed(web3: Web3, tmp_path: Path) -> None:
    federation = PlayedFederation(web3, tmp_path, terms=FederationTerms(stake=ETHER, max_slash_rate=5_000))
    federation.round()
    federation.open()
    federation.submit(0, 2)
    junk = put_bytes(federation.storage, b"not a sealed update")
    liar = federation.clients[1]
    liar.send(federation.federation.submit_update(2, federation.keys.public, junk, 150))
    federation.finalize()
    federation.round()
    result = federation.audit()
    assert (result.violations, result.unproved) == ((), ())
    (lowered,) = result.rounds[1].lowered
    assert (lowered.client, lowered.claimed_ms, lowered.credited_ms) == (liar.address, 150, 0)
    assert (lowered.slash_rate, lowered.reason) == (2_500, "sealed_wrong")
    assert federation.federation.balance_of(liar.address)[1] == ETHER * 3 // 4
