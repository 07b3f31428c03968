"""A federation on chain: typed reads at a named block, and its calls for a `Sender` to sign."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from web3 import Web3
from web3.exceptions import BadFunctionCallOutput, ContractLogicError, Web3Exception

from processor.chain import contracts
from processor.chain.asset import Asset, asset_at, balance_of
from processor.chain.blocks import latest_block
from processor.chain.contracts import to_address
from processor.chain.genuine import is_genuine
from processor.chain.provider import block_named, call_at, node_errors
from processor.chain.transactions import Call, Receipt, Sender
from processor.chain.vouchers import Voucher
from processor.cid import cid_from_digest, digest_of
from processor.errors import ChainError, WrongAddress
from processor.types import (
    ZERO_ADDRESS,
    Address,
    Adjustment,
    Admission,
    AuditPolicy,
    Block,
    Cid,
    ClientView,
    FederationTerms,
    Phase,
    Release,
    RoundTerms,
    RoundView,
)

PAGE = 200  # entries of a list in one read

_TYPES: dict[str, type] = {
    kind.__name__: kind for kind in (Admission, AuditPolicy, ClientView, FederationTerms, Phase, Release, RoundView)
}


class _Deployed:
    """A contract at an address: encoding, decoding and errors."""

    def __init__(self, web3: Web3, address: str, artifact: str, called: str, probe: tuple[Any, ...], page: int) -> None:
        self.address: Address = to_address(address)
        self.web3 = web3
        self._artifact = artifact
        self._eth = web3.eth
        self._page = page
        self._contract = web3.eth.contract(address=Web3.to_checksum_address(address), abi=contracts.load(artifact).abi)
        with node_errors("name its chain"):
            self.chain_id: int = web3.eth.chain_id
        place = f"{self.address} on chain {self.chain_id}"
        with node_errors("read a contract"):
            if not web3.eth.get_code(self._contract.address):
                raise WrongAddress(f"there is no contract at {place}: check the address and the node")
            name, *arguments = probe
            try:
                self._contract.get_function_by_name(name)(*arguments).call()
            except (ContractLogicError, BadFunctionCallOutput):
                raise WrongAddress(f"the contract at {place} is not a {called}: check the address") from None

    def block(self) -> Block:
        """The latest block."""
        return latest_block(self.web3)

    def _read(self, name: str, *arguments: Any, at: Block | None = None) -> Any:
        try:
            function = self._contract.get_function_by_name(name)(*arguments)
        except (Web3Exception, ValueError, TypeError):
            raise ChainError(f"cannot read {name}: a value is negative or larger than the contract can hold") from None
        with node_errors(f"read {name}", at):
            try:
                values = call_at(function, at)
            except BadFunctionCallOutput:
                when = "now" if at is None else f"at block {at.number}"
                raise ChainError(
                    f"there is no contract at {self.address} {when} that answers {name}: it was deployed later, or the "
                    "node is not synchronized"
                ) from None
            return _typed(function.abi["outputs"][0], values)

    def _call(self, name: str, *arguments: Any, description: str, value: int = 0) -> Call:
        return Call(self.address, contracts.encode(self._artifact, name, *arguments), value, description)


class Federation(_Deployed):
    """One federation.

    A read names its block with `at`; without it, it reads the latest. Every read raises ChainError where the node does
    not answer or has dropped the block's state. Calls are only built here: a `Sender` signs and sends them.
    """

    def __init__(self, web3: Web3, address: str, page: int = PAGE) -> None:
        """Raises WrongAddress where `address` is no address or there is no federation at it."""
        super().__init__(web3, address, "Federation", "Koinon federation", ("roundView", 0, ZERO_ADDRESS), page)
        self._terms: FederationTerms | None = None
        self._asset: Asset | None = None

    # ------------------------------------------------------------------------------------------------------ reads

    def genuine(self, at: Block | None = None) -> bool:
        """Whether the contract has the code that this version ships: any other may answer whatever it likes."""
        with node_errors("read a contract", at):
            code = self._eth.get_code(self._contract.address, block_named(at))
        return is_genuine(bytes(code), self.address)

    def terms(self) -> FederationTerms:
        """What was fixed for good at the creation; asked once."""
        if self._terms is None:
            self._terms = self._read("terms")
        return self._terms

    def asset(self) -> Asset:
        """What rewards and stakes are paid in; asked once. Raises ChainError where it is no token."""
        if self._asset is None:
            self._asset = asset_at(self.web3, self.terms().asset)
        return self._asset

    def holdings(self, at: Block | None = None) -> int:
        """How much of its asset the contract holds."""
        return balance_of(self.web3, self.asset(), self.address, at)

    def owner(self, at: Block | None = None) -> Address:
        return str(self._read("owner", at=at))

    def pending_owner(self, at: Block | None = None) -> Address | None:
        """Who has been offered the ownership and has not accepted it yet."""
        return _somebody(self._read("pendingOwner", at=at))

    def operator(self, at: Block | None = None) -> Address | None:
        """Who may open and finalize rounds beside the owner."""
        return _somebody(self._read("operator", at=at))

    def paused(self, at: Block | None = None) -> bool:
        """Whether no round can open until the owner resumes."""
        return bool(self._read("paused", at=at))

    def voucher_spent(self, id: int, at: Block | None = None) -> bool:
        """Whether the voucher's id was used or revoked."""
        return bool(self._read("voucherSpent", id, at=at))

    def voucher_digest(self, client: Address, id: int, expiry: int) -> bytes:
        """The EIP-712 digest that the owner signs to admit a client."""
        return bytes(self._read("voucherDigest", to_address(client), id, expiry))

    def round_count(self, at: Block | None = None) -> int:
        """Rounds opened so far; also the number of the latest."""
        return int(self._read("roundCount", at=at))

    def closed(self, at: Block | None = None) -> bool:
        return bool(self._read("closed", at=at))

    def latest_release(self, at: Block | None = None) -> Release:
        """What the next round starts from."""
        release: Release = self._read("latestRelease", at=at)
        return release

    def carried(self, at: Block | None = None) -> int:
        """What the next round's pool starts with."""
        return int(self._read("carried", at=at))

    def round_view(self, round: int, client: Address | None = None, at: Block | None = None) -> RoundView:
        """A round and one client in it; a round that was never opened has phase NONE."""
        view: RoundView = self._read("roundView", round, client or ZERO_ADDRESS, at=at)
        return view

    def is_selected(self, round: int, index: int, at: Block | None = None) -> bool:
        """Whether the member index takes part in the round."""
        return bool(self._read("isSelected", round, index, at=at))

    def member_count(self, at: Block | None = None) -> int:
        """How many member indices were ever given out."""
        return int(self._read("memberCount", at=at))

    def members(self, at: Block | None = None) -> list[Address | None]:
        """The members by index; None for those who left."""
        at = at or self.block()
        found: list[Address] = []
        for start in range(0, self.member_count(at), self._page):
            found += self._read("members", start, self._page, at=at)
        return [_somebody(address) for address in found]

    def updates(self, round: int, at: Block | None = None) -> list[ClientView]:
        """The updates of a round in order of member index.

        Raises ChainError where they are not as many, or do not claim as much compute time, as the contract counts at
        that very block: what a node mixed of two blocks must not settle a round.
        """
        at = at or self.block()
        view = self.round_view(round, at=at)
        found: list[ClientView] = []
        for start in range(0, view.member_count, self._page):
            if len(found) == view.update_count:
                break
            limit = min(self._page, view.member_count - start)
            found += self._read("updates", round, start, limit, at=at)
        claimed = sum(update.compute_ms for update in found)
        if (len(found), claimed) != (view.update_count, view.claimed_ms):
            raise ChainError(
                f"the node gave {len(found)} updates of round {round} with {claimed} ms at block {at.number}, where "
                f"the contract counts {view.update_count} with {view.claimed_ms} ms: ask again, or another node"
            )
        return found

    # ---------------------------------------------------------------------------------------------- calls: clients

    def register(self) -> Call:
        """Becomes a member of a federation with open admission, and stakes."""
        return self._call("register", description=self._registering(), value=self._coins(self.terms().stake))

    def register_with_voucher(self, voucher: Voucher) -> Call:
        """Becomes a member of a federation that admits by voucher, and stakes."""
        return self._call(
            "registerWithVoucher",
            *(voucher.id, voucher.expiry, voucher.signature),
            description=self._registering() + ", with a voucher",
            value=self._coins(self.terms().stake),
        )

    def leave(self, to: Address) -> Call:
        """Ends the membership and pays the stake to `to`; where the client has an update in the live round the stake
        stays until that is over, and another `leave` returns it."""
        return self._call("leave", to_address(to), description="leave the federation")

    def submit_update(self, round: int, sealing_key: bytes, cid: Cid, compute_ms: int, samples: int) -> Call:
        return self._call(
            "submitUpdate",
            *(round, sealing_key, digest_of(cid), compute_ms, samples),
            description=f"submit the update of round {round}",
        )

    def claim(self, rounds: Sequence[int], to: Address) -> Call:
        """Pays the sender's rewards of rounds that are over to `to`; raises ChainError where that is no address."""
        return self._call("claim", list(rounds), to_address(to), description=f"claim the rewards of {_rounds(rounds)}")

    def claim_for(self, client: Address, rounds: Sequence[int]) -> Call:
        """Pays a client's rewards to its own address, whoever sends it."""
        return self._call(
            "claimFor",
            *(to_address(client), list(rounds)),
            description=f"claim the rewards of {client} of {_rounds(rounds)}",
        )

    # ----------------------------------------------------------------------------------------- calls: organization

    def set_initial_model(self, cid: Cid) -> Call:
        return self._call("setInitialModel", digest_of(cid), description="set the initial model")

    def open_round(self, terms: RoundTerms) -> Call:
        """Opens the next round and escrows `terms.reward`."""
        encoded = (
            digest_of(terms.plan),
            terms.sealing_key,
            terms.training_period,
            terms.aggregation_period,
            terms.max_updates,
            terms.max_compute_ms,
            terms.selection_rate,
            terms.reward_rate_cap,
            terms.reward,
        )
        return self._call(
            "openRound",
            encoded,
            description=f"open a round with a reward of {self.asset().format(terms.reward)}",
            value=self._coins(terms.reward),
        )

    def finalize_round(
        self,
        round: int,
        update_count: int,
        claimed_ms: int,
        model: Cid,
        report: Cid,
        adjustments: Sequence[Adjustment],
        secret: bytes,
    ) -> Call:
        """Releases the next model. `adjustments` may come in any order; `secret` becomes public with it."""
        lowered = sorted(
            ((adjustment.client, adjustment.credited_ms, adjustment.slash_rate) for adjustment in adjustments),
            key=lambda fields: int(fields[0], 16),
        )
        return self._call(
            "finalizeRound",
            *(round, update_count, claimed_ms, digest_of(model), digest_of(report), lowered, secret),
            description=f"finalize round {round}",
        )

    def fund(self, amount: int) -> Call:
        """Adds `amount` of the asset to what the next round's pool carries."""
        return self._call(
            "fund",
            amount,
            description=f"fund the federation with {self.asset().format(amount)}",
            value=self._coins(amount),
        )

    def set_operator(self, operator: Address) -> Call:
        """`ZERO_ADDRESS` for none."""
        operator = to_address(operator)
        named = "let nobody be operator" if operator == ZERO_ADDRESS else f"make {operator} the operator"
        return self._call("setOperator", operator, description=named)

    def pause(self) -> Call:
        """Stops new rounds, and nothing else."""
        return self._call("pause", description="pause the federation")

    def unpause(self) -> Call:
        return self._call("unpause", description="resume the federation")

    def revoke_voucher(self, id: int) -> Call:
        return self._call("revokeVoucher", id, description=f"revoke the voucher {id}")

    def transfer_ownership(self, to: Address) -> Call:
        """Offers the ownership; it changes hands once `to` accepts it."""
        return self._call(
            "transferOwnership", to_address(to), description=f"offer the ownership of the federation to {to}"
        )

    def accept_ownership(self) -> Call:
        return self._call("acceptOwnership", description="accept the ownership of the federation")

    def close(self) -> Call:
        return self._call("close", description="close the federation")

    def withdraw(self, to: Address) -> Call:
        """After `close`, pays out what is carried; raises ChainError where `to` is no address."""
        return self._call("withdraw", to_address(to), description="withdraw what is carried")

    # ---------------------------------------------------------------------------------------------------- internal

    def _registering(self) -> str:
        stake = self.terms().stake
        return f"register with a stake of {self.asset().format(stake)}" if stake else "register"

    def _coins(self, amount: int) -> int:
        """What a transaction carries where `amount` of the asset moves; a token is taken by its allowance."""
        return amount if self.asset().native else 0


class Factory(_Deployed):
    """The contract that makes federations and remembers them: a federation it does not know is not genuine code."""

    def __init__(self, web3: Web3, address: str, page: int = PAGE) -> None:
        """Raises ChainError where `address` is no address or there is no factory at it."""
        super().__init__(web3, address, "FederationFactory", "Koinon federation factory", ("federationCount",), page)

    def is_federation(self, address: Address, at: Block | None = None) -> bool:
        return bool(self._read("isFederation", to_address(address), at=at))

    def federations(self, at: Block | None = None) -> list[Address]:
        """The federations in the order in which they were made."""
        at = at or self.block()
        found: list[Address] = []
        for start in range(0, int(self._read("federationCount", at=at)), self._page):
            found += self._read("federations", start, self._page, at=at)
        return found

    def create(self, terms: FederationTerms) -> Call:
        """Makes a federation that belongs to the sender; `created` finds it in the receipt."""
        encoded = (to_address(terms.asset), terms.stake, terms.max_slash_rate, terms.admission, terms.audit_policy)
        return self._call("createFederation", encoded, description="create a federation")

    def created(self, receipt: Receipt) -> Address:
        """The federation that a transaction of `create` made."""
        event = self._contract.events.FederationCreated()
        (log,) = [log for log in receipt.logs if log["address"] == self.address]
        return str(event.process_log(log)["args"]["federation"])


def factory_deployment() -> Call:
    """Deploys a factory from the shipped bytecode; its receipt names the contract."""
    return _deployment("FederationFactory", "deploy the federation factory")


def deploy_factory(sender: Sender) -> Address:
    """Deploys a factory from the shipped bytecode."""
    return _deploy(sender, factory_deployment())


def deploy_token(sender: Sender) -> Address:
    """Deploys the play money of tests and the demo, of which anybody can make as much as they like."""
    return _deploy(sender, _deployment("Token", "deploy a token of play money"))


def _deployment(artifact: str, description: str) -> Call:
    bytecode = bytes.fromhex(contracts.load(artifact).bytecode.removeprefix("0x"))
    return Call(None, bytecode, 0, description)


def _deploy(sender: Sender, deployment: Call) -> Address:
    receipt = sender.send(deployment)
    if receipt.contract is None:
        raise ChainError(f"transaction {receipt.tx_hash} deployed no contract: the node's receipt names none")
    return receipt.contract


def _somebody(address: Address) -> Address | None:
    return None if address == ZERO_ADDRESS else address


def _rounds(rounds: Sequence[int]) -> str:
    return f"round {rounds[0]}" if len(rounds) == 1 else f"{len(rounds)} rounds"


def _typed(output: dict[str, Any], value: Any) -> Any:
    """A decoded value as `processor.types` has it: its dataclasses carry the fields of the ABI's structs in order.

    Raises ValueError for a number that an enum does not have.
    """
    internal = output.get("internalType", "")
    if internal.endswith("[]"):
        element = {**output, "type": output["type"][:-2], "internalType": internal[:-2]}
        return [_typed(element, item) for item in value]
    kind = _TYPES.get(internal.rpartition(".")[2])
    if internal.startswith("struct ") and kind is not None:
        return kind(*(_typed(component, item) for component, item in zip(output["components"], value, strict=True)))
    if internal.startswith("enum ") and kind is not None:
        return kind(value)
    return cid_from_digest(value) if output["name"].endswith("Cid") else value
