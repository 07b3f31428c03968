"""A contract is genuine if its constructor could have left this very code: then nothing can lie about its terms."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st
from web3 import Web3

from processor.chain import contracts
from processor.chain.genuine import is_genuine

FEDERATION = Web3.to_checksum_address("0x00000000000000000000000000000000000fede1")
TERMS = {"ASSET": 0xA55E7, "STAKE": 10**18, "MAX_SLASH_RATE": 10_000, "ADMISSION": 1, "AUDIT_POLICY": 0}


def deployed(
    changes: Mapping[str, int] = MappingProxyType({}), federation: str = FEDERATION, chain_id: int = 31337
) -> bytes:
    """The code of a federation on chain, written here as OpenZeppelin documents it; `changes` by immutable."""
    name, version = Web3.keccak(text="Koinon"), Web3.keccak(text="1")
    domain = Web3.keccak(text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    types = ["bytes32", "bytes32", "bytes32", "uint256", "address"]
    values = {
        **TERMS,
        "_cachedChainId": chain_id,
        "_cachedThis": int(federation, 16),
        "_cachedDomainSeparator": int.from_bytes(
            Web3.keccak(encode(types, [domain, name, version, chain_id, federation]))
        ),
        "_hashedName": int.from_bytes(name),
        "_hashedVersion": int.from_bytes(version),
        "_name": int.from_bytes(b"Koinon".ljust(31, b"\0") + b"\6"),
        "_version": int.from_bytes(b"1".ljust(31, b"\0") + b"\1"),
        **changes,
    }
    shipped = contracts.load("Federation")
    code = bytearray.fromhex(shipped.deployed_bytecode[2:])
    for variable, starts in shipped.immutables.items():
        for start in starts:
            code[start : start + 32] = values[variable].to_bytes(32)
    return bytes(code)


@pytest.mark.parametrize(
    "terms",
    [
        {},
        {"ASSET": 0, "STAKE": 0, "MAX_SLASH_RATE": 0, "ADMISSION": 0, "AUDIT_POLICY": 1},
        {"ASSET": 2**160 - 1, "STAKE": 2**128 - 1, "MAX_SLASH_RATE": 0},
    ],
)
def test_whatever_the_constructor_accepts_is_genuine(terms: dict[str, int]) -> None:
    assert is_genuine(deployed(terms), FEDERATION)
    assert is_genuine(deployed(terms, chain_id=1), FEDERATION)


@pytest.mark.parametrize(
    "change",
    [
        {"ASSET": 2**160 + 7},
        {"STAKE": 2**128},
        {"MAX_SLASH_RATE": 10_001},
        {"MAX_SLASH_RATE": 1, "STAKE": 0},
        {"ADMISSION": 2},
        {"ADMISSION": 2**8},
        {"AUDIT_POLICY": 2},
    ],
    ids=str,
)
def test_terms_that_the_constructor_would_refuse_or_cut_are_not(change: dict[str, int]) -> None:
    assert not is_genuine(deployed(change), FEDERATION)


@pytest.mark.parametrize(
    "variable",
    ["_cachedChainId", "_cachedThis", "_cachedDomainSeparator", "_hashedName", "_hashedVersion", "_name", "_version"],
)
def test_a_domain_of_vouchers_other_than_the_federations_own_is_not(variable: str) -> None:
    assert not is_genuine(deployed({variable: 1}), FEDERATION)


def test_the_code_of_another_address_is_not() -> None:
    other = Web3.to_checksum_address("0x" + "12" * 20)
    assert is_genuine(deployed(federation=other), other)
    assert not is_genuine(deployed(federation=other), FEDERATION)


def test_one_variable_with_two_values_is_not() -> None:
    for variable, starts in contracts.load("Federation").immutables.items():
        for start in starts:
            code = bytearray(deployed())
            code[start + 31] ^= 1
            assert not is_genuine(bytes(code), FEDERATION), f"{variable} at {start}"


def test_longer_shorter_and_no_code_is_not() -> None:
    code = deployed()
    assert not any(is_genuine(other, FEDERATION) for other in (b"", code[:-1], code + b"\0"))


@given(st.data())
def test_no_bit_outside_of_the_terms_can_change(data: st.DataObject) -> None:
    code = bytearray(deployed())
    immutable = {
        place
        for variable, starts in contracts.load("Federation").immutables.items()
        for start in starts
        for place in range(start, start + 32)
        if variable in TERMS
    }
    place = data.draw(st.integers(min_value=0, max_value=len(code) - 1).filter(lambda at: at not in immutable))
    code[place] ^= 1 << data.draw(st.integers(min_value=0, max_value=7))
    assert not is_genuine(bytes(code), FEDERATION)
