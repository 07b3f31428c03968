"""Where admission is by voucher: one signature of the owner admits one client, once, in time, to one federation."""

from __future__ import annotations

import pytest
from eth_account.messages import encode_typed_data
from eth_utils import keccak

from .chain import CHAIN, deploy
from .helpers import (
    HOUR,
    OPEN,
    STAKE,
    VOUCHER,
    deploy_federation,
    leave,
    mine_at,
    now,
    person,
    register,
    register_with_voucher,
    reverts,
    sign_voucher,
    typed_data,
)

ID = 2**255 + 7
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.fixture(scope="module")
def vouchered(organization):
    """Without members; whoever shows a voucher may register, with a stake."""
    return deploy_federation(organization, stake=STAKE, admission=VOUCHER)


@pytest.fixture(scope="module")
def other_signer(module_of_its_own):
    return person("another signer")


@pytest.fixture
def expiry():
    return now() + HOUR


def test_a_voucher_admits_its_client(vouchered, clients, expiry):
    before = clients[0].balance()
    transaction = register_with_voucher(vouchered, clients[0], ID, expiry)
    assert transaction.return_value == 0
    assert transaction.event("Registered") == {"client": clients[0], "index": 0}
    assert vouchered.members(0, 1) == [clients[0]]
    assert vouchered.voucherSpent(ID)
    assert before - clients[0].balance() == vouchered.balance() == STAKE


def test_what_is_signed_is_typed_data(vouchered, clients, expiry):
    """A wallet can show its owner what it signs, and the contract's digest is the one that a wallet signs."""
    values = {"client": clients[0], "id": ID, "expiry": expiry, "ownerNonce": 0}
    message = encode_typed_data(*typed_data("Voucher", vouchered, values))
    signable = b"\x19" + message.version + message.header + message.body
    assert vouchered.voucherDigest(clients[0], ID, expiry) == "0x" + keccak(signable).hex()


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
        {"version": "1"},
        {"owner_nonce": 1},
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
    assert vouchered.members(0, 2) == [clients[0]]


def test_an_id_is_good_once_whoever_it_was_given_to(vouchered, clients, expiry):
    register_with_voucher(vouchered, clients[0], ID, expiry)
    with reverts("VoucherSpent", ID):
        register_with_voucher(vouchered, clients[1], ID, expiry)


def test_a_voucher_that_could_not_be_used_is_not_spent(vouchered, clients, expiry):
    signature = sign_voucher(vouchered, clients[0], ID, expiry)
    with reverts("WrongAmount", STAKE, STAKE - 1):
        vouchered.registerWithVoucher((ID, expiry, signature), {"from": clients[0], "value": STAKE - 1})
    assert not vouchered.voucherSpent(ID)
    register_with_voucher(vouchered, clients[0], ID, expiry)
    with reverts("AlreadyRegistered", clients[0], 0):
        register_with_voucher(vouchered, clients[0], ID + 1, expiry)
    assert not vouchered.voucherSpent(ID + 1)


def test_a_voucher_is_good_until_the_second_before_its_expiry(vouchered, clients, expiry):
    signature = sign_voucher(vouchered, clients[0], ID, expiry)
    mine_at(expiry - 1)
    register_with_voucher(vouchered, clients[0], ID, expiry, signature)
    assert vouchered.voucherSpent(ID) and vouchered.memberCount() == 1


@pytest.mark.parametrize("late", [0, 1])
def test_a_voucher_is_worthless_from_its_expiry_on(vouchered, clients, expiry, late):
    signature = sign_voucher(vouchered, clients[0], ID, expiry)
    mine_at(expiry + late)
    with reverts("VoucherExpired", expiry, expiry + late):
        register_with_voucher(vouchered, clients[0], ID, expiry, signature)


def test_an_expiry_cannot_be_put_off_by_its_client(vouchered, organization, clients, expiry):
    signature = sign_voucher(vouchered, clients[0], ID, expiry)
    with reverts("InvalidVoucher", organization, clients[0]):
        register_with_voucher(vouchered, clients[0], ID, expiry + 1, signature)


# ----------------------------------------------------------------------------------------------------- revoking


def test_a_voucher_that_was_revoked_is_worthless(vouchered, organization, clients, expiry):
    transaction = vouchered.revokeVoucher(ID, {"from": organization})
    assert transaction.event("VoucherRevoked") == {"id": ID}
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
    new = sign_voucher(vouchered, clients[0], ID, expiry, signer=other_signer, owner_nonce=1)
    vouchered.transferOwnership(other_signer, {"from": organization})
    with reverts("InvalidVoucher", organization, clients[0]):
        register_with_voucher(vouchered, clients[0], ID, expiry, new)
    vouchered.acceptOwnership({"from": other_signer})
    with reverts("InvalidVoucher", other_signer, clients[0]):
        register_with_voucher(vouchered, clients[0], ID, expiry, old)
    register_with_voucher(vouchered, clients[0], ID, expiry, new)


def test_the_vouchers_of_a_former_owner_are_dead_for_good(vouchered, organization, other_signer, clients, expiry):
    """Also where the ownership comes back to it: what it signed before names another nonce."""
    old = sign_voucher(vouchered, clients[0], ID, expiry)
    for owner, heir in ((organization, other_signer), (other_signer, organization)):
        vouchered.transferOwnership(heir, {"from": owner})
        vouchered.acceptOwnership({"from": heir})
    with reverts("InvalidVoucher", organization, clients[0]):
        register_with_voucher(vouchered, clients[0], ID, expiry, old)
    assert vouchered.ownerNonce() == 2
    register_with_voucher(vouchered, clients[0], ID, expiry)


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


# ------------------------------------------------------------------------------------------ every kind of owner


@pytest.fixture(params=["key", "key under code of EIP-7702", "contract wallet"])
def owner(request, vouchered, organization, other_signer):
    """Of the federation: its address, and who signs for it."""
    if request.param == "key":
        return organization, organization
    if request.param == "contract wallet":
        wallet = wallet_of(vouchered, organization, other_signer)
        return wallet, other_signer
    code = deploy("Receiver", {"from": organization})  # knows no ERC-1271
    CHAIN.request("anvil_setCode", organization, "0xef0100" + code.address[2:].lower())
    return organization, organization


def wallet_of(federation, organization, signer):
    """Owns the federation; its signer is a person."""
    wallet = deploy("Wallet", signer, {"from": organization})
    federation.transferOwnership(wallet, {"from": organization})
    wallet.perform(federation, federation.acceptOwnership.encode_input(), {"from": organization})
    assert federation.owner() == wallet.address
    return wallet


def test_every_kind_of_owner_admits_once_in_time_whom_it_signed(vouchered, owner, clients, stranger, expiry):
    address, signer = owner
    signature = sign_voucher(vouchered, clients[0], ID, expiry, signer=signer)
    with reverts("InvalidVoucher", address, stranger):
        register_with_voucher(vouchered, stranger, ID, expiry, signature)
    with reverts("InvalidVoucher", address, clients[0]):
        register_with_voucher(vouchered, clients[0], ID + 1, expiry, signature)
    register_with_voucher(vouchered, clients[0], ID, expiry, signature)
    assert vouchered.voucherSpent(ID)
    assert vouchered.members(0, 2) == [clients[0]]
    leave(vouchered, clients[0])
    with reverts("VoucherSpent", ID):
        register_with_voucher(vouchered, clients[0], ID, expiry, signature)


def test_a_voucher_of_every_kind_of_owner_expires(vouchered, owner, clients, expiry):
    address, signer = owner
    signature = sign_voucher(vouchered, clients[0], ID, expiry, signer=signer)
    with reverts("InvalidVoucher", address, clients[0]):
        register_with_voucher(vouchered, clients[0], ID, expiry + 1, signature)
    with CHAIN.imagined():
        mine_at(expiry - 1)
        register_with_voucher(vouchered, clients[0], ID, expiry, signature)
    mine_at(expiry)
    with reverts("VoucherExpired", expiry, expiry):
        register_with_voucher(vouchered, clients[0], ID, expiry, signature)


def test_what_anybody_else_signs_admits_nobody_to_any_kind_of_owner(vouchered, owner, clients, stranger, expiry):
    address, _ = owner
    for signature in (sign_voucher(vouchered, clients[0], ID, expiry, signer=stranger), b"", bytes(65)):
        with reverts("InvalidVoucher", address, clients[0]):
            register_with_voucher(vouchered, clients[0], ID, expiry, signature)


def test_a_voucher_of_another_federation_admits_nobody_to_any_kind_of_owner(vouchered, owner, clients, expiry):
    address, signer = owner
    signature = sign_voucher(str(clients[4]), clients[0], ID, expiry, signer=signer, owner_nonce=vouchered.ownerNonce())
    with reverts("InvalidVoucher", address, clients[0]):
        register_with_voucher(vouchered, clients[0], ID, expiry, signature)


# --------------------------------------------------------------------------------------------- contract wallets


@pytest.fixture
def wallet(vouchered, organization, other_signer):
    return wallet_of(vouchered, organization, other_signer)


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


def test_a_contract_that_signs_nothing_admits_nobody(vouchered, organization, clients, expiry):
    owner = deploy("Receiver", {"from": organization})
    vouchered.transferOwnership(owner, {"from": organization})
    owner.perform(vouchered, vouchered.acceptOwnership.encode_input(), {"from": organization})
    signature = sign_voucher(vouchered, clients[0], ID, expiry, signer=organization)
    with reverts("InvalidVoucher", owner, clients[0]):
        register_with_voucher(vouchered, clients[0], ID, expiry, signature)


# ----------------------------------------------------------------------------------------------------- the bitmap


@pytest.mark.parametrize("id", [0, 255, 256, 2**256 - 1])
def test_ids_that_share_a_slot_are_spent_one_by_one(vouchered, organization, clients, expiry, id):
    neighbours = [other for other in (id - 256, id - 1, id + 1, id + 256) if 0 <= other < 2**256]
    register_with_voucher(vouchered, clients[0], id, expiry)
    assert vouchered.voucherSpent(id)
    assert not any(map(vouchered.voucherSpent, neighbours))
    vouchered.revokeVoucher(neighbours[0], {"from": organization})
    assert [vouchered.voucherSpent(other) for other in neighbours] == [True] + [False] * (len(neighbours) - 1)
    register_with_voucher(vouchered, clients[1], neighbours[-1], expiry)


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
