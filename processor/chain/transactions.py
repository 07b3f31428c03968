"""Transactions: simulated, priced, signed here, journaled, sent, and waited for.

Nothing is sent that the simulation refuses or the account cannot pay, and nothing is sent twice: what became of a
transaction that was sent is asked of the chain, by its hash.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from eth_account.signers.local import LocalAccount
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import ContractLogicError, TransactionIndexingInProgress, TransactionNotFound, Web3RPCError
from web3.types import BlockIdentifier, Nonce, TxParams, Wei

from processor.chain.amounts import format_ether
from processor.chain.provider import node_errors, reason
from processor.chain.reverts import explain, revert_of
from processor.errors import ChainError, Reverted
from processor.types import Address

__all__ = ["Call", "Quote", "Receipt", "Sender", "SignedIntent", "explain", "quote"]

_FIRST_POLL, _SLOWEST_POLL = 0.1, 1.0  # seconds between two looks for a receipt
_GAS_MARGIN_PERCENT = 20  # over the estimate: the state may change until the transaction is mined


@dataclass(frozen=True)
class Call:
    """A call of the contract at `to`, or the creation of one where `to` is None, that nobody has signed yet.

    `value` is in wei. `description` completes "cannot ..." ("open a round").
    """

    to: Address | None
    data: bytes = field(repr=False)
    value: int
    description: str


@dataclass(frozen=True)
class SignedIntent:
    """A signed transaction that has not been sent yet."""

    nonce: int
    tx_hash: str
    raw: bytes = field(repr=False)


@dataclass(frozen=True)
class Receipt:
    """A transaction that is in a block. `contract` is the address of the contract it created."""

    tx_hash: str
    block: int
    succeeded: bool
    gas_used: int
    fee_wei: int
    contract: Address | None
    logs: tuple[Any, ...] = field(repr=False)


@dataclass(frozen=True)
class Quote:
    """What a transaction may cost beside the value it carries.

    `gas` is its limit, with a margin over what it needs; the fees are wei for a unit of gas, at most, and the part of
    that for the block's proposer (EIP-1559).
    """

    gas: int
    max_fee_per_gas: int
    priority_fee: int

    @property
    def cost(self) -> int:
        """Wei, at most."""
        return self.gas * self.max_fee_per_gas


def quote(web3: Web3, sender: Address, call: Call, ceiling: int | None = None) -> Quote:
    """Simulates the call as `sender` and prices it; needs no key, and sends nothing.

    `ceiling` (wei) is the most to pay for a unit of gas. Raises Reverted where the contract refuses the call,
    ChainError where the account has less than the call's value or gas costs more than allowed.
    """
    with node_errors(f"read the balance of {sender}"):
        balance = web3.eth.get_balance(Web3.to_checksum_address(sender))
    if balance < call.value:
        raise _cannot_pay(sender, call, balance, None)
    gas = _simulate(web3, sender, call) * (100 + _GAS_MARGIN_PERCENT) // 100
    return Quote(gas, *_fees(web3, ceiling))


class Sender:
    """Sends the transactions of one account, one at a time.

    `timeout` is how many seconds a transaction may take to be in a block. `max_fee_per_gas` (wei) is the most the
    account pays for a unit of gas; without it, whatever the chain asks.
    """

    def __init__(
        self, web3: Web3, account: LocalAccount, timeout: float = 120, max_fee_per_gas: int | None = None
    ) -> None:
        self.address = Web3.to_checksum_address(account.address)
        self._account = account
        self._web3 = web3
        self._eth = web3.eth
        self._timeout = timeout
        self._ceiling = max_fee_per_gas
        with node_errors("name its chain"):
            self._chain_id = web3.eth.chain_id

    def send(self, call: Call, on_signed: Callable[[SignedIntent], object] | None = None) -> Receipt:
        """Sends a call and returns once it is in a block.

        `on_signed` gets the signed transaction before it is sent, so that a journal knows of it whatever happens next.
        Raises Reverted where the contract refuses it, in the simulation or in the block; ChainError where the account
        cannot pay, gas costs more than allowed, the node refuses the transaction, or it is in no block in time.
        """
        nonce = self._next_nonce()
        price = quote(self._web3, self.address, call, self._ceiling)
        with node_errors("read the account's balance"):
            balance = self._eth.get_balance(self.address)
        if balance < call.value + price.cost:
            raise _cannot_pay(self.address, call, balance, price.cost)

        priced: TxParams = {
            **_unsigned(self.address, call),
            "chainId": self._chain_id,
            "nonce": nonce,
            "gas": price.gas,
            "maxFeePerGas": Wei(price.max_fee_per_gas),
            "maxPriorityFeePerGas": Wei(price.priority_fee),
        }
        signed = self._account.sign_transaction(priced)  # type: ignore[arg-type]
        intent = SignedIntent(nonce, "0x" + signed.hash.hex(), bytes(signed.raw_transaction))
        if on_signed is not None:
            on_signed(intent)
        self._broadcast(intent)
        receipt = self._wait(intent.tx_hash)
        if not receipt.succeeded:
            raise self._failure(call, receipt, price.gas)
        return receipt

    def receipt(self, tx_hash: str) -> Receipt | None:
        """What became of a transaction that was sent; None while it is in no block."""
        with node_errors("look for a transaction"):
            try:
                found = self._eth.get_transaction_receipt(tx_hash)  # type: ignore[arg-type]
            except (TransactionNotFound, TransactionIndexingInProgress):
                return None
            return Receipt(
                tx_hash=tx_hash,
                block=found["blockNumber"],
                succeeded=found["status"] == 1,
                gas_used=found["gasUsed"],
                fee_wei=found["gasUsed"] * found["effectiveGasPrice"],
                contract=found["contractAddress"],
                logs=tuple(found["logs"]),
            )

    def knows(self, tx_hash: str) -> bool:
        """Whether the node knows a transaction, in a block or on its way."""
        with node_errors("look for a transaction"):
            try:
                self._eth.get_transaction(tx_hash)  # type: ignore[arg-type]
            except TransactionNotFound:
                return False
            return True

    def _next_nonce(self) -> Nonce:
        """Refuses to queue behind a transaction that is on its way: it may be the same call, sent before a crash."""
        with node_errors("count the account's transactions"):
            mined = self._eth.get_transaction_count(self.address, "latest")
            sent = self._eth.get_transaction_count(self.address, "pending")
        if sent > mined:
            raise ChainError(
                f"account {self.address} has a transaction on its way (nonce {mined}): wait until it is in a block"
            )
        return mined

    def _broadcast(self, intent: SignedIntent) -> None:
        try:
            self._eth.send_raw_transaction(intent.raw)
        except ChainError as error:
            raise ChainError(
                f"{error}. Transaction {intent.tx_hash} may have been sent all the same: look it up before trying again"
            ) from None
        except Web3RPCError as error:
            words = reason(error)
            if "already" in words.lower():  # "already known" and the like: the node has it
                return
            if self.receipt(intent.tx_hash) is not None:
                return
            if "nonce too low" in words.lower():
                raise ChainError(
                    f"somebody else has just sent a transaction from account {self.address}: let only one program use "
                    "an account at a time, and try again"
                ) from None
            raise ChainError(f"the node refused transaction {intent.tx_hash}: {words}") from None

    def _wait(self, tx_hash: str) -> Receipt:
        deadline, pause, trouble = time.monotonic() + self._timeout, _FIRST_POLL, ""
        while True:
            try:
                receipt = self.receipt(tx_hash)
                if receipt is not None:
                    return receipt
            except ChainError as error:  # the transaction is on its way, whatever happens to the node
                trouble = f" (last, {error})"
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise ChainError(
                    f"transaction {tx_hash} was sent but is in no block after {self._timeout:g} s{trouble}; it may "
                    "still be mined: look it up before trying again"
                )
            time.sleep(min(pause, remaining))
            pause = min(pause * 1.5, _SLOWEST_POLL)

    def _failure(self, call: Call, receipt: Receipt, gas: int) -> Reverted:
        """Why a transaction failed in its block, asked by repeating it at the end of that block."""
        cause = Reverted("it ran out of gas" if receipt.gas_used == gas else "the contract refused the call")
        block: BlockIdentifier = receipt.block
        try:
            self._eth.call(_unsigned(self.address, call), block)
        except ContractLogicError as error:
            cause = revert_of(error)
        except (ChainError, Web3RPCError):
            pass
        return Reverted(
            f"cannot {call.description}: {cause} (transaction {receipt.tx_hash} failed in block {receipt.block})",
            cause.name,
            cause.arguments,
        )


def _unsigned(sender: Address, call: Call) -> TxParams:
    transaction: TxParams = {
        "from": Web3.to_checksum_address(sender),
        "data": HexBytes(call.data),
        "value": Wei(call.value),
    }
    if call.to is not None:
        transaction["to"] = Web3.to_checksum_address(call.to)
    return transaction


def _simulate(web3: Web3, sender: Address, call: Call) -> int:
    """The gas that the call needs in the pending block, which has the time of now."""
    transaction = _unsigned(sender, call)
    try:
        with node_errors(f"simulate how to {call.description}"):
            try:
                return web3.eth.estimate_gas(transaction, "pending")
            except Web3RPCError:  # not every node makes pending blocks
                return web3.eth.estimate_gas(transaction, "latest")
    except Reverted as refusal:
        raise Reverted(f"cannot {call.description}: {refusal}", refusal.name, refusal.arguments) from None


def _fees(web3: Web3, ceiling: int | None) -> tuple[int, int]:
    """The most to pay for a unit of gas, and the part of it that goes to the block's proposer, in wei (EIP-1559).

    Twice the base fee lasts for six full blocks in a row, of which each raises it by an eighth.
    """
    with node_errors("name the price of gas"):
        base_fee = web3.eth.get_block("latest").get("baseFeePerGas")
        priority_fee = web3.eth.max_priority_fee
    if base_fee is None:
        raise ChainError("the chain has no fee market (EIP-1559), which transactions here rely on")
    if ceiling is None:
        return 2 * base_fee + priority_fee, priority_fee
    if base_fee + priority_fee > ceiling:
        raise ChainError(
            f"a unit of gas costs {base_fee + priority_fee} wei now, more than the {ceiling} wei allowed: "
            "wait until it is cheaper, or allow more"
        )
    return min(2 * base_fee + priority_fee, ceiling), priority_fee


def _cannot_pay(sender: Address, call: Call, balance: int, gas_cost: int | None) -> ChainError:
    gas = "gas" if gas_cost is None else f"up to {format_ether(gas_cost)} for gas"
    return ChainError(
        f"account {sender} has {format_ether(balance)} ETH; to {call.description} it needs about "
        f"{format_ether(call.value + (gas_cost or 0))} ETH ({format_ether(call.value)} to send and {gas}): "
        "send it some and try again"
    )
