"""What a client with relays does in the place of a transaction: it hands over what it signed, and waits for the chain.

Coins of its own are the last resort: for an update when a quarter of the time is left, for a registration where no
relay takes it or none has sent it for long. A client without any waits for its relays with those too, and with claims.
"""

from __future__ import annotations

from dataclasses import dataclass

from processor.chain.asset import asset_at, balance_of
from processor.chain.federation import Federation
from processor.chain.fees import market_fees
from processor.chain.vouchers import Voucher
from processor.daemons.handover import Handover
from processor.protocol.decide import Claim, ClientAction, Register, Submit, Wait
from processor.protocol.funds import CLIENT_GAS
from processor.types import ZERO_ADDRESS, Address, Block, Cid, RoundView

PATIENCE = 180
"""Seconds, by the chain's time, that one relay has for a registration before every other gets it too."""


@dataclass
class Relayed:
    """One client's dealings with its relays, in the words of its decisions."""

    handover: Handover
    federation: Federation

    def register(self, action: Register, view: RoundView, block: Block, voucher: Voucher | None) -> ClientAction:
        """Hands a registration over. Gives the action itself where the client has to register by itself: nobody stakes
        for another, and no relay has done it."""
        if self.federation.terms().stake:
            return action
        handed = self.handover.sign_registration(view, block.timestamp, voucher)
        kept = self.handover.receipts(handed)
        late = any(block.timestamp - receipt.taken_at > PATIENCE for receipt in kept.values())
        receipt = self.handover.hand_over_call(handed, every=late)
        if (late or receipt is None) and self.can_pay(block):
            return action
        if receipt is None:
            return Wait("no relay has taken our registration, and we have no coins to register by ourselves")
        return Wait("a relay has taken our registration")

    def submit(
        self,
        action: Submit,
        view: RoundView,
        block: Block,
        update: Cid,
        compute_ms: int,
        reorganized: bool = False,
    ) -> ClientAction:
        """Hands the round's update over, signed once; after a reorganization the same again. Gives the action itself
        where it is time for a client with coins to submit by itself, with what `Handover.signed` says and nothing
        else."""
        signed = self.handover.sign(view, update, compute_ms, block.timestamp)
        receipt = self.handover.hand_over(signed, view, block.timestamp, again=reorganized)
        if signed.handed.declines:
            return Wait(f"round {view.round}: we have signed that we decline")
        if block.timestamp >= signed.self_submit_at(view.training_deadline) and self.can_pay(block):
            return action
        if receipt is None:
            return Wait(f"no relay has taken our update of round {view.round} yet")
        return Wait(f"a relay has taken our update of round {view.round}")

    def claim(self, action: Claim, block: Block) -> ClientAction:
        """A client without coins leaves claims to its relays."""
        if self.can_pay(block):
            return action
        owed = self.federation.asset().format(action.amount)
        return Wait(f"we are owed {owed}, and have no coins to claim it: a relay, or anybody, can do that for us")

    def can_pay(self, block: Block) -> bool:
        """Whether the wallet has the coins for its transactions of a round."""
        return self.affords(self.federation, self.handover.address, block)

    @staticmethod
    def affords(federation: Federation, address: Address, block: Block) -> bool:
        """Whether a wallet whose key is not needed has them."""
        web3 = federation.web3
        held = balance_of(web3, asset_at(web3, ZERO_ADDRESS), address, block)
        return held > 0 and held >= CLIENT_GAS * market_fees(web3, None, block).max_fee
