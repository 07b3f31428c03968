from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st
from web3 import Web3

from processor.chain.vouchers import Voucher, load_voucher, sign_voucher, typed_data
from processor.errors import ChainError

OWNER = Account.from_key(b"\x01" * 32)
FEDERATION = Web3.to_checksum_address("0x00000000000000000000000000000000000fede1")
ALICE, BOB = (Account.from_key(bytes([number]) * 32).address for number in (2, 3))
EXPIRY = 1_800_000_000
NONCE = 3
VOUCHER = sign_voucher(OWNER, 31337, FEDERATION.lower(), ALICE, EXPIRY, NONCE, id=2**256 - 1)


def changed(**fields: Any) -> bytes:
    """The voucher's file with some of its fields changed, or left out where they are `None`."""
    content = {**json.loads(VOUCHER.encode()), **fields}
    return json.dumps({name: value for name, value in content.items() if value is not None}).encode()


def test_a_voucher_is_signed_by_the_owner_over_what_a_wallet_is_shown() -> None:
    asked = typed_data(31337, VOUCHER.federation, ALICE, VOUCHER.id, EXPIRY, NONCE)
    signable = encode_typed_data(full_message=json.loads(json.dumps(asked)))
    assert Account.recover_message(signable, signature=VOUCHER.signature) == OWNER.address
    assert asked["message"] == {"client": ALICE, "id": str(2**256 - 1), "expiry": EXPIRY, "ownerNonce": NONCE}
    assert asked["domain"]["version"] == "2"


def test_every_voucher_has_an_id_of_its_own() -> None:
    ids = {sign_voucher(OWNER, 1, FEDERATION.lower(), ALICE, EXPIRY, NONCE).id for _ in range(8)}
    assert len(ids) == 8 and max(ids) > 2**200


@given(
    st.builds(
        Voucher,
        chain_id=st.integers(min_value=1, max_value=2**53 - 1),
        federation=st.just(VOUCHER.federation),
        client=st.sampled_from([ALICE, BOB]),
        id=st.integers(min_value=0, max_value=2**256 - 1),
        expiry=st.integers(min_value=1, max_value=2**40 - 1),
        owner_nonce=st.integers(min_value=0, max_value=2**32 - 1),
        signature=st.binary(min_size=1, max_size=500),
    )
)
def test_a_voucher_reads_back_from_its_file(voucher: Voucher) -> None:
    assert Voucher.decode(voucher.encode()) == voucher


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "it is not JSON"),
        (b"\xff", "it is not JSON"),
        (b"[]", "expected a JSON object"),
        (b"[" * 100_000, "larger than"),
        (b"[" * 1000 + b"]" * 1000, "nested"),
        (changed(kind="plan"), "this is no voucher: its kind is 'plan'"),
        (changed(version=1), "this voucher has version 1, of contracts before those that this program knows"),
        (changed(version=3), "this voucher has version 3, this program reads up to 2: update Koinon"),
        (changed(id=None), "id: is missing"),
        (changed(id=7), "id: should be a valid string (found 7)"),
        (changed(chain_id=True), "chain_id: should be a valid integer (found True)"),
        (changed(expiry=1.5), "expiry: should be a valid integer"),
        (changed(more=1), "more: is unknown"),
        (changed(federation="0x12"), "is not an address"),
        (changed(client=ALICE.swapcase().replace("0X", "0x")), "typing error"),
        (changed(id="-1"), "is not a voucher's id"),
        (changed(id=str(2**256)), "is not a voucher's id"),
        (changed(expiry=0), "is not a block time"),
        (changed(expiry=2**40), "is not a block time"),
        (changed(owner_nonce=None), "owner_nonce: is missing"),
        (changed(owner_nonce="3"), "owner_nonce: should be a valid integer (found '3')"),
        (changed(owner_nonce=-1), "is not an owner nonce"),
        (changed(owner_nonce=2**32), "is not an owner nonce"),
        (changed(signature="0x"), "signature is damaged"),
        (changed(signature="0xabc"), "signature is damaged"),
        (b'{"kind": "voucher", "kind": "voucher"}', "twice"),
    ],
)
def test_what_is_no_voucher_is_refused_in_a_sentence(data: bytes, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "voucher.json").write_bytes(data)
    with pytest.raises(ChainError, match="voucher.json: ") as refused:
        load_voucher(tmp_path / "voucher.json")
    assert complaint in str(refused.value)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_voucher_or_refused(data: bytes) -> None:
    with pytest.raises(ChainError):
        Voucher.decode(data)


def test_a_voucher_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ChainError, match=r"none\.json cannot be read: No such file"):
        load_voucher(tmp_path / "none.json")


def test_a_folder_is_no_voucher(tmp_path: Path) -> None:
    with pytest.raises(ChainError, match="the voucher .* cannot be read: Is a directory: name a file"):
        load_voucher(tmp_path)


def test_a_voucher_that_was_saved_as_utf_16_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "voucher.json").write_bytes(VOUCHER.encode().decode().encode("utf-16"))
    with pytest.raises(ChainError, match="it is UTF-16; save it as UTF-8"):
        load_voucher(tmp_path / "voucher.json")


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_voucher_is_read_from_a_file(tmp_path: Path, mark: str) -> None:
    (tmp_path / "voucher.json").write_bytes(mark.encode() + VOUCHER.encode())
    assert load_voucher(tmp_path / "voucher.json") == VOUCHER


def test_a_voucher_is_good_for_its_client_until_it_expires() -> None:
    VOUCHER.check(31337, VOUCHER.federation, ALICE, EXPIRY - 1, NONCE)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"chain_id": 1}, r"is for the federation .* on chain 31337, not for .* on chain 1: ask this federation's"),
        ({"federation": BOB}, f"not for {BOB} on chain 31337"),
        ({"client": BOB}, f"the voucher admits {ALICE}, not {BOB}: use that wallet"),
        (
            {"owner_nonce": NONCE + 1},
            r"changed hands 3 time\(s\), and now it has 4 time\(s\): what a former owner signed",
        ),
        ({"owner_nonce": NONCE - 1}, r"changed hands 3 time\(s\), and now it has 2 time\(s\)"),
        ({"now": EXPIRY}, "expired at 2027-01-15 08:00:00 UTC, and the chain's time is 2027-01-15 08:00:00 UTC"),
    ],
)
def test_a_voucher_for_something_else_is_refused(change: dict[str, Any], complaint: str) -> None:
    here = {
        "chain_id": 31337,
        "federation": VOUCHER.federation,
        "client": ALICE,
        "now": EXPIRY - 1,
        "owner_nonce": NONCE,
    }
    with pytest.raises(ChainError, match=complaint):
        VOUCHER.check(**{**here, **change})


def test_nothing_is_signed_for_an_address_or_an_expiry_that_is_none() -> None:
    with pytest.raises(ChainError, match="is not an address"):
        sign_voucher(OWNER, 1, "federation", ALICE, EXPIRY, NONCE)
    with pytest.raises(ChainError, match="is not a block time: expected seconds since 1970"):
        sign_voucher(OWNER, 1, VOUCHER.federation, ALICE, 2**40, NONCE)
    with pytest.raises(ChainError, match="is not an owner nonce"):
        sign_voucher(OWNER, 1, VOUCHER.federation, ALICE, EXPIRY, -1)
    with pytest.raises(ChainError, match="is not a voucher's id"):
        sign_voucher(OWNER, 1, VOUCHER.federation, ALICE, EXPIRY, NONCE, id=2**256)


def test_another_id_expiry_client_or_owner_is_another_signature() -> None:
    others = [
        dataclasses.replace(VOUCHER, id=1),
        dataclasses.replace(VOUCHER, expiry=EXPIRY + 1),
        dataclasses.replace(VOUCHER, client=BOB),
        dataclasses.replace(VOUCHER, owner_nonce=NONCE + 1),
        dataclasses.replace(VOUCHER, chain_id=1),
        dataclasses.replace(VOUCHER, federation=BOB),
    ]
    for other in others:
        asked = typed_data(other.chain_id, other.federation, other.client, other.id, other.expiry, other.owner_nonce)
        signable = encode_typed_data(full_message=asked)
        assert Account.recover_message(signable, signature=VOUCHER.signature) != OWNER.address
