"""What clients sign for others to send is EIP-712 as every wallet knows it, and good for one call only."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st
from web3 import Web3

from processor.chain.signed import (
    SignedUpdate,
    halves,
    leaving_digest,
    registration_digest,
    sign_decline,
    sign_leaving,
    sign_registration,
    sign_update,
    signer_of_leaving,
    signer_of_registration,
    signer_of_update,
    update_digest,
)
from processor.cid import cid_of, digest_of
from processor.errors import ArtifactError, ChainError

CHAIN = 31337
FEDERATION = Web3.to_checksum_address("0x" + "fed1" * 10)
ALICE, BOB = (Account.from_key(bytes([number]) * 32) for number in (2, 3))
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def by_eth_account(primary: str, fields: dict[str, str], message: dict[str, Any], chain: int = CHAIN) -> bytes:
    """The digest as eth-account computes it of the types in words."""
    signable = encode_typed_data(
        full_message={
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                primary: [{"name": name, "type": kind} for name, kind in fields.items()],
            },
            "primaryType": primary,
            "domain": {"name": "Koinon", "version": "2", "chainId": chain, "verifyingContract": FEDERATION},
            "message": message,
        }
    )
    return bytes(Web3.keccak(b"\x19" + signable.version + signable.header + signable.body))


@given(
    chain=st.integers(1, 2**64),
    round=st.integers(0, 2**24 - 1),
    key=st.binary(min_size=32, max_size=32),
    data=st.one_of(st.none(), st.binary(max_size=8)),
    compute_ms=st.integers(0, 2**32 - 1),
)
def test_an_update_is_what_a_wallet_would_sign(
    chain: int, round: int, key: bytes, data: bytes | None, compute_ms: int
) -> None:
    cid = None if data is None else cid_of(data)
    fields = {"round": "uint24", "sealingKey": "bytes32", "updateCid": "bytes32", "computeMs": "uint32"}
    word = bytes(32) if cid is None else digest_of(cid)
    message = {"round": round, "sealingKey": key, "updateCid": word, "computeMs": compute_ms}
    expected = by_eth_account("Update", fields, message, chain)
    assert update_digest(chain, FEDERATION.lower(), round, key, cid, compute_ms) == expected


@given(round=st.integers(0, 2**24 - 1), deadline=st.integers(0, 2**40 - 1), to=st.binary(min_size=20, max_size=20))
def test_registering_and_leaving_are_what_a_wallet_would_sign(round: int, deadline: int, to: bytes) -> None:
    recipient = Web3.to_checksum_address("0x" + to.hex())
    registration = by_eth_account(
        "Registration", {"round": "uint24", "deadline": "uint40"}, {"round": round, "deadline": deadline}
    )
    assert registration_digest(CHAIN, FEDERATION, round, deadline) == registration
    fields = {"round": "uint24", "to": "address", "deadline": "uint40"}
    leaving = by_eth_account("Leaving", fields, {"round": round, "to": recipient, "deadline": deadline})
    assert leaving_digest(CHAIN, FEDERATION, round, recipient, deadline) == leaving


def update_of(round: int) -> SignedUpdate:
    key, cid = bytes([round]) * 32, cid_of(b"alice's of %d" % round)
    return sign_update(ALICE, CHAIN, FEDERATION, round, key, cid, 100 * round)


@given(st.integers(1, 200))
def test_whoever_signed_is_found(round: int) -> None:
    key = bytes([round]) * 32
    signed = update_of(round)
    assert (signed.declined, len(signed.signature)) == (False, 64)
    assert signer_of_update(CHAIN, FEDERATION, round, key, signed) == ALICE.address
    declined = sign_decline(BOB, CHAIN, FEDERATION, round, key)
    assert (declined.declined, declined.update, declined.compute_ms) == (True, None, 0)
    assert signer_of_update(CHAIN, FEDERATION, round, key, declined) == BOB.address
    deadline = 10**9 + round
    registration = sign_registration(ALICE, CHAIN, FEDERATION, round, deadline)
    assert signer_of_registration(CHAIN, FEDERATION, round, deadline, registration) == ALICE.address
    leaving = sign_leaving(ALICE, CHAIN, FEDERATION, round, BOB.address, deadline)
    assert signer_of_leaving(CHAIN, FEDERATION, round, BOB.address, deadline, leaving) == ALICE.address


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": 1},
        {"federation": BOB.address},
        {"round": 8},
        {"sealing_key": b"\x08" * 32},
        {"update": cid_of(b"another")},
        {"update": None},
        {"compute_ms": 701},
    ],
    ids=str,
)
def test_a_signed_update_is_good_for_nothing_else(change: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"chain_id": CHAIN, "federation": FEDERATION, "round": 7, "sealing_key": b"\x07" * 32}
    signed = update_of(7)
    assert signer_of_update(signed=signed, **asked) == ALICE.address
    of_update = {name: value for name, value in change.items() if name in ("update", "compute_ms")}
    elsewhere = {name: value for name, value in change.items() if name not in of_update}
    other = dataclasses.replace(signed, **of_update)
    assert signer_of_update(signed=other, **{**asked, **elsewhere}) != ALICE.address


def test_registering_is_not_leaving_and_neither_is_good_in_another_round_or_for_another_recipient() -> None:
    registration = sign_registration(ALICE, CHAIN, FEDERATION, 7, 1000)
    leaving = sign_leaving(ALICE, CHAIN, FEDERATION, 7, BOB.address, 1000)
    others = [
        signer_of_registration(CHAIN, FEDERATION, 8, 1000, registration),
        signer_of_registration(CHAIN, FEDERATION, 7, 1001, registration),
        signer_of_registration(CHAIN, FEDERATION, 7, 1000, leaving),
        signer_of_leaving(CHAIN, FEDERATION, 7, ALICE.address, 1000, leaving),
        signer_of_leaving(CHAIN, FEDERATION, 8, BOB.address, 1000, leaving),
        signer_of_leaving(CHAIN, FEDERATION, 7, BOB.address, 1001, leaving),
        signer_of_leaving(CHAIN, FEDERATION, 7, BOB.address, 1000, registration),
    ]
    assert ALICE.address not in others


def test_the_other_form_of_a_signature_is_nobodys() -> None:
    """Anybody can turn s into order - s: the contract takes only the lower one, and so do we."""
    signed = update_of(7)
    r, vs = halves(signed.signature)
    parity, s = int.from_bytes(vs) >> 255, int.from_bytes(vs) % 2**255
    high = ORDER - s
    assert high > ORDER // 2
    forms: list[Callable[[], int]] = [lambda: high | (1 - parity) << 255, lambda: high]
    for form in forms:
        other = dataclasses.replace(signed, signature=r + form().to_bytes(32))
        assert signer_of_update(CHAIN, FEDERATION, 7, b"\x07" * 32, other) != ALICE.address


@given(st.binary(max_size=130))
def test_any_bytes_are_somebodys_signature_or_nobodys(signature: bytes) -> None:
    signer = signer_of_registration(CHAIN, FEDERATION, 7, 1000, signature)
    assert signer is None or (len(signature) == 64 and Web3.is_checksum_address(signer))


def test_a_signature_is_not_shown() -> None:
    signed = update_of(7)
    assert signed.signature.hex() not in repr(signed)


def test_what_does_not_fit_is_not_signed() -> None:
    refused: list[Callable[[], object]] = [
        lambda: sign_update(ALICE, CHAIN, FEDERATION, 2**24, b"\x07" * 32, cid_of(b"update"), 1),
        lambda: sign_update(ALICE, CHAIN, FEDERATION, 7, b"\x07" * 32, cid_of(b"update"), -1),
        lambda: sign_update(ALICE, CHAIN, FEDERATION, 7, b"\x07" * 31, cid_of(b"update"), 1),
        lambda: sign_decline(ALICE, CHAIN, "federation", 7, b"\x07" * 32),
        lambda: sign_registration(ALICE, CHAIN, FEDERATION, 7, 2**40),
        lambda: sign_leaving(ALICE, CHAIN, FEDERATION, 7, "bob", 1000),
        lambda: halves(b"\x01" * 65),
    ]
    for call in refused:
        with pytest.raises(ChainError):
            call()
    with pytest.raises(ArtifactError):
        sign_update(ALICE, CHAIN, FEDERATION, 7, b"\x07" * 32, "update", 1)
