"""Transactions: signed here, journaled, sent, and waited for.

Nothing is sent that the simulation refuses or the account cannot pay, and nothing is sent twice: what became of a
transaction that was sent is asked of the chain, by its hash, also after a node has refused it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from eth_account.signers.local import LocalAccount
from web3 import Web3
from web3.exceptions import ContractLogicError, Web3Exception, Web3RPCError
from web3.types import BlockParams, Nonce, RPCEndpoint, TxParams, Wei
from web3.utils.address import get_create_address

from processor.chain.answers import number
from processor.chain.blocks import hash_of_block, latest_block
from processor.chain.calls import (
    GAS_OF_A_TRANSFER,
    Call,
    Quote,
    cannot_pay,
    decoded,
    fields_of,
    number_in,
    quote,
    unsigned,
)
from processor.chain.failover import Failover
from processor.chain.fates import Verdict, verdict
from processor.chain.fees import Fees, market_fees, outbid
from processor.chain.provider import block_named, node_errors, reason
from processor.chain.receipts import Receipt, raw, receipt_in, receipt_of
from processor.chain.refusals import Refusal, refusal_of
from processor.chain.reverts import revert_of
from processor.errors import ChainError, NonceUsed, NotAccepted, Reverted, Underpriced
from processor.types import Block

__all__ = ["Call", "Quote", "Receipt", "Sender", "SignedIntent", "quote"]

_FIRST_POLL, _SLOWEST_POLL = 0.1, 1.0  # seconds between two looks for a receipt
_WRONG_SHAPE = (Web3Exception, ValueError, TypeError, LookupError, AttributeError, OverflowError)


@dataclass(frozen=True)
class SignedIntent:
    """A signed transaction that has not been sent yet; `gas` is the most that it may use, in units."""

    nonce: int
    tx_hash: str
    fees: Fees
    gas: int
    raw: bytes = field(repr=False)


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
            self.chain_id = number_in(web3.eth.chain_id)

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
        used = None
        try:
            self.broadcast(intent.raw)
        except NonceUsed as error:  # by another, or by this one, whose receipt the node gives late
            used = error
        receipt = self._wait(intent, used)
        if not receipt.succeeded:
            raise self.failure(call, receipt)
        if call.to is None and receipt.contract is None:  # a receipt need not name it
            return replace(receipt, contract=get_create_address(self.address, Nonce(intent.nonce)))
        return receipt

    def sign(self, call: Call, nonce: int, at_least: Fees | None = None) -> SignedIntent:
        """Simulates, prices and signs a call; sends nothing. It offers `at_least` these fees, and a step more than they
        are.

        Raises Reverted and ChainError as `send` does before it sends.
        """
        price = quote(self._web3, self.address, call, self._ceiling)
        ceiling = call.ceiling(price.gas, self._ceiling)
        fees = price.fees if at_least is None else outbid(at_least, price.fees, ceiling)
        self._require(call.value + price.gas * fees.max_fee, call, price.gas * fees.max_fee)
        transaction: TxParams = {**unsigned(self.address, call), "gas": price.gas}
        return self._sign(transaction, nonce, fees)

    def again(self, intent: bytes, fees: Fees) -> SignedIntent:
        """The signed transaction `intent` once more, under the same nonce and other fees. Raises ChainError where the
        account cannot pay them."""
        call, fields = decoded(intent), fields_of(intent)
        nonce, gas = int(fields["nonce"]), int(fields["gas"])
        self._require(call.value + gas * fees.max_fee, call, gas * fees.max_fee)
        return self._sign({**unsigned(self.address, call), "gas": gas}, nonce, fees)

    def cancellation(self, nonce: int, fees: Fees) -> SignedIntent:
        """A transaction that does nothing but use a nonce, in the place of one that is no longer wanted."""
        nothing = Call(self.address, b"", 0, "take back a transaction")
        self._require(GAS_OF_A_TRANSFER * fees.max_fee, nothing, GAS_OF_A_TRANSFER * fees.max_fee)
        return self._sign({**unsigned(self.address, nothing), "gas": GAS_OF_A_TRANSFER}, nonce, fees)

    def market(self) -> Fees:
        """What gets a transaction into one of the next blocks, whatever the ceiling."""
        return market_fees(self._web3, None)

    def outbidding(self, last: Fees, most: int | None = None) -> Fees:
        """The fees that replace a transaction that offers `last`. Raises ChainError where that is above the ceiling, or
        above `most` wei for a unit of gas."""
        ceiling = min((each for each in (self._ceiling, most) if each is not None), default=None)
        return outbid(last, market_fees(self._web3, ceiling), ceiling)

    def simulate(self, intent: bytes, at: Block) -> None:
        """Raises Reverted where the contract would refuse a signed transaction after the block: in a pending one the
        transaction itself may be, and another node's latest may be an earlier one."""
        call = decoded(intent)
        with node_errors(f"simulate how to {call.description}", at):
            self._eth.call(unsigned(self.address, call), block_named(at))

    def block(self) -> Block:
        """The latest block."""
        return latest_block(self._web3)

    def mined(self) -> int:
        """How many transactions of the account are in blocks: also the next nonce."""
        return self._count("latest")

    def nonces(self) -> tuple[int, int]:
        """How many transactions of the account are in blocks, and with those that the node knows to be on their way."""
        mined = self.mined()
        return mined, max(mined, self._count("pending"))

    def hash_of(self, number: int) -> str | None:
        """The hash of the chain's block of a number; None where the node has none."""
        return hash_of_block(self._web3, number)

    def receipt(self, tx_hash: str) -> Receipt | None:
        """What became of a transaction that was sent; None while it is in no block."""
        return receipt_of(self._web3, tx_hash)

    def verdict(self, nonce: int, hashes: Collection[str]) -> Verdict | None:
        """What used a nonce of the account that is used, and whether it was one of these transactions; None where the
        node cannot prove it."""
        return verdict(self._web3, self.address, nonce, hashes)

    def receipt_anywhere(self, hashes: Collection[str]) -> Receipt | None:
        """A receipt that any of the nodes gives for one of the transactions, whatever node is asked otherwise. Raises
        ChainError where none answers."""
        provider = self._web3.provider
        if not isinstance(provider, Failover):
            return next(filter(None, map(self.receipt, hashes)), None)
        for tx_hash in hashes:
            for answer in provider.everywhere(RPCEndpoint("eth_getTransactionReceipt"), [tx_hash]):
                with suppress(ChainError):  # one of another shape; the next node may do better
                    receipt = receipt_in(tx_hash, answer.get("result"))
                    if receipt is not None:
                        return receipt
        return None

    def knows(self, tx_hash: str) -> bool:
        """Whether the node knows a transaction, in a block or on its way."""
        with node_errors("look for a transaction"):
            return isinstance(raw(self._web3, "eth_getTransactionByHash", tx_hash), Mapping)

    def broadcast(self, intent: bytes) -> None:
        """Sends a signed transaction; that the node has it already is fine.

        Raises NonceUsed where its nonce is used in a block, which may be by itself, Underpriced where it does not pay
        enough, NotAccepted where the node refuses it for another reason, and ChainError where it does not answer: then
        it may have been sent all the same. A node that refuses it is asked whether it knows it: whatever it says then,
        a transaction that it knows is on its way.
        """
        tx_hash = "0x" + Web3.keccak(intent).hex()
        try:
            self._eth.send_raw_transaction(intent)
        except Web3RPCError as error:
            self._refused(tx_hash, error)
        except (ChainError, *_WRONG_SHAPE) as error:
            raise _perhaps_sent(tx_hash, str(error) or repr(error)) from None

    def _refused(self, tx_hash: str, error: Web3RPCError) -> None:
        """Returns where the transaction is on its way all the same; raises as `broadcast` does where it is not."""
        words = reason(error)
        refusal = refusal_of((error.rpc_response or {}).get("error") or words)
        if refusal is Refusal.KNOWN:
            return
        try:
            if self.knows(tx_hash) or self.receipt(tx_hash) is not None:
                return
        except ChainError as silence:
            raise _perhaps_sent(tx_hash, f"the node refused it: {words}; and then {silence}") from None
        if refusal is Refusal.NONCE_USED:
            raise NonceUsed(
                f"the nonce of transaction {tx_hash} from account {self.address} is used already: let only one program "
                "use an account at a time, and try again"
            ) from None
        if refusal is Refusal.UNDERPRICED:
            raise Underpriced(f"the node asks for more than transaction {tx_hash} offers: {words}") from None
        raise NotAccepted(f"the node refused transaction {tx_hash}: {words}") from None

    def _wait(self, intent: SignedIntent, used: NonceUsed | None) -> Receipt:
        """The receipt. Raises `used`, what the node said of its nonce, once another transaction is proven to be there
        in its place; ChainError where neither is known in time."""
        deadline, pause, trouble = time.monotonic() + self._timeout, _FIRST_POLL, ""
        while True:
            proof = None
            try:
                receipt = self.receipt(intent.tx_hash)
                if receipt is not None:
                    return receipt
                proof = None if used is None else self.verdict(intent.nonce, [intent.tx_hash])
            except ChainError as error:  # the transaction is on its way, whatever happens to the node
                trouble = f" (last, {error})"
            if used is not None and proof is not None and not proof.ours:
                raise used
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise ChainError(
                    f"transaction {intent.tx_hash} was sent but is in no block after {self._timeout:g} s{trouble}; it "
                    "may still be mined: look it up before trying again"
                )
            time.sleep(min(pause, remaining))
            pause = min(pause * 1.5, _SLOWEST_POLL)

    def _count(self, at: BlockParams) -> int:
        with node_errors("count the account's transactions"):
            return number_in(self._eth.get_transaction_count(self.address, at))

    def failure(self, call: Call, receipt: Receipt) -> Reverted:
        """Why a call failed in its block, asked by repeating it at the end of that block."""
        cause = Reverted("the contract refused the call")
        with suppress(ChainError, *_WRONG_SHAPE):
            sent = raw(self._web3, "eth_getTransactionByHash", receipt.tx_hash)
            if receipt.gas_used is not None and number(sent["gas"]) == receipt.gas_used:
                cause = Reverted("it ran out of gas")
        try:
            self._eth.call(unsigned(self.address, call), receipt.block)
        except ContractLogicError as error:
            cause = revert_of(error)
        except (ChainError, *_WRONG_SHAPE):
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
            raise cannot_pay(self.address, call, balance, gas_cost)

    def _sign(self, transaction: TxParams, nonce: int, fees: Fees) -> SignedIntent:
        priced: TxParams = {
            **transaction,
            "chainId": self.chain_id,
            "nonce": Nonce(nonce),
            "maxFeePerGas": Wei(fees.max_fee),
            "maxPriorityFeePerGas": Wei(fees.priority_fee),
        }
        signed = self._account.sign_transaction(priced)  # type: ignore[arg-type]
        gas = int(priced["gas"])
        return SignedIntent(nonce, "0x" + signed.hash.hex(), fees, gas, bytes(signed.raw_transaction))


def _perhaps_sent(tx_hash: str, trouble: str) -> ChainError:
    return ChainError(
        f"{trouble}. Transaction {tx_hash} may have been sent all the same: look it up before trying again"
    )
