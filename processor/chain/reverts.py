"""Why a contract refused a call, as a sentence.

A custom error carries the values that a person needs; `explain` has one sentence for each of them. Nodes wrap the bytes
of a revert in different ways: `revert_of` finds them in what web3 raises for any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from eth_abi.exceptions import DecodingError
from eth_utils.abi import function_abi_to_4byte_selector
from web3 import Web3
from web3.exceptions import ContractLogicError

from processor.chain import contracts
from processor.chain.amounts import format_ether
from processor.errors import Reverted
from processor.types import Phase

_ERROR_STRING = bytes.fromhex("08c379a0")  # Error(string)
_PANIC = bytes.fromhex("4e487b71")  # Panic(uint256)

_PHASES = {
    Phase.NONE: "not open yet",
    Phase.TRAINING: "in Training",
    Phase.AGGREGATING: "in Aggregating",
    Phase.FINALIZED: "finalized",
    Phase.ABANDONED: "abandoned",
}


def _phase(value: int) -> str:
    return _PHASES[Phase(value)]


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


# One sentence per error, its parameters named as in IFederation.sol and in OpenZeppelin's contracts.
_SENTENCES: dict[str, Callable[..., str]] = {
    "WrongPhase": lambda round, expected, actual: (
        f"round {round} is {_phase(actual)}; this is only possible while it is {_phase(expected)}"
    ),
    "RoundIsLive": lambda round, actual: (
        f"round {round} is {_phase(actual)}; wait until it is finalized or its deadlines have passed"
    ),
    "FederationIsClosed": lambda: "the federation is closed: nobody can register and no round can open any more",
    "FederationIsOpen": lambda: "the federation is still open: close it before withdrawing",
    "RoundsHaveBegun": lambda rounds: (
        f"{rounds} round(s) have been opened already; the initial model can only be set before the first"
    ),
    "NoInitialModel": lambda: "the federation has no initial model yet: set one before the first round opens",
    "NoMembers": lambda: "the federation has no members yet: a round needs at least one registered client",
    "AlreadyRegistered": lambda client, index: f"{client} is registered already, with member index {index}",
    "NotRegistered": lambda client: f"{client} is not a member of the federation: register it first",
    "NotSelected": lambda round, client: (
        f"{client} does not take part in round {round}: it was not selected, or it registered after the round opened"
    ),
    "AlreadySubmitted": lambda round, client: f"{client} has already submitted its update of round {round}",
    "NoUpdate": lambda round, client: f"{client} has no update in round {round}",
    "WrongSealingKey": lambda round, expected, actual: (
        f"the update is sealed to {_hex(actual)}, but round {round} has the sealing key {_hex(expected)}: "
        "read the round again, the chain may have been reorganized"
    ),
    "ComputeTimeOutOfBounds": lambda minimum, maximum, actual: (
        f"the compute time is {actual} ms; the round accepts {minimum} to {maximum} ms"
    ),
    "PeriodOutOfBounds": lambda minimum, maximum, actual: (
        f"the period is {actual} s; a period lasts {minimum} to {maximum} s"
    ),
    "MaxUpdatesOutOfBounds": lambda minimum, maximum, actual: (
        f"the round would accept {actual} updates; between {minimum} and {maximum} are allowed"
    ),
    "SelectionRateOutOfBounds": lambda minimum, maximum, actual: (
        f"the selection rate is {actual} basis points; {minimum} to {maximum} are allowed (10000 selects everybody)"
    ),
    "ZeroValue": lambda field: f"{field} is zero; it must be given",
    "WrongAmount": lambda expected, actual: (
        f"{format_ether(actual)} ETH were sent; exactly {format_ether(expected)} ETH were expected"
    ),
    "AmountTooLarge": lambda maximum, actual: (
        f"{format_ether(actual)} ETH is more than the contract can hold for one round: at most {format_ether(maximum)}"
    ),
    "WrongUpdates": lambda expectedCount, actualCount, expectedMs, actualMs: (
        f"the round has {expectedCount} updates with {expectedMs} ms in total, but {actualCount} with {actualMs} ms "
        "were aggregated: read the round again"
    ),
    "AdjustmentsNotAscending": lambda previous, next: (
        f"the adjustment of {next} comes after that of {previous}; adjustments are in ascending order of client, "
        "each client once"
    ),
    "AdjustmentNotLower": lambda client, claimedMs, creditedMs: (
        f"{client} claimed {claimedMs} ms and cannot be credited {creditedMs} ms: an adjustment only lowers"
    ),
    "OwnerIsNeeded": lambda: "a federation needs an owner: hand it on with transferOwnership instead",
    "OwnableUnauthorizedAccount": lambda account: f"{account} does not own the federation; only its owner can do this",
    "OwnableInvalidOwner": lambda owner: f"{owner} cannot own a federation",
    "FailedCall": lambda: "the receiving address refused the payment: choose another one",
    "InsufficientBalance": lambda balance, needed: (
        f"the contract holds {format_ether(balance)} ETH and would have to pay {format_ether(needed)} ETH"
    ),
}


def explain(name: str, arguments: Mapping[str, Any]) -> str:
    """The sentence for the custom error `name`, with its values by parameter name; one of other contracts is named."""
    sentence = _SENTENCES.get(name)
    if sentence is None:
        return f"the contract refused with {name}({', '.join(str(value) for value in arguments.values())})"
    return sentence(**arguments)


def decode(data: bytes) -> Reverted:
    """The bytes of a revert as an error with a sentence."""
    codec = Web3().codec
    selector, payload = data[:4], data[4:]
    try:
        if selector == _ERROR_STRING:
            return Reverted(f"the contract refused: {codec.decode(['string'], payload)[0]}", "Error")
        if selector == _PANIC:
            return Reverted(
                f"the contract failed with panic code 0x{codec.decode(['uint256'], payload)[0]:02x}", "Panic"
            )
        for name, entry in contracts.errors().items():
            if function_abi_to_4byte_selector(entry) == selector:  # type: ignore[arg-type]
                inputs = entry["inputs"]
                values = codec.decode([item["type"] for item in inputs], payload)
                arguments = {
                    item["name"]: Web3.to_checksum_address(value) if item["type"] == "address" else value
                    for item, value in zip(inputs, values, strict=True)
                }
                return Reverted(explain(name, arguments), name, arguments)
    except DecodingError:
        pass
    return Reverted(f"the contract refused the call, with {_hex(data) if data else 'no reason given'}")


def revert_of(error: ContractLogicError) -> Reverted:
    """What web3 raised for a revert, as an error with a sentence.

    geth and anvil give the bytes as one string, others inside an object or behind a word ("Reverted 0x...").
    """
    data: Any = error.data
    if isinstance(data, Mapping):
        data = data.get("data") or data.get("result")
    if isinstance(data, str):
        digits = data.removeprefix("Reverted ").removeprefix("0x")
        try:
            return decode(bytes.fromhex(digits))
        except ValueError:
            pass
    return Reverted(f"the contract refused the call: {error.message or 'no reason given'}")
