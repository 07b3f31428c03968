"""What the audit calls each lie of an organization; and those that it cannot see, each of which the docs explain."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from web3 import Web3
from web3.types import RPCEndpoint

from processor.artifacts.dataset import DatasetHeader, write_dataset
from processor.artifacts.model import open_model
from processor.artifacts.plan import PLAN, PRIVATE, Plan, Stopping
from processor.artifacts.report import Report
from processor.chain.posts import PLAN as TOPIC
from processor.chain.provider import connect
from processor.cid import cid_of
from processor.cli.audit_page import as_text
from processor.privacy.sealing import SealingKeyPair, generate_key_pair, public_key_of
from processor.protocol.audit import Audit, describe
from processor.protocol.measuring import Measured, Models
from processor.types import Cid
from tests.integration.played import Change, PlayedFederation
from tests.nodes import start_anvil

DOCS = Path(__file__).parents[2] / "docs" / "architecture.md"
RULE = Stopping(min_rounds=2, max_rounds=4, patience=1, min_improvement=0.005)
SHIFT = 0.0095
"""Within the 0.01 by which two machines may differ in an accuracy."""


@dataclass
class Liar(PlayedFederation):
    """An organization with published validation data and the same plan in every round, of which one was played."""

    rule: Stopping = RULE
    private: bool = False
    dataset: int = 0

    def plan(self, round: int) -> Plan:
        return replace(super().plan(1), stopping=self.rule, validation=PRIVATE if self.private else self.data)

    @property
    def data(self) -> Cid:
        path = self.folder / "dataset"
        features = np.full((4, 64), self.dataset, np.float32)
        write_dataset(path, DatasetHeader("digits"), features, np.array([0, 1, 2, 3], np.int64))
        return self.storage.put(path)

    def planned(self, rule: Stopping) -> Cid:
        """The plan with another stopping rule."""
        return cid_of(PLAN.encode(replace(self.plan(1), stopping=rule)))

    def is_true(self, **metrics: float) -> None:
        """What the models really reach, `round_1` and so on; one that is not named reaches what was claimed."""

        def measure(plan: Plan, models: Models, dataset: Path) -> Measured:
            return Measured("accuracy", tuple(self._true(path, metrics) for _, path in models))

        self.measure = measure

    def _true(self, path: Path, metrics: dict[str, float]) -> float:
        with open_model(path) as model:
            round = model.header.round
        claimed = self.claimed.get(round, 0.5 + round / 100)
        return metrics.get(f"round_{round}", claimed)

    def claims(self, metric: float, true: float, change: Change = lambda report: report) -> None:
        """A round whose report claims a metric, and whose model reaches another."""
        number = self.opening.round + 1
        self.claimed[number] = metric
        self.is_true(**{f"round_{number}": true})
        self.round(change=change)

    def loses_a_round(self, keys: SealingKeyPair | None = None) -> None:
        self.open(keys)
        self.abandon()


@pytest.fixture(scope="module")
def web3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web3]:
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        yield connect(node.rpc_url)


@pytest.fixture(scope="module")
def after_a_round(web3: Web3, tmp_path_factory: pytest.TempPathFactory) -> Liar:
    federation = Liar(web3, tmp_path_factory.mktemp("lies"))
    federation.is_true()
    federation.round()
    return federation


@pytest.fixture
def liar(after_a_round: Liar, web3: Web3, tmp_path: Path) -> Iterator[Liar]:
    snapshot = web3.provider.make_request(RPCEndpoint("evm_snapshot"), [])["result"]
    copy = after_a_round.copied(tmp_path)
    assert isinstance(copy, Liar)
    copy.is_true()
    yield copy
    web3.provider.make_request(RPCEndpoint("evm_revert"), [snapshot])


# ------------------------------------------------------------------------------------------------------- lies, by name


def claims_more_than_the_tolerance(liar: Liar) -> None:
    liar.claims(0.53, true=0.51)


def goes_on_by_a_shift(liar: Liar) -> None:
    liar.claims(0.51 + SHIFT, true=0.51)


def stops_by_a_shift(liar: Liar) -> None:
    liar.claims(0.51, true=0.51 + SHIFT)


def opens_after_its_stop(liar: Liar) -> None:
    liar.claims(0.51, true=0.51)
    liar.open()


def opens_above_the_most_rounds(liar: Liar) -> None:
    for _ in range(3):
        liar.loses_a_round()
    liar.open()


def opens_under_an_old_key(liar: Liar) -> None:
    """Not the one of the round before, which the contract refuses."""
    old = liar.keys
    liar.loses_a_round()
    liar.open(old)


def opens_under_the_key_of_an_abandoned_round(liar: Liar) -> None:
    keys = generate_key_pair()
    liar.loses_a_round(keys)
    liar.loses_a_round()
    liar.open(keys)


def opens_under_the_key_before_in_another_form(liar: Liar) -> None:
    """The contract takes it for another key, and the published secret of round 1 opens what is sealed to it."""
    keys = liar.keys
    liar.open(SealingKeyPair(keys.public[:31] + bytes([keys.public[31] | 0x80]), keys.secret))


def changes_the_plan_in_silence(liar: Liar) -> None:
    liar.rule = replace(RULE, patience=3)
    liar.open()


def changes_the_validation_data_in_silence(liar: Liar) -> None:
    liar.dataset = 1
    liar.open()


def lets_a_member_announce_the_plan(liar: Liar) -> None:
    liar.rule = replace(RULE, patience=3)
    liar.clients[0].send(liar.federation.post(TOPIC, liar.planned(liar.rule)))
    liar.open()


def announces_the_plan_once_the_round_is_open(liar: Liar) -> None:
    changes_the_plan_in_silence(liar)
    liar.organization.send(liar.federation.post(TOPIC, liar.planned(liar.rule)))


def damages_the_validation_data(liar: Liar) -> None:
    path = liar.folder / "store" / liar.data
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def withholds_the_validation_data(liar: Liar) -> None:
    liar.withhold(liar.data)


def says_another_metric_of_the_same_model(liar: Liar) -> None:
    liar.round(change=lambda report: replace(report, metrics=replace(report.metrics, before=0.510001)))


def names_another_metric(liar: Liar) -> None:
    liar.round(change=lambda report: replace(report, metrics=replace(report.metrics, name="recall")))


def leaves_an_update_out(liar: Liar) -> None:
    liar.averages_without = 2
    liar.round()


def rejects_what_can_be_fetched(liar: Liar) -> None:
    def reject(report: Report) -> Report:
        first, *others = report.updates
        first = replace(first, weight=0, credited_ms=0, reason="norm")
        return replace(report, updates=(first, *others))

    liar.round(change=reject)


LIES: dict[Callable[[Liar], None], str] = {
    claims_more_than_the_tolerance: r"round 2: accuracy of the model in the report: expected 0\.5100",
    goes_on_by_a_shift: r"UNDECIDED round 2: .* the report says go on, .* follows stop \(patience\)",
    stops_by_a_shift: r"UNDECIDED round 2: .* the report says stop \(patience\), .* follows go on",
    opens_after_its_stop: r"round 3: round after a stop: .* by the report of round 2",
    opens_above_the_most_rounds: r"round 5: number of the round: expected at most the plan's max_rounds 4, found 5",
    opens_under_an_old_key: r"round 3: sealing key: expected one of its own, found the key of round 1",
    opens_under_the_key_of_an_abandoned_round: r"round 4: sealing key: .* found the key of round 2",
    opens_under_the_key_before_in_another_form: r"round 2: sealing key: .* found the key of round 1",
    changes_the_plan_in_silence: r"round 2: plan: expected one that is announced before the round opens",
    changes_the_validation_data_in_silence: r"round 2: plan: expected one that is announced",
    lets_a_member_announce_the_plan: r"round 2: plan: expected one that is announced",
    announces_the_plan_once_the_round_is_open: r"round 2: plan: expected one that is announced",
    damages_the_validation_data: r"round 1: validation data Qm\w+: .* hash",
    withholds_the_validation_data: r"round 1: validation data Qm\w+: ",
    says_another_metric_of_the_same_model: r"round 2: accuracy of the base model next to the report of round 1: "
    r"expected 0\.51, .* found 0\.510001",
    names_another_metric: r"round 2: name of the metric in the report: expected accuracy, found recall",
    leaves_an_update_out: r"round 2: recomputed model: .* the average without the update of 0x",
    rejects_what_can_be_fetched: r"round 2: reason for 0x\w+ in the report: expected nothing, found norm",
}


def said(liar: Liar) -> tuple[Audit, list[str]]:
    result = liar.audit(logs=True)
    undecided = [line for line in as_text(result).splitlines() if line.startswith("UNDECIDED")]
    return result, [*map(describe, result.violations), *undecided]


def test_an_organization_that_tells_the_truth_is_called_nothing(liar: Liar) -> None:
    liar.claims(0.53, true=0.53)
    result, found = said(liar)
    assert found == [] and result.complete
    assert [row.measured for row in result.rounds] == [0.51, 0.53]
    assert [row.change for row in result.rounds] == [None, None]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_lie_is_called_by_its_name(liar: Liar, lie: Callable[[Liar], None]) -> None:
    lie(liar)
    result, found = said(liar)
    assert any(re.search(LIES[lie], line) for line in found), found
    assert not result.complete or not result.ok


def test_a_changed_plan_that_was_announced_is_listed_with_its_difference_and_is_no_lie(liar: Liar) -> None:
    announced = replace(RULE, patience=3)
    liar.claims(0.53, true=0.53, change=lambda report: replace(report, next_plan=liar.planned(announced)))
    liar.rule = announced
    liar.open()
    result, found = said(liar)
    assert found == []
    change = result.rounds[2].change
    assert change is not None and change.announced == "by the report of round 2"
    assert change.differences == (("stopping.patience", "1", "3"),)


def test_a_changed_plan_that_was_posted_is_no_lie_and_without_logs_nobody_knows(liar: Liar) -> None:
    liar.rule = replace(RULE, patience=3)
    liar.organization.send(liar.federation.post(TOPIC, liar.planned(liar.rule)))
    liar.open()
    late = liar.federation.block().number  # of the opening, which is shown without what came before
    for logs, first, announced in ((True, 0, "by a post"), (True, late, None), (False, 0, None)):
        result = liar.audit(logs=logs, logs_from=first)
        assert result.violations == ()
        change = result.rounds[1].change
        assert change is not None and change.announced == announced


# ------------------------------------------------------------------------------------------------- what nobody can see


def shifts_a_metric_that_decides_nothing(liar: Liar) -> None:
    liar.claims(0.7 + SHIFT, true=0.7)


def makes_up_a_metric_of_private_data(liar: Liar) -> None:
    liar.private = True
    liar.organization.send(liar.federation.post(TOPIC, liar.planned(liar.rule)))
    liar.claimed[liar.opening.round + 1] = 0.99
    liar.round()


def makes_up_versions(liar: Liar) -> None:
    liar.round(change=lambda report: replace(report, versions={"koinon": "99", "torch": "none at all"}))


def loses_an_update_and_calls_it_unavailable(liar: Liar) -> None:
    liar.open()
    liar.submit()
    for line in liar.federation.updates()[:1]:
        liar.withhold(line.update)
    liar.finalize()


def tells_somebody_the_secret_at_once(liar: Liar) -> None:
    secret = liar.keys.secret
    liar.open(SealingKeyPair(public_key_of(bytes(reversed(secret))), bytes(reversed(secret))))
    liar.submit()
    liar.finalize()


def credits_time_that_nobody_spent(liar: Liar) -> None:
    """Compute times are made up in all of these rounds."""
    liar.round()


INVISIBLE: dict[str, Callable[[Liar], None] | None] = {
    "a metric shifted within its tolerance": shifts_a_metric_that_decides_nothing,
    "versions in a report": makes_up_versions,
    "an update that nobody serves any more": loses_an_update_and_calls_it_unavailable,
    "a secret that was told too early": tells_somebody_the_secret_at_once,
    "compute time that was never spent": credits_time_that_nobody_spent,
    "metrics of private validation data": makes_up_a_metric_of_private_data,
    "samples that were never there": None,
    "wallets of its own": None,
    "the initial model": None,
    "a bad update within the norm": None,
    "what an abandoned round held": None,
    "when a round opens": None,
    "another chain": None,
}
"""By the names that the docs have for them; those without a function look like the truth to the byte."""


def test_lies_that_look_like_the_truth_are_called_nothing_and_what_they_say_is_shown_as_a_claim(liar: Liar) -> None:
    liar.rule = replace(RULE, max_rounds=20, patience=20)
    liar.organization.send(liar.federation.post(TOPIC, liar.planned(liar.rule)))
    for lie in INVISIBLE.values():
        if lie is not None:
            lie(liar)
    result, found = said(liar)
    assert found == []
    assert [row.measured is None for row in result.rounds] == [row.metric == 0.99 for row in result.rounds]
    assert [row.round for row in result.rounds if row.measured is None] == [liar.opening.round]
    text = as_text(result)
    assert "0.9900*" in text
    assert "made by koinon 0.1.0, as the organization claims" in text
    assert "made by koinon 99, torch none at all, as the organization claims" in text


def test_the_docs_say_of_every_lie_that_stays_invisible_why_it_must() -> None:
    _, section = DOCS.read_text(encoding="utf-8").split("### Lies that stay invisible\n")
    rows = [line.split("|")[1:-1] for line in section.split("\n#")[0].splitlines() if line.startswith("|")][2:]
    assert {name.strip() for name, *_ in rows} == set(INVISIBLE)
    assert all(cell.strip() for row in rows for cell in row)
