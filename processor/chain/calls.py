"""What is to be done on chain before anybody has signed it: simulated and priced."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import Web3RPCError
from web3.types import TxParams, Wei

from processor.chain.amounts import format_ether
from processor.chain.answers import number
from processor.chain.fees import Fees, market_fees
from processor.chain.provider import node_errors
from processor.errors import ChainError, Reverted
from processor.types import Address

GAS_OF_A_TRANSFER = 21_000
_GAS_MARGIN_PERCENT = 20  # over the estimate: the state may change until the transaction is mined


@dataclass(frozen=True)
class Call:
    """A call of the contract at `to`, or the creation of one where `to` is None, that nobody has signed yet.

    `value` is in wei. `description` completes "cannot ..." ("open a round"). `worth` is the most wei that its gas may
    cost, where there is such a limit.
    """

    to: Address | None
    data: bytes = field(repr=False)
    value: int
    description: str
    worth: int | None = None

    def ceiling(self, gas: int, ceiling: int | None) -> int | None:
        """The most to pay for a unit of gas where it may use so much, and no more than `ceiling`; in wei, None for
        whatever the chain asks. Raises ChainError where it is worth none."""
        if self.worth is None:
            return ceiling
        most = self.worth // gas
        if most == 0:
            raise ChainError(f"cannot {self.description}: its gas costs more than it brings")
        return most if ceiling is None else min(most, ceiling)


@dataclass(frozen=True)
class Quote:
    """What a transaction may cost over the value it carries; `gas` is its limit, with a margin over what it needs."""

    gas: int
    fees: Fees

    @property
    def cost(self) -> int:
        """Wei, at most."""
        return self.gas * self.fees.max_fee


def quote(web3: Web3, sender: Address, call: Call, ceiling: int | None = None) -> Quote:
    """Simulates the call as `sender` and prices it; needs no key, and sends nothing.

    `ceiling` (wei) is the most to pay for a unit of gas. Raises Reverted where the contract refuses the call,
    ChainError where the account has less than the call's value or gas costs more than allowed.
    """
    with node_errors(f"read the balance of {sender}"):
        balance = web3.eth.get_balance(Web3.to_checksum_address(sender))
    if balance < call.value:
        raise cannot_pay(sender, call, balance, None)
    gas = gas_of_call(web3, sender, call)
    return Quote(gas, market_fees(web3, call.ceiling(gas, ceiling)))


def gas_of_call(web3: Web3, sender: Address, call: Call) -> int:
    """The gas that a call is given: a margin over what it needs now. Raises Reverted where the contract refuses it."""
    return _simulate(web3, sender, call) * (100 + _GAS_MARGIN_PERCENT) // 100


def decoded(intent: bytes) -> Call:
    """The call of a signed transaction."""
    fields = fields_of(intent)
    to = bytes(fields["to"])
    return Call(
        to=Web3.to_checksum_address(to) if to else None,
        data=bytes(fields["data"]),
        value=int(fields["value"]),
        description="send a transaction again",
    )


def fields_of(intent: bytes) -> dict[str, Any]:
    """What a signed transaction says, by name."""
    return TypedTransaction.from_bytes(HexBytes(intent)).as_dict()


def unsigned(sender: Address, call: Call) -> TxParams:
    """The call as a node takes it."""
    transaction: TxParams = {
        "from": Web3.to_checksum_address(sender),
        "data": HexBytes(call.data),
        "value": Wei(call.value),
    }
    if call.to is not None:
        transaction["to"] = Web3.to_checksum_address(call.to)
    return transaction


def _simulate(web3: Web3, sender: Address, call: Call) -> int:
    """The gas that the call needs in the pending block, which has the time of now; no less than a transfer's, whatever
    a node says."""
    transaction = unsigned(sender, call)
    try:
        with node_errors(f"simulate how to {call.description}"):
            try:
                gas = web3.eth.estimate_gas(transaction, "pending")
            except Web3RPCError:  # not every node makes pending blocks
                gas = web3.eth.estimate_gas(transaction, "latest")
            return max(number_in(gas), GAS_OF_A_TRANSFER)
    except Reverted as refusal:
        raise Reverted(f"cannot {call.description}: {refusal}", refusal.name, refusal.arguments) from None


def number_in(found: Any) -> int:
    """Raises ValueError for what is no number that a chain counts to."""
    if (value := number(found)) is None:
        raise ValueError("its answer is no such number")
    return value


def cannot_pay(sender: Address, call: Call, balance: int, gas_cost: int | None) -> ChainError:
    """For an account that has less than the call needs, in wei; `gas_cost` is None before that is known."""
    gas = "gas" if gas_cost is None else f"up to {format_ether(gas_cost)} for gas"
    return ChainError(
        f"account {sender} has {format_ether(balance)} ETH; to {call.description} it needs about "
        f"{format_ether(call.value + (gas_cost or 0))} ETH ({format_ether(call.value)} to send and {gas}): "
        "send it some and try again"
    )
