"""Where admission is by voucher: one signature of the owner admits one client, once, in time, to one federation."""

from __future__ import annotations

import brownie
import pytest
from eth_account.messages import encode_typed_data
from eth_utils import keccak

from .helpers import (
    HOUR,
    OPEN,
    STAKE,
    VOUCHER,
    ZERO_ADDRESS,
    deploy_federation,
    digest,
    leave,
    next_block_at,
    now,
    register,
    register_with_voucher,
    reverts,
    sign_voucher,
    voucher_data,
)

ID = 2**255 + 7
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.fixture(scope="module")
def vouchered(organization):
    """Without members; whoever shows a voucher may register, with a stake."""
    return deploy_federation(organization, stake=STAKE, admission=VOUCHER)


@pytest.fixture(scope="module")
def other_signer(accounts):
    account = accounts.add(digest("key of another signer"))
    accounts[0].transfer(account, 10**18)
    return account


@pytest.fixture
def expiry():
    return now() + HOUR


def test_a_voucher_admits_its_client(vouchered, clients, expiry):
    before = clients[0].balance()
    transaction = register_with_voucher(vouchered, clients[0], ID, expiry)
    assert transaction.return_value == 0
    assert dict(transaction.events["Registered"]) == {"client": clients[0], "index": 0}
    assert vouchered.members(0, 1) == [clients[0]]
    assert vouchered.voucherSpent(ID)
    assert before - clients[0].balance() == vouchered.balance() == STAKE


def test_what_is_signed_is_typed_data(vouchered, clients, expiry):
    """A wallet can show its owner what it signs, and the contract's digest is the one that a wallet signs."""
    message = encode_typed_data(*voucher_data(vouchered, clients[0], ID, expiry))
    signable = b"\x19" + message.version + message.header + message.body
    assert str(vouchered.voucherDigest(clients[0], ID, expiry)) == "0x" + keccak(signable).hex()


def test_the_domain_of_the_signature_is_public(vouchered):
    _, name, version, chain_id, contract, salt, extensions = vouchered.eip712Domain()
    assert (name, version, contract, extensions) == ("Koinon", "1", vouchered.address, ())
    assert chain_id == brownie.chain.id
    assert int(str(salt), 16) == 0


def test_the_voucher_of_another_client_is_worthless(vouchered, organization, clients, expiry):
    signature = sign_voucher(vouchered, clients[0], ID, expiry)
    with reverts("InvalidVoucher", organization, clients[1]):
        register_with_voucher(vouchered, clients[1], ID, expiry, signature)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ID + 1},
        {"expiry": 2**40 - 2},
        {"chain_id": 1},
        {"contract": "0x" + "2" * 40},
        {"name": "Koinonia"},
        {"version": "2"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_signature_over_anything_else_is_worthless(vouchered, organization, clients, expiry, changes):
    signed = {"id": ID, "expiry": expiry} | changes
    signature = sign_voucher(vouchered, clients[0], **signed)
    with reverts("InvalidVoucher", organization, clients[0]):
        register_with_voucher(vouchered, clients[0], ID, expiry, signature)


def test_the_voucher_of_another_federation_is_worthless(vouchered, organization, clients, expiry):
    other = deploy_federation(organization, admission=VOUCHER)
    signature = sign_voucher(other, clients[0], ID, expiry)
    with reverts("InvalidVoucher", organization, clients[0]):
        register_with_voucher(vouchered, clients[0], ID, expiry, signature)
    register_with_voucher(other, clients[0], ID, expiry, signature)


def test_a_voucher_is_good_once(vouchered, clients, expiry):
    register_with_voucher(vouchered, clients[0], ID, expiry)
    leave(vouchered, clients[0])
    with reverts("VoucherSpent", ID):
        register_with_voucher(vouchered, clients[0], ID, expiry)
    register_with_voucher(vouchered, clients[0], ID + 1, expiry)
    assert vouchered.members(0, 2) == [ZERO_ADDRESS, clients[0]]


def test_an_id_is_good_once_whoever_it_was_given_to(vouchered, clients, expiry):
    register_with_voucher(vouchered, clients[0], ID, expiry)
    with reverts("VoucherSpent", ID):
        register_with_voucher(vouchered, clients[1], ID, expiry)


def test_a_voucher_that_could_not_be_used_is_not_spent(vouchered, clients, expiry):
    signature = sign_voucher(vouchered, clients[0], ID, expiry)
    with reverts("WrongAmount", STAKE, STAKE - 1):
        vouchered.registerWithVoucher(ID, expiry, signature, {"from": clients[0], "value": STAKE - 1})
    assert not vouchered.voucherSpent(ID)
    register_with_voucher(vouchered, clients[0], ID, expiry)
    with reverts("AlreadyRegistered", clients[0], 0):
        register_with_voucher(vouchered, clients[0], ID + 1, expiry)
    assert not vouchered.voucherSpent(ID + 1)


def test_a_voucher_is_good_until_the_second_before_its_expiry(vouchered, clients, expiry):
    signature = sign_voucher(vouchered, clients[0], ID, expiry)
    next_block_at(expiry - 1)
    register_with_voucher(vouchered, clients[0], ID, expiry, signature)


@pytest.mark.parametrize("late", [0, 1])
def test_a_voucher_is_worthless_from_its_expiry_on(vouchered, clients, expiry, late):
    signature = sign_voucher(vouchered, clients[0], ID, expiry)
    next_block_at(expiry + late)
    with reverts("VoucherExpired", expiry, expiry + late):
        register_with_voucher(vouchered, clients[0], ID, expiry, signature)


def test_an_expiry_cannot_be_put_off_by_its_client(vouchered, organization, clients, expiry):
    signature = sign_voucher(vouchered, clients[0], ID, expiry)
    with reverts("InvalidVoucher", organization, clients[0]):
        register_with_voucher(vouchered, clients[0], ID, expiry + 1, signature)


# ----------------------------------------------------------------------------------------------------- revoking


def test_a_voucher_that_was_revoked_is_worthless(vouchered, organization, clients, expiry):
    transaction = vouchered.revokeVoucher(ID, {"from": organization})
    assert dict(transaction.events["VoucherRevoked"]) == {"id": ID}
    assert vouchered.voucherSpent(ID)
    with reverts("VoucherSpent", ID):
        register_with_voucher(vouchered, clients[0], ID, expiry)
    register_with_voucher(vouchered, clients[0], ID + 1, expiry)


def test_revoking_a_voucher_that_was_used_ends_no_membership(vouchered, organization, clients, expiry):
    register_with_voucher(vouchered, clients[0], ID, expiry)
    vouchered.revokeVoucher(ID, {"from": organization})
    vouchered.revokeVoucher(ID, {"from": organization})
    assert vouchered.members(0, 1) == [clients[0]]
    assert leave(vouchered, clients[0]).return_value == STAKE


# ------------------------------------------------------------------------------------------------------ signers


def test_a_voucher_is_signed_by_the_owner_and_nobody_else(vouchered, organization, other_signer, clients, expiry):
    """Not by the operator either."""
    vouchered.setOperator(other_signer, {"from": organization})
    signature = sign_voucher(vouchered, clients[0], ID, expiry, signer=other_signer)
    with reverts("InvalidVoucher", organization, clients[0]):
        register_with_voucher(vouchered, clients[0], ID, expiry, signature)


def test_vouchers_change_with_the_owner(vouchered, organization, other_signer, clients, expiry):
    old = sign_voucher(vouchered, clients[0], ID, expiry)
    new = sign_voucher(vouchered, clients[0], ID, expiry, signer=other_signer)
    vouchered.transferOwnership(other_signer, {"from": organization})
    with reverts("InvalidVoucher", organization, clients[0]):
        register_with_voucher(vouchered, clients[0], ID, expiry, new)
    vouchered.acceptOwnership({"from": other_signer})
    with reverts("InvalidVoucher", other_signer, clients[0]):
        register_with_voucher(vouchered, clients[0], ID, expiry, old)
    register_with_voucher(vouchered, clients[0], ID, expiry, new)


def malformed(signature):
    """What somebody might make of a good signature."""
    r, s, v = signature[:32], int.from_bytes(signature[32:64], "big"), signature[64]
    return {
        "nothing": b"",
        "short": signature[:64],
        "long": signature + b"\0",
        "zeros": bytes(65),
        "other v": signature[:64] + bytes([55 - v]),
        "v of 0 or 1": signature[:64] + bytes([v - 27]),
        "mirrored": r + (CURVE_ORDER - s).to_bytes(32, "big") + bytes([55 - v]),
    }


@pytest.mark.parametrize("how", malformed(bytes(64) + b"\x1b"))
def test_a_malformed_signature_is_no_signature(vouchered, organization, clients, expiry, how):
    signature = malformed(sign_voucher(vouchered, clients[0], ID, expiry))[how]
    with reverts("InvalidVoucher", organization, clients[0]):
        register_with_voucher(vouchered, clients[0], ID, expiry, signature)


# --------------------------------------------------------------------------------------------- contract wallets


@pytest.fixture
def wallet(Wallet, vouchered, organization, other_signer):
    """Owns the federation; its signer is a person."""
    wallet = Wallet.deploy(other_signer, {"from": organization})
    vouchered.transferOwnership(wallet, {"from": organization})
    wallet.perform(vouchered, vouchered.acceptOwnership.encode_input(), {"from": organization})
    assert vouchered.owner() == wallet
    return wallet


def test_what_the_signer_of_a_contract_wallet_signs_is_a_voucher(vouchered, wallet, other_signer, clients, expiry):
    signature = sign_voucher(vouchered, clients[0], ID, expiry, signer=other_signer)
    register_with_voucher(vouchered, clients[0], ID, expiry, signature)
    assert vouchered.members(0, 1) == [clients[0]]


def test_what_anybody_else_signs_is_no_voucher_of_the_wallet(vouchered, wallet, organization, clients, expiry):
    signature = sign_voucher(vouchered, clients[0], ID, expiry, signer=organization)
    with reverts("InvalidVoucher", wallet, clients[0]):
        register_with_voucher(vouchered, clients[0], ID, expiry, signature)
    with reverts("InvalidVoucher", wallet, clients[0]):
        register_with_voucher(vouchered, clients[0], ID, expiry, b"")


def test_a_wallet_that_changes_its_signer_changes_its_vouchers(
    vouchered, wallet, organization, other_signer, clients, expiry
):
    old = sign_voucher(vouchered, clients[0], ID, expiry, signer=other_signer)
    wallet.setSigner(organization, {"from": organization})
    with reverts("InvalidVoucher", wallet, clients[0]):
        register_with_voucher(vouchered, clients[0], ID, expiry, old)
    new = sign_voucher(vouchered, clients[0], ID, expiry, signer=organization)
    register_with_voucher(vouchered, clients[0], ID, expiry, new)


def test_a_wallet_revokes_a_voucher(vouchered, wallet, organization, other_signer, clients, expiry):
    wallet.perform(vouchered, vouchered.revokeVoucher.encode_input(ID), {"from": organization})
    signature = sign_voucher(vouchered, clients[0], ID, expiry, signer=other_signer)
    with reverts("VoucherSpent", ID):
        register_with_voucher(vouchered, clients[0], ID, expiry, signature)


def test_a_contract_that_signs_nothing_admits_nobody(Receiver, vouchered, organization, clients, expiry):
    owner = Receiver.deploy({"from": organization})
    signature = sign_voucher(vouchered, clients[0], ID, expiry)
    vouchered.transferOwnership(owner, {"from": organization})
    owner.perform(vouchered, vouchered.acceptOwnership.encode_input(), {"from": organization})
    with reverts("InvalidVoucher", owner, clients[0]):
        register_with_voucher(vouchered, clients[0], ID, expiry, signature)


# -------------------------------------------------------------------------------------------- two ways to get in


def test_where_vouchers_are_needed_nobody_registers_without(vouchered, clients):
    with reverts("WrongAdmission", VOUCHER, OPEN):
        vouchered.register({"from": clients[0], "value": STAKE})


def test_where_everybody_may_register_no_voucher_is_taken(federation, stranger, expiry):
    with reverts("WrongAdmission", OPEN, VOUCHER):
        register_with_voucher(federation, stranger, ID, expiry)
    assert not federation.voucherSpent(ID)
    register(federation, stranger)


def test_a_voucher_opens_no_closed_federation(vouchered, organization, clients, expiry):
    vouchered.close({"from": organization})
    with reverts("FederationIsClosed"):
        register_with_voucher(vouchered, clients[0], ID, expiry)
    assert not vouchered.voucherSpent(ID)
