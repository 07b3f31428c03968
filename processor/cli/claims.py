"""`koinon client claim`: what it brings, and what its gas may cost."""

from __future__ import annotations

from typing import Annotated

import typer

from processor.chain.amounts import format_ether
from processor.chain.asset import Asset
from processor.chain.contracts import to_address
from processor.chain.snapshot import Snapshots
from processor.chain.transactions import quote
from processor.cli.connections import Party, party_of
from processor.cli.options import AsJson, Config, Rpc, Yes, print_json
from processor.cli.proposal import DryRun, Manner, Proposal, Step, carry_out_as
from processor.config import load_member
from processor.types import Address

app = typer.Typer()


@app.command(epilog="Example: koinon client claim --config client.toml --yes")
def claim(
    to: Annotated[str | None, typer.Option("--to", help="Whom to pay; your own account unless it is given.")] = None,
    config: Config = None,
    rpc: Rpc = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Claim everything that is owed, of whatever rounds and whatever the threshold.

    It says so where the gas may cost more than that; a daemon claims nothing then.
    """
    party = party_of(load_member({"rpc": rpc}, config))
    asset = party.federation.asset()
    owed = Snapshots(party.federation, party.address).latest().view.client.owed
    to = to_address(to) if to else party.address
    steps = [Step("claimed", party.federation.claim(to))] if owed else []
    note = _in_words(party, steps[0], asset, owed, to) if steps else ""
    receipts = carry_out_as(party, Proposal(steps, note=note), Manner(yes, dry_run, as_json))
    if receipts is None:
        return
    if as_json:
        print_json({"claimed": str(owed), "transactions": [receipt.tx_hash for receipt in receipts]})
    else:
        print(f"claimed {asset.format(owed)}" if owed else "nothing is owed")


def _in_words(party: Party, step: Step, asset: Asset, owed: int, to: Address) -> str:
    said = f"It pays {asset.format(owed)} to {to}."
    if not asset.native:
        return said
    cost = quote(party.web3, party.address, step.call).cost
    if cost <= owed:
        return said
    return (
        f"{said} The gas may cost more than that, up to {format_ether(cost)} ETH: what is owed stays yours, and can be "
        "claimed together with what later rounds add, or when gas is cheaper."
    )
