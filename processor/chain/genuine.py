"""Whether a contract is a federation that the shipped factory made, with the terms that its own code says.

A federation is a clone: a proxy of 45 bytes to the code that all federations of a factory share, and behind it its
first owner, terms and salt (`contracts/libraries/Terms.sol`). Its address is that of CREATE2 over its factory and these
very bytes, so no constructor of its own wrote storage; that of the shared code is that of CREATE2 over the factory and
the shipped creation code, so nothing else was ever there that could have. Whatever stood at the factory's address
before, made and destroyed in one transaction, changes neither. Three codes are compared with what is shipped, the
clone's, the shared one's and the factory's, and both addresses are recomputed; no contract is asked anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from web3 import Web3

from processor.chain import contracts
from processor.types import Address, Admission, AuditPolicy, FederationTerms

_BASIS_POINTS = 10_000
_BEFORE, _BEHIND = bytes.fromhex("363d3d373d3d3d363d73"), bytes.fromhex("5af43d82803e903d91602b57fd5bf3")  # ERC-1167
_PROXY = len(_BEFORE) + 20 + len(_BEHIND)
_WIDTHS = {"owner": 20, "asset": 20, "stake": 16, "slash": 2, "admission": 1, "policy": 1, "spread": 2, "idle": 2}
_SALT_WIDTH = 8
CODE_LENGTH = _PROXY + sum(_WIDTHS.values()) + _SALT_WIDTH


@dataclass(frozen=True)
class Clone:
    """What a federation's code says: whose code it runs, who owned it first, its terms, and its salt."""

    implementation: Address
    owner: Address
    terms: FederationTerms
    salt: int

    def code(self) -> bytes:
        """The code on chain. Raises OverflowError for terms that do not fit."""
        terms = self.terms
        packed = (
            *(int(self.owner, 16), int(terms.asset, 16), terms.stake, terms.max_slash_rate, int(terms.admission)),
            *(int(terms.audit_policy), terms.max_spread, terms.idle_rounds),
        )
        arguments = b"".join(
            value.to_bytes(width) for value, width in zip(packed, _WIDTHS.values(), strict=True)
        ) + self.salt.to_bytes(_SALT_WIDTH)
        return _BEFORE + bytes.fromhex(self.implementation.removeprefix("0x")) + _BEHIND + arguments


def clone_in(code: bytes) -> Clone | None:
    """The federation whose code this is; None for other code, and for terms that no factory accepts."""
    if len(code) != CODE_LENGTH or not code.startswith(_BEFORE) or code[_PROXY - len(_BEHIND) : _PROXY] != _BEHIND:
        return None
    found, place = {}, _PROXY
    for name, width in _WIDTHS.items():
        found[name] = int.from_bytes(code[place : place + width])
        place += width
    if found["admission"] not in set(Admission) or found["policy"] not in set(AuditPolicy) or not found["spread"]:
        return None
    if found["slash"] > (_BASIS_POINTS if found["stake"] else 0):
        return None
    terms = FederationTerms(
        _address(found["asset"]),
        found["stake"],
        found["slash"],
        Admission(found["admission"]),
        AuditPolicy(found["policy"]),
        found["spread"],
        found["idle"],
    )
    implementation = _address(int.from_bytes(code[len(_BEFORE) : len(_BEFORE) + 20]))
    return Clone(implementation, _address(found["owner"]), terms, int.from_bytes(code[place:]))


def implementation_of(factory: Address) -> Address:
    """Where a factory's constructor puts the code that its federations share."""
    return _create2(factory, bytes.fromhex(contracts.load("Federation").bytecode.removeprefix("0x")))


def address_of(factory: Address, owner: Address, terms: FederationTerms, salt: int) -> Address:
    """Where a factory makes, or made, the federation of this owner, with these terms and this salt.

    Raises OverflowError for terms or a salt that do not fit.
    """
    code = Clone(implementation_of(factory), owner, terms, salt).code()
    # push2 length, returndatasize, dup2, push1 10, returndatasize, codecopy, returndatasize, return
    creation = b"\x61" + len(code).to_bytes(2) + bytes.fromhex("3d81600a3d39f3") + code
    return _create2(factory, creation)


def maker_named_in(code: bytes, implementation: Address) -> Address | None:
    """The factory that the code at `implementation` names, where that is the shipped code of federations; None where it
    is any other."""
    shipped = contracts.load("Federation")
    start = shipped.immutables["FACTORY"][0]
    named = int.from_bytes(code[start : start + 32])
    if named >= 2**160 or code != _written("Federation", FACTORY=named, SELF=int(implementation, 16)):
        return None
    return _address(named)


def is_factory(code: bytes, factory: Address) -> bool:
    """Whether `code` is what the shipped constructor leaves at the address `factory`."""
    return code == _written("FederationFactory", IMPLEMENTATION=int(implementation_of(factory), 16))


def maker_of(federation: Address, code: bytes, shared: bytes, maker: bytes) -> Address | None:
    """The factory that made `federation`; None where the federation is not genuine.

    The three codes are the federation's own, that of the implementation which it names, and that of the factory which
    the implementation names.
    """
    clone = clone_in(code)
    factory = None if clone is None else maker_named_in(shared, clone.implementation)
    if clone is None or factory is None or clone.implementation != implementation_of(factory):
        return None
    made_here = address_of(factory, clone.owner, clone.terms, clone.salt) == federation
    return factory if made_here and is_factory(maker, factory) else None


def _create2(maker: Address, creation: bytes) -> Address:
    """Where a contract puts what it makes with this creation code and no salt (EIP-1014)."""
    made_by = bytes.fromhex(maker.removeprefix("0x"))
    return _address(int.from_bytes(Web3.keccak(b"\xff" + made_by + bytes(32) + Web3.keccak(creation))[12:]))


def _written(contract: str, **values: int) -> bytes:
    """The shipped code with the values that its constructor writes into it."""
    shipped = contracts.load(contract)
    code = bytearray.fromhex(shipped.deployed_bytecode.removeprefix("0x"))
    if set(shipped.immutables) != set(values):
        raise ValueError(f"{contract} fixes {', '.join(sorted(shipped.immutables))} in its constructor: run `make abi`")
    for name, starts in shipped.immutables.items():
        for start in starts:
            code[start : start + 32] = values[name].to_bytes(32)
    return bytes(code)


def _address(value: int) -> Address:
    return str(Web3.to_checksum_address("0x" + value.to_bytes(20).hex()))
