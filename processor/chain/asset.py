"""What a federation pays and stakes in: the chain's own coin, or one ERC-20 token."""

from __future__ import annotations

import re
from dataclasses import dataclass

from eth_abi.exceptions import DecodingError
from eth_utils.abi import function_signature_to_4byte_selector
from web3 import Web3
from web3.exceptions import BadFunctionCallOutput, ContractLogicError

from processor.chain import contracts
from processor.chain.amounts import ETHER_DECIMALS, format_units
from processor.chain.contracts import to_address
from processor.chain.provider import block_named, call_at, node_errors
from processor.chain.transactions import Call
from processor.errors import ChainError
from processor.types import ZERO_ADDRESS, Address, Block

# A token says of itself what it likes: these look like no amount, no other words and no markup.
_SYMBOL = re.compile(r"[A-Za-z$][A-Za-z0-9$.+_-]{0,15}")
_AMOUNT = re.compile(r"[0-9]{1,80}(?:\.([0-9]{1,80}))?")
_MOST_DECIMALS = 77  # 10^77 is the largest power of ten below 2^256
_NATIVE_SYMBOL = "ETH"


@dataclass(frozen=True)
class Asset:
    """`address` is the token's, `ZERO_ADDRESS` for the chain's own coin; `symbol` is safe to show anywhere."""

    address: Address
    symbol: str
    decimals: int

    @property
    def native(self) -> bool:
        return self.address == ZERO_ADDRESS

    def format(self, amount: int) -> str:
        """An amount of smallest units, exact and with the symbol ("0.5 ETH")."""
        return f"{format_units(amount, self.decimals)} {self.symbol}"

    def parse(self, text: str) -> int:
        """The smallest units in an amount that a person wrote ("0.5"). Raises ChainError for anything else."""
        amount = text.strip()
        match = _AMOUNT.fullmatch(amount)
        if match is None:
            raise ChainError(f"{text[:64]!r} is not an amount of {self.symbol}: expected a number such as 12 or 0.5")
        whole, _, fraction = amount.partition(".")
        fraction = fraction.rstrip("0")
        if len(fraction) > self.decimals:
            raise ChainError(
                f"{text[:64]!r} is finer than {self.symbol} can be divided: expected at most {self.decimals} digits "
                "after the point"
            )
        return int(whole + fraction.ljust(self.decimals, "0"))


_NATIVE = Asset(ZERO_ADDRESS, _NATIVE_SYMBOL, ETHER_DECIMALS)


def asset_at(web3: Web3, address: Address) -> Asset:
    """The asset at `address`.

    A token whose symbol is no short plain word, or that of the chain's own coin, is called by its address; one that
    names no decimals is counted in its smallest units. Raises ChainError where the address does not answer `balanceOf`
    with one number: a federation, which answers it with two, is no token.
    """
    address = to_address(address)
    if address == ZERO_ADDRESS:
        return _NATIVE
    if len(_answer(web3, address, "balanceOf(address)", bytes.fromhex(address[2:]).rjust(32, b"\0"))) != 32:
        raise _no_token(address, "balanceOf")
    symbol = _symbol(_answer(web3, address, "symbol()"))
    decimals = int.from_bytes(_answer(web3, address, "decimals()"))
    return Asset(address, symbol or address, decimals if decimals <= _MOST_DECIMALS else 0)


def balance_of(web3: Web3, asset: Asset, holder: Address, at: Block | None = None) -> int:
    """How much of the asset `holder` has. Raises ChainError."""
    if not asset.native:
        return _read(web3, asset.address, "balanceOf", holder, at=at)
    with node_errors(f"read the balance of {holder}", at):
        return web3.eth.get_balance(Web3.to_checksum_address(holder), block_named(at))


def allowance(web3: Web3, asset: Asset, owner: Address, spender: Address, at: Block | None = None) -> int:
    """How much of a token `spender` may take from `owner`. Raises ChainError."""
    return _read(web3, asset.address, "allowance", owner, spender, at=at)


def approve(asset: Asset, spender: Address, amount: int) -> Call:
    """Lets `spender` take up to `amount` of a token from the sender; replaces what was allowed before."""
    data = contracts.encode("Token", "approve", to_address(spender), amount)
    if amount == 0:
        return Call(asset.address, data, 0, f"take back what {spender} may take of {asset.symbol}")
    return Call(asset.address, data, 0, f"let {spender} take {asset.format(amount)}")


def approval_needed(allowance: int, amount: int) -> int | None:
    """The amount to approve next before `amount` can be taken; None where enough is allowed.

    0 comes first where a smaller allowance stands: some tokens (USDT) change an allowance only from or to 0.
    """
    if allowance >= amount:
        return None
    return 0 if allowance else amount


def mint(asset: Asset, to: Address, amount: int) -> Call:
    """Makes `amount` of the play money of tests and the demo (contracts/mocks/Token.sol)."""
    data = contracts.encode("Token", "mint", to_address(to), amount)
    return Call(asset.address, data, 0, f"make {asset.format(amount)}")


def _read(web3: Web3, token: Address, name: str, *arguments: Address, at: Block | None = None) -> int:
    contract = web3.eth.contract(Web3.to_checksum_address(token), abi=contracts.load("Token").abi)
    function = contract.get_function_by_name(name)(*(Web3.to_checksum_address(argument) for argument in arguments))
    with node_errors(f"read {name} of the token {token}", at):
        try:
            return int(call_at(function, at))
        except (BadFunctionCallOutput, ContractLogicError):
            raise _no_token(token, name) from None


def _no_token(address: Address, question: str) -> ChainError:
    return ChainError(f"{address} is not a token: it does not answer {question}. Check the address")


def _answer(web3: Web3, token: Address, signature: str, arguments: bytes = b"") -> bytes:
    """What a contract answers to a question that a token need not answer; nothing where it does not.

    Raises ChainError where the node fails: decimals that were not read must not pass for decimals that there are not.
    """
    data = function_signature_to_4byte_selector(signature) + arguments
    with node_errors(f"read {signature} of the token {token}"):
        try:
            return bytes(web3.eth.call({"to": Web3.to_checksum_address(token), "data": "0x" + data.hex()}))  # type: ignore[typeddict-item]
        except ContractLogicError:
            return b""


def _symbol(answer: bytes) -> str:
    """The symbol in an answer, a string or the bytes32 of old tokens; empty where it cannot be shown as it is."""
    try:
        words: bytes = answer.rstrip(b"\0") if len(answer) == 32 else Web3().codec.decode(["bytes"], answer)[0]
        symbol = words.decode("ascii")
    except (DecodingError, ValueError, OverflowError):
        return ""
    return symbol if _SYMBOL.fullmatch(symbol) and symbol.upper() != _NATIVE_SYMBOL else ""
