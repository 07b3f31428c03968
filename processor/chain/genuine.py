"""Whether a contract has the code that this version ships, with nothing in it but what its constructor writes."""

from __future__ import annotations

from eth_abi.abi import encode
from web3 import Web3

from processor.chain import contracts
from processor.chain.vouchers import DOMAIN_NAME, DOMAIN_VERSION
from processor.types import Address, Admission, AuditPolicy

_DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_BASIS_POINTS = 10_000


def is_genuine(code: bytes, federation: Address) -> bool:
    """Whether `code` is what the shipped constructor leaves at the address `federation`.

    The constructor writes the terms and the domain of vouchers into the code. Masking them would not do: dirty bits
    that a getter cuts off could change what the code does. So the code is compared with the shipped one into which the
    values that it carries are written as the constructor would, each of them within its type and the constructor's
    bounds: what `terms` answers is then what the code does.

    It says nothing of the storage that whoever deployed the code began with: only a factory that one trusts can.
    """
    shipped = contracts.load("Federation")
    expected = bytearray.fromhex(shipped.deployed_bytecode.removeprefix("0x"))
    if len(code) != len(expected):
        return False
    found = {name: int.from_bytes(code[starts[0] : starts[0] + 32]) for name, starts in shipped.immutables.items()}
    if not _within_bounds(found):
        return False
    written = {**found, **_domain(federation, found["_cachedChainId"])}
    for name, starts in shipped.immutables.items():
        for start in starts:
            expected[start : start + 32] = written[name].to_bytes(32)
    return code == bytes(expected)


def _within_bounds(terms: dict[str, int]) -> bool:
    return (
        terms["ASSET"] < 2**160
        and terms["STAKE"] < 2**128
        and terms["MAX_SLASH_RATE"] <= (_BASIS_POINTS if terms["STAKE"] else 0)
        and terms["ADMISSION"] in set(Admission)
        and terms["AUDIT_POLICY"] in set(AuditPolicy)
    )


def _domain(federation: Address, chain_id: int) -> dict[str, int]:
    """What OpenZeppelin's EIP712 keeps. `chain_id` is that of the creation, which a chain that splits may change."""
    name, version = Web3.keccak(text=DOMAIN_NAME), Web3.keccak(text=DOMAIN_VERSION)
    separator = encode(
        ["bytes32", "bytes32", "bytes32", "uint256", "address"],
        [Web3.keccak(text=_DOMAIN_TYPE), name, version, chain_id, federation],
    )
    return {
        "_cachedDomainSeparator": int.from_bytes(Web3.keccak(separator)),
        "_cachedThis": int(federation, 16),
        "_hashedName": int.from_bytes(name),
        "_hashedVersion": int.from_bytes(version),
        "_name": _short_string(DOMAIN_NAME),
        "_version": _short_string(DOMAIN_VERSION),
    }


def _short_string(text: str) -> int:
    """OpenZeppelin's ShortString: the characters from the left, their number in the last byte."""
    return int.from_bytes(text.encode().ljust(31, b"\0") + bytes([len(text)]))
