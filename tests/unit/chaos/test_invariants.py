"""The invariants find nothing in a run without fault, and whatever is planted in its evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from processor.protocol.rewards import money_of
from processor.types import Opening, Phase
from tests.chaos.evidence import Audited, Evidence, Part, Round, Saved, Sent, Trained, Vault, Wallet
from tests.chaos.hostile import Submission, Update
from tests.chaos.invariants import lost, violations
from tests.chaos.record import Disturbance

ALICE, BOB, MALLORY, ORGANIZATION = ("0x" + digit * 40 for digit in "1234")
KEY, REWARD, STAKE, BEGAN, FEES = b"\1" * 32, 10_000, 500, 1_000_000, 77
OPENED, TRAINED, AGGREGATED = 1_000, 1_040, 1_070
RATE_CAP = 4_000 * 10**9
COMPUTE = {ALICE: 1_000, BOB: 500, MALLORY: 100}
CREDITED = {ALICE: 1_000, BOB: 500, MALLORY: 0}
MONEY = money_of(REWARD, RATE_CAP, sum(COMPUTE.values()), CREDITED)


def client(address: str) -> Part:
    return Part(address, True, f"Qm{address[-1]}", COMPUTE[address], CREDITED[address])


def opening(**changes: Any) -> Opening:
    whole = Opening(
        round=1,
        opened_at=OPENED,
        training_deadline=TRAINED,
        aggregation_deadline=AGGREGATED,
        member_count=3,
        selection_offset=0,
        selected_count=3,
        max_updates=3,
        max_compute_ms=60_000,
        plan="Qmplan",
        sealing_key=KEY,
        base_model="Qmbase",
        base_report=None,
        reward_rate_cap=RATE_CAP,
        pool=REWARD,
    )
    return replace(whole, **changes)


def wallet(name: str, address: str, paid_in: int, received: int) -> Wallet:
    ended = BEGAN - paid_in - FEES + received
    return Wallet(name, address, BEGAN, ended, paid_in, FEES, received, 0, 4, 4, 0, ())


def evidence(**changes: Any) -> Evidence:
    reasons = {ALICE: None, BOB: None, MALLORY: "not_finite"}
    clients = tuple(client(address) for address in (ALICE, BOB, MALLORY))
    kept = MONEY.carried + MONEY.forfeited + MONEY.rounding
    whole = Evidence(
        reward=REWARD,
        stake=STAKE,
        rounds=(Round(opening(), Phase.FINALIZED, clients, reasons),),
        sent=tuple(Sent(address, 1, KEY, f"Qm{address[-1]}") for address in (ALICE, BOB)),
        trained=tuple(Trained(address, 1, f"Qm{address[-1]}") for address in (ALICE, BOB)),
        wallets=(
            wallet("organization", ORGANIZATION, REWARD, 0),
            wallet("client-1", ALICE, STAKE, MONEY.rewards[ALICE]),
            wallet("client-2", BOB, STAKE, MONEY.rewards[BOB]),
            wallet("hostile", MALLORY, STAKE, 0),
        ),
        vault=Vault(holdings=kept + 3 * STAKE, carried=MONEY.carried, stakes=3 * STAKE, slashed=0),
        audited=Audited(0, ()),
        texts={"client-1/log.jsonl": '{"event": "submitted"}'},
        secrets={"private key": ("ab" * 32,), "passphrase": ("correct horse",), "sealing secret": ("cd" * 32,)},
        saved=tuple(saved(address) for address in (ALICE, BOB)),
        names={ALICE: "client-1", BOB: "client-2"},
        hostile=MALLORY,
        hostile_done=(Submission(1, KEY, "NaN", Update("Qm3")),),
        disturbances=(),
        at_work={address: COMPUTE[address] / 1000 + 0.2 for address in (ALICE, BOB)},
    )
    return replace(whole, **changes)


def saved(address: str, **changes: Any) -> Saved:
    return replace(Saved(address, 1, KEY, "Qmbase", f"Qm{address[-1]}", COMPUTE[address]), **changes)


def changed(index: int = 0, **changes: Any) -> Evidence:
    """The evidence with another part of one client."""
    (whole,) = evidence().rounds
    clients = list(whole.clients)
    clients[index] = replace(clients[index], **changes)
    return evidence(rounds=(replace(whole, clients=tuple(clients)),))


def with_wallet(**changes: Any) -> Evidence:
    organization, first, *others = evidence().wallets
    return evidence(wallets=(organization, replace(first, **changes), *others))


def found(evidence: Evidence) -> str:
    """The one promise that is broken."""
    (violation,) = violations(evidence)
    return violation


def test_a_run_in_which_all_went_well_breaks_no_promise() -> None:
    assert violations(evidence()) == []
    assert lost(evidence()) == []


def test_a_missing_wei_is_noticed() -> None:
    assert found(with_wallet(ended=evidence().wallets[1].ended - 1)).endswith(": -1")
    vault = evidence().vault
    assert found(evidence(vault=replace(vault, holdings=vault.holdings + 1))).endswith(": +1")


def test_a_nonce_gap_is_noticed() -> None:
    assert "1 transactions that are not mined" in found(with_wallet(pending_nonce=5))


def test_a_transaction_of_unknown_fate_is_noticed() -> None:
    assert "unknown fate" in found(with_wallet(open_intents=1))


def test_a_transaction_that_no_journal_knows_is_noticed() -> None:
    assert "which its journal does not know" in found(with_wallet(unknown=("0xab",)))


@pytest.mark.parametrize("kind", ["private key", "passphrase", "sealing secret"])
def test_a_secret_in_a_log_is_noticed_in_capitals_too(kind: str) -> None:
    (secret,) = evidence().secrets[kind]
    for written in (secret, secret.upper()):
        texts = {"client-1/log.jsonl": f"I said {written} aloud"}
        assert found(evidence(texts=texts)) == f"client-1/log.jsonl shows a {kind}"


def test_a_second_update_for_the_same_round_is_noticed() -> None:
    sent = (*evidence().sent, Sent(ALICE, 1, KEY, "Qmother"))
    assert found(evidence(sent=sent)) == "client-1 broadcast 2 updates for round 1, and its journal has 1"


def test_an_update_that_was_made_and_replaced_is_noticed_though_nobody_sent_it() -> None:
    trained = (Trained(ALICE, 1, "Qmfirst"), *evidence().trained)
    assert "client-1 made an update for round 1 that its journal has" in found(evidence(trained=trained))


@pytest.mark.parametrize(("key", "base"), [(b"\2" * 32, "Qmbase"), (KEY, "Qmotherbase")])
def test_another_update_for_a_round_that_was_opened_again_is_fine(key: bytes, base: str) -> None:
    """After a reorganization, under another key or out of another model."""
    sent = (*evidence().sent, Sent(ALICE, 1, key, "Qmother"))
    both = (*evidence().saved, saved(ALICE, sealing_key=key, base=base, cid="Qmother", compute_ms=100))
    assert violations(evidence(sent=sent, saved=both)) == []


def test_an_update_on_chain_that_was_never_broadcast_is_noticed() -> None:
    assert any("that it never broadcast" in each for each in violations(changed(update="Qmother")))


def test_a_client_that_misses_a_round_in_peace_is_noticed() -> None:
    peaceful = changed(update=None)
    assert any("client-1 has no update in round 1" in each for each in violations(peaceful))
    hindered = replace(peaceful, disturbances=(Disturbance("client-1", OPENED, TRAINED - 10),))
    assert not any("has no update" in each for each in violations(hindered))
    assert lost(hindered) == ["round 1: no update of client-1"]


def test_an_unselected_client_misses_nothing() -> None:
    assert not any("has no update" in each for each in violations(changed(update=None, selected=False)))


def test_a_round_that_is_still_live_is_noticed() -> None:
    (whole,) = evidence().rounds
    live = evidence(rounds=(replace(whole, phase=Phase.AGGREGATING),))
    assert "round 1 is aggregating at the end" in violations(live)


def test_a_round_that_an_undisturbed_organization_abandons_is_noticed() -> None:
    (whole,) = evidence().rounds
    abandoned = evidence(rounds=(replace(whole, phase=Phase.ABANDONED),))
    assert "nothing disturbed the organization" in found(abandoned)
    hindered = replace(abandoned, disturbances=(Disturbance("organization", TRAINED, AGGREGATED),))
    assert violations(hindered) == []
    assert lost(hindered) == ["round 1 was abandoned with 3 updates"]


def test_a_bad_update_that_passes_is_noticed() -> None:
    (whole,) = evidence().rounds
    accepted = replace(whole, reasons={ALICE: None, BOB: None, MALLORY: None})
    assert "the hostile update (NaN) has the reason None" in found(evidence(rounds=(accepted,)))


def test_a_good_update_that_is_rejected_is_noticed() -> None:
    (whole,) = evidence().rounds
    rejected = replace(whole, reasons={ALICE: "shape", BOB: None, MALLORY: "not_finite"})
    assert found(evidence(rounds=(rejected,))) == "round 1: the update of client-1 was rejected: shape"


def test_an_update_that_could_not_be_fetched_is_excused_by_a_disturbance_alone() -> None:
    (whole,) = evidence().rounds
    unavailable = replace(whole, reasons={ALICE: "unavailable", BOB: None, MALLORY: "not_finite"})
    audited = Audited(1, ("round 1: update: expected nothing, found unavailable", "round 11: model"))
    peaceful = evidence(rounds=(unavailable,), audited=audited)
    assert len(violations(peaceful)) == 3
    hindered = replace(peaceful, disturbances=(Disturbance("organization", TRAINED, TRAINED + 5),))
    assert found(hindered) == "audit: round 11: model"
    assert lost(hindered) == ["round 1: the organization could not fetch the update of client-1"]


def test_compute_time_that_a_worker_did_not_have_is_noticed() -> None:
    """What a client measures in all is at most the time that its worker was at work: nothing counts twice."""
    twice = (saved(ALICE), saved(ALICE, round=2, cid="Qmother"), saved(BOB))
    assert found(evidence(saved=twice)) == (
        "client-1 measured 2000 ms of compute, and its worker was at work for 1.2 s"
    )


def test_a_claim_above_what_was_measured_is_noticed() -> None:
    low = (saved(ALICE, compute_ms=999), saved(BOB))
    assert found(evidence(saved=low)) == "client-1 claimed 1000 ms in round 1, and measured 999"


def test_a_reward_that_is_wrong_or_was_never_claimed_is_noticed() -> None:
    assert any("client-1 was paid" in each for each in violations(with_wallet(received=MONEY.rewards[ALICE] + 1)))
    owed = with_wallet(received=0, owed=MONEY.rewards[ALICE])
    assert any("nobody claimed it" in each for each in violations(owed))


def test_a_pool_that_lost_what_was_carried_is_noticed() -> None:
    (first,) = evidence().rounds
    second = replace(first, opening=opening(round=2))
    assert any("round 2 has a pool of" in each for each in violations(evidence(rounds=(first, second))))


def test_what_the_audit_finds_is_passed_on_and_its_silence_does_not_count() -> None:
    assert found(evidence(audited=Audited(1, ("round 1: model",)))) == "audit: round 1: model"
    assert found(evidence(audited=Audited(1, ()))) == "the audit ended with status 1"


def test_a_harness_that_failed_proves_nothing() -> None:
    assert found(evidence(failures=("Traceback",))) == "Traceback"
