"""A federation is audited at its end from state and artifacts alone: no log, no past state.

The auditor has the contract's `record`, `results`, terms, balances and live lists, and what somebody gives it of every
round: its opening, its updates in order, its outcome. Whatever it is given, the record says whether it is true.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest

from .chain import CHAIN
from .helpers import (
    AUDIT_APPOINTED,
    AUDIT_OPEN,
    GWEI,
    MAX_SLASH_RATE,
    STAKE,
    ZERO_ADDRESS,
    ZERO_CID,
    abandon,
    ascending,
    decline,
    deploy_federation,
    digest,
    end_training,
    finalize,
    leave,
    model_of,
    open_round,
    owed,
    register,
    relay,
    report_of,
    secret_of,
    sign_update,
    stake_of,
    submit,
    terms_of,
    update_of,
    view,
)
from .ledger import first_digest, next_digest, next_record, outcome_of

OPENING = (
    "round",
    "openedAt",
    "trainingDeadline",
    "aggregationDeadline",
    "memberCount",
    "selectionOffset",
    "selectedCount",
    "maxUpdates",
    "maxComputeMs",
    "planCid",
    "sealingKey",
)
SCALE = 10**12


@dataclasses.dataclass
class Kept:
    """What a report, a list artifact or a kept folder says of a round."""

    opening: tuple[Any, ...]
    updates: list[tuple[str, str, int]]  # in the order of submission
    outcome: tuple[Any, ...] | None = None  # model, report, secret, credited, adjustments

    def digest(self, chain_id, federation):
        chained = first_digest(chain_id, federation, self.opening)
        for update in self.updates:
            chained = next_digest(chained, *update)
        return chained


def exported(federation):
    """What the organization's daemon keeps of the latest round before anybody submits in the next."""
    seen = view(federation)
    assert seen["base"] != (ZERO_CID, ZERO_CID), "it is exported while it is not finalized"
    opening = (*(seen[name] for name in OPENING), *seen["base"], seen["rewardRateCap"], seen["pool"])
    lines = sorted(federation.updates(0, 1000), key=lambda line: line["ordinal"])
    return Kept(opening, [(line["client"], line["updateCid"], line["computeMs"]) for line in lines])


def recomputed(kept, chain_id, federation):
    record = ZERO_CID
    for number, round in enumerate(kept, start=1):
        assert round.opening[0] == number
        claimed = sum(ms for _, _, ms in round.updates)
        outcome = outcome_of(*round.outcome) if round.outcome else ZERO_CID
        record = next_record(record, number, round.digest(chain_id, federation), len(round.updates), claimed, outcome)
    return record


@pytest.fixture(params=[AUDIT_OPEN, AUDIT_APPOINTED], ids=["open", "appointed"])
def story(request, organization, clients, stranger, relayer):
    """Six rounds, of which two are abandoned: what was kept of them, and the federation."""
    terms = {"stake": STAKE, "max_slash_rate": MAX_SLASH_RATE, "audit_policy": request.param}
    federation = deploy_federation(organization, clients, **terms)
    kept = []
    adjustments = {1: {}, 2: {clients[1]: (0, 700)}, 4: {clients[0]: (500, MAX_SLASH_RATE), clients[2]: 1}, 6: {}}
    for number in range(1, 7):
        open_round(federation, max_updates=4 if number % 2 else 5)
        people = [client for client in clients if federation.roundView(client)["client"]["selected"]]
        if number == 3:
            leave(federation, clients[4])
            register(federation, stranger)
            people = [client for client in people if client != clients[4]]
        if number == 2:
            decline(federation, people.pop())
        first, *others = people
        relay(federation, [sign_update(federation, each, 1000 + number) for each in others[::-1]], relayer)
        submit(federation, first, 2000)
        end_training(federation)
        kept.append(exported(federation))
        if number not in adjustments:
            abandon(federation)
            continue
        finalize(federation, adjustments[number])
        credited = federation.results(number)["creditedMs"]
        secret = secret_of(number) if request.param == AUDIT_OPEN else ZERO_CID
        lowered = ascending(adjustments[number])
        kept[-1].outcome = (model_of(number), report_of(number), secret, credited, lowered)
    federation.close({"from": organization})
    return federation, kept


@pytest.fixture
def chain_id():
    return int(CHAIN.request("eth_chainId"), 16)


def test_the_record_proves_every_round_of_a_closed_federation(story, chain_id):
    federation, kept = story
    assert federation.record() == recomputed(kept, chain_id, federation.address)
    assert [bool(round.outcome) for round in kept] == [True, True, False, True, False, True]


def test_what_is_kept_pays_everybody_what_the_contract_owes(story, clients, stranger):
    """To the unit: rewards, slashes, what is carried, what is forfeited."""
    federation, kept = story
    due: dict[str, int] = dict.fromkeys([*clients, stranger], 0)
    stakes = dict.fromkeys([*clients[:4], stranger], STAKE) | {clients[4]: 0}
    carried = 0
    for round in kept:
        number, cap, pool = round.opening[0], round.opening[13], round.opening[14]
        assert pool == carried + 1000 * GWEI
        claimed = {client: ms for client, _, ms in round.updates}
        lowered = round.outcome[4] if round.outcome else []
        credited = claimed | {client: ms for client, ms, _ in lowered}
        total = sum(credited.values())
        payable = min(pool, cap * total // SCALE)
        assert federation.results(number)["payable_"] == payable
        assert federation.results(number)["creditedMs"] == total
        for client, ms in credited.items():
            due[client] += payable * ms // total
        for client, _, rate in lowered:
            stakes[client] -= stakes[client] * rate // 10_000
        carried = pool - min(pool, cap * sum(claimed.values()) // SCALE)
    assert federation.carried() == carried
    people = [client for client in due if client != clients[4]]
    assert owed(federation, *people) == [due[client] for client in people]
    assert stake_of(federation, *people) == [stakes[client] for client in people]


FALSEHOODS = {
    "an update that was never submitted": lambda kept: kept[0].updates.append((ZERO_ADDRESS, digest("x"), 1)),
    "an update left out": lambda kept: kept[2].updates.pop(),
    "another order": lambda kept: kept[4].updates.reverse(),
    "another CID": lambda kept: replace(kept[1].updates, 0, 1, digest("x")),
    "another time": lambda kept: replace(kept[1].updates, 0, 2, 1),
    "another client": lambda kept: replace(kept[3].updates, 0, 0, ZERO_ADDRESS),
    "another plan": lambda kept: change(kept[2], 9, digest("x")),
    "another key": lambda kept: change(kept[5], 10, digest("x")),
    "another base": lambda kept: change(kept[3], 11, digest("x")),
    "another pool": lambda kept: change(kept[0], 14, 1),
    "another model": lambda kept: outcome(kept[3], 0, digest("x")),
    "another report": lambda kept: outcome(kept[3], 1, digest("x")),
    "another secret": lambda kept: outcome(kept[1], 2, digest("x")),
    "other credits": lambda kept: outcome(kept[1], 3, 1),
    "no adjustment": lambda kept: outcome(kept[3], 4, []),
    "an abandoned round that was finalized": lambda kept: setattr(kept[2], "outcome", kept[1].outcome),
    "a finalized round that was abandoned": lambda kept: setattr(kept[5], "outcome", None),
}


def replace(updates, place, field, value):
    updates[place] = tuple(value if index == field else kept for index, kept in enumerate(updates[place]))


def change(kept, field, value):
    kept.opening = tuple(value if index == field else each for index, each in enumerate(kept.opening))


def outcome(kept, field, value):
    kept.outcome = tuple(value if index == field else each for index, each in enumerate(kept.outcome))


def test_whatever_is_told_of_a_round_the_record_says_whether_it_is_true(story, chain_id):
    federation, kept = story
    record = federation.record()
    for name, falsify in FALSEHOODS.items():
        told = copy.deepcopy(kept)
        falsify(told)
        assert recomputed(told, chain_id, federation.address) != record, name
    assert recomputed(kept, chain_id + 1, federation.address) != record
    assert recomputed(kept, chain_id, ZERO_ADDRESS) != record
    assert recomputed(kept[:-1], chain_id, federation.address) != record


def test_with_one_round_withheld_the_walk_goes_on_behind_it(story, chain_id):
    """Every report names the record before its round: what is missing is named, and the rest is proven without it."""
    federation, kept = story
    befores = [recomputed(kept[:number], chain_id, federation.address) for number in range(len(kept))]
    withheld = 3
    record = federation.record()
    for number in range(len(kept), 0, -1):
        if number == withheld:
            record = befores[number - 1]  # as the report of the round after the next one says
            continue
        round = kept[number - 1]
        claimed = sum(ms for _, _, ms in round.updates)
        said = outcome_of(*round.outcome) if round.outcome else ZERO_CID
        digest_ = round.digest(chain_id, federation.address)
        assert next_record(befores[number - 1], number, digest_, len(round.updates), claimed, said) == record
        record = befores[number - 1]
    assert record == ZERO_CID


def test_the_live_views_of_the_last_round_stay_readable_after_the_end(story, clients):
    federation, kept = story
    shown = {line["client"]: (line["updateCid"], line["computeMs"]) for line in federation.updates(0, 1000)}
    assert shown == {client: (cid, ms) for client, cid, ms in kept[-1].updates}
    assert all(cid == update_of(6, client) for client, (cid, _) in shown.items())
    assert federation.latestRelease() == (model_of(6), report_of(6))
    assert terms_of(federation).stake == STAKE
