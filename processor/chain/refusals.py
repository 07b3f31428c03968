"""What a node means that refuses a transaction: by its code, and by its words, of which every kind of node has its own.

Sources: go-ethereum's core/error.go and txpool/errors.go (so BSC, Arbitrum, Optimism and most rollups), Nethermind's
AcceptTxResult, Besu's RpcErrorType, Erigon's DiscardReason, Reth's RpcPoolError and RpcInvalidTransactionError,
OpenEthereum, zkSync, Klaytn, Metis, Substrate's Frontier, and the error groups of the execution-apis.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Any


class Refusal(Enum):
    KNOWN = auto()
    """It has the very same transaction already, on its way or in a block."""
    NONCE_USED = auto()
    """A transaction with this nonce is in a block: this one, or another."""
    UNDERPRICED = auto()
    """It asks for higher fees: than this pays, or than another of the same nonce does."""
    OTHER = auto()


_CODES = {
    -31000: Refusal.KNOWN,
    -31600: Refusal.NONCE_USED,
    -31802: Refusal.UNDERPRICED,
    -31806: Refusal.UNDERPRICED,
    -31810: Refusal.UNDERPRICED,
    -31811: Refusal.UNDERPRICED,
    -32009: Refusal.UNDERPRICED,
}
"""Codes that mean one thing whoever says them; -32000, -32003 and -32010 mean no more than refused."""

# Without spaces and signs: Nethermind says AlreadyKnown where geth says already known.
_WORDS = {
    Refusal.UNDERPRICED: re.compile(
        r"underpriced|feetoolow|replacementnotallowed|couldnotreplace|toolowpriority|samenonceinthe|withsamenonce"
        r"|(lessthan|below|atleast)(the)?(current)?(block)?basefee|(price|fee)bump"
        r"|(gasprice|maxfeepergas|tip|tipcap)\d*(wei|gwei)?(supplied)?(is)?(toolow|below|lowerthan)"
        r"|priorityfee(pergas)?(is)?(toolow|below)"
        r"|try(ing)?increasingthe(fee|gasprice)|accept0gasprice|unacceptablegasprice|minimumglobalfee|insufficientfees?(got|$)"
    ),
    Refusal.NONCE_USED: re.compile(
        r"nonce\d*(is)?(toolow|lowerthan|lessthan|below)|oldnonce|nonce(has)?already(been)?used|pool(invalidtransactioninvalidtransaction)?stale"
    ),
    Refusal.KNOWN: re.compile(
        r"alreadyknown|(?<!un)knowntransaction|alreadyimported|alreadyin(the)?(tx|transaction)?(mem)?(pool|cache|system)"
        r"|existingtxwithsamehash|(tx|transaction)(hash)?alreadyexists|alreadyexistsin|alreadyfinalized|alreadymined"
    ),
}
"""In the order in which they are looked for."""

_OWN_NONCE = re.compile("ownnoncealreadyused")  # Nethermind: by another that waits in its pool


def refusal_of(error: Any) -> Refusal:
    """What the error in a node's answer to eth_sendRawTransaction means."""
    described = error if isinstance(error, dict) else {"message": error}
    said = f"{described.get('message')} {described.get('data') if isinstance(described.get('data'), str) else ''}"
    if "revert" in said.lower():  # a contract's words, before the transaction was taken
        return Refusal.OTHER
    words = _OWN_NONCE.sub("", re.sub("[^a-z0-9]", "", said.lower()))
    found = next((kind for kind, pattern in _WORDS.items() if pattern.search(words)), None)
    code = described.get("code")
    return found or (_CODES.get(code, Refusal.OTHER) if isinstance(code, int) else Refusal.OTHER)
