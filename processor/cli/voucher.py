"""`koinon organization voucher`: admit clients one by one."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from eth_account.signers.local import LocalAccount

from processor.chain.contracts import to_address
from processor.chain.federation import Federation
from processor.chain.vouchers import Voucher, load_voucher, sign_voucher, typed_data
from processor.cli import actions
from processor.cli.connections import Party, party_of
from processor.cli.new_file import new_file
from processor.cli.options import AsJson, Config, Rpc, Yes, print_json
from processor.cli.proposal import DryRun, Manner, carry_out_as
from processor.config import load_owner
from processor.errors import ConfigurationError
from processor.texts import read_text, write_text
from processor.types import Address, Admission

app = typer.Typer(
    help="Admit clients to a federation whose admission is by voucher.",
    no_args_is_help=True,
    epilog="Example: koinon organization voucher new 0x1234… --out voucher.json --config organization.toml",
)

SECONDS = {"h": 3600, "d": 86_400}


@app.command(epilog="Example: koinon organization voucher new 0x1234… --expiry 30d --config organization.toml")
def new(
    client: Annotated[str, typer.Argument(help="The account that the voucher admits.")],
    out: Annotated[Path, typer.Option("--out", help="File to write; one that exists is left as it is.")] = Path(
        "voucher.json"
    ),
    expiry: Annotated[str, typer.Option("--expiry", help="How long it can be used: 12h, 30d.")] = "30d",
    typed: Annotated[
        bool,
        typer.Option("--typed-data", help="Write what a contract wallet has to sign (EIP-712)."),
    ] = False,
    signed: Annotated[
        Path | None, typer.Option("--signed", help="Make the voucher of this typed data, with --signature.")
    ] = None,
    signature: Annotated[
        str | None, typer.Option("--signature", help="The contract wallet's signature, 0x and hexadecimal digits.")
    ] = None,
    config: Config = None,
    rpc: Rpc = None,
) -> None:
    """Sign a voucher for one client, good for one registration. It costs nothing: nothing is sent to the chain.

    It is worthless once the federation has another owner. Where the owner is a contract wallet: --typed-data first,
    then --signed with the --signature that it gave.
    """
    if (signed is None) != (signature is None) or (typed and signed is not None):
        raise ConfigurationError("expected --typed-data alone, --signed and --signature together, or none of them")
    party = party_of(load_owner({"rpc": rpc}, config))
    federation = party.federation
    require_vouchers(federation)
    client, until = to_address(client), end_of(federation, expiry)
    with new_file(out):
        if typed:
            nonce = federation.owner_nonce()
            asked = typed_data(federation.chain_id, federation.address, client, secrets.randbits(256), until, nonce)
            write_text(out, json.dumps(asked, indent=2) + "\n", "the typed data", ConfigurationError)
            print(f"{out}: have the owner {federation.owner()} sign it, then give it as --signed with --signature")
            return
        if signed is not None and signature is not None:
            voucher = _completed(signed, signature, party, client)
        else:
            voucher = signed_voucher(federation, party.address, party.unlock, client, until)
        out.write_bytes(voucher.encode())
    print(f"{out}: give it to {client}, for `koinon client register --voucher`; its id is {voucher.id}")


@app.command(epilog="Example: koinon organization voucher revoke 1234 --config organization.toml")
def revoke(
    voucher: Annotated[str, typer.Argument(help="The voucher's id, or its file.")],
    config: Config = None,
    rpc: Rpc = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a voucher worthless that has not been used. A client that has registered stays."""
    party = party_of(load_owner({"rpc": rpc}, config))
    id = _id(voucher)
    proposal = actions.revoke_voucher(party.federation, id)
    receipts = carry_out_as(party, proposal, Manner(yes, dry_run, as_json))
    if receipts is None:
        return
    if as_json:
        print_json({"revoked": str(id), "transactions": [receipt.tx_hash for receipt in receipts]})
    else:
        print(proposal.done)


def require_vouchers(federation: Federation) -> None:
    """Raises ConfigurationError where nobody needs one."""
    if federation.terms().admission is not Admission.VOUCHER:
        raise ConfigurationError(f"anybody can register with the federation {federation.address}: it takes no vouchers")


def end_of(federation: Federation, expiry: str) -> int:
    """The block time at which a voucher of now ends. Raises ConfigurationError for what is no time."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})([hd])", expiry)
    if match is None:
        raise ConfigurationError(f"expiry: expected hours or days such as 12h or 30d, found {expiry[:64]!r}")
    return federation.block().timestamp + int(match[1]) * SECONDS[match[2]]


def signed_voucher(
    federation: Federation, signer: Address, unlock: Callable[[], LocalAccount], client: Address, until: int
) -> Voucher:
    """A voucher of the account `signer`. Raises ConfigurationError where the contract would not take it."""
    owner = federation.owner()
    if owner != signer:
        raise ConfigurationError(
            f"vouchers are signed by the owner {owner}, and the wallet is {signer}: use the owner's wallet, or "
            "`koinon organization voucher new --typed-data` where the owner is a contract"
        )
    return sign_voucher(unlock(), federation.chain_id, federation.address, client, until, federation.owner_nonce())


def _completed(file: Path, signature: str, party: Party, client: str) -> Voucher:
    """A voucher of typed data that this command wrote, and the signature that a contract wallet gave for it."""
    text = read_text(file, "the typed data", ConfigurationError)
    try:
        asked = json.loads(text)
        message = asked["message"]
        id, until, nonce = int(message["id"]), int(message["expiry"]), int(message["ownerNonce"])
        ours = asked == typed_data(party.federation.chain_id, party.federation.address, client, id, until, nonce)
    except (ValueError, KeyError, TypeError, RecursionError):
        ours = False
    if not ours:
        raise ConfigurationError(
            f"{file} is not the typed data of a voucher for {client} in this federation: expected the file that "
            "--typed-data wrote, unchanged"
        )
    if not re.fullmatch(r"0x(?:[0-9a-fA-F]{2})+", signature):
        raise ConfigurationError("--signature: expected 0x and hexadecimal digits")
    federation = party.federation
    voucher = Voucher(federation.chain_id, federation.address, client, id, until, nonce, bytes.fromhex(signature[2:]))
    voucher.check(
        federation.chain_id, federation.address, client, federation.block().timestamp, federation.owner_nonce()
    )
    return voucher


def _id(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,78}", text):
        return int(text)
    return load_voucher(Path(text)).id
