"""`koinon check` says whether the voucher admits the client, before it says what else registering would take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from eth_account import Account

from processor.chain.asset import Asset
from processor.chain.vouchers import sign_voucher
from processor.cli import check
from processor.cli.check import _Checks
from processor.cli.checks import Result, Status
from processor.config import load_client
from processor.types import ZERO_ADDRESS, Admission, FederationTerms

OWNER, CLIENT = (Account.from_key(bytes([number]) * 32) for number in (1, 2))
FEDERATION = Account.from_key(b"\x03" * 32).address
NOW, NONCE, STAKE = 1_800_000_000, 3, 500
VOUCHER = sign_voucher(OWNER, 31337, FEDERATION, CLIENT.address, NOW + 60, NONCE)


@dataclass
class Chain:
    """What a check reads of a federation that admits by voucher and asks for a stake."""

    spent: bool = False
    member: bool = False
    admission: Admission = Admission.VOUCHER
    now: int = NOW
    chain_id = 31337
    address = FEDERATION

    def terms(self) -> FederationTerms:
        return FederationTerms(stake=STAKE, max_slash_rate=1, admission=self.admission)

    def block(self) -> Any:
        return SimpleNamespace(timestamp=self.now)

    def owner_nonce(self, at: Any = None) -> int:
        return NONCE

    def voucher_spent(self, id: int, at: Any = None) -> bool:
        return self.spent

    def asset(self) -> Asset:
        return Asset(ZERO_ADDRESS, "ETH", 18)

    def round_view(self, address: str) -> Any:
        return SimpleNamespace(client=SimpleNamespace(member=self.member))


def found(chain: Chain, folder: Path, monkeypatch: pytest.MonkeyPatch, client: str = "") -> dict[str, Result]:
    """What the checks of admission and asset find for a client that would stake nothing."""
    (folder / "voucher.json").write_bytes(VOUCHER.encode())
    (folder / "client.toml").write_text(
        f'[network]\nrpc = "http://node"\nstore = "s"\n'
        f'[client]\nfederation = "{FEDERATION}"\nwallet = "w"\ndata = "d"\n{client}'
    )
    checks: Any = _Checks(load_client({}, folder / "client.toml", {}))
    checks._federation, checks._address, checks._web3 = chain, CLIENT.address, None
    monkeypatch.setattr(check, "balance_of", lambda *_: STAKE)
    return {name: find() for name, find in checks._all() if name in ("admission", "asset")}


NAMED = 'voucher = "voucher.json"\n'


def test_a_voucher_that_is_spent_is_said_and_no_advice_about_the_stake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = found(Chain(spent=True), tmp_path, monkeypatch, NAMED)
    assert result["admission"].status is Status.FAILED
    assert "used or revoked" in result["admission"].words and "ask the organization" in result["admission"].words
    assert "max_stake" not in result["asset"].words


@pytest.mark.parametrize(
    ("chain", "client", "said"),
    [
        (Chain(), "", "ask its organization for one and name its file as client.voucher"),
        (Chain(), 'voucher = "none.json"\n', "cannot be read: No such file"),
        (Chain(now=NOW + 60), NAMED, "the voucher has expired"),
    ],
)
def test_what_does_not_admit_has_failed_in_words(
    chain: Chain, client: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = found(chain, tmp_path, monkeypatch, client)["admission"]
    assert result.status is Status.FAILED and said in result.words


def test_a_voucher_that_admits_leaves_the_stake_to_be_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = found(Chain(), tmp_path, monkeypatch, NAMED)
    assert result["admission"].status is Status.OK
    assert result["asset"].status is Status.WARNING and "more than client.max_stake" in result["asset"].words


@pytest.mark.parametrize("chain", [Chain(member=True, spent=True), Chain(admission=Admission.OPEN)])
def test_who_needs_no_voucher_is_asked_for_none(chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(chain, tmp_path, monkeypatch)["admission"].status is Status.OK
