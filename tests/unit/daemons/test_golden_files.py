"""The files that parties hand to each other or keep for themselves are final too: the same content, the same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from eth_account import Account

from processor.chain.vouchers import sign_voucher
from processor.cid import cid_of
from processor.daemons.consents import agree, consent_path
from processor.daemons.updates import keep_update
from processor.journal import SavedUpdate
from processor.protocol.receipts import sign_receipt
from processor.protocol.relaying import (
    Handed,
    HandedLeaving,
    HandedRegistration,
    HandedUpdate,
    HandedVoucher,
    encode_handed,
)
from tests.unit.artifacts.examples import CLIENTS, FEDERATION

WALLET = Account.from_key(b"\x01" * 32)
UNTIL = 1_800_000_000
SIGNATURE = "22" * 64
UPDATE = HandedUpdate(31337, FEDERATION, CLIENTS[0], 3, "11" * 32, cid_of(b"update"), 812, SIGNATURE)
VOUCHER = HandedVoucher("7", UNTIL, 0, "33" * 65)


@pytest.mark.parametrize(
    ("handed", "cid"),
    [
        (UPDATE, "QmdmHbLLCmZrT4i28oE3mFQ9EUsAkgY7WuwJSW5sZPFyWz"),
        (
            HandedUpdate(31337, FEDERATION, CLIENTS[0], 3, "11" * 32, None, 0, SIGNATURE),
            "QmUjJhGHdACugoJeHHAruz843gAuJvuXnoCFbvvsR3Eysh",
        ),
        (
            HandedRegistration(31337, FEDERATION, CLIENTS[0], 0, UNTIL, SIGNATURE, VOUCHER),
            "QmSQi3jRvgPsHnvpEpGjDF6bDrhVjr3Uy1wVuVYJfkiGid",
        ),
        (
            HandedLeaving(31337, FEDERATION, CLIENTS[0], 4, CLIENTS[0], UNTIL, SIGNATURE),
            "QmT2aEntUVFRc1ivx9sifhaKpHgTxi8avpt1HPX7eN7EYG",
        ),
    ],
    ids=["update", "decline", "registration", "leaving"],
)
def test_what_is_signed_for_a_relay_has_its_golden_bytes(handed: Handed, cid: str) -> None:
    assert cid_of(encode_handed(handed)) == cid


def test_a_voucher_has_its_golden_bytes() -> None:
    voucher = sign_voucher(WALLET, 31337, FEDERATION, CLIENTS[0], UNTIL, owner_nonce=3, id=2**256 - 1)
    assert cid_of(voucher.encode()) == "QmdUGb5zhuxrNGiTsqLpWhSH1ruFkDauJ1eBRZ9EwZsPbM"


def test_a_receipt_has_its_golden_bytes() -> None:
    receipt = sign_receipt(WALLET, 1_700_000_000, UPDATE)
    assert cid_of(receipt.encode()) == "QmPCvkUGtV743fU7Bii8WKneZUaHEs6wVu7kYkTTbnYPrp"


def test_the_note_of_a_saved_update_has_its_golden_bytes(tmp_path: Path) -> None:
    (tmp_path / "sealed").write_bytes(b"sealed")
    (tmp_path / "state").write_bytes(b"state")
    cid, folder = cid_of(b"sealed"), tmp_path / "updates"
    before = SavedUpdate(3, b"\x11" * 32, cid_of(b"base"), cid, folder / cid, 812, 250, 4000)
    released = replace(before, state=cid_of(b"state"), epsilon=0.5)
    for update, state, note in (
        (before, None, "QmUJYxJH3zWf5Q9gZHBYVfx7t1fJLcDHE14mEjeSRu3Pse"),
        (released, tmp_path / "state", "QmctZrxcT1wwX6B7Z1HqyrVCVrxGH9GKpqg4EVEBmvJBtu"),
    ):
        keep_update(folder, update, tmp_path / "sealed", state)
        assert cid_of((folder / f"{cid}.json").read_bytes()) == note


def test_a_consent_has_its_golden_bytes(tmp_path: Path) -> None:
    agree(tmp_path, "1" * 64, structlog.get_logger())
    assert cid_of(consent_path(tmp_path).read_bytes()) == "QmYRQjgUq9hu7cEnEtMuCp33iTVNk357qcYLAuVQdjaR2Q"
