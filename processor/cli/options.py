"""Options that several commands share, and how a command prints results."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from processor.chain.asset import Asset

Rpc = Annotated[
    str | None,
    typer.Option(
        "--rpc",
        help="Address of an Ethereum node: http://HOST:PORT, ws://HOST:PORT, or the path of its .ipc socket; several "
        "with commas, the preferred first. Also KOINON_RPC, or rpc in the file.",
    ),
]
Ipfs = Annotated[
    str | None,
    typer.Option("--ipfs", help="Address of an IPFS node, /ip4/127.0.0.1/tcp/5001. Also KOINON_IPFS."),
]
Store = Annotated[
    Path | None,
    typer.Option(
        "--store",
        help="A local directory of artifacts, instead of IPFS. Also KOINON_STORE; for a list of both, KOINON_STORAGE "
        "or storage in the file.",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="A TOML file, as the init commands write it. Also KOINON_CONFIG."),
]
FederationAddress = Annotated[str, typer.Argument(metavar="FEDERATION", help="Address of the federation's contract.")]
Out = Annotated[Path, typer.Option("--out", help="File to write; one that exists is left as it is.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, amounts as decimal strings.")]
FactoryAddress = Annotated[
    str | None,
    typer.Option("--factory", help="A factory that you trust: a federation that it did not make is refused."),
]
Yes = Annotated[
    bool,
    typer.Option("--yes", "-y", help="Do not ask before sending a transaction; without a terminal it has to be there."),
]


def print_json(value: Any) -> None:
    """JSON on standard output, and nothing else."""
    print(json.dumps(value, indent=2))


def asset_as_json(asset: Asset) -> dict[str, Any]:
    """What the amounts next to it are in: their smallest unit is 10 to the power of -decimals."""
    return {"address": asset.address, "symbol": asset.symbol, "decimals": asset.decimals}


def progress(line: str, end: str = "\n") -> None:
    """Says how long work gets on, to a person who watches: never to a file, and never on standard output."""
    if sys.stderr.isatty():
        print(line, end=end, file=sys.stderr, flush=True)


def table(headers: list[str], rows: list[list[str]]) -> str:
    """A plain table: columns as wide as their widest cell, numbers as they come."""
    widths = [max(len(row[column]) for row in [headers, *rows]) for column in range(len(headers))]
    lines = [headers, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
