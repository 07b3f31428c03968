"""A client's side of relays: what it signs for them, how it hands that over, and the receipts that it keeps.

Of one round, which its number and its sealing key name, a client signs one thing, an update or a decline, and never
another: the signed bytes are on disk before anybody sees them, and whatever happens the very same ones are handed over
again. Somebody who held two could choose between them.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import requests
from eth_account.signers.local import LocalAccount
from structlog.typing import FilteringBoundLogger

from processor import jcs
from processor.artifacts.canonical import Count, Fields
from processor.artifacts.versions import Kind
from processor.chain.signed import sign_decline, sign_leaving, sign_registration, sign_update
from processor.chain.vouchers import Voucher
from processor.errors import ArtifactError, Interrupted, KoinonError, NewerVersion
from processor.exchange import ExchangeError, Reason, Session, Stop, exchange, never
from processor.files import PRIVATE
from processor.keystore import private_directory, write_private
from processor.observability import shown
from processor.protocol.receipts import RECEIPT_LIMIT, SUFFIX, Receipt
from processor.protocol.relaying import (
    DAY,
    LEAST_LEFT,
    Handed,
    HandedLeaving,
    HandedRegistration,
    HandedUpdate,
    HandedVoucher,
    document_of,
    encode_handed,
    every_relay_at,
    handed_of,
    self_submit_at,
)
from processor.types import Address, Cid, RoundView

HEAD = 64 * 1024
"""Bytes of an answer that are no receipt: headers and framing."""
REST = 15.0
"""Seconds for which a relay that did not take something is left alone."""
SILENCE = 20.0
"""Seconds that a relay may take for its answer: it asks its node before it signs."""
PATHS: dict[type[Handed], str] = {
    HandedUpdate: "update",
    HandedRegistration: "registration",
    HandedLeaving: "leaving",
}
"""Where on a relay each kind is handed over."""

SignedCall = TypeVar("SignedCall", HandedRegistration, HandedLeaving)


@dataclass(frozen=True)
class KeptSignature(Fields):
    """What was signed for a round, as a file. `signed` says its own kind and version."""

    since: Count
    signed: dict[str, Any]


KEPT_SIGNATURE = Kind("kept-signature", RECEIPT_LIMIT, KeptSignature)


@dataclass(frozen=True)
class Signed:
    """What a client signed for a round, and the chain's time when it did: that of the first hand-over."""

    handed: HandedUpdate
    since: int

    def every_relay_at(self, deadline: int) -> int:
        """From when on, by the chain's time, it goes to all relays."""
        return every_relay_at(self.since, deadline)

    def self_submit_at(self, deadline: int) -> int:
        """From when on a client with coins submits it itself."""
        return self_submit_at(self.since, deadline)


_TOO_MUCH = f"it answers with more than {RECEIPT_LIMIT} bytes"


class _NotTaken(KoinonError):
    """A relay did not answer with a receipt; says why, for a log."""


@dataclass
class Handover:
    """One wallet's dealings with the relays of one federation, until `stop` says so: then a hand-over is interrupted.
    `ticks` gives seconds, of whatever beginning.

    A relay is an address like https://relay.example; with #0x… and the address of its wallet behind, only that wallet's
    receipts count.
    """

    account: LocalAccount = field(repr=False)
    chain_id: int
    federation: Address
    state: Path
    relays: tuple[str, ...]
    log: FilteringBoundLogger
    silence: float = SILENCE
    stop: Stop = never
    ticks: Callable[[], float] = time.monotonic
    _rests_until: dict[str, float] = field(default_factory=dict)
    _said: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> Address:
        return str(self.account.address)

    # ------------------------------------------------------------------------------------------------------ signing

    def signed(self, view: RoundView) -> Signed | None:
        """What this client signed for the very round, if it did. Raises ArtifactError where that cannot be read: then
        nothing else must be signed for the round."""
        path = self._path_of(view)
        return _read(path, self.address) if path.exists() else None

    def sign(self, view: RoundView, update: Cid, compute_ms: int, now: int) -> Signed:
        """The client's update of the round, signed; what was signed for it before, if anything was, whatever that says.
        `now` is the chain's time."""
        found = self.signed(view)
        if found is not None:
            return found
        identity = (self.chain_id, self.federation, view.round, view.sealing_key)
        signature = sign_update(self.account, *identity, update, compute_ms).signature
        return self._keep(view, update, compute_ms, signature, now)

    def sign_decline(self, view: RoundView, now: int) -> Signed:
        """That the client takes no part in the round; what was signed for it before, if anything was."""
        found = self.signed(view)
        if found is not None:
            return found
        signature = sign_decline(self.account, self.chain_id, self.federation, view.round, view.sealing_key).signature
        return self._keep(view, None, 0, signature, now)

    def sign_registration(self, view: RoundView, now: int, voucher: Voucher | None = None) -> HandedRegistration:
        """A registration of this client, good for a day and until the next round opens; an earlier one while that is
        good."""
        kept = self._call(f"registration-{view.round}", now)
        if isinstance(kept, HandedRegistration) and kept.voucher == _handed_voucher(voucher):
            return kept
        deadline = now + DAY
        handed = HandedRegistration(
            chain_id=self.chain_id,
            federation=self.federation,
            client=self.address,
            round=view.round,
            deadline=deadline,
            signature=sign_registration(self.account, self.chain_id, self.federation, view.round, deadline).hex(),
            voucher=_handed_voucher(voucher),
        )
        return self._keep_call(f"registration-{view.round}", handed)

    def sign_leaving(self, view: RoundView, now: int, to: Address) -> HandedLeaving:
        """The end of this client's membership, which pays to `to`; good as a registration is."""
        kept = self._call(f"leaving-{view.round}", now)
        if isinstance(kept, HandedLeaving) and kept.to == to:
            return kept
        deadline = now + DAY
        handed = HandedLeaving(
            chain_id=self.chain_id,
            federation=self.federation,
            client=self.address,
            round=view.round,
            to=to,
            deadline=deadline,
            signature=sign_leaving(self.account, self.chain_id, self.federation, view.round, to, deadline).hex(),
        )
        return self._keep_call(f"leaving-{view.round}", handed)

    # ------------------------------------------------------------------------------------------------- handing over

    def hand_over(self, signed: Signed, view: RoundView, now: int, again: bool = False) -> Receipt | None:
        """Sees to it that a relay has taken what was signed for the round: the first that gives a receipt, and every
        other too once the chain has shown nothing for too long. None while no relay has taken it.

        To be called in every cycle in which the chain does not show it. A relay that does not take it is left alone for
        a while. After a reorganization, `again` hands the same bytes over again, whatever receipts there are.
        """
        every = now >= signed.every_relay_at(view.training_deadline)
        return self._hand_over(signed.handed, every=every, again=again)

    def hand_over_call(
        self, handed: HandedRegistration | HandedLeaving, every: bool = False, again: bool = False
    ) -> Receipt | None:
        """The same for a registration or a leaving; `every` relay gets it where the chain shows nothing for long."""
        return self._hand_over(handed, every=every, again=again)

    def receipts(self, handed: Handed) -> dict[str, Receipt]:
        """The receipts that are kept for it, by relay.

        Raises NewerVersion for one that a newer Koinon wrote: another would take its place.
        """
        found = {}
        for relay in self.relays:
            path = self._receipt_of(handed, relay)
            if path.exists():
                try:
                    found[relay] = self._checked(Receipt.decode(path.read_bytes()), handed, relay)
                except NewerVersion as error:
                    raise NewerVersion(f"{path}: {error}") from None
                except (ArtifactError, _NotTaken, OSError) as error:
                    self.log.warning("receipt left out", path=str(path), error=str(error))
        return found

    def _hand_over(self, handed: Handed, every: bool, again: bool) -> Receipt | None:
        kept = self.receipts(handed)
        if kept and not every and not again:
            return next(iter(kept.values()))
        for relay in self.relays:
            if (relay in kept and not again) or self.ticks() < self._rests_until.get(relay, 0.0):
                continue
            try:
                receipt, content = self._ask(relay, handed)
            except _NotTaken as error:
                self._rests_until[relay] = self.ticks() + REST
                self._say(relay, str(error))
                continue
            write_private(self._receipt_of(handed, relay), content)
            self._said.pop(relay, None)
            self.log.info("handed over", to=shown(relay), step=PATHS[type(handed)], round=handed.round)
            kept[relay] = receipt
            if not every:
                break
        return next(iter(kept.values()), None)

    def _ask(self, relay: str, handed: Handed) -> tuple[Receipt, bytes]:
        url = f"{relay.partition('#')[0].rstrip('/')}/{PATHS[type(handed)]}"
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "koinon"}
        try:
            with (
                exchange(self.silence, RECEIPT_LIMIT + HEAD, self.stop),
                Session() as session,
                session.post(url, data=encode_handed(handed), headers=headers, stream=True) as response,
            ):
                content = self._content(response)
                if response.status_code != requests.codes.ok:
                    raise _NotTaken(f"status {response.status_code}: {_words(content)}")
        except ExchangeError as error:
            raise self._trouble(error) from None
        try:
            receipt = Receipt.decode(content)
        except ArtifactError as error:
            raise _NotTaken(f"its answer is no receipt: {error}") from None
        return self._checked(receipt, handed, relay), content

    def _content(self, response: requests.Response) -> bytes:
        """The answer; the body of one that sends us on is read by nobody."""
        content = b""
        while not response.is_redirect and (piece := response.raw.read1(RECEIPT_LIMIT, decode_content=False)):
            content += piece
            if len(content) > RECEIPT_LIMIT:
                raise _NotTaken(_TOO_MUCH)
        return content

    def _trouble(self, error: ExchangeError) -> Exception:
        """What became of a hand-over, without the relay's address."""
        match error.reason:
            case Reason.STOPPED:
                return Interrupted("stopped while a relay was asked")
            case Reason.LATE:
                return _NotTaken(f"it did not answer within {self.silence:g} s")
            case Reason.TOO_MUCH:
                return _NotTaken(_TOO_MUCH)
        return _NotTaken("it cannot be reached, or broke off")

    def _checked(self, receipt: Receipt, handed: Handed, relay: str) -> Receipt:
        """The receipt, if it is over all that was handed over, and signed by the relay."""
        expected = relay.partition("#")[2] or receipt.relay
        if not receipt.valid or receipt.relay.lower() != expected.lower():
            raise _NotTaken(f"its receipt is not signed by {expected}")
        if receipt.taken != handed:
            raise _NotTaken("its receipt is for something else than it was given")
        return receipt

    def _say(self, relay: str, why: str) -> None:
        """Once for every reason, not with every attempt."""
        if self._said.get(relay) != why:
            self.log.warning("a relay did not take it", relay=shown(relay), reason=why)
        self._said[relay] = why

    # ------------------------------------------------------------------------------------------------------ on disk

    def _keep(self, view: RoundView, update: Cid | None, compute_ms: int, signature: bytes, now: int) -> Signed:
        """Writes down what was signed, and gives what is written: another program may have signed at the same time."""
        handed = HandedUpdate(
            chain_id=self.chain_id,
            federation=self.federation,
            client=self.address,
            round=view.round,
            sealing_key=view.sealing_key.hex(),
            update=update,
            compute_ms=compute_ms,
            signature=signature.hex(),
        )
        path = self._path_of(view)
        _write_once(path, KEPT_SIGNATURE.encode(KeptSignature(now, document_of(handed))))
        return _read(path, self.address)

    def _path_of(self, view: RoundView) -> Path:
        return self.state / "signed" / f"{view.round}-{view.sealing_key.hex()}{SUFFIX}"

    def _receipt_of(self, handed: Handed, relay: str) -> Path:
        what = hashlib.sha256(encode_handed(handed)).hexdigest()[:16]
        whose = hashlib.sha256(relay.encode()).hexdigest()[:16]
        return self.state / "receipts" / f"{handed.round}-{PATHS[type(handed)]}-{what}-{whose}{SUFFIX}"

    def _call(self, name: str, now: int) -> Handed | None:
        """A registration or a leaving that was signed before, if it is good for a while yet.

        Raises NewerVersion for one that a newer Koinon wrote.
        """
        path = self.state / "signed" / f"{name}{SUFFIX}"
        try:
            handed = handed_of(jcs.loads(path.read_bytes()))
        except NewerVersion as error:
            raise NewerVersion(f"{path}: {error}") from None
        except (OSError, ArtifactError):  # to sign it another time does no harm
            return None
        ours = (handed.chain_id, handed.federation, handed.client) == (self.chain_id, self.federation, self.address)
        if isinstance(handed, HandedUpdate) or not ours or handed.deadline - now <= 2 * LEAST_LEFT:
            return None
        return handed

    def _keep_call(self, name: str, handed: SignedCall) -> SignedCall:
        write_private(self.state / "signed" / f"{name}{SUFFIX}", encode_handed(handed))
        return handed


def _handed_voucher(voucher: Voucher | None) -> HandedVoucher | None:
    if voucher is None:
        return None
    return HandedVoucher(str(voucher.id), voucher.expiry, voucher.owner_nonce, voucher.signature.hex())


def _write_once(path: Path, content: bytes) -> None:
    """A file that is there whole or not at all, and that nothing takes the place of."""
    private_directory(path.parent)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(unfinished)
        except FileExistsError:
            return
        _sync(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """The names in a folder, on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, address: Address) -> Signed:
    """Raises ArtifactError where the file does not hold what this client signed, NewerVersion for that of a newer
    Koinon."""
    try:
        kept = KEPT_SIGNATURE.decode(path.read_bytes())
        handed = handed_of(kept.signed)
        if not isinstance(handed, HandedUpdate) or handed.signer() != address:
            raise ArtifactError(f"expected an update or a decline that {address} signed")
    except NewerVersion as error:
        raise NewerVersion(f"{path}: {error}") from None
    except (ArtifactError, OSError) as error:
        raise ArtifactError(
            f"what was signed for this round cannot be read from {path}: {error}. Nothing else is signed for it, since "
            "somebody may hold that already; the next round is not concerned"
        ) from None
    return Signed(handed, kept.since)


def _words(content: bytes) -> str:
    """What a relay says of a refusal: no more than a line of it is shown."""
    try:
        document = jcs.parse(content)
    except ArtifactError:
        return "without a reason"
    words = document.get("error") if isinstance(document, dict) else None
    return words[:300] if isinstance(words, str) else "without a reason"
