"""How deep a block has to lie before a reorganization is not expected to reach it any more."""

from __future__ import annotations

DEVELOPMENT = (1337, 31337)

# Ethereum and its test networks finalize after two epochs of 32 blocks; Polygon and Gnosis were reorganized deeper than
# that in practice only by faults; a rollup is as final as what its sequencer has posted.
CONFIRMATIONS = {
    1: 64,
    11155111: 64,
    560048: 64,
    100: 64,
    137: 128,
    56: 16,
    10: 64,
    8453: 64,
    42161: 64,
}
CAUTIOUS = 64


def confirmation_depth(chain_id: int, setting: int | None = None) -> int:
    """Blocks that have to lie on top of a transaction's own: `setting`, else what suits the chain.

    A development chain makes blocks only when somebody asks for them, so that nothing on it waits for more.
    """
    if setting is not None:
        return setting
    return 0 if chain_id in DEVELOPMENT else CONFIRMATIONS.get(chain_id, CAUTIOUS)
