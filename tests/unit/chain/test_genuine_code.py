"""A federation is genuine if the shipped factory can have made it: three codes and two addresses, nobody's word."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web3 import Web3

from processor.chain import contracts
from processor.chain.genuine import CODE_LENGTH, Clone, address_of, clone_in, implementation_of, is_factory, maker_of
from processor.types import ZERO_ADDRESS, Admission, AuditPolicy, FederationTerms

FACTORY, OWNER, TOKEN = (Web3.to_checksum_address("0x" + word * 10) for word in ("fac7", "09e7", "70c3"))


def create2(maker: str, creation: bytes) -> str:
    """An address without a salt, written here as EIP-1014 has it."""
    hashed = Web3.keccak(b"\xff" + bytes.fromhex(maker[2:]) + bytes(32) + Web3.keccak(creation))
    return Web3.to_checksum_address(hashed[12:].hex())


SHARED = bytes.fromhex(contracts.load("Federation").bytecode[2:])
IMPLEMENTATION = create2(FACTORY, SHARED)
TERMS = FederationTerms(TOKEN, 10**18, 2_500, Admission.VOUCHER, AuditPolicy.APPOINTED, 3, 12)
SALT = 2**63 + 5


def packed(terms: FederationTerms = TERMS, owner: str = OWNER, salt: int = SALT) -> bytes:
    """The immutable arguments, as Solidity packs them."""
    return b"".join(
        [
            bytes.fromhex(owner[2:]),
            bytes.fromhex(terms.asset[2:]),
            terms.stake.to_bytes(16),
            terms.max_slash_rate.to_bytes(2),
            int(terms.admission).to_bytes(1),
            int(terms.audit_policy).to_bytes(1),
            terms.max_spread.to_bytes(2),
            terms.idle_rounds.to_bytes(2),
            salt.to_bytes(8),
        ]
    )


def clone_code(arguments: bytes, implementation: str = IMPLEMENTATION) -> bytes:
    """The code of a clone, written here as ERC-1167 has it."""
    target = bytes.fromhex(implementation[2:])
    return bytes.fromhex("363d3d373d3d3d363d73") + target + bytes.fromhex("5af43d82803e903d91602b57fd5bf3") + arguments


def made_at(arguments: bytes, implementation: str = IMPLEMENTATION, factory: str = FACTORY) -> str:
    """Where a factory puts a clone, written here as OpenZeppelin's Clones have it."""
    code = clone_code(arguments, implementation)
    return create2(factory, b"\x61" + len(code).to_bytes(2) + bytes.fromhex("3d81600a3d39f3") + code)


def deployed(contract: str, values: Mapping[str, int]) -> bytes:
    shipped = contracts.load(contract)
    code = bytearray.fromhex(shipped.deployed_bytecode[2:])
    for name, starts in shipped.immutables.items():
        for start in starts:
            code[start : start + 32] = values[name].to_bytes(32)
    return bytes(code)


def shared_code(changes: Mapping[str, int] = MappingProxyType({})) -> bytes:
    return deployed("Federation", {"FACTORY": int(FACTORY, 16), "SELF": int(IMPLEMENTATION, 16), **changes})


def factory_code(implementation: int = int(IMPLEMENTATION, 16)) -> bytes:
    return deployed("FederationFactory", {"IMPLEMENTATION": implementation})


def maker(**changes: Any) -> str | None:
    """The maker of a federation that is as it should be but for the changes."""
    arguments = packed()
    found = {
        "federation": made_at(arguments),
        "code": clone_code(arguments),
        "shared": shared_code(),
        "maker": factory_code(),
        **changes,
    }
    return maker_of(**found)


@pytest.mark.parametrize(
    "terms",
    [
        TERMS,
        FederationTerms(),
        FederationTerms(stake=2**128 - 1, max_slash_rate=10_000, max_spread=2**16 - 1, idle_rounds=2**16 - 1),
    ],
    ids=str,
)
@pytest.mark.parametrize("salt", [0, 2**64 - 1])
def test_whatever_a_factory_accepts_is_genuine(terms: FederationTerms, salt: int) -> None:
    arguments = packed(terms, salt=salt)
    assert len(clone_code(arguments)) == CODE_LENGTH == 117
    assert maker(federation=made_at(arguments), code=clone_code(arguments)) == FACTORY
    assert clone_in(clone_code(arguments)) == Clone(IMPLEMENTATION, OWNER, terms, salt)


def test_the_address_of_a_federation_follows_from_factory_owner_terms_and_salt() -> None:
    assert implementation_of(FACTORY) == IMPLEMENTATION
    assert address_of(FACTORY, OWNER, TERMS, SALT) == made_at(packed())
    others = {
        address_of(TOKEN, OWNER, TERMS, SALT),
        address_of(FACTORY, TOKEN, TERMS, SALT),
        address_of(FACTORY, OWNER, TERMS, SALT + 1),
        *(address_of(FACTORY, OWNER, dataclasses.replace(TERMS, **change), SALT) for change in CHANGES),
    }
    assert len(others) == 3 + len(CHANGES) and made_at(packed()) not in others


CHANGES: list[dict[str, Any]] = [
    {"asset": ZERO_ADDRESS},
    {"stake": 10**18 + 1},
    {"max_slash_rate": 2_501},
    {"admission": Admission.OPEN},
    {"audit_policy": AuditPolicy.OPEN},
    {"max_spread": 4},
    {"idle_rounds": 13},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_clone_with_other_terms_than_its_address_is_not(change: dict[str, Any]) -> None:
    assert maker(code=clone_code(packed(dataclasses.replace(TERMS, **change)))) is None


@pytest.mark.parametrize(
    ("place", "value"),
    [(56, 10_001), (58, 2), (59, 2), (60, 0)],
    ids=["slashed more than all", "another admission", "another policy", "no spread"],
)
def test_terms_that_no_factory_accepts_are_not(place: int, value: int) -> None:
    """Not even at their own address, which nothing but a factory of other code can have used."""
    width = 1 if place in (58, 59) else 2
    arguments = packed()
    arguments = arguments[:place] + value.to_bytes(width) + arguments[place + width :]
    assert maker(federation=made_at(arguments), code=clone_code(arguments)) is None


def test_a_slash_without_a_stake_is_not() -> None:
    arguments = packed(dataclasses.replace(TERMS, stake=0))
    assert maker(federation=made_at(arguments), code=clone_code(arguments)) is None


def test_the_code_of_one_federation_is_not_genuine_at_another_address() -> None:
    assert maker() == FACTORY
    assert maker(federation=made_at(packed(salt=SALT + 1))) is None
    assert maker(federation=IMPLEMENTATION) is None


def test_the_code_that_federations_share_is_no_federation() -> None:
    assert maker(federation=IMPLEMENTATION, code=shared_code()) is None


def test_a_clone_that_another_contract_made_is_not() -> None:
    """The same bytes at the address that CREATE2 gives to whoever wrote into its storage first."""
    stranger = made_at(packed(), factory=TOKEN)
    assert maker(federation=stranger) is None
    # It can name itself as the factory, but then its own code has to be a factory's.
    lying = create2(TOKEN, SHARED)
    shared = shared_code({"FACTORY": int(TOKEN, 16), "SELF": int(lying, 16)})
    found = {"federation": made_at(packed(), lying, TOKEN), "code": clone_code(packed(), lying), "shared": shared}
    assert maker(**found, maker=b"\x60\x01\x5f\x52\x60\x20\x5f\xf3") is None
    assert maker(**found, maker=factory_code()) is None, "the code of a factory of another implementation"
    assert maker(**found, maker=factory_code(int(lying, 16))) == TOKEN


def test_a_clone_of_other_code_is_not() -> None:
    elsewhere = Web3.to_checksum_address("0x" + "77" * 20)
    found = {"federation": made_at(packed(), elsewhere), "code": clone_code(packed(), elsewhere)}
    shared = shared_code({"SELF": int(elsewhere, 16)})
    assert maker(**found) is None
    assert maker(**found, shared=shared, maker=factory_code(int(elsewhere, 16))) is None


@pytest.mark.parametrize(
    "changes",
    [{"SELF": 0}, {"SELF": 2**160 + int(IMPLEMENTATION, 16)}, {"FACTORY": 2**160 + int(FACTORY, 16)}],
    ids=str,
)
def test_shared_code_that_its_constructor_cannot_have_left_is_not(changes: dict[str, int]) -> None:
    assert maker(shared=shared_code(changes)) is None


def test_longer_shorter_and_no_code_is_not() -> None:
    for name, code in (("code", clone_code(packed())), ("shared", shared_code()), ("maker", factory_code())):
        for other in (b"", code[:-1], code + b"\0", b"\0" + code):
            assert maker(**{name: other}) is None


@given(st.data())
def test_no_bit_of_any_of_the_codes_can_change(data: st.DataObject) -> None:
    name, code = data.draw(
        st.sampled_from([("code", clone_code(packed())), ("shared", shared_code()), ("maker", factory_code())])
    )
    changed = bytearray(code)
    changed[data.draw(st.integers(0, len(code) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert maker(**{name: bytes(changed)}) is None


def test_a_factory_is_known_by_its_code_and_address() -> None:
    assert is_factory(factory_code(), FACTORY)
    assert not is_factory(factory_code(), TOKEN)
    assert not is_factory(factory_code(1), FACTORY)


def test_what_does_not_fit_into_a_federations_code_has_no_address() -> None:
    for terms, salt in ((TERMS, 2**64), (TERMS, -1), (dataclasses.replace(TERMS, stake=2**128), 0)):
        with pytest.raises(OverflowError):
            address_of(FACTORY, OWNER, terms, salt)
