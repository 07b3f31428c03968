"""Where clients hand over: what is taken is checked by its signature, by the chain, by the budgets and by a simulation,
then it is on disk, and only then is there a receipt."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from eth_account.signers.local import LocalAccount
from structlog.typing import FilteringBoundLogger

from processor.chain.asset import asset_at, balance_of
from processor.chain.federation import Federation
from processor.chain.transactions import Call, Quote, quote
from processor.chain.vouchers import Voucher
from processor.daemons.relay_limits import Rates
from processor.daemons.relay_queue import Queue
from processor.daemons.relay_server import Refused
from processor.errors import ArtifactError, ChainError, Reverted
from processor.protocol.receipts import sign_receipt
from processor.protocol.relaying import (
    Budget,
    Handed,
    HandedLeaving,
    HandedRegistration,
    HandedUpdate,
    day_of,
    decode_handed,
    kind_of,
    leaving_refusal,
    over_budget,
    registration_refusal,
    update_refusal,
)
from processor.types import ZERO_ADDRESS, Block, RoundView

BAD, FORBIDDEN, CONFLICT, TOO_MANY, UNABLE = 400, 403, 409, 429, 503
CLIENT_PER_MINUTE, CLIENT_BURST = 12, 6
"""How often one client may hand over: a client that is well hands over a few things in a round."""


def call_of(federation: Federation, handed: Handed) -> Call:
    """What sends it: a registration or a leaving, or an update by itself."""
    match handed:
        case HandedUpdate():
            return federation.submit_updates(handed.round, bytes.fromhex(handed.sealing_key), [handed.signed])
        case HandedRegistration():
            return federation.register_signed(
                handed.client, handed.deadline, bytes.fromhex(handed.signature), _voucher_of(handed)
            )
        case HandedLeaving():
            signature = bytes.fromhex(handed.signature)
            return federation.leave_signed(handed.client, handed.to, handed.deadline, signature)


def _voucher_of(handed: HandedRegistration) -> Voucher | None:
    given = handed.voucher
    if given is None:
        return None
    return Voucher(
        chain_id=handed.chain_id,
        federation=handed.federation,
        client=handed.client,
        id=int(given.id),
        expiry=given.expiry,
        owner_nonce=given.owner_nonce,
        signature=bytes.fromhex(given.signature),
    )


@dataclass
class RelayDesk:
    """The desk of one relay in one federation; `ceiling` is the most it pays for a unit of gas, in wei.

    One client is served at a time: what waits behind it is bounded by the server.
    """

    account: LocalAccount = field(repr=False)
    federation: Federation
    queue: Queue
    budget: Budget
    log: FilteringBoundLogger
    batch: int
    ceiling: int | None = None
    claim_threshold: int | None = None
    rates: Rates = field(default_factory=lambda: Rates(CLIENT_PER_MINUTE, CLIENT_BURST))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _seen: tuple[Block, RoundView] | None = None

    def take(self, kind: str, body: bytes) -> bytes:
        """The receipt for what was handed over; the very same hand-over gets the very same receipt. Raises Refused, and
        KoinonError where chain or disk cannot be used now."""
        try:
            handed = decode_handed(body)
        except ArtifactError as error:
            raise Refused(BAD, f"this cannot be taken: {error}") from None
        if kind_of(handed) != kind:
            raise Refused(BAD, f"expected a {kind} here, found a {kind_of(handed)}")
        federation = self.federation
        if (handed.chain_id, handed.federation) != (federation.chain_id, federation.address):
            raise Refused(
                BAD, f"this relay works for the federation {federation.address} on chain {federation.chain_id}"
            )
        if handed.signer() != handed.client:
            raise Refused(FORBIDDEN, f"this is not signed by {handed.client} for this very federation and round")
        if not self.rates.allows(handed.client):
            raise Refused(TOO_MANY, f"too much from {handed.client}: wait a minute")
        with self._lock:
            return self._receipt_for(handed)

    def status(self) -> dict[str, Any]:
        """What anybody may know: as of the block that the relay looked at last."""
        block, view = self._seen or (None, None)
        spent = None if block is None else self.queue.spent(day_of(block.timestamp), ZERO_ADDRESS)
        return {
            "kind": "relay-status",
            "version": 1,
            "chain_id": self.federation.chain_id,
            "federation": self.federation.address,
            "relay": self.account.address,
            "block": None if block is None else block.number,
            "round": None if view is None else view.round,
            "waiting": 0 if view is None else self.queue.waiting(view.round).count,
            "batch": self.batch,
            "gas_per_day": self.budget.gas_per_day,
            "gas_per_client": self.budget.gas_per_client,
            "gas_promised_today": None if spent is None else spent.today,
            "claim_threshold": None if self.claim_threshold is None else str(self.claim_threshold),
        }

    def looked(self, block: Block, view: RoundView) -> None:
        """The relay has looked at a block."""
        self._seen = (block, view)

    def _receipt_for(self, handed: Handed) -> bytes:
        earlier = self.queue.earlier(handed)
        if earlier is not None and earlier[0] == handed:
            return earlier[1]
        if earlier is not None:
            raise Refused(
                CONFLICT,
                f"this relay has something else that {handed.client} signed for round {handed.round}: there is one for "
                "each round",
            )
        block = self.federation.block()
        view = self.federation.round_view(handed.client, at=block)
        if refused := self._refusal(view, block, handed):
            raise Refused(CONFLICT, refused)
        price = self._priced(handed)
        spent = self.queue.spent(day_of(block.timestamp), handed.client)
        if refused := over_budget(self.budget, spent, price.gas, registers=isinstance(handed, HandedRegistration)):
            raise Refused(TOO_MANY, refused)
        self._require_funds(price, block, view)
        receipt = sign_receipt(self.account, block.timestamp, handed).encode()
        self.queue.take(handed, block.timestamp, receipt, price.gas)
        self.log.info("taken", step=kind_of(handed), client=handed.client, round=handed.round)
        return receipt

    def _refusal(self, view: RoundView, block: Block, handed: Handed) -> str | None:
        match handed:
            case HandedUpdate():
                return update_refusal(view, block.timestamp, handed)
            case HandedRegistration():
                return registration_refusal(view, block.timestamp, handed, self.federation.terms().stake)
            case HandedLeaving():
                return leaving_refusal(view, block.timestamp, handed)

    def _priced(self, handed: Handed) -> Quote:
        """What it costs by itself, found by simulating it; more than its part of a batch."""
        try:
            return quote(
                self.federation.web3, self.account.address, call_of(self.federation, handed), ceiling=self.ceiling
            )
        except Reverted as error:
            raise Refused(CONFLICT, f"the contract would refuse it: {error}") from None
        except ChainError as error:
            self.log.warning("nothing is taken", reason=str(error))
            raise Refused(UNABLE, "this relay cannot send anything now: ask another relay") from None

    def _require_funds(self, price: Quote, block: Block, view: RoundView) -> None:
        """No receipt without the coins for it, and for what waits already."""
        web3, waits = self.federation.web3, self.queue.waiting(view.round)
        held = balance_of(web3, asset_at(web3, ZERO_ADDRESS), self.account.address, block)
        if held < (waits.gas + price.gas) * price.fees.max_fee:
            self.log.warning("nothing is taken", reason="the wallet has too few coins", balance_wei=str(held))
            raise Refused(UNABLE, "this relay has no coins left to promise: ask another relay")
