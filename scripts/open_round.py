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

The organization's daemon does the same by itself. scripts/common.py says who signs.
"""

from __future__ import annotations

from typing import Any

from processor.chain.amounts import format_moment
from processor.chain.asset import Asset
from processor.protocol.rewards import least_pool, selected_of
from scripts.common import (
    REQUIRED,
    amount_of,
    asset_of,
    confirm,
    digest,
    escrow,
    fail,
    find_federation,
    on_chain,
    or_fail,
    rate_of,
    read_arguments,
    read_federation,
    transact,
)


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
    )
    federation = find_federation(values["federation"])
    reader, asset = read_federation(federation), asset_of(federation)
    terms = read_terms(values, asset)
    has_model = or_fail(reader.latest_release).model is not None
    if not has_model and not values["model"]:
        fail(f"federation {federation.address} has no model to start from: say model=CID")
    before = or_fail(reader.round_view)
    check_key(reader, terms["sealing_key"])

    carried, reward = federation.carried(), terms["reward"]
    check_pool(reader, terms, carried + reward, asset)
    print(f"round {before.round + 1} of {federation.address}")
    for name, value in terms.items():
        print(f"  {name:19} {values[name] if isinstance(value, bytes) else value}")
    print(f"  pool                {asset.format(carried + reward)}, {asset.format(carried)} of it carried")
    print(f"  previous digest     0x{before.digest.hex()}")
    confirm(f"Open it and escrow {asset.format(reward)}?")

    if not has_model:
        transact(federation.setInitialModel, digest(values["model"]))
    coins = escrow(federation, asset, reward)
    transact(federation.openRound, tuple(terms.values()), before.digest, value=coins)
    view = or_fail(reader.round_view)
    until = format_moment(view.training_deadline)
    print(f"round {view.round} is open until {until}, {view.selected_count} of {view.member_count} selected")


def check_key(reader: on_chain.Federation, sealing_key: bytes) -> None:
    """The contract refuses the key of the round before, and anybody can open what is sealed to an older one."""
    for number, result in enumerate(or_fail(reader.results), start=1):
        if any(result.sealing_key) and sealing_key.startswith(result.sealing_key):
            fail(f"the sealing key was that of round {number}, whose secret is known: make another one")


def check_pool(reader: on_chain.Federation, terms: dict[str, Any], pool: int, asset: Asset) -> None:
    members, spread = or_fail(reader.member_count), reader.terms().max_spread
    selected = selected_of(members, terms["selection_rate"], terms["max_updates"])
    least = least_pool(terms["reward_rate_cap"], selected, terms["max_compute_ms"], spread)
    if 0 < pool < least:
        fail(
            f"the pool of {asset.format(pool)} is too small: {selected} client(s) may claim {terms['max_compute_ms']} "
            f"ms each, which at this rate cap takes {asset.format(least)}; say more reward, or less of the others"
        )


def read_terms(values: dict[str, str], asset: Asset) -> dict[str, Any]:
    """The fields of `IFederation.RoundTerms`, in their order."""
    try:
        sealing_key = bytes.fromhex(values["sealing_key"].removeprefix("0x"))
        numbers = {
            name: int(values[name])
            for name in ("training_period", "aggregation_period", "max_updates", "selection_rate")
        }
        numbers["max_compute_ms"] = int(values["max_compute_ms"] or numbers["training_period"] * 1000)
    except ValueError as error:
        fail(
            f"periods, max_updates, max_compute_ms and selection_rate are numbers, sealing_key is hexadecimal: {error}"
        )
    if len(sealing_key) != 32:
        fail(f"sealing_key has {len(sealing_key)} bytes, an X25519 key has 32")
    return {
        "plan": digest(values["plan"]),
        "sealing_key": sealing_key,
        "training_period": numbers["training_period"],
        "aggregation_period": numbers["aggregation_period"],
        "max_updates": numbers["max_updates"],
        "max_compute_ms": numbers["max_compute_ms"],
        "selection_rate": numbers["selection_rate"],
        "reward_rate_cap": rate_of(asset, values["reward_rate_cap"]),
        "reward": amount_of(asset, values["reward"]),
    }
