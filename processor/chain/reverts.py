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
from processor.chain.amounts import format_ether, format_moment
from processor.errors import Reverted
from processor.types import ZERO_ADDRESS, Admission, AuditPolicy, Phase, Refusal
from processor.words import counted

_ERROR_STRING = bytes.fromhex("08c379a0")  # Error(string)
_PANIC = bytes.fromhex("4e487b71")  # Panic(uint256)

_PHASES = {
    Phase.NONE: "not open yet",
    Phase.TRAINING: "in Training",
    Phase.AGGREGATING: "in Aggregating",
    Phase.FINALIZED: "finalized",
    Phase.ABANDONED: "abandoned",
}
_ADMISSIONS = {
    Admission.OPEN: "the federation admits everybody: register without a voucher",
    Admission.VOUCHER: "the federation admits by voucher: register with one that its organization signed",
}
_POLICIES = {
    AuditPolicy.OPEN: "the federation's audit policy is open: finalization publishes the round's secret",
    AuditPolicy.APPOINTED: "the federation's audit policy is appointed: finalization publishes no secret",
}
_REFUSALS = {
    Refusal.NONE: "no reason is given",
    Refusal.NOT_SELECTED: "it was not selected, or it registered after the round opened, or has left",
    Refusal.ALREADY_SUBMITTED: "it has already submitted an update in this round, or declined",
    Refusal.ZERO_CID: "the update's CID is missing",
    Refusal.COMPUTE_TIME: (
        "the compute time is 0, more than the round allows, or more than has passed since the round opened"
    ),
    Refusal.CLAIM_FIRST: "it is owed more than the contract can hold for one client: claim that first",
}
_LONGEST_WORDS = 200


def _phase(value: int) -> str:
    return _PHASES[Phase(value)]


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _plain(words: str) -> str:
    """Words that any contract may have written, such that they can be shown."""
    return "".join(letter for letter in words if letter.isprintable())[:_LONGEST_WORDS]


def _words(value: bytes) -> str:
    """Characters from the left of a word of 32 bytes."""
    return _plain(value.rstrip(b"\0").decode("utf-8", "replace"))


# One sentence per error, its parameters named as in IFederation.sol and in OpenZeppelin's contracts.
_SENTENCES: dict[str, Callable[..., str]] = {
    "WrongPhase": lambda latest, actual, named: (
        f"round {latest} is {_phase(actual)}, which does not allow this"
        if named == latest
        else f"round {named} is named, but round {latest} is the latest and {_phase(actual)}: read the round again"
    ),
    "RoundIsLive": lambda round, actual: (
        f"round {round} is {_phase(actual)}; wait until it is finalized or its deadlines have passed"
    ),
    "FederationIsClosed": lambda: "the federation is closed: nobody can register and no round can open any more",
    "FederationIsOpen": lambda: "the federation is still open: close it before withdrawing",
    "FederationIsPaused": lambda: "the federation is paused: no round can open until its owner resumes",
    "PauseIsAlready": lambda paused: (
        "the federation is paused already" if paused else "the federation is not paused: rounds can open"
    ),
    "NotAFederation": lambda: (
        "this contract is only the code that federations share, and no federation itself: check the address"
    ),
    "NotTheOwner": lambda owner, actual: (
        f"{actual} does not own the federation, {owner} does; only its owner can do this"
    ),
    "NotThePendingOwner": lambda pending, actual: (
        f"{actual} cannot accept the ownership: it is offered to " + ("nobody" if pending == ZERO_ADDRESS else pending)
    ),
    "NeitherOwnerNorOperator": lambda actual: (
        f"{actual} is neither the owner nor the operator of the federation; only they can do this"
    ),
    "NeitherMemberNorOrganization": lambda actual: (
        f"{actual} is neither a member of the federation nor its owner or operator; only they can post"
    ),
    "RoundsHaveBegun": lambda rounds: (
        f"{counted(rounds, 'round')} {'has' if rounds == 1 else 'have'} been opened already; the initial model can "
        "only be set before the first"
    ),
    "NoInitialModel": lambda: "the federation has no initial model yet: set one before the first round opens",
    "NoMembers": lambda: "the federation has no members yet: a round needs at least one registered client",
    "AlreadyRegistered": lambda client, index: f"{client} is registered already, at position {index}",
    "NotRegistered": lambda client: f"{client} is not a member of the federation: register it first",
    "WrongAdmission": lambda expected, actual: _ADMISSIONS[Admission(expected)],
    "VoucherExpired": lambda expiry, time: (
        f"the voucher expired at {format_moment(expiry)}, and the chain's time is {format_moment(time)}: ask the "
        "organization for another one"
    ),
    "VoucherSpent": lambda id: (
        f"the voucher with the id {id} was used or revoked: ask the organization for another one"
    ),
    "InvalidVoucher": lambda signer, client: (
        f"the voucher is not one that the federation's owner, {signer}, signed for {client}: ask the organization for "
        "another one"
    ),
    "SignatureExpired": lambda deadline, time: (
        f"what was signed had to be sent before {format_moment(deadline)}, and the chain's time is "
        f"{format_moment(time)}: sign it again"
    ),
    "InvalidSignature": lambda client, round: (
        f"the signature is not that of {client} over this call in round {round}, the latest: sign it again"
    ),
    "SignatureSpent": lambda client, round: (
        f"{client} has left in round {round}, so that nothing it signed for this round counts any more: sign in the "
        "next round, or send the transaction directly"
    ),
    "StakeNeedsItsOwner": lambda stake: (
        f"every client stakes {stake} units, and nobody stakes for another: the client has to register itself"
    ),
    "StakeNotReturned": lambda client, amount: (
        f"{client} still has {amount} units staked from an earlier membership: leave once more to get them back, then "
        "register"
    ),
    "UpdateIsLive": lambda round: (
        f"the client has left, and its update is in round {round}, which is not over: try again then"
    ),
    "UpdateRefused": lambda round, client, reason: (
        f"{client} cannot take part in round {round} with this: {_REFUSALS[Refusal(reason)]}"
    ),
    "NothingAccepted": lambda round, count: (
        f"none of the {count} signed update(s) was accepted in round {round}: they are in already, their clients are "
        "not selected, or they were not signed for this round"
    ),
    "NotIdle": lambda client, last: (
        f"{client} cannot be retired: the latest round did not select it, or heard of it, or round {last}, in which it "
        "last took part, declined or registered, is not long enough ago"
    ),
    "NothingOwed": lambda client: f"{client} is owed nothing",
    "NoUpdate": lambda round, client: f"{client} has no update in round {round}",
    "WrongSealingKey": lambda round, expected, actual: (
        f"the call is for the sealing key {_hex(actual)}, but round {round} has {_hex(expected)}: read the round "
        "again, the chain may have been reorganized"
    ),
    "SealingKeyUsed": lambda sealingKey: (
        f"the sealing key {_hex(sealingKey)} is that of the round before, whose secret may be known: make a new one"
    ),
    "WrongDigest": lambda round, expected, actual: (
        f"round {round} has the digest {_hex(expected)}, and {_hex(actual)} was named: the round has other updates or "
        "another opening; read it again, the chain may have been reorganized"
    ),
    "ComputeTimeOutOfBounds": lambda minimum, maximum, actual: (
        f"the compute time of a round is {actual} ms; {minimum} to {maximum} ms are allowed"
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
    "PoolTooSmall": lambda needed, pool: (
        f"the pool would be {pool} units and has to be at least {needed}, or 0, for what the selected may claim: raise "
        "the reward, or lower the rate, the compute time or the selection"
    ),
    "ZeroValue": lambda field: f"{_words(field)} is zero; it must be given",
    "WrongAmount": lambda expected, actual: (
        f"{format_ether(actual)} ETH were sent; exactly {format_ether(expected)} ETH were expected"
    ),
    "NotReceivedInFull": lambda expected, actual: (
        f"the token moved {actual} units instead of {expected}: a token that takes or adds a fee cannot be used"
    ),
    "AmountTooLarge": lambda maximum, actual: (
        f"{actual} units are more than the contract can hold for one round: at most {maximum}"
    ),
    "AdjustmentsNotAscending": lambda previous, next: (
        f"the adjustment of {next} comes after that of {previous}; adjustments are in ascending order of client, "
        "each client once"
    ),
    "AdjustmentNotLower": lambda client, claimedMs, creditedMs: (
        f"{client} claimed {claimedMs} ms and cannot be credited {creditedMs} ms: an adjustment only lowers"
    ),
    "SlashRateTooHigh": lambda maximum, actual: (
        f"{actual} basis points of a stake would be slashed; the federation allows at most {maximum}"
    ),
    "SecretAgainstPolicy": lambda policy: _POLICIES[AuditPolicy(policy)],
    "AssetIsNotAContract": lambda asset: f"there is no contract at {asset}: the asset must be a token on this chain",
    "ZeroSpread": lambda: "the spread is 0; with at least 1 the pool pays what the selected may claim",
    "FailedDeployment": lambda: (
        "there is a federation of this owner with these terms and this salt already: choose another salt"
    ),
    "CloneArgumentsTooLong": lambda: "the factory is damaged: the terms do not fit into a federation's code",
    "Create2EmptyBytecode": lambda: "the factory is damaged: it would make a federation without code",
    "SafeERC20FailedOperation": lambda token: (
        f"the token {token} refused the transfer: check the balance, and what the federation may take of it"
    ),
    "ERC20InsufficientAllowance": lambda spender, allowance, needed: (
        f"{spender} may take {allowance} units of the token and needs {needed}: approve that amount first"
    ),
    "ERC20InsufficientBalance": lambda sender, balance, needed: (
        f"{sender} has {balance} units of the token and needs {needed}"
    ),
    "ERC20InvalidApprover": lambda approver: f"{approver} cannot let others take its tokens",
    "ERC20InvalidReceiver": lambda receiver: f"the token cannot be paid to {receiver}",
    "ERC20InvalidSender": lambda sender: f"the token cannot be taken from {sender}",
    "ERC20InvalidSpender": lambda spender: f"{spender} cannot be allowed to take tokens",
    "ReentrancyGuardReentrantCall": lambda: (
        "the federation was called again while it was paying: the receiving contract must wait until it is paid"
    ),
    "FailedCall": lambda: "the receiving address refused the payment: choose another one",
    "InsufficientBalance": lambda balance, needed: (
        f"the contract holds {format_ether(balance)} ETH and would have to pay {format_ether(needed)} ETH"
    ),
}


def explain(name: str, arguments: Mapping[str, Any]) -> str:
    """The sentence for the custom error `name`, with its values by parameter name; one of other contracts is named.

    Amounts whose asset the error does not tell are in its smallest units.
    """
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
            return Reverted(f"the contract refused: {_plain(codec.decode(['string'], payload)[0])}", "Error")
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
    except (DecodingError, ValueError, OverflowError):  # of another contract, whose values mean something else
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
