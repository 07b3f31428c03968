"""Opens a round: `brownie run open_round main federation=ADDRESS plan=CID sealing_key=HEX reward_rate_cap=AMOUNT
[reward=AMOUNT ...] --network NETWORK`, after it has shown the terms.

    plan                 CIDv0 of the plan
    sealing_key          X25519 public key, 64 hexadecimal digits, of no round before; who finalizes needs its secret
    reward_rate_cap      the most that a second of compute earns
    reward               escrowed with the opening; the pool is this and what is carried, and has to pay for all that
                         may be claimed, or for the part of it that the terms name; or it is nothing at all
    training_period      seconds
    aggregation_period   seconds
    max_updates          1 to 1,000
    max_compute_ms       most compute time that one client may claim; the training period unless it is given
    selection_rate       basis points of the members
    model                CIDv0 of the model to start from; only while the federation has none

A plan that the round before did not have is announced first, since clients have to agree to it. The organization's
daemon does the same by itself, and gives them notice. scripts/common.py says who signs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from processor.chain.amounts import format_moment
from processor.chain.asset import Asset
from processor.chain.federation import Federation
from processor.chain.posts import PLAN
from processor.chain.snapshot import Snapshot, Snapshots
from processor.cli.proposal import Proposal, Step, with_approval
from processor.errors import ConfigurationError, SealError
from processor.privacy.sealing import check_public_key
from processor.protocol.rewards import least_pool_under, selected_under
from processor.types import RoundTerms
from processor.words import counted
from scripts.arguments import REQUIRED, amount_of, rate_of, read_arguments
from scripts.common import find_federation, script, send, signer


@script
def main(*arguments: str) -> None:
    values = read_arguments(
        arguments,
        federation="",
        plan=REQUIRED,
        sealing_key=REQUIRED,
        reward_rate_cap=REQUIRED,
        reward="0",
        training_period="600",
        aggregation_period="600",
        max_updates="100",
        max_compute_ms="",
        selection_rate="10000",
        model="",
        yes="",
    )
    federation = find_federation(values["federation"])
    asset, before = federation.asset(), Snapshots(federation).latest()
    terms = read_terms(values, asset)
    check_key(before, terms.sealing_key)
    check_pool(before, terms)
    carried = before.carried
    print(f"round {before.view.round + 1} of {federation.address}")
    for name in RoundTerms.__dataclass_fields__:
        print(f"  {name:19} {values[name] if name in ('plan', 'sealing_key') else getattr(terms, name)}")
    print(f"  pool                {asset.format(carried + terms.reward)}, {asset.format(carried)} of it carried")
    print(f"  previous digest     0x{before.view.digest.hex()}")

    call = federation.open_round(terms, before.view.digest)
    steps = with_approval(federation, signer().address, terms.reward, "round opened", call)
    if before.view.plan not in (None, terms.plan):
        announced = federation.post(PLAN, terms.plan, f"announce the plan {terms.plan} of the next round")
        steps = [Step("plan announced", announced), *steps]
    if before.release.model is None:
        steps = [first_model(federation, values["model"]), *(replace(step, blocked=True) for step in steps)]
    send(Proposal(steps), values["yes"])
    view = federation.round_view()
    until = format_moment(view.training_deadline)
    print(f"round {view.round} is open until {until}, {view.selected_count} of {view.member_count} selected")


def first_model(federation: Federation, cid: str) -> Step:
    if not cid:
        raise ConfigurationError(f"federation {federation.address} has no model to start from: say model=CID")
    return Step("initial model set", federation.set_initial_model(cid))


def check_key(before: Snapshot, sealing_key: bytes) -> None:
    """The contract refuses the key of the round before, and anybody can open what is sealed to an older one, or to what
    is no key of its own."""
    try:
        check_public_key(sealing_key)
    except SealError as error:
        raise ConfigurationError(f"{error}: make another one") from None
    if number := before.round_with_key(sealing_key):
        raise ConfigurationError(f"the sealing key was that of round {number}, whose secret is known: make another one")


def check_pool(before: Snapshot, terms: RoundTerms) -> None:
    asset, pool = before.federation.asset(), before.carried + terms.reward
    least = least_pool_under(terms, before.member_count, before.terms.max_spread)
    if 0 < pool < least:
        selected = selected_under(terms, before.member_count)
        raise ConfigurationError(
            f"the pool of {asset.format(pool)} is too small: {counted(selected, 'client')} may claim "
            f"{terms.max_compute_ms} ms each, which at this rate cap takes {asset.format(least)}; say more reward, or "
            "less of the others"
        )


def read_terms(values: dict[str, Any], asset: Asset) -> RoundTerms:
    try:
        sealing_key = bytes.fromhex(values["sealing_key"].removeprefix("0x"))
        training, aggregation, updates, selection = (
            int(values[name]) for name in ("training_period", "aggregation_period", "max_updates", "selection_rate")
        )
        compute_ms = int(values["max_compute_ms"] or training * 1000)
    except ValueError as error:
        raise ConfigurationError(
            f"periods, max_updates, max_compute_ms and selection_rate are numbers, sealing_key is hexadecimal: {error}"
        ) from None
    if len(sealing_key) != 32:
        raise ConfigurationError(f"sealing_key has {len(sealing_key)} bytes, an X25519 key has 32")
    return RoundTerms(
        plan=values["plan"],
        sealing_key=sealing_key,
        training_period=training,
        aggregation_period=aggregation,
        max_updates=updates,
        max_compute_ms=compute_ms,
        selection_rate=selection,
        reward_rate_cap=rate_of(asset, values["reward_rate_cap"]),
        reward=amount_of(asset, values["reward"]),
    )
