"""The words in which the tests of the contracts speak."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import brownie
from brownie.network.account import Account
from brownie.network.contract import ProjectContract
from brownie.network.transaction import TransactionReceipt

NONE, TRAINING, AGGREGATING, FINALIZED, ABANDONED = range(5)
ZERO_ADDRESS = "0x" + "0" * 40
ZERO_CID = "0x" + "0" * 64

HOUR = 3600
MIN_PERIOD = 30
MAX_PERIOD = 30 * 24 * HOUR
MAX_UPDATES = 1000
GWEI = 10**9
ETHER = 10**18


def digest(name: str) -> str:
    """32 bytes that stand for the CID, the key or the secret of that name."""
    return "0x" + hashlib.sha256(name.encode()).hexdigest()


SECRET = digest("secret")


class Terms(NamedTuple):
    """RoundTerms in the order of the interface; a wage of 1 gwei a second, with money for all that may be claimed."""

    plan_cid: str = digest("plan")
    sealing_key: str = digest("sealing key")
    training_period: int = HOUR
    aggregation_period: int = HOUR
    max_updates: int = 10
    max_compute_ms: int = 100_000
    selection_rate: int = 10_000
    reward_rate_cap: int = GWEI
    reward: int = 1000 * GWEI


def reverts(error: str, *values: Any) -> brownie.reverts:
    """Expects exactly this error with exactly these values."""
    return brownie.reverts(f"{error}: {', '.join(_as_decoded(value) for value in values)}")


def _as_decoded(value: Any) -> str:
    text = str(value)
    if not text.startswith("0x"):
        return text
    return text.lower() if len(text) == 42 else str(bytes.fromhex(text[2:]))


def now() -> int:
    return int(brownie.chain[-1].timestamp)


def mine_at(time: int) -> None:
    """Views see this time. (brownie 1.22 cannot ask anvil for a block at a time.)"""
    request("evm_mine", time)


def next_block_at(time: int) -> None:
    """The next transaction happens at this time."""
    request("evm_setNextBlockTimestamp", time)


def request(method: str, *parameters: Any) -> Any:
    response = brownie.web3.provider.make_request(method, list(parameters))
    assert "error" not in response, response["error"]
    return response["result"]


def owner_of(federation: ProjectContract) -> Account:
    return brownie.accounts.at(federation.owner(), force=True)


def open_round(federation: ProjectContract, wait: int = 200, **changes: Any) -> int:
    """Opens a round and lets `wait` seconds pass, so that clients can claim compute time."""
    terms = Terms(**changes)
    transaction = federation.openRound(terms, {"from": owner_of(federation), "value": terms.reward})
    if wait:
        mine_at(now() + wait)
    return int(transaction.return_value)


def submit(
    federation: ProjectContract,
    client: Account,
    compute_ms: int = 1000,
    samples: int = 10,
    *,
    round: int | None = None,
    sealing_key: str = Terms().sealing_key,
    update_cid: str | None = None,
) -> TransactionReceipt:
    cid = update_cid or digest(f"update of {client}")
    return federation.submitUpdate(
        round or federation.roundCount(), sealing_key, cid, compute_ms, samples, {"from": client}
    )


def finalize(
    federation: ProjectContract,
    adjustments: dict[Any, int] | None = None,
    *,
    round: int | None = None,
    pairs: list[tuple[Any, int]] | None = None,
    update_count: int | None = None,
    claimed_ms: int | None = None,
    model_cid: str | None = None,
    report_cid: str | None = None,
    secret: str = SECRET,
) -> TransactionReceipt:
    """Finalizes the latest round with all of its updates; `adjustments` are put in order, `pairs` stay as they are."""
    round = round or federation.roundCount()
    view = federation.roundView(round, ZERO_ADDRESS)
    return federation.finalizeRound(
        round,
        view["updateCount"] if update_count is None else update_count,
        view["claimedMs"] if claimed_ms is None else claimed_ms,
        model_cid or digest(f"model of round {round}"),
        report_cid or digest(f"report of round {round}"),
        ascending(adjustments or {}) if pairs is None else pairs,
        secret,
        {"from": owner_of(federation)},
    )


def ascending(adjustments: dict[Any, int]) -> list[tuple[str, int]]:
    return sorted(((str(client), ms) for client, ms in adjustments.items()), key=lambda each: int(each[0], 16))


def end_training(federation: ProjectContract) -> None:
    mine_at(federation.roundView(federation.roundCount(), ZERO_ADDRESS)["trainingDeadline"])


def abandon(federation: ProjectContract) -> None:
    mine_at(federation.roundView(federation.roundCount(), ZERO_ADDRESS)["aggregationDeadline"])


def client_of(federation: ProjectContract, round: int, client: Any) -> dict[str, Any]:
    return federation.roundView(round, client)["client"]
