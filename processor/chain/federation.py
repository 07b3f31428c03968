"""A federation on chain: typed reads at a named block, and its calls for a `Sender` to sign."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from web3 import Web3
from web3.exceptions import BadFunctionCallOutput, ContractLogicError

from processor.chain import commitments, contracts, genuine
from processor.chain.asset import Asset, asset_at, balance_of
from processor.chain.contracts import to_address
from processor.chain.deployed import Deployed
from processor.chain.provider import node_errors
from processor.chain.signed import SignedUpdate, halves
from processor.chain.transactions import Call, Receipt, Sender
from processor.chain.vouchers import Voucher
from processor.cid import digest_of
from processor.errors import ArtifactError, ChainError, WrongAddress
from processor.types import (
    ZERO_ADDRESS,
    Address,
    Adjustment,
    Block,
    Cid,
    ClientView,
    FederationTerms,
    Phase,
    Release,
    Result,
    RoundTerms,
    RoundView,
    Submitted,
    UpdateView,
)

PAGE = 200  # entries of a list in one read
VIEWS = 16  # of a round, in one read: a node refuses a longer answer (`together.MOST`)

_NO_VOUCHER = (0, 0, b"")


@dataclass(frozen=True)
class Standing:
    """What of a federation may change with any block, whether a round goes on or not; `carried` is what the next
    round's pool starts with."""

    closed: bool
    paused: bool
    carried: int
    member_count: int


_STANDING = (("closed",), ("paused",), ("carried",), ("memberCount",))


@dataclass(frozen=True)
class VoucherStanding:
    """Whether a voucher's id was used or revoked, and the nonce of the owner that vouchers have to name."""

    spent: bool
    owner_nonce: int


class Federation(Deployed):
    """One federation.

    A read names its block with `at`; without it, it reads the latest. Every read raises ChainError where the node does
    not answer or has dropped the block's state. Calls are only built here: a `Sender` signs and sends them.
    """

    def __init__(self, web3: Web3, address: str, page: int = PAGE) -> None:
        """Raises WrongAddress where `address` is no address or there is no federation at it."""
        super().__init__(web3, address, "Federation")
        self._page = page
        self._terms: FederationTerms | None = None
        self._asset: Asset | None = None
        self._existing_code()
        with node_errors("read a contract"):
            try:
                self._contract.get_function_by_name("roundView")(ZERO_ADDRESS).call()
            except (ContractLogicError, BadFunctionCallOutput):
                raise WrongAddress(
                    f"the contract at {self._place} is not a Koinon federation: check the address"
                ) from None

    # ------------------------------------------------------------------------------------------------------ reads

    def genuine(self, at: Block | None = None) -> bool:
        """Whether the shipped factory's code made the contract, which then runs the code that this version ships: any
        other may answer whatever it likes."""
        return self.made_by(at) is not None

    def made_by(self, at: Block | None = None) -> Address | None:
        """The factory that made the federation, recomputed from codes and addresses; None where it is not genuine."""
        return self._maker_of(self.address, at)

    def terms(self) -> FederationTerms:
        """What was fixed for good at the creation, as the federation's own code has it; asked once.

        Raises WrongAddress where the code is not that of a federation.
        """
        if self._terms is None:
            clone = genuine.clone_in(self._existing_code())
            if clone is None:
                raise WrongAddress(
                    f"the contract at {self._place} has other code than a Koinon federation: check the address"
                )
            self._terms = clone.terms
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

    def owner_nonce(self, at: Block | None = None) -> int:
        """How often the ownership has changed hands: vouchers of other nonces are worthless."""
        return int(self._read("ownerNonce", at=at))

    def operator(self, at: Block | None = None) -> Address | None:
        """Who may open and finalize rounds as well as the owner."""
        return _somebody(self._read("operator", at=at))

    def paused(self, at: Block | None = None) -> bool:
        """Whether no round can open until the owner resumes."""
        return bool(self._read("paused", at=at))

    def closed(self, at: Block | None = None) -> bool:
        return bool(self._read("closed", at=at))

    def voucher_spent(self, id: int, at: Block | None = None) -> bool:
        """Whether the voucher's id was used or revoked."""
        return bool(self._read("voucherSpent", id, at=at))

    def voucher_digest(self, client: Address, id: int, expiry: int, at: Block | None = None) -> bytes:
        """The EIP-712 digest that the owner of now signs to admit a client."""
        return bytes(self._read("voucherDigest", to_address(client), id, expiry, at=at))

    def round_count(self, at: Block | None = None) -> int:
        """Rounds opened so far; also the number of the latest."""
        return int(self._read("roundCount", at=at))

    def latest_release(self, at: Block | None = None) -> Release:
        """What the next round starts from."""
        release: Release = self._read("latestRelease", at=at)
        return release

    def carried(self, at: Block | None = None) -> int:
        """What the next round's pool starts with."""
        return int(self._read("carried", at=at))

    def record(self, at: Block | None = None) -> bytes:
        """What chains all rounds that are over; an abandoned one from the next opening on."""
        return bytes(self._read("record", at=at))

    def secret(self, at: Block | None = None) -> bytes:
        """What the last finalization published, also while the next round is live; zero under the audit policy
        `appointed`, and before the first."""
        return bytes(self._read("secret", at=at))

    def result(self, round: int, at: Block | None = None) -> Result:
        """What a round left for ever."""
        return Result(*self._read("results", round, at=at))

    def results(self, at: Block | None = None, first: int = 1, last: int | None = None) -> list[Result]:
        """What the rounds from `first` to `last`, the latest unless it is given, left, in order and in pages."""
        at = at or self.block()
        last = self.round_count(at) if last is None else last
        return [Result(*found) for found in self._read_each([("results", n) for n in range(first, last + 1)], at)]

    def standing(self, at: Block | None = None) -> Standing:
        """What the views of the same names say, in one request."""
        return Standing(*self._read_each(_STANDING, at or self.block()))

    def standing_with_voucher(self, id: int, at: Block | None = None) -> tuple[Standing, VoucherStanding]:
        """As `standing`, and what becomes of the voucher with this id, in one request."""
        reads = [*_STANDING, ("voucherSpent", id), ("ownerNonce",)]
        *standing, spent, nonce = self._read_each(reads, at or self.block())
        return Standing(*standing), VoucherStanding(spent, nonce)

    def round_view(self, client: Address | None = None, at: Block | None = None) -> RoundView:
        """The latest round and one client in it; before the first the phase is NONE."""
        view: RoundView = self._read("roundView", client or ZERO_ADDRESS, at=at)
        return view

    def client_views(self, clients: Iterable[Address], at: Block | None = None) -> list[ClientView]:
        """Several clients as the latest round sees them, in pages."""
        at, reads = at or self.block(), [("roundView", to_address(client)) for client in clients]
        found: list[RoundView] = []
        for start in range(0, len(reads), VIEWS):
            found += self._read_each(reads[start : start + VIEWS], at)
        return [replace(view.client, client=to_address(view.client.client)) for view in found]

    def balance_of(self, client: Address, at: Block | None = None) -> tuple[int, int]:
        """What a client could claim now, and what is left of its stake."""
        owed, stake = self._read("balanceOf", to_address(client), at=at)
        return owed, stake

    def balances_of(self, clients: Iterable[Address], at: Block | None = None) -> dict[Address, tuple[int, int]]:
        """The same of several clients, in pages."""
        clients = [to_address(client) for client in clients]
        found = self._read_each([("balanceOf", client) for client in clients], at or self.block())
        return {client: (owed, stake) for client, (owed, stake) in zip(clients, found, strict=True)}

    def member_count(self, at: Block | None = None) -> int:
        return int(self._read("memberCount", at=at))

    def members(self, at: Block | None = None) -> list[Address]:
        """The members by position: when one leaves, the last takes its position."""
        at = at or self.block()
        found: list[Address] = []
        for start in range(0, self.member_count(at), self._page):
            found += self._read("members", start, self._page, at=at)
        return found

    def seat_count(self, at: Block | None = None) -> int:
        """The members, and those who left with an update in the live round."""
        return int(self._read("seatCount", at=at))

    def update_views(self, at: Block | None = None, view: RoundView | None = None) -> list[UpdateView]:
        """The updates of the latest round as state still holds them, in the order of seats; `view` is the round's at
        that block, where the caller has it.

        Raises ChainError where they are not as many, or do not claim as much compute time, as the contract counts at
        that very block: what a node mixed of two blocks must not settle a round. Once a round is over there may be
        fewer, because whoever leaves then takes its line along.
        """
        at = at or self.block()
        return self._update_views(view or self.round_view(at=at), at)

    def updates(self, at: Block | None = None, view: RoundView | None = None) -> list[Submitted]:
        """The list of the latest round in the order of submission; it gives the round's digest. `view` as above.

        Raises ChainError where what the node gave does not, and of a finalized round, whose list its report has: state
        no longer holds what was claimed.
        """
        at = at or self.block()
        view = view or self.round_view(at=at)
        if view.phase is Phase.NONE:
            return []
        if view.phase is Phase.FINALIZED:
            raise ChainError(
                f"round {view.round} is finalized at block {at.number}, and the chain no longer holds what was claimed "
                "in it: read the round's report"
            )
        found = sorted(self._update_views(view, at), key=lambda update: update.ordinal)
        listed = [Submitted(update.client, update.update, update.compute_ms) for update in found]
        if (len(listed), sum(line.compute_ms for line in listed)) != (view.update_count, view.claimed_ms):
            raise _other_updates(view, found, at, " (whoever left since then took its line along)")
        if not self._gives_its_digest(view, listed):
            raise ChainError(
                f"the updates of round {view.round} that the node gave at block {at.number} do not give the digest "
                f"0x{view.digest.hex()} that the contract holds: ask again, or another node"
            )
        return listed

    def _gives_its_digest(self, view: RoundView, listed: Sequence[Submitted]) -> bool:
        try:
            return commitments.digest_of(self.chain_id, self.address, view.opening, listed) == view.digest
        except ArtifactError:  # what the node gave is in no list
            return False

    def _update_views(self, view: RoundView, at: Block) -> list[UpdateView]:
        found: list[UpdateView] = []
        if view.update_count:
            for start in range(0, self.seat_count(at), self._page):
                if len(found) == view.update_count:
                    break
                found += self._read("updates", start, self._page, at=at)
        counted = (view.update_count, view.credited_ms)  # what was claimed, until the round is finalized
        given = (len(found), sum(update.compute_ms for update in found))
        whole = given == counted if view.phase.live else given[0] <= counted[0] and given[1] <= counted[1]
        if not whole:
            raise _other_updates(view, found, at)
        return found

    # ---------------------------------------------------------------------------------------------- calls: clients

    def register(self) -> Call:
        """Becomes a member of a federation with open admission, and stakes."""
        return self._call("register", description=self._registering(), value=self._coins(self.terms().stake))

    def register_with_voucher(self, voucher: Voucher) -> Call:
        """Becomes a member of a federation that admits by voucher, and stakes."""
        return self._call(
            "registerWithVoucher",
            (voucher.id, voucher.expiry, voucher.signature),
            description=self._registering() + ", with a voucher",
            value=self._coins(self.terms().stake),
        )

    def register_signed(self, client: Address, deadline: int, signature: bytes, voucher: Voucher | None = None) -> Call:
        """Registers a client that signed it, where there is no stake; whoever sends it."""
        admitted = _NO_VOUCHER if voucher is None else (voucher.id, voucher.expiry, voucher.signature)
        return self._call(
            "registerSigned",
            *(to_address(client), deadline, halves(signature), admitted),
            description=f"register {client}, which signed it",
        )

    def leave(self, to: Address) -> Call:
        """Ends the membership and pays stake and rewards to `to`; where the client has an update in the live round both
        stay until that is over, and another `leave` pays them."""
        return self._call("leave", to_address(to), description="leave the federation")

    def leave_signed(self, client: Address, to: Address, deadline: int, signature: bytes) -> Call:
        """The same for a client that signed it, whoever sends it."""
        return self._call(
            "leaveSigned",
            *(to_address(client), to_address(to), deadline, halves(signature)),
            description=f"end the membership of {client}, which signed it",
        )

    def submit_update(self, round: int, sealing_key: bytes, cid: Cid, compute_ms: int) -> Call:
        return self._call(
            "submitUpdate",
            *(round, sealing_key, digest_of(cid), compute_ms),
            description=f"submit the update of round {round}",
        )

    def decline(self, round: int, sealing_key: bytes) -> Call:
        """Takes no part in a round that selected the sender: nobody waits for it any more."""
        return self._call("decline", round, sealing_key, description=f"take no part in round {round}")

    def submit_updates(self, round: int, sealing_key: bytes, signed: Sequence[SignedUpdate]) -> Call:
        """Submits what clients signed, whoever sends it; what would be refused is skipped."""
        entries = [
            (bytes(32) if one.update is None else digest_of(one.update), one.compute_ms, *halves(one.signature))
            for one in signed
        ]
        return self._call(
            "submitUpdates",
            *(round, sealing_key, entries),
            description=f"submit {_counted(len(entries), 'signed update')} of round {round}",
        )

    def retire(self, client: Address) -> Call:
        """Ends the membership of a client that stayed silent for as many rounds as the terms say."""
        return self._call("retire", to_address(client), description=f"retire {client}")

    def claim(self, to: Address) -> Call:
        """Pays all that the sender is owed to `to`; raises ChainError where that is no address."""
        return self._call("claim", to_address(to), description="claim what is owed")

    def claim_for(self, client: Address) -> Call:
        """Pays all that a client is owed to its own address, whoever sends it."""
        return self._call("claimFor", to_address(client), description=f"claim what {client} is owed")

    def post(self, topic: bytes, cid: Cid, description: str = "") -> Call:
        """Says something to all, in the log only."""
        return self._call("post", topic, digest_of(cid), description=description or f"post {cid}")

    # ----------------------------------------------------------------------------------------- calls: organization

    def set_initial_model(self, cid: Cid) -> Call:
        return self._call("setInitialModel", digest_of(cid), description="set the initial model")

    def open_round(self, terms: RoundTerms, previous_digest: bytes) -> Call:
        """Opens the next round and escrows `terms.reward`. The digest is that of the round before, 20 zero bytes before
        the first: after a reorganization no round opens on another history."""
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
            *(encoded, previous_digest),
            description=f"open a round with a reward of {self.asset().format(terms.reward)}",
            value=self._coins(terms.reward),
        )

    def finalize_round(
        self,
        round: int,
        digest: bytes,
        model: Cid,
        report: Cid,
        adjustments: Sequence[Adjustment],
        secret: bytes,
    ) -> Call:
        """Releases the next model from the updates of which `digest` is the round's. `adjustments` may come in any
        order; `secret` becomes public with it."""
        lowered = sorted(
            ((adjustment.client, adjustment.credited_ms, adjustment.slash_rate) for adjustment in adjustments),
            key=lambda fields: int(fields[0], 16),
        )
        return self._call(
            "finalizeRound",
            (round, digest, digest_of(model), digest_of(report), secret, lowered),
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


class Factory(Deployed):
    """The contract that makes federations. It keeps nothing: whether it made one follows from addresses and codes, and
    is computed here."""

    def __init__(self, web3: Web3, address: str) -> None:
        """Raises WrongAddress where `address` is no address, or the contract at it is not the shipped factory."""
        super().__init__(web3, address, "FederationFactory")
        if not genuine.is_factory(self._existing_code(), self.address):
            raise WrongAddress(
                f"the contract at {self._place} is not a Koinon federation factory of this version: check the address"
            )

    def address_of(self, owner: Address, terms: FederationTerms, salt: int) -> Address:
        """Where the factory makes, or made, the federation that `owner` creates with these terms and this salt.

        Raises ChainError for terms or a salt that do not fit.
        """
        terms = replace(terms, asset=to_address(terms.asset))
        try:
            return genuine.address_of(self.address, to_address(owner), terms, salt)
        except OverflowError:
            raise ChainError(
                "cannot tell a federation's address: a value is negative or larger than its code can hold"
            ) from None

    def exists(self, owner: Address, terms: FederationTerms, salt: int, at: Block | None = None) -> bool:
        """Whether `owner` has created the federation with these terms and this salt already: it cannot again."""
        return bool(self._code(self.address_of(owner, terms, salt), at))

    def is_federation(self, address: Address, at: Block | None = None) -> bool:
        """Whether this factory made the contract at `address`."""
        return self._maker_of(to_address(address), at) == self.address

    def create_federation(self, terms: FederationTerms, salt: int = 0) -> Call:
        """Makes a federation that belongs to the sender; `created` finds it in the receipt."""
        encoded = (
            *(to_address(terms.asset), terms.stake, terms.max_slash_rate, terms.admission, terms.audit_policy),
            *(terms.max_spread, terms.idle_rounds),
        )
        return self._call("createFederation", encoded, salt, description="create a federation")

    def created(self, receipt: Receipt) -> Address:
        """The federation that a transaction of `create_federation` made."""
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


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _other_updates(view: RoundView, found: Sequence[UpdateView], at: Block, hint: str = "") -> ChainError:
    given = sum(update.compute_ms for update in found)
    return ChainError(
        f"the node gave {len(found)} updates of round {view.round} with {given} ms at block {at.number}, where the "
        f"contract counts {view.update_count} with {view.credited_ms} ms{hint}: ask again, or another node"
    )
