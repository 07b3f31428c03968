"""Whether a client's voucher would admit it, for `koinon check`."""

from __future__ import annotations

from processor.chain.federation import Federation
from processor.chain.vouchers import load_voucher
from processor.config import ClientSettings
from processor.errors import ChainError
from processor.protocol.decide import voucher_refusal
from processor.types import Address, Admission


def not_admitted(federation: Federation, settings: ClientSettings, client: Address) -> str | None:
    """Why a client that is no member cannot register with the voucher that it has; None where none is asked for, or
    where it would do. Raises ChainError where the chain cannot be read."""
    if federation.terms().admission is not Admission.VOUCHER:
        return None
    block = federation.block()
    nonce = federation.owner_nonce(at=block)
    try:
        voucher = None if settings.voucher is None else load_voucher(settings.voucher)
    except ChainError as error:
        return str(error)
    spent = voucher is not None and federation.voucher_spent(voucher.id, at=block)
    return voucher_refusal(voucher, spent, federation.chain_id, federation.address, client, block.timestamp, nonce)
