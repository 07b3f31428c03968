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
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import ContractLogicError, TransactionIndexingInProgress, TransactionNotFound, Web3RPCError
from web3.types import Nonce, TxParams, Wei

from processor.chain.amounts import format_ether
from processor.chain.blocks import latest_block
from processor.chain.fees import Fees, market_fees, outbid
from processor.chain.provider import node_errors, reason
from processor.chain.reverts import explain, revert_of
from processor.errors import ChainError, NotAccepted, Reverted, Underpriced
from processor.types import Address, Block

__all__ = ["Call", "Quote", "Receipt", "Sender", "SignedIntent", "decoded", "explain", "quote"]

_FIRST_POLL, _SLOWEST_POLL = 0.1, 1.0  # seconds between two looks for a receipt
_GAS_OF_A_TRANSFER = 21_000
_ALREADY_KNOWN = ("already known", "already imported", "known transaction", "already in")
_TOO_CHEAP = ("underpriced", "less than block base fee", "fee too low", "fee cap")
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
    fees: Fees
    raw: bytes = field(repr=False)


@dataclass(frozen=True)
class Receipt:
    """A transaction that is in a block. `contract` is the address of the contract it created."""

    tx_hash: str
    block: int
    block_hash: str
    succeeded: bool
    gas_used: int
    fee_wei: int
    contract: Address | None
    logs: tuple[Any, ...] = field(repr=False)


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
        raise _cannot_pay(sender, call, balance, None)
    gas = _simulate(web3, sender, call) * (100 + _GAS_MARGIN_PERCENT) // 100
    return Quote(gas, market_fees(web3, ceiling))


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
            self.chain_id = web3.eth.chain_id

    def send(self, call: Call, on_signed: Callable[[SignedIntent], object] | None = None) -> Receipt:
        """Sends a call and returns once it is in a block.

        `on_signed` gets the signed transaction before it is sent, so that a journal knows of it whatever happens next.
        Raises Reverted where the contract refuses it, in the simulation or in the block; ChainError where the account
        cannot pay, gas costs more than allowed, the node refuses the transaction, or it is in no block in time.
        """
        mined, sent = self.nonces()
        if sent > mined:  # it may be the same call, sent before a crash
            raise ChainError(
                f"account {self.address} has a transaction on its way (nonce {mined}): wait until it is in a block"
            )
        intent = self.sign(call, mined)
        if on_signed is not None:
            on_signed(intent)
        self.broadcast(intent.raw)
        receipt = self._wait(intent.tx_hash)
        if not receipt.succeeded:
            raise self.failure(call, receipt)
        return receipt

    def sign(self, call: Call, nonce: int, at_least: Fees | None = None) -> SignedIntent:
        """Simulates, prices and signs a call; sends nothing. It offers `at_least` these fees, and a step more than they
        are.

        Raises Reverted and ChainError as `send` does before it sends.
        """
        price = quote(self._web3, self.address, call, self._ceiling)
        fees = price.fees if at_least is None else outbid(at_least, price.fees, self._ceiling)
        self._require(call.value + price.gas * fees.max_fee, call, price.gas * fees.max_fee)
        transaction: TxParams = {**_unsigned(self.address, call), "gas": price.gas}
        return self._sign(transaction, nonce, fees)

    def again(self, intent: bytes, fees: Fees) -> SignedIntent:
        """The signed transaction `intent` once more, under the same nonce and other fees. Raises ChainError where the
        account cannot pay them."""
        call, fields = decoded(intent), _fields(intent)
        nonce, gas = int(fields["nonce"]), int(fields["gas"])
        self._require(call.value + gas * fees.max_fee, call, gas * fees.max_fee)
        return self._sign({**_unsigned(self.address, call), "gas": gas}, nonce, fees)

    def cancellation(self, nonce: int, fees: Fees) -> SignedIntent:
        """A transaction that does nothing but use a nonce, in the place of one that is no longer wanted."""
        nothing = Call(self.address, b"", 0, "take back a transaction")
        self._require(_GAS_OF_A_TRANSFER * fees.max_fee, nothing, _GAS_OF_A_TRANSFER * fees.max_fee)
        return self._sign({**_unsigned(self.address, nothing), "gas": _GAS_OF_A_TRANSFER}, nonce, fees)

    def market(self) -> Fees:
        """What gets a transaction into one of the next blocks, whatever the ceiling."""
        return market_fees(self._web3, None)

    def outbidding(self, last: Fees) -> Fees:
        """The fees that replace a transaction that offers `last`. Raises ChainError where that is above the ceiling."""
        return outbid(last, market_fees(self._web3, self._ceiling), self._ceiling)

    def simulate(self, intent: bytes) -> None:
        """Raises Reverted where the contract would refuse a signed transaction now.

        It is asked of the latest block: in a pending one the transaction itself may be.
        """
        call = decoded(intent)
        with node_errors(f"simulate how to {call.description}"):
            self._eth.call(_unsigned(self.address, call), "latest")

    def block(self) -> Block:
        """The latest block."""
        return latest_block(self._web3)

    def mined(self) -> int:
        """How many transactions of the account are in blocks: also the next nonce."""
        with node_errors("count the account's transactions"):
            return self._eth.get_transaction_count(self.address, "latest")

    def nonces(self) -> tuple[int, int]:
        """How many transactions of the account are in blocks, and with those that the node knows to be on their way."""
        mined = self.mined()
        with node_errors("count the account's transactions"):
            return mined, max(mined, self._eth.get_transaction_count(self.address, "pending"))

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
                block_hash="0x" + found["blockHash"].hex(),
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

    def broadcast(self, intent: bytes) -> None:
        """Sends a signed transaction; that the node has it already is fine.

        Raises Underpriced where it does not pay enough, NotAccepted where the node refuses it for another reason, and
        ChainError where it does not answer: then it may have been sent all the same.
        """
        tx_hash = "0x" + Web3.keccak(intent).hex()
        try:
            self._eth.send_raw_transaction(intent)
        except ChainError as error:
            raise ChainError(
                f"{error}. Transaction {tx_hash} may have been sent all the same: look it up before trying again"
            ) from None
        except Web3RPCError as error:
            words = reason(error)
            if any(known in words.lower() for known in _ALREADY_KNOWN) or self.receipt(tx_hash) is not None:
                return
            if "nonce too low" in words.lower():
                raise NotAccepted(
                    f"somebody else has just sent a transaction from account {self.address}: let only one program use "
                    "an account at a time, and try again"
                ) from None
            if any(cheap in words.lower() for cheap in _TOO_CHEAP):
                raise Underpriced(f"the node asks for more than transaction {tx_hash} offers: {words}") from None
            raise NotAccepted(f"the node refused transaction {tx_hash}: {words}") from None

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

    def failure(self, call: Call, receipt: Receipt) -> Reverted:
        """Why a call failed in its block, asked by repeating it at the end of that block."""
        cause = Reverted("the contract refused the call")
        try:
            if self._eth.get_transaction(receipt.tx_hash)["gas"] == receipt.gas_used:  # type: ignore[arg-type]
                cause = Reverted("it ran out of gas")
            self._eth.call(_unsigned(self.address, call), receipt.block)
        except ContractLogicError as error:
            cause = revert_of(error)
        except (ChainError, TransactionNotFound, Web3RPCError):
            pass
        return Reverted(
            f"cannot {call.description}: {cause} (transaction {receipt.tx_hash} failed in block {receipt.block})",
            cause.name,
            cause.arguments,
        )

    def _require(self, needed: int, call: Call, gas_cost: int) -> None:
        """Raises ChainError where the account has less than `needed` wei."""
        with node_errors("read the account's balance"):
            balance = self._eth.get_balance(self.address)
        if balance < needed:
            raise _cannot_pay(self.address, call, balance, gas_cost)

    def _sign(self, transaction: TxParams, nonce: int, fees: Fees) -> SignedIntent:
        priced: TxParams = {
            **transaction,
            "chainId": self.chain_id,
            "nonce": Nonce(nonce),
            "maxFeePerGas": Wei(fees.max_fee),
            "maxPriorityFeePerGas": Wei(fees.priority_fee),
        }
        signed = self._account.sign_transaction(priced)  # type: ignore[arg-type]
        return SignedIntent(nonce, "0x" + signed.hash.hex(), fees, bytes(signed.raw_transaction))


def decoded(intent: bytes) -> Call:
    """The call of a signed transaction."""
    fields = _fields(intent)
    to = bytes(fields["to"])
    return Call(
        to=Web3.to_checksum_address(to) if to else None,
        data=bytes(fields["data"]),
        value=int(fields["value"]),
        description="send a transaction again",
    )


def _fields(intent: bytes) -> dict[str, Any]:
    return TypedTransaction.from_bytes(HexBytes(intent)).as_dict()


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


def _cannot_pay(sender: Address, call: Call, balance: int, gas_cost: int | None) -> ChainError:
    gas = "gas" if gas_cost is None else f"up to {format_ether(gas_cost)} for gas"
    return ChainError(
        f"account {sender} has {format_ether(balance)} ETH; to {call.description} it needs about "
        f"{format_ether(call.value + (gas_cost or 0))} ETH ({format_ether(call.value)} to send and {gas}): "
        "send it some and try again"
    )
