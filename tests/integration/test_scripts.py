"""The brownie scripts with a keystore account on a live network: anvil, and a real geth with one-second blocks."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from eth_account.signers.local import LocalAccount
from web3 import Web3
from web3.types import RPCEndpoint

from processor.chain.asset import approve, asset_at, balance_of, mint
from processor.chain.federation import Federation, deploy_token
from processor.chain.posts import PLAN, Posts
from processor.chain.provider import connect
from processor.chain.transactions import Sender
from processor.chain.vouchers import load_voucher
from processor.cid import cid_of
from processor.demo.nodes import CHECKOUT
from processor.demo.scripts import NETWORK, Scripts
from processor.errors import KoinonError
from processor.types import Adjustment, Admission, AuditPolicy, FederationTerms
from tests.integration.brownie_scripts import address_of, rich_account, run_several, scripts_of
from tests.nodes import ChainNode, find_program, start_anvil, start_geth

ETHER = 10**18
MODEL = cid_of(b"model")


def plan_of(round: int) -> str:
    return cid_of(f"plan of round {round}".encode())


def key_of(round: int) -> bytes:
    return bytes([round]) * 32


def update_of(round: int, client: str) -> str:
    return cid_of(f"update of {client} in round {round}".encode())


@pytest.fixture(params=["anvil", "geth"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ChainNode]:
    folder = tmp_path / "node"
    with start_anvil(folder) if request.param == "anvil" else start_geth(find_program("geth"), folder) as node:
        yield node


@pytest.fixture
def web3(node: ChainNode) -> Web3:
    return connect(node.rpc_url)


@pytest.fixture
def owner(web3: Web3) -> LocalAccount:
    return rich_account(web3)


@pytest.fixture
def scripts(node: ChainNode, web3: Web3, owner: LocalAccount, tmp_path: Path) -> Scripts:
    return scripts_of(owner, node, web3, tmp_path)


def create_federation(scripts: Scripts) -> str:
    _, (said, refused) = run_several(scripts, [("deploy", {}), ("create_federation", {})])
    assert refused is None
    return address_of("federation", said)


def terms(federation: str, round: int = 1, **changes: str) -> dict[str, str]:
    """Two clients may claim one second each."""
    usual = {
        "federation": federation,
        "plan": plan_of(round),
        "sealing_key": key_of(round).hex(),
        "model": MODEL,
        "max_compute_ms": "1000",
        "reward_rate_cap": "0.25 ether",
        "reward": "0.5 ether",
    }
    return usual | changes


def submit(federation: Federation, client: Sender, compute_ms: int) -> None:
    round = federation.round_count()
    update = update_of(round, client.address)
    client.send(federation.submit_update(round, key_of(round), update, compute_ms))


def finalize(federation: Federation, organization: Sender, adjustments: Sequence[Adjustment] = ()) -> None:
    round = federation.round_count()
    model, report = (cid_of(f"{name} of round {round}".encode()) for name in ("model", "report"))
    digest, secret = federation.round_view().digest, bytes([100 + round]) * 32
    organization.send(federation.finalize_round(round, digest, model, report, adjustments, secret))


def test_the_scripts_open_a_round_and_show_its_money_to_the_wei(
    scripts: Scripts, web3: Web3, owner: LocalAccount
) -> None:
    address = create_federation(scripts)
    federation, client = Federation(web3, address), Sender(web3, rich_account(web3))
    assert federation.owner() == owner.address
    client.send(federation.register())
    scripts.run("fund", {"federation": address, "amount": "1 ether"})
    said = scripts.run("open_round", terms(address))
    assert "pool                1.5 ETH, 1 ETH of it carried" in said
    assert "1 of 1 selected" in said
    submit(federation, client, 1000)
    finalize(federation, Sender(web3, owner))

    said = scripts.run("inspect", {"federation": address})
    state = " ".join(said.split())
    digest, record = federation.round_view().digest.hex(), federation.record().hex()
    assert f"record 0x{record} members 1 0 {client.address}, stake 0, owed {ETHER // 4}" in state
    assert f"result 1 payable {ETHER // 4} for 1000 credited, sealing key 0x{key_of(1)[:12].hex()}" in state
    assert "round 1 phase finalized" in state
    assert f"digest 0x{digest} updates 1 of at most 100, 0 not awaited compute 1000 claimed, 1000 credited" in state
    update = update_of(1, client.address)
    assert f"update {client.address} cid {update} compute 1000 claimed slashed 0 basis points" in state
    assert "asset ETH with 18 decimals (the coin of the chain) stake 0, of which 0 basis points" in state
    assert f"balance {3 * ETHER // 2} carried {5 * ETHER // 4} live pool 0 owed {ETHER // 4}" in state
    assert "stakes 0 not of these 0" in state


@pytest.mark.parametrize("node", ["anvil"], indirect=True)
def test_the_organization_runs_a_staked_federation_in_a_token_by_vouchers(
    scripts: Scripts, web3: Web3, owner: LocalAccount, tmp_path: Path
) -> None:
    organization, client = Sender(web3, owner), Sender(web3, rich_account(web3))
    token = asset_at(web3, deploy_token(organization))
    for party in (organization, client):
        organization.send(mint(token, party.address, 10 * ETHER))
    scripts.run("deploy")
    made = scripts.run(
        "create_federation",
        {
            "asset": token.address,
            "stake": "1 PLAY",
            "max_slash_rate": "1000",
            "admission": "voucher",
            "max_spread": "2",
            "idle_rounds": "1",
            "salt": "7",
        },
    )
    federation = Federation(web3, address_of("federation", made))
    here = {"federation": federation.address}
    assert federation.terms() == FederationTerms(
        token.address, ETHER, 1000, Admission.VOUCHER, AuditPolicy.OPEN, max_spread=2, idle_rounds=1
    )

    voucher = tmp_path / "voucher.json"
    said = scripts.run("voucher", {**here, "client": client.address, "expiry": "2d", "out": str(voucher)})
    assert f"voucher {load_voucher(voucher).id} for {client.address} written" in said
    client.send(approve(token, federation.address, ETHER))
    client.send(federation.register_with_voucher(load_voucher(voucher)))
    scripts.run("voucher", {**here, "revoke": "77"})
    assert federation.voucher_spent(77)

    assert "approved 1.5 PLAY" in scripts.run("fund", {**here, "amount": "1.5 PLAY"})
    scripts.run("pause", here)
    wage = {"reward_rate_cap": "0.5 PLAY", "reward": str(ETHER // 2)}
    with pytest.raises(KoinonError, match="ERROR: cannot open a round with .*: the federation is paused"):
        scripts.run("open_round", terms(federation.address) | wage)
    scripts.run("pause", {**here, "resume": "yes"})
    said = scripts.run("open_round", terms(federation.address) | wage)
    assert "pool                2 PLAY, 1.5 PLAY of it carried" in said
    scripts.run("operator", {**here, "operator": client.address})
    submit(federation, client, 1000)
    finalize(federation, client, [Adjustment(client.address, credited_ms=500, slash_rate=1000)])

    state = " ".join(scripts.run("inspect", here).split())
    assert f"asset PLAY with 18 decimals ({token.address}) stake {ETHER}, of which 1000 basis points" in state
    assert "admission voucher audit policy open" in state
    assert f"operator {client.address} paused no closed no" in state
    assert f"0 {client.address}, stake {ETHER * 9 // 10}, owed {ETHER // 4}" in state
    forfeited = ETHER // 4 + ETHER // 10
    assert f"owed {ETHER // 4} stakes {ETHER * 9 // 10} not of these {forfeited}" in state

    assert f"paid 0.25 PLAY to {client.address}" in scripts.run("pay", here)
    again = scripts.execute(
        [sys.executable, "-m", "scripts", "pay", f"federation={federation.address}", "--network", NETWORK]
    )
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "nothing is owed")
    assert "is going to" not in again.stdout + again.stderr
    assert "closed; 1.5 PLAY can be withdrawn" in scripts.run("close", here)
    scripts.run("withdraw", here)
    client.send(federation.leave(client.address))
    assert balance_of(web3, token, owner.address) == 9 * ETHER + ETHER // 2
    assert balance_of(web3, token, client.address) == 10 * ETHER + ETHER // 4 - ETHER // 10
    assert federation.holdings() == ETHER // 4 + ETHER // 10, "what was forfeited and slashed is nobody's"

    scripts.run("transfer", {**here, "to": client.address})
    assert federation.pending_owner() == client.address
    with pytest.raises(KoinonError, match="cannot accept the ownership: it is offered to"):
        scripts.run("transfer", {**here, "accept": "yes"})


@pytest.mark.parametrize("node", ["anvil"], indirect=True)
def test_a_client_that_takes_no_payment_keeps_nobody_else_from_theirs(
    scripts: Scripts, web3: Web3, owner: LocalAccount
) -> None:
    federation = Federation(web3, create_federation(scripts))
    refusing, other = (Sender(web3, rich_account(web3)) for _ in range(2))
    for client in (refusing, other):
        client.send(federation.register())
    scripts.run("open_round", terms(federation.address))
    for client in (refusing, other):
        submit(federation, client, 500)
    finalize(federation, Sender(web3, owner))
    web3.provider.make_request(RPCEndpoint("anvil_setCode"), [refusing.address, "0x5f5ffd"])  # always reverts

    said = scripts.run("pay", {"federation": federation.address})

    cannot = f"cannot claim what {refusing.address} is owed: the receiving address refused the payment"
    assert f"{refusing.address} was not paid: {cannot}" in said
    assert f"paid 0.125 ETH to {other.address}" in said
    assert federation.balance_of(other.address) == (0, 0)
    assert federation.balance_of(refusing.address) == (ETHER // 8, 0)


@pytest.mark.parametrize("node", ["anvil"], indirect=True)
def test_a_silent_client_is_retired_and_a_used_key_opens_no_round(
    scripts: Scripts, web3: Web3, owner: LocalAccount
) -> None:
    scripts.run("deploy")
    made = scripts.run("create_federation", {"idle_rounds": "1", "max_spread": "4"})
    federation = Federation(web3, address_of("federation", made))
    silent, other = (Sender(web3, rich_account(web3)) for _ in range(2))
    for client in (silent, other):
        client.send(federation.register())
    scripts.run("open_round", terms(federation.address, training_period="30", reward="0.125 ether"))
    submit(federation, other, 1000)
    until = federation.round_view().training_deadline
    web3.provider.make_request(RPCEndpoint("evm_setNextBlockTimestamp"), [until])
    finalize(federation, Sender(web3, owner))

    said = scripts.run("retire", {"federation": federation.address, "client": silent.address})
    assert f"{silent.address} is no member any more; 1 are left" in said
    assert federation.members() == [other.address]
    with pytest.raises(KoinonError, match="cannot be retired: the latest round did not select it, or heard of it"):
        scripts.run("retire", {"federation": federation.address, "client": other.address})

    scripts.run("open_round", terms(federation.address, 2, reward="0.5 ether"))
    submit(federation, other, 1000)
    finalize(federation, Sender(web3, owner))
    for number in (1, 2):
        with pytest.raises(KoinonError, match=f"the sealing key was that of round {number}, whose secret is known"):
            scripts.run("open_round", terms(federation.address, 3, sealing_key=key_of(number).hex()))
    with pytest.raises(KoinonError, match="is too small: 1 client.* may claim 1000 ms each"):
        scripts.run("open_round", terms(federation.address, 3, reward_rate_cap="100 ether"))
    scripts.run("open_round", terms(federation.address, 3))
    assert federation.round_count() == 3
    announced = Posts(federation, PLAN).read(0, federation.block())
    assert [(post.round, post.sender, post.cid) for post in announced] == [
        (1, owner.address, plan_of(2)),
        (2, owner.address, plan_of(3)),
    ], "a plan that changes is announced before its round opens"


@pytest.mark.parametrize("node", ["anvil"], indirect=True)
def test_a_federation_that_exists_is_named_before_anything_is_sent(
    scripts: Scripts, web3: Web3, owner: LocalAccount
) -> None:
    address = create_federation(scripts)
    sent = web3.eth.get_transaction_count(owner.address)
    with pytest.raises(KoinonError, match=f"the federation {address} with these terms exists already"):
        scripts.run("create_federation")
    assert web3.eth.get_transaction_count(owner.address) == sent
    assert address_of("federation", scripts.run("create_federation", {"salt": "1"})) != address


@pytest.mark.parametrize("node", ["anvil"], indirect=True)
class TestRefusals:
    """What a person can get wrong ends in one sentence."""

    def test_what_the_contract_refuses_is_explained(self, scripts: Scripts) -> None:
        with pytest.raises(KoinonError, match="ERROR: cannot open a round with .*: the federation has no members yet"):
            scripts.run("open_round", terms(create_federation(scripts)))

    def test_all_wrong_arguments_are_named_at_once(self, scripts: Scripts) -> None:
        with pytest.raises(KoinonError, match="amuont= is not an argument of this script; amount= is missing"):
            scripts.run("fund", {"amuont": "1 ether"})

    def test_values_that_make_no_sense_are_named_with_what_was_expected(self, scripts: Scripts) -> None:
        federation = create_federation(scripts)
        wrong: list[tuple[str, dict[str, str], str]] = [
            ("create_federation", {"asset": "0x12"}, "'0x12' is not an address"),
            ("create_federation", {"admission": "closed"}, "admission=closed is not known: expected open or voucher"),
            ("create_federation", {"max_slash_rate": "50%"}, "expected basis points, 0 to 10000"),
            ("create_federation", {"max_slash_rate": "5"}, "the federation allows at most 0"),
            ("create_federation", {"max_spread": "0"}, "max_spread=0 is not known: expected a whole number from 1"),
            ("create_federation", {"idle_rounds": "often"}, "idle_rounds=often is not known"),
            ("create_federation", {"salt": str(2**64)}, "expected a whole number from 0 to 18446744073709551615"),
            ("fund", {"amount": "0.5 PLAY"}, "'0.5 PLAY' is not an amount of ETH: expected .* one like '0.5 ether'"),
            ("pause", {"resume": "no"}, "resume=no is not known: expected yes"),
            ("transfer", {}, "expected either to=ADDRESS, the new owner, or accept=yes"),
            ("voucher", {"client": f"0x{'12' * 20}"}, "anybody can register with the federation"),
            ("voucher", {"revoke": "me"}, "revoke=me is not a voucher's id"),
            ("withdraw", {}, "the federation is still open: close it before withdrawing"),
        ]
        here: dict[str, dict[str, str]] = {"create_federation": {}}
        runs = [(name, here.get(name, {"federation": federation}) | arguments) for name, arguments, _ in wrong]
        for (_, refused), (_, _, complaint) in zip(run_several(scripts, runs), wrong, strict=True):
            assert refused is not None and re.search(complaint, refused), refused

    def test_a_contract_with_other_code_is_refused(self, scripts: Scripts, web3: Web3) -> None:
        federation = create_federation(scripts)
        code = web3.eth.get_code(Web3.to_checksum_address(federation)).to_0x_hex()
        web3.provider.make_request(RPCEndpoint("anvil_setCode"), [federation, code + "00"])
        with pytest.raises(KoinonError, match="is no federation that the factory of this version made"):
            scripts.run("fund", {"federation": federation, "amount": "1 ether"})

    def test_an_address_without_a_federation_is_named(self, scripts: Scripts) -> None:
        with pytest.raises(KoinonError, match=f"there is no contract at 0x{'12' * 20} on chain 31337"):
            scripts.run("inspect", {"federation": f"0x{'12' * 20}"})

    def test_a_federation_needs_a_factory(self, scripts: Scripts) -> None:
        with pytest.raises(KoinonError, match="no factory is known on chain 31337: run `deploy` first"):
            scripts.run("create_federation")

    def test_a_wrong_passphrase_is_said_and_not_shown(self, scripts: Scripts) -> None:
        scripts.passphrase_file.write_text("another passphrase")
        with pytest.raises(KoinonError, match="the passphrase is wrong") as refused:
            scripts.run("deploy")
        assert "another passphrase" not in str(refused.value)


@pytest.fixture
def no_records(tmp_path: Path) -> Iterator[None]:
    """brownie records what it deployed for every chain id, and refuses a chain that lacks it, as does every new one."""
    records, aside = CHECKOUT / "build" / "deployments" / "31337", tmp_path / "records"
    if records.exists():
        shutil.move(records, aside)
    yield
    shutil.rmtree(records, ignore_errors=True)
    if aside.exists():
        shutil.move(aside, records)


@pytest.mark.parametrize("node", ["anvil"], indirect=True)
def test_brownie_run_runs_them_too(scripts: Scripts, no_records: None) -> None:
    if any("." in part for part in CHECKOUT.parts) or CHECKOUT.parts[1] in sys.stdlib_module_names:
        pytest.skip(f"`brownie run` cannot import a script below {CHECKOUT}")
    federation = create_federation(scripts)
    brownie = str(Path(sys.executable).parent / "brownie")
    command = [brownie, "run", "inspect", "main", f"federation={federation}", "--network", "koinon"]
    done = scripts.execute(command)
    assert done.returncode == 0, done.stderr
    assert f"federation       {federation} on chain 31337" in done.stdout
