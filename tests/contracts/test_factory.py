"""The factory stores nothing: an address proves code, constructor, owner, terms and salt."""

from __future__ import annotations

import brownie
import pytest
from eth_utils import keccak, to_checksum_address

from processor.chain import contracts

from .chain import CHAIN, Contract, deploy
from .helpers import (
    AUDIT_APPOINTED,
    NONE,
    OPEN,
    ORGANIZATIONS_CALLS,
    OWNERS_CALLS,
    VOUCHER,
    ZERO_ADDRESS,
    ZERO_CID,
    FederationTerms,
    open_round,
    play_round,
    register,
    reverts,
)

ODD = FederationTerms(ZERO_ADDRESS, 2**128 - 1, 9876, VOUCHER, AUDIT_APPOINTED, 321, 54_321)


def create(factory, sender, terms=None, salt=7):
    return factory.createFederation(terms or FederationTerms(), salt, {"from": sender})


def packed(owner, terms, salt):
    """72 bytes of immutable arguments, as the interface of the clone says."""
    return (
        bytes.fromhex(str(owner)[2:])
        + bytes.fromhex(str(terms.asset)[2:])
        + terms.stake.to_bytes(16, "big")
        + terms.max_slash_rate.to_bytes(2, "big")
        + bytes([terms.admission, terms.audit_policy])
        + terms.max_spread.to_bytes(2, "big")
        + terms.idle_rounds.to_bytes(2, "big")
        + salt.to_bytes(8, "big")
    )


def clone_code(implementation, arguments):
    proxy = bytes.fromhex("363d3d373d3d3d363d73" + implementation[2:] + "5af43d82803e903d91602b57fd5bf3")
    return proxy + arguments


def computed_address(factory, owner, terms, salt):
    """From owner, terms and salt, asking no contract but where the code that all federations share is."""
    code = clone_code(factory.IMPLEMENTATION(), packed(owner, terms, salt))
    creation = bytes.fromhex(f"61{len(code):04x}3d81600a3d39f3") + code
    preimage = b"\xff" + bytes.fromhex(factory.address[2:]) + bytes(32) + keccak(creation)
    return to_checksum_address(keccak(preimage)[12:])


def test_a_federation_belongs_to_who_made_it(factory, stranger):
    transaction = create(factory, stranger)
    federation = Contract("Federation", transaction.return_value)
    assert federation.owner() == stranger
    assert (federation.roundCount(), federation.memberCount(), federation.closed()) == (0, 0, False)
    assert (federation.phase(), federation.record(), federation.carried()) == (NONE, ZERO_CID, 0)
    assert transaction.event("FederationCreated") == {
        "federation": federation.address,
        "owner": stranger,
        "terms": FederationTerms(),
        "salt": 7,
    }


@pytest.mark.parametrize("terms", [FederationTerms(), ODD])
def test_an_address_is_known_before_and_proves_everything_afterwards(factory, stranger, organization, terms):
    salt = 2**64 - 1
    expected = computed_address(factory, stranger, terms, salt)
    assert factory.addressOf(stranger, terms, salt) == expected
    made = create(factory, stranger, terms, salt).return_value
    assert made == expected
    federation = Contract("Federation", made)
    assert federation.code() == clone_code(factory.IMPLEMENTATION(), packed(stranger, terms, salt))
    assert federation.terms() == terms
    assert federation.FACTORY() == factory.address
    changes = [terms._replace(stake=terms.stake ^ 1), terms._replace(max_spread=terms.max_spread ^ 2)]
    others = [factory.addressOf(stranger, changed, salt) for changed in changes]
    others += [factory.addressOf(organization, terms, salt), factory.addressOf(stranger, terms, salt - 1)]
    assert len({made, *others}) == 5


def test_the_same_owner_terms_and_salt_make_one_federation(factory, stranger, organization):
    create(factory, stranger)
    with reverts("FailedDeployment"):
        create(factory, stranger)
    create(factory, stranger, salt=8)
    create(factory, organization)


def test_the_factory_knows_what_it_made(factory, stranger, organization):
    made = create(factory, stranger).return_value
    assert factory.isFederation(made)
    other = deploy("FederationFactory", {"from": organization})
    theirs = create(other, stranger).return_value
    assert other.isFederation(theirs)
    for nothing in (theirs, ZERO_ADDRESS, stranger, factory, factory.IMPLEMENTATION(), organization):
        assert not factory.isFederation(nothing)
    assert not factory.isFederation(factory.addressOf(stranger, FederationTerms(), 8)), "it is not made yet"


def test_a_poisoned_clone_is_not_genuine(factory, stranger):
    """The same code to the last byte, made by somebody's own constructor that wrote storage first: another address."""
    made = create(factory, stranger).return_value
    code = Contract("Federation", made).code()
    # PUSH1 1 PUSH1 0 SSTORE, then CODECOPY and RETURN of what follows.
    start = bytes.fromhex(f"600160005560{len(code):02x}80600e5f395ff3")
    sent = CHAIN.send({"from": stranger, "data": "0x" + (start + code).hex(), "gas": hex(10**6), "gasPrice": "0x0"})
    poisoned = Contract("Federation", sent.receipt["contractAddress"])
    assert poisoned.code() == code
    assert int(CHAIN.request("eth_getStorageAt", poisoned.address, "0x0", "latest"), 16) == 1
    assert poisoned.owner() == stranger
    assert not factory.isFederation(poisoned)
    assert computed_address(factory, stranger, FederationTerms(), 7) == made != poisoned.address


def test_no_other_code_can_ever_have_been_where_the_shared_code_is(factory):
    """Its address is that of CREATE2 over its own creation code: whatever the factory was before, it made nothing else
    there that could have written into a federation."""
    creation = bytes.fromhex(brownie.project.get_loaded_projects()[0].Federation.bytecode)
    preimage = b"\xff" + bytes.fromhex(factory.address[2:]) + bytes(32) + keccak(creation)
    assert factory.IMPLEMENTATION() == to_checksum_address(keccak(preimage)[12:])


def test_brownie_compiles_the_factory_that_the_package_ships():
    compiled = brownie.project.get_loaded_projects()[0].FederationFactory
    assert "0x" + compiled.bytecode.removeprefix("0x") == contracts.load("FederationFactory").bytecode


@pytest.fixture(scope="module")
def bare(factory):
    """The code that all federations share, as an address of its own."""
    return Contract("Federation", factory.IMPLEMENTATION())


def mutating_calls(somebody):
    voucher, signature = (1, 2**40 - 1, b""), (bytes(32), bytes(32))
    return (
        OWNERS_CALLS
        | ORGANIZATIONS_CALLS
        | {
            "acceptOwnership": [],
            "register": [],
            "registerWithVoucher": [voucher],
            "registerSigned": [somebody, 2**40 - 1, signature, voucher],
            "leave": [somebody],
            "leaveSigned": [somebody, somebody, 2**40 - 1, signature],
            "submitUpdate": [1, ZERO_CID, ZERO_CID, 1],
            "decline": [1, ZERO_CID],
            "submitUpdates": [1, ZERO_CID, []],
            "retire": [somebody],
            "claim": [somebody],
            "claimFor": [somebody],
            "post": [ZERO_CID, ZERO_CID],
            "fund": [1],
        }
    )


def test_the_bare_implementation_takes_no_call(bare, stranger):
    calls = mutating_calls(stranger)
    (project,) = brownie.project.get_loaded_projects()
    functions = [entry for entry in project.Federation.abi if entry["type"] == "function"]
    assert calls.keys() == {entry["name"] for entry in functions if entry["stateMutability"] not in ("view", "pure")}
    for name, arguments in calls.items():
        with reverts("NotAFederation"):
            getattr(bare, name)(*arguments, {"from": stranger})


def test_federations_of_one_factory_share_code_and_nothing_else(factory, organization, stranger, clients):
    first, second = (Contract("Federation", create(factory, owner).return_value) for owner in (organization, stranger))
    first.setInitialModel(ZERO_CID[:-1] + "1", {"from": organization})
    register(first, clients[0])
    play_round(first, {clients[0]: 1000})
    assert (first.roundCount(), first.memberCount()) == (1, 1)
    assert (second.roundCount(), second.memberCount(), second.balance()) == (0, 0, 0)
    assert second.record() == ZERO_CID
    with reverts("NeitherOwnerNorOperator", stranger):
        open_round(first, sender=stranger)
    assert first.terms()["admission"] == second.terms()["admission"] == OPEN
