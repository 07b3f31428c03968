"""Commands of a member whose wallet cannot pay: what it signs goes to its relays."""

from __future__ import annotations

import sys
from collections.abc import Callable

from eth_account.signers.local import LocalAccount

from processor.chain.federation import Federation
from processor.chain.vouchers import Voucher
from processor.cli.asking import confirm
from processor.cli.connections import Party
from processor.cli.daemon import logger
from processor.cli.options import print_json
from processor.cli.proposal import Manner
from processor.config import MemberSettings
from processor.daemons.handover import Handover
from processor.daemons.relayed import Relayed
from processor.errors import ChainError, ConfigurationError
from processor.exchange import Stop, never
from processor.observability import shown
from processor.protocol.receipts import Receipt
from processor.types import Address, RoundView


def relayed_of(
    settings: MemberSettings, federation: Federation, account: LocalAccount, stop: Stop = never
) -> Relayed | None:
    """A client's dealings with its relays, until `stop` says so; None where it names none."""
    if not settings.relays:
        return None
    identity = (federation.chain_id, federation.address)
    return Relayed(Handover(account, *identity, settings.state, settings.relays, logger(), stop=stop), federation)


def register_by_relay(
    party: Party, settings: MemberSettings, voucher: Voucher | None, manner: Manner, note: str
) -> bool:
    """Hands the registration over where the wallet cannot pay and relays are named; False for whoever pays itself.
    `note` is said before anything is asked."""

    def sign_and_hand_over(handover: Handover, view: RoundView, now: int) -> Receipt | None:
        return handover.hand_over_call(handover.sign_registration(view, now, voucher))

    return _by_relay(party, settings, "register", manner, sign_and_hand_over, note)


def leave_by_relay(party: Party, settings: MemberSettings, to: Address, manner: Manner) -> bool:
    """The same for the end of a membership."""

    def sign_and_hand_over(handover: Handover, view: RoundView, now: int) -> Receipt | None:
        return handover.hand_over_call(handover.sign_leaving(view, now, to))

    return _by_relay(party, settings, f"leave, with everything paid to {to}", manner, sign_and_hand_over)


def decline_by_relay(party: Party, settings: MemberSettings, manner: Manner) -> bool:
    """The same for a decline. Raises ConfigurationError where relays have an update that was signed before."""

    def sign_and_hand_over(handover: Handover, view: RoundView, now: int) -> Receipt | None:
        signed = handover.sign_decline(view, now)
        if not signed.handed.declines:
            raise ConfigurationError(
                f"an update of round {view.round} was signed for relays already, and a client signs once in a round: "
                "it cannot be taken back"
            )
        return handover.hand_over(signed, view, now)

    return _by_relay(party, settings, "take no part in the round that goes on", manner, sign_and_hand_over)


def _by_relay(
    party: Party,
    settings: MemberSettings,
    wish: str,
    manner: Manner,
    sign_and_hand_over: Callable[[Handover, RoundView, int], Receipt | None],
    note: str = "",
) -> bool:
    federation = party.federation
    block = federation.block()
    if not settings.relays or Relayed.affords(federation, party.address, block):
        return False
    relays = ", ".join(shown(relay) for relay in settings.relays)
    said = f"{party.address} has no coins for a transaction. It is going to sign that it wants to {wish}, for {relays}"
    if note:
        said += f"\n{note}"
    print(said, file=sys.stdout if manner.dry_run else sys.stderr, flush=True)
    if manner.dry_run:
        return True
    if not manner.yes:
        confirm("Go on?", "nothing was signed", manner.instead)
    relayed = relayed_of(settings, federation, party.unlock())
    if relayed is None:
        raise ValueError("no relay is named")
    receipt = sign_and_hand_over(relayed.handover, federation.round_view(party.address, at=block), block.timestamp)
    if receipt is None:
        raise ChainError("no relay has taken it, for the reasons above: try again later, or name another relay")
    if manner.as_json:
        print_json({"relay": receipt.relay, "taken_at": receipt.taken_at})
    else:
        print(f"the relay {receipt.relay} has taken it: `koinon client status` shows when it is done")
    return True
