"""Signs a voucher that admits one client to a federation, once:
`brownie run voucher main federation=ADDRESS client=ADDRESS [expiry=30d] [out=voucher.json] --network NETWORK`.
Nothing is sent for it. With `revoke=ID` instead of `client` it makes a voucher worthless that has not been used, with a
transaction.

    expiry               how long it can be used, in hours or days: 12h, 30d
    out                  the file to write; one that exists is left as it is

Where the owner is a contract wallet: `koinon organization voucher new --typed-data`.
"""

from __future__ import annotations

import re
from pathlib import Path

from processor.chain.contracts import to_address
from processor.chain.federation import Federation
from processor.cli import actions
from processor.cli.new_file import new_file
from processor.cli.voucher import end_of, require_vouchers, signed_voucher
from processor.errors import ConfigurationError
from scripts.arguments import either, read_arguments
from scripts.common import find_federation, script, send, signer


@script
def main(*arguments: str) -> None:
    values = read_arguments(arguments, federation="", client="", expiry="30d", out="voucher.json", revoke="", yes="")
    new = either("client=ADDRESS, whom a new voucher admits,", values["client"], "revoke=ID", values["revoke"])
    federation = find_federation(values["federation"])
    if new:
        sign(federation, values["client"], values["expiry"], Path(values["out"]))
    else:
        revoke(federation, values["revoke"], values["yes"])


def sign(federation: Federation, client: str, expiry: str, out: Path) -> None:
    require_vouchers(federation)
    client, until = to_address(client), end_of(federation, expiry)
    with new_file(out):
        voucher = signed_voucher(federation, signer().address, signer, client, until)
        out.write_bytes(voucher.encode())
    print(f"voucher {voucher.id} for {voucher.client} written to {out}")


def revoke(federation: Federation, id: str, yes: str) -> None:
    if not re.fullmatch("[0-9]{1,78}", id) or int(id) >= 2**256:
        raise ConfigurationError(f"revoke={id} is not a voucher's id: expected the number that `voucher` printed")
    proposal = actions.revoke_voucher(federation, int(id))
    send(proposal, yes)
    print(proposal.done)
