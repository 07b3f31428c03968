"""What must hold after every run, whatever was done to the federation. Pure: what does not hold is said in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from processor.protocol.judge import METERING, UNAVAILABLE
from processor.types import Phase
from tests.chaos.evidence import Evidence, Part, Round
from tests.chaos.hostile import KINDS
from tests.chaos.record import CALM, calm

ORGANIZATION = "organization"


def violations(evidence: Evidence) -> list[str]:
    """Every promise that was broken."""
    checks = (
        rounds_end,
        updates_are_unique,
        nobody_calm_misses_a_round,
        bad_updates_are_rejected,
        compute_time_is_time_at_work,
        no_transaction_is_left,
        rewards_are_right,
        contract_adds_up,
        wallets_add_up,
        audit_passes,
        secrets_stay_secret,
    )
    return [*evidence.failures, *(found for check in checks for found in check(evidence))]


def lost(evidence: Evidence) -> list[str]:
    """What faults cost, as they may: updates that missed their round, rounds that were abandoned."""
    found = []
    for each in evidence.rounds:
        missing = [evidence.names[client.client] for client in _missing(evidence, each)]
        if missing:
            found.append(f"round {each.number}: no update of {', '.join(missing)}")
        if each.phase is Phase.ABANDONED:
            found.append(f"round {each.number} was abandoned with {each.update_count} updates")
        for name in _out_of_reach(evidence, each):
            found.append(f"round {each.number}: the organization could not fetch the update of {name}")
    return found


# -------------------------------------------------------------------------------------------------- rounds, updates


def rounds_end(evidence: Evidence) -> Iterator[str]:
    """Every round is finalized, or abandoned because the organization was hindered or nobody submitted."""
    for each in evidence.rounds:
        opening = each.opening
        if not each.phase.over:
            yield f"round {each.number} is {each.phase.name.lower()} at the end"
        elif each.phase is Phase.ABANDONED and each.update_count:
            until = opening.aggregation_deadline
            hindered = calm(ORGANIZATION, evidence.disturbances, opening.training_deadline, until)
            if hindered >= CALM:
                yield (
                    f"round {each.number} was abandoned with {each.update_count} updates, though nothing disturbed the "
                    f"organization for {hindered:.0f} s of its aggregation"
                )


def updates_are_unique(evidence: Evidence) -> Iterator[str]:
    """For a round, its sealing key and its base model a client only ever had one update: none is made, or noised,
    twice. After a reorganization the same opening may meet another model: that is another round."""
    made: dict[tuple[str, int, bytes], set[str]] = defaultdict(set)
    for sent in evidence.sent:
        made[sent.sender, sent.round, sent.sealing_key].add(sent.cid)
    kept: dict[tuple[str, int, bytes], dict[str, str]] = defaultdict(dict)
    for saved in evidence.saved:
        kept[saved.client, saved.round, saved.sealing_key][saved.base] = saved.cid
    known_to = defaultdict(set)
    for saved in evidence.saved:
        known_to[saved.client].add(saved.cid)
    for trained in evidence.trained:
        if trained.cid not in known_to[trained.client]:
            yield (
                f"{evidence.names[trained.client]} made an update for round {trained.round} that its journal has "
                "forgotten or replaced"
            )
    for (sender, number, key), cids in made.items():
        if not cids <= set(kept[sender, number, key].values()):
            yield (
                f"{evidence.names.get(sender, sender)} broadcast {len(cids)} updates for round {number}, and its "
                f"journal has {len(kept[sender, number, key])}"
            )
    for each in evidence.rounds:
        for client in each.clients:
            known = made.get((client.client, each.number, each.opening.sealing_key), set())
            if client.update is not None and client.client in evidence.names and client.update not in known:
                yield (f"round {each.number} has an update of {evidence.names[client.client]} that it never broadcast")


def nobody_calm_misses_a_round(evidence: Evidence) -> Iterator[str]:
    """A client that is selected and undisturbed for long enough has its update in the round."""
    for each in evidence.rounds:
        for client in _missing(evidence, each):
            name = evidence.names[client.client]
            undisturbed = calm(name, evidence.disturbances, each.opening.opened_at, each.opening.training_deadline)
            if undisturbed >= CALM:
                yield (
                    f"{name} has no update in round {each.number}, though nothing disturbed it for "
                    f"{undisturbed:.0f} s of the training"
                )


def _missing(evidence: Evidence, each: Round) -> list[Part]:
    return [
        client
        for client in each.clients
        if client.client in evidence.names and client.selected and client.update is None
    ]


def bad_updates_are_rejected(evidence: Evidence) -> Iterator[str]:
    """Each of the hostile member's updates has the reason in the report that fits it, and no other update has one."""
    done = {each.sealing_key: each for each in evidence.hostile_done}
    for each in evidence.rounds:
        if each.reasons is None:
            continue
        submission = done.get(each.opening.sealing_key)
        if submission is not None and evidence.hostile in each.reasons:
            reason, expected = each.reasons[evidence.hostile], KINDS[submission.kind].reasons
            if reason not in expected:
                yield (
                    f"round {each.number}: the hostile update ({submission.kind}) has the reason {reason}, "
                    f"expected {' or '.join(map(str, sorted(expected, key=str)))}"
                )
        for address, name in evidence.names.items():
            reason = each.reasons.get(address)
            if reason not in (None, METERING) and name not in _out_of_reach(evidence, each):
                yield f"round {each.number}: the update of {name} was rejected: {reason}"


def _out_of_reach(evidence: Evidence, each: Round) -> list[str]:
    """Clients whose updates the organization could not fetch, since it or they were disturbed at the time."""
    unavailable = [name for address, name in evidence.names.items() if (each.reasons or {}).get(address) == UNAVAILABLE]
    return [
        name for name in unavailable if _disturbed(evidence, each, name) or _disturbed(evidence, each, ORGANIZATION)
    ]


def _disturbed(evidence: Evidence, each: Round, name: str) -> bool:
    begin, end = each.opening.opened_at, each.opening.aggregation_deadline
    return any(one.daemon == name and one.begin <= end and one.end >= begin for one in evidence.disturbances)


# ---------------------------------------------------------------------------------------------------- compute time


def compute_time_is_time_at_work(evidence: Evidence) -> Iterator[str]:
    """Nobody claims more than it measured, and nobody measured more than its worker was at work: what was done again
    after a kill counts once."""
    measured: dict[str, int] = defaultdict(int)
    for saved in evidence.saved:
        measured[saved.client] += saved.compute_ms
        for each in evidence.rounds:
            for client in each.clients:
                if (client.client, client.update) == (saved.client, saved.cid) and client.compute_ms > saved.compute_ms:
                    yield (
                        f"{evidence.names[saved.client]} claimed {client.compute_ms} ms in round {each.number}, and "
                        f"measured {saved.compute_ms}"
                    )
    for address, compute_ms in measured.items():
        if compute_ms > 1000 * evidence.at_work[address]:
            yield (
                f"{evidence.names[address]} measured {compute_ms} ms of compute, and its worker was at work for "
                f"{evidence.at_work[address]:.1f} s"
            )


# ------------------------------------------------------------------------------------------------ nonces and money


def no_transaction_is_left(evidence: Evidence) -> Iterator[str]:
    for wallet in evidence.wallets:
        if wallet.pending_nonce != wallet.latest_nonce:
            yield f"{wallet.name} has {wallet.pending_nonce - wallet.latest_nonce} transactions that are not mined"
        if wallet.open_intents:
            yield f"the journal of {wallet.name} has {wallet.open_intents} transactions of unknown fate"
        for tx_hash in wallet.unknown:
            yield f"{wallet.name} sent {tx_hash}, which its journal does not know"


def rewards_are_right(evidence: Evidence) -> Iterator[str]:
    """Each round's pool is the reward and what was carried; everybody was paid what all rounds together came to."""
    carried = 0
    earned: dict[str, int] = defaultdict(int)
    for each in evidence.rounds:
        if each.opening.pool != evidence.reward + carried:
            yield f"round {each.number} has a pool of {each.opening.pool} wei, expected {evidence.reward + carried}"
        money = each.money()
        carried = money.carried
        for client, reward in money.rewards.items():
            earned[client] += reward
    for wallet in evidence.wallets:
        if wallet.received + wallet.owed != earned[wallet.address]:
            yield (
                f"{wallet.name} was paid {wallet.received} wei and is owed {wallet.owed}, expected "
                f"{earned[wallet.address]} together"
            )
        if wallet.owed:
            yield f"{wallet.name} is still owed {wallet.owed} wei: nobody claimed it"
    if evidence.rounds and evidence.vault.carried != carried:
        yield f"the contract carries {evidence.vault.carried} wei, expected {carried}"


def contract_adds_up(evidence: Evidence) -> Iterator[str]:
    """What the contract holds is what it carries, what is forfeited, what it owes and what was staked."""
    forfeited = sum(each.money().forfeited + each.money().rounding for each in evidence.rounds)
    owed = sum(wallet.owed for wallet in evidence.wallets)
    vault = evidence.vault
    expected = vault.carried + forfeited + owed + vault.stakes + vault.slashed
    if vault.holdings != expected:
        yield f"the contract holds {vault.holdings} wei, expected {expected}: {vault.holdings - expected:+d}"


def wallets_add_up(evidence: Evidence) -> Iterator[str]:
    """Every balance is what it began with, less what its transactions paid in and cost, and what it was paid."""
    for wallet in evidence.wallets:
        expected = wallet.began - wallet.paid_in - wallet.fees + wallet.received
        if wallet.ended != expected:
            yield f"{wallet.name} has {wallet.ended} wei, expected {expected}: {wallet.ended - expected:+d}"


# ----------------------------------------------------------------------------------------------- audit and secrets


def audit_passes(evidence: Evidence) -> Iterator[str]:
    """Status 0. A round in which the organization could not fetch an update that is there now looks wrong to the audit,
    as it should: that loss is listed, and nothing else is excused."""
    excused = tuple(f"round {each.number}: " for each in evidence.rounds if _out_of_reach(evidence, each))
    found = [each for each in evidence.audited.violations if not each.startswith(excused)]
    yield from (f"audit: {each}" for each in found)
    if evidence.audited.status != 0 and not evidence.audited.violations:
        yield f"the audit ended with status {evidence.audited.status}"


def secrets_stay_secret(evidence: Evidence) -> Iterator[str]:
    for name, text in evidence.texts.items():
        lower = text.lower()
        for kind, secrets in evidence.secrets.items():
            if any(secret in text or secret.lower() in lower for secret in secrets):
                yield f"{name} shows a {kind}"
