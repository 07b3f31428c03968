"""Signs a voucher that admits one client to a federation, once:
`brownie run voucher main federation=ADDRESS client=ADDRESS [expiry=30d] [out=voucher.json] --network NETWORK`.
Nothing is sent for it. With `revoke=ID` instead of `client` it makes a voucher worthless that has not been used.

    expiry               how long it can be used, in hours or days: 12h, 30d
    out                  the file to write; one that exists is left as it is

Where the owner is a contract wallet: `koinon organization voucher new --typed-data`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from brownie import chain

from processor.chain.vouchers import sign_voucher
from processor.types import Admission
from scripts.common import confirm, fail, find_federation, node, or_fail, read_arguments, signer, transact

SECONDS = {"h": 3600, "d": 86_400}


def main(*arguments: str) -> None:
    values = read_arguments(arguments, federation="", client="", expiry="30d", out="voucher.json", revoke="")
    if bool(values["client"]) == bool(values["revoke"]):
        fail("expected either client=ADDRESS, whom a new voucher admits, or revoke=ID")
    federation = find_federation(values["federation"])
    if values["revoke"]:
        revoke(federation, values["revoke"])
    else:
        sign(federation, values["client"], read_seconds(values["expiry"]), Path(values["out"]))


def sign(federation: Any, client: str, seconds: int, out: Path) -> None:
    if federation.terms()["admission"] != Admission.VOUCHER:
        fail(f"anybody can register with the federation {federation.address}: it takes no vouchers")
    if federation.owner() != signer().address:
        fail(f"vouchers are signed by the owner {federation.owner()}, and the account that signs is {signer().address}")
    until = node().eth.get_block("latest")["timestamp"] + seconds
    nonce = federation.ownerNonce()
    voucher = or_fail(sign_voucher, signer(), chain.id, federation.address, client, until, nonce)
    try:
        with out.open("xb") as file:
            file.write(voucher.encode())
    except OSError as error:
        fail(f"out={out}: {error.strerror}")
    print(f"voucher {voucher.id} for {voucher.client} written to {out}")


def revoke(federation: Any, id: str) -> None:
    if not re.fullmatch("[0-9]{1,78}", id) or int(id) >= 2**256:
        fail(f"revoke={id} is not a voucher's id: expected the number that `voucher` printed")
    confirm(f"Make the voucher {id} worthless?")
    transact(federation.revokeVoucher, int(id))
    print(f"revoked {id}")


def read_seconds(text: str) -> int:
    match = re.fullmatch("([1-9][0-9]{0,5})([hd])", text)
    if match is None:
        fail(f"expiry={text} is no time: expected hours or days such as 12h or 30d")
    return int(match[1]) * SECONDS[match[2]]
