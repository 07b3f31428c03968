"""One example of each kind of artifact, written from the same content every time."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from processor.artifacts.committed import AdjustmentFields, OpeningFields
from processor.artifacts.dataset import DatasetHeader, write_dataset
from processor.artifacts.model import ModelHeader, write_model
from processor.artifacts.plan import (
    FEDAVG,
    Aggregation,
    Ewc,
    Factory,
    LocalWork,
    Metering,
    Optimizer,
    Plan,
    Privacy,
    Slashing,
    Stopping,
)
from processor.artifacts.plan import PLAN as PLANS
from processor.artifacts.private_state import PrivateState, write_private_state
from processor.artifacts.report import REPORT as REPORTS
from processor.artifacts.report import AbandonedRound, FinishedRound, Metrics, Report, ReportedUpdate
from processor.artifacts.round import ROUND as ROUNDS
from processor.artifacts.round import RoundFile
from processor.artifacts.state import ServerState, write_state
from processor.artifacts.update import UpdateHeader, write_update
from processor.cid import cid_of, cid_of_file
from processor.tensors import Array
from processor.types import Opening, Outcome

CID = cid_of(b"another artifact")
FEDERATION = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
CLIENTS = ("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8")

PLAN = Plan(
    task=Factory("digits", {}),
    model=Factory("mlp", {"inputs": 64, "hidden": [400], "outputs": 10, "dropout": 0.5, "bias": True}),
    initialization_seed=7,
    optimizer=Optimizer("sgd", learning_rate=0.4, momentum=0.0),
    local=LocalWork(steps=None, epochs=1, batch_size=64),
    ewc=Ewc(strength=0.1, decay=0.9, fisher_samples=200, fisher_cap=1e-7),
    privacy=Privacy("none"),
    aggregation=Aggregation(FEDAVG, max_weight=10_000, max_norm=20.0, min_updates=2),
    metering=Metering(tolerance_percent=300, floor_ms=1000),
    slashing=Slashing(rate=2_500),
    stopping=Stopping(min_rounds=10, max_rounds=100, patience=5, min_improvement=0.001),
    validation="private",
    public_data=True,
    buffers=None,
)

OPENING = Opening(
    round=5,
    opened_at=1_700_000_000,
    training_deadline=1_700_000_600,
    aggregation_deadline=1_700_001_500,
    member_count=4,
    selection_offset=2,
    selected_count=3,
    max_updates=10,
    max_compute_ms=60_000,
    plan=cid_of(b"plan of round 5"),
    sealing_key=bytes(range(32)),
    base_model=cid_of(b"model of round 3"),
    base_report=cid_of(b"report of round 3"),
    reward_rate_cap=10**25,
    pool=2 * 10**30,
)

BEFORE = (
    FinishedRound(
        round=3,
        record_before="03" * 32,
        record="33" * 32,
        digest="3d" * 20,
        update_count=2,
        claimed_ms=1_700,
        credited_ms=800,
        model=OPENING.base_model,
        report=cid_of(b"report of round 3"),
        secret="5e" * 32,
        adjustments=(AdjustmentFields(CLIENTS[1], credited_ms=0, slash_rate=2_500),),
        abandoned=(AbandonedRound(2, "2d" * 20, update_count=1, claimed_ms=320, list=cid_of(b"list of round 2")),),
    ),
    FinishedRound(
        round=1,
        record_before="00" * 32,
        record="11" * 32,
        digest="1d" * 20,
        update_count=3,
        claimed_ms=2_900,
        credited_ms=2_900,
        model=cid_of(b"model of round 1"),
        report=cid_of(b"report of round 1"),
        secret="51" * 32,
        adjustments=(),
        abandoned=(),
    ),
)

REPORT = Report(
    chain_id=31337,
    federation=FEDERATION,
    opening=OpeningFields.of(OPENING),
    updates=(
        ReportedUpdate(
            CLIENTS[1],
            cid_of(b"update of B"),
            claimed_ms=977,
            weight=0,
            credited_ms=0,
            reason="not_finite",
            slash_rate=2_500,
        ),
        ReportedUpdate(
            CLIENTS[0], cid_of(b"update of A"), claimed_ms=812, weight=300, credited_ms=812, reason=None, slash_rate=0
        ),
    ),
    record_before="44" * 32,
    before=BEFORE,
    abandoned=(AbandonedRound(4, "4d" * 20, update_count=2, claimed_ms=1_234, list=cid_of(b"list of round 4")),),
    model=cid_of(b"model of round 5"),
    server_state=cid_of(b"server state after round 5"),
    metrics=Metrics(before=0.5, after=0.875, name="accuracy"),
    privacy={"where": "none"},
    versions={"koinon": "0.1.0", "torch": "2.13.0+cpu"},
    initialization_seed=7,
    stop=None,
    next_plan=None,
)

ROUND = RoundFile.of(
    chain_id=31337,
    federation=FEDERATION,
    opening=OPENING,
    updates=REPORT.submitted,
    record_before=bytes.fromhex(REPORT.record_before),
    outcome=Outcome(REPORT.model, cid_of(b"report of round 5"), bytes([0x55] * 32), 812, REPORT.adjustments),
)

PARAMETERS: dict[str, Array] = {
    "1.weight": np.array([[-1, -0.6, -0.2], [0.2, 0.6, 1]], np.float32),
    "1.bias": np.array([0.5, -0.25], np.float32),
}
BUFFERS: dict[str, Array] = {
    "2.running_mean": np.array([0.125], np.float32),
    "2.num_batches_tracked": np.array(11, np.int64),
}
FISHER: dict[str, Array] = {name: np.square(array) for name, array in PARAMETERS.items()}

MODEL_HEADER = ModelHeader(round=2, parent=CID, plan=CID)
UPDATE_HEADER = UpdateHeader(31337, FEDERATION, 3, CLIENTS[0], CID, samples=250)
STATE = ServerState(
    round=3,
    parent=None,
    best_metric=0.875,
    rounds_without_improvement=1,
    tensors={"moment": np.array([1.5, 2.5])},
)
PRIVATE_STATE = PrivateState(release=4, before=CID, tensors={"noise": np.array([0.25, -1.5])})
FEATURES, LABELS = np.array([[0.5, 1.0]], np.float32), np.array([3], np.int64)


def cids(folder: Path) -> dict[str, str]:
    """Writes one artifact of each kind into `folder` and returns their CIDs by kind."""
    write_update(folder / "update", UPDATE_HEADER, PARAMETERS, BUFFERS, FISHER)
    return {
        "plan": cid_of(PLANS.encode(PLAN)),
        "report": cid_of(REPORTS.encode(REPORT)),
        "round": cid_of(ROUNDS.encode(ROUND)),
        "model": write_model(folder / "model", MODEL_HEADER, PARAMETERS, BUFFERS, FISHER),
        "update": cid_of_file(folder / "update"),
        "dataset": write_dataset(folder / "dataset", DatasetHeader("digits"), FEATURES, LABELS),
        "state": write_state(folder / "state", STATE),
        "private-state": write_private_state(folder / "private-state", PRIVATE_STATE),
    }


if __name__ == "__main__":
    for kind, cid in cids(Path(sys.argv[1])).items():
        print(kind, cid)
