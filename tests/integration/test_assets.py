"""Federations that pay and stake in a token, on a real node; and tokens that say of themselves what they like."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import pytest
from eth_abi.abi import encode
from eth_account.messages import encode_typed_data
from eth_utils.abi import function_signature_to_4byte_selector
from web3 import Web3
from web3.types import RPCEndpoint

from processor.chain.asset import Asset, allowance, approve, asset_at, balance_of, mint
from processor.chain.federation import Federation, deploy_token
from processor.chain.provider import connect
from processor.chain.signed import sign_registration
from processor.chain.transactions import Call, Sender
from processor.chain.vouchers import Voucher, sign_voucher, typed_data
from processor.cid import cid_of
from processor.errors import ChainError, Reverted
from processor.types import ZERO_ADDRESS, Adjustment, Admission, AuditPolicy, FederationTerms, RoundTerms
from tests.integration.parties import account_of, create_federation, wallet
from tests.nodes import start_anvil

UNIT = 10**18
STAKE = 5 * UNIT
NEVER = 2**40 - 1
TOKEN = Web3.to_checksum_address("0x" + "70" * 20)
NO_DIGEST = bytes(20)


def terms_of(round: int) -> RoundTerms:
    """The terms of a round: nothing in them is what it was the round before."""
    return RoundTerms(
        plan=cid_of(b"plan %d" % round),
        sealing_key=key_of(round),
        training_period=3600 + round,
        aggregation_period=7200 + round,
        max_updates=10 + round,
        max_compute_ms=1000 + round,
        selection_rate=10_000,
        reward_rate_cap=UNIT * 10**9,
        reward=3 * UNIT + round - 1,
    )


def key_of(round: int) -> bytes:
    return b"sealing key of round %011d" % round


@pytest.fixture(scope="module")
def web3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web3]:
    with start_anvil(tmp_path_factory.mktemp("anvil")) as node:
        yield connect(node.rpc_url)


@pytest.fixture
def organization(web3: Web3) -> Sender:
    return Sender(web3, wallet(web3, "organization"))


@pytest.fixture
def alice(web3: Web3) -> Sender:
    return Sender(web3, wallet(web3, "alice"))


@pytest.fixture
def bob(web3: Web3) -> Sender:
    return Sender(web3, wallet(web3, "bob"))


@pytest.fixture
def token(web3: Web3, organization: Sender, alice: Sender, bob: Sender) -> Asset:
    """Play money, of which everybody has 100."""
    asset = asset_at(web3, deploy_token(organization))
    for sender in (organization, alice, bob):
        sender.send(mint(asset, sender.address, 100 * UNIT))
    return asset


@pytest.fixture
def federation(web3: Web3, organization: Sender, token: Asset) -> Federation:
    terms = FederationTerms(token.address, STAKE, 5_000, Admission.VOUCHER, AuditPolicy.OPEN)
    return create_federation(web3, organization, terms=terms)


def voucher_for(federation: Federation, client: Sender, by: str = "organization", expiry: int = NEVER) -> Voucher:
    nonce = federation.owner_nonce()
    return sign_voucher(account_of(by), federation.chain_id, federation.address, client.address, expiry, nonce)


def join(federation: Federation, client: Sender) -> None:
    voucher = voucher_for(federation, client)
    client.send(approve(federation.asset(), federation.address, federation.terms().stake))
    client.send(federation.register_with_voucher(voucher))


# ------------------------------------------------------------------------------------------- federations in a token


def test_rounds_in_a_token_are_paid_slashed_and_left_to_the_unit(
    web3: Web3, federation: Federation, token: Asset, organization: Sender, alice: Sender, bob: Sender
) -> None:
    for client in (alice, bob):
        join(federation, client)
    organization.send(approve(token, federation.address, 4 * UNIT))
    organization.send(federation.fund(UNIT))
    organization.send(federation.set_initial_model(cid_of(b"model 0")))
    organization.send(federation.open_round(terms_of(1), NO_DIGEST))
    assert federation.holdings() == 2 * STAKE + 4 * UNIT
    assert allowance(web3, token, organization.address, federation.address) == 0
    for client, compute_ms in ((alice, 600), (bob, 400)):
        client.send(federation.submit_update(1, key_of(1), cid_of(client.address.encode()), compute_ms))
    alice.send(federation.leave(alice.address))
    assert federation.balance_of(alice.address) == (0, STAKE), "the live round may still slash it"
    with pytest.raises(Reverted, match="the client has left, and its update is in round 1, which is not over"):
        alice.send(federation.leave(alice.address))
    rejected = Adjustment(bob.address, credited_ms=0, slash_rate=2_500)
    with pytest.raises(Reverted, match="5001 basis points of a stake would be slashed; .* at most 5000"):
        organization.send(finalize(federation, dataclasses.replace(rejected, slash_rate=5_001)))
    organization.send(finalize(federation, rejected))

    view = federation.round_view(bob.address)
    assert (view.client.slash_rate, view.client.owed, view.client.stake) == (2_500, 0, STAKE * 3 // 4)
    assert federation.balance_of(alice.address) == (UNIT * 6 // 10, STAKE)
    alice.send(federation.leave(alice.address))
    assert federation.balance_of(alice.address) == (0, 0)
    assert (view.surplus, view.forfeited) == (3 * UNIT, UNIT * 4 // 10)

    organization.send(approve(token, federation.address, 3 * UNIT + 1))
    organization.send(federation.open_round(terms_of(2), view.digest))
    bob.send(federation.submit_update(2, key_of(2), cid_of(b"bob's of round 2"), 700))
    again = Adjustment(bob.address, credited_ms=300, slash_rate=5_000)
    organization.send(finalize(federation, again))
    assert federation.balance_of(bob.address) == (UNIT * 3 // 10, STAKE * 3 // 8), "a slash of what the first left"
    bob.send(federation.leave(bob.address))

    held = [balance_of(web3, token, client.address) for client in (alice, bob)]
    assert held == [100 * UNIT + UNIT * 6 // 10, 100 * UNIT + UNIT * 3 // 10 - STAKE * 5 // 8]
    carried, forfeited, slashed = UNIT * 53 // 10 + 1, UNIT * 8 // 10, STAKE * 5 // 8
    assert federation.carried() == carried
    assert federation.holdings() == carried + forfeited + slashed


def finalize(federation: Federation, adjustment: Adjustment) -> Call:
    view = federation.round_view()
    model, report = cid_of(b"model %d" % view.round), cid_of(b"report %d" % view.round)
    return federation.finalize_round(view.round, view.digest, model, report, [adjustment], bytes([view.round]) * 32)


def test_calls_carry_coins_only_in_a_federation_of_coins(
    web3: Web3, federation: Federation, organization: Sender, alice: Sender
) -> None:
    native = create_federation(web3, organization, terms=FederationTerms(stake=STAKE))
    voucher = sign_voucher(account_of("organization"), native.chain_id, native.address, alice.address, NEVER, 0)
    for made, coins, symbol in ((native, True, "ETH"), (federation, False, "PLAY")):
        calls = [
            made.fund(7),
            made.open_round(terms_of(1), NO_DIGEST),
            made.register(),
            made.register_with_voucher(voucher),
        ]
        assert [call.value for call in calls] == ([7, 3 * UNIT, STAKE, STAKE] if coins else [0, 0, 0, 0])
        assert f"a reward of 3 {symbol}" in calls[1].description
        assert f"a stake of 5 {symbol}" in calls[2].description

    alice.send(native.register())
    assert native.holdings() == STAKE
    alice.send(native.leave(Web3.to_checksum_address("0x" + "ca" * 20)))
    assert web3.eth.get_balance(Web3.to_checksum_address("0x" + "ca" * 20)) == STAKE


def test_what_was_not_approved_is_not_taken(federation: Federation, token: Asset, organization: Sender) -> None:
    with pytest.raises(Reverted, match="may take 0 units of the token and needs 7: approve that amount first"):
        organization.send(federation.fund(7))
    organization.send(approve(token, federation.address, 7))
    organization.send(federation.fund(7))
    assert federation.carried() == 7


# ------------------------------------------------------------------------------------------------------- vouchers


def test_what_a_wallet_signs_is_what_the_contract_checks(federation: Federation, alice: Sender) -> None:
    for id, expiry in ((0, 1), (2**256 - 1, NEVER)):
        asked = typed_data(federation.chain_id, federation.address, alice.address, id, expiry, federation.owner_nonce())
        signable = encode_typed_data(full_message=asked)
        digest = Web3.keccak(b"\x19" + signable.version + signable.header + signable.body)
        assert federation.voucher_digest(alice.address, id, expiry) == digest


def test_a_voucher_admits_its_client_once(federation: Federation, token: Asset, alice: Sender, bob: Sender) -> None:
    voucher = voucher_for(federation, alice)
    for client in (alice, bob):
        client.send(approve(token, federation.address, 2 * STAKE))
    with pytest.raises(Reverted, match="admits by voucher"):
        alice.send(federation.register())
    with pytest.raises(Reverted, match=f"not one that the federation's owner, .*, signed for {bob.address}"):
        bob.send(federation.register_with_voucher(voucher))

    alice.send(federation.register_with_voucher(voucher))

    assert federation.members() == [alice.address]
    assert federation.voucher_spent(voucher.id)
    alice.send(federation.leave(alice.address))
    with pytest.raises(Reverted, match=f"the voucher with the id {voucher.id} was used or revoked"):
        alice.send(federation.register_with_voucher(voucher))


def test_a_voucher_that_is_revoked_late_or_forged_admits_nobody(
    federation: Federation, organization: Sender, alice: Sender
) -> None:
    def voucher(by: str = "organization", expiry: int = NEVER) -> Voucher:
        return voucher_for(federation, alice, by, expiry)

    revoked = voucher()
    organization.send(federation.revoke_voucher(revoked.id))
    late = voucher(expiry=federation.block().timestamp)
    for refused, why in ((revoked, "used or revoked"), (late, "expired at"), (voucher(by="bob"), "is not one that")):
        with pytest.raises(Reverted, match=f"cannot register with a stake of 5 PLAY, with a voucher: .*{why}"):
            alice.send(federation.register_with_voucher(refused))


def test_vouchers_of_a_former_owner_admit_nobody_even_once_it_owns_again(
    federation: Federation, token: Asset, organization: Sender, alice: Sender, bob: Sender
) -> None:
    alice.send(approve(token, federation.address, STAKE))
    first = voucher_for(federation, alice)
    place = (federation.chain_id, federation.address, alice.address, federation.block().timestamp)
    first.check(*place, federation.owner_nonce())
    for owner, heir in ((organization, bob), (bob, organization)):
        owner.send(federation.transfer_ownership(heir.address))
        heir.send(federation.accept_ownership())
        with pytest.raises(Reverted, match=f"not one that the federation's owner, {heir.address}, signed"):
            alice.send(federation.register_with_voucher(first))
    assert federation.owner() == organization.address
    with pytest.raises(ChainError, match=r"changed hands 0 time\(s\), and now it has 2 time\(s\)"):
        first.check(*place, federation.owner_nonce())

    alice.send(federation.register_with_voucher(voucher_for(federation, alice)))
    assert federation.members() == [alice.address]


def test_whoever_has_no_coins_is_registered_with_its_voucher_where_nobody_stakes(
    web3: Web3, organization: Sender, bob: Sender
) -> None:
    federation = create_federation(web3, organization, terms=FederationTerms(admission=Admission.VOUCHER))
    poor = account_of("without coins")
    signed = sign_registration(poor, federation.chain_id, federation.address, 0, NEVER)
    voucher = voucher_for(federation, Sender(web3, poor))
    with pytest.raises(Reverted, match="admits by voucher"):
        bob.send(federation.register_signed(poor.address, NEVER, signed))
    bob.send(federation.register_signed(poor.address, NEVER, signed, voucher))
    assert federation.members() == [poor.address]
    staked = create_federation(web3, organization, terms=FederationTerms(stake=7))
    signed = sign_registration(poor, staked.chain_id, staked.address, 0, NEVER)
    with pytest.raises(Reverted, match="every client stakes 7 units, and nobody stakes for another"):
        bob.send(staked.register_signed(poor.address, NEVER, signed))


# --------------------------------------------------------------------------------------- what a token says of itself


def answering(answers: Mapping[str, bytes]) -> bytes:
    """The code of a contract that answers each function with the given bytes, and reverts at everything else."""
    bodies_at = 5 + 11 * len(answers) + 3
    data_at = bodies_at + 14 * len(answers)
    dispatch = bodies = data = b""
    for number, (signature, answer) in enumerate(answers.items()):
        selector = function_signature_to_4byte_selector(signature)
        target, place = (bodies_at + 14 * number).to_bytes(2), (data_at + len(data)).to_bytes(2)
        size = len(answer).to_bytes(2)
        # dup1, push4 selector, eq, push2 target, jumpi
        dispatch += b"\x80\x63" + selector + b"\x14\x61" + target + b"\x57"
        # jumpdest, push2 size, push2 place, push0, codecopy, push2 size, push0, return
        bodies += b"\x5b\x61" + size + b"\x61" + place + b"\x5f\x39\x61" + size + b"\x5f\xf3"
        data += answer
    # push0, calldataload, push1 224, shr before; push0, push0, revert behind
    return b"\x5f\x35\x60\xe0\x1c" + dispatch + b"\x5f\x5f\xfd" + bodies + data


def text(words: bytes) -> bytes:
    """A string as contracts return it."""
    return encode(["bytes"], [words])


def number(value: int) -> bytes:
    return value.to_bytes(32)


def put(web3: Web3, answers: Mapping[str, bytes]) -> None:
    """Puts a token with these answers, and a balance of 5 for everybody, at TOKEN."""
    code = answering({"balanceOf(address)": number(5), **answers})
    web3.provider.make_request(RPCEndpoint("anvil_setCode"), [TOKEN, "0x" + code.hex()])


@pytest.mark.parametrize(
    ("symbol", "shown"),
    [
        (text(b"USDC.e"), "USDC.e"),
        (text(b"$WIF"), "$WIF"),
        (b"MKR".ljust(32, b"\0"), "MKR"),
        (text(b""), TOKEN),
        (b"", TOKEN),
        (b"\0" * 31, TOKEN),
        (text(b"\x1b[2J"), TOKEN),
        (text(b"US\nDC"), TOKEN),
        (text("US\u202eDC".encode()), TOKEN),
        (text("ЕТН".encode()), TOKEN),
        (text(b"\xff\xfe"), TOKEN),
        (text(b"eth"), TOKEN),
        (text(b"[bold]X[/]"), TOKEN),
        (text(b"<script>"), TOKEN),
        (text(b"000"), TOKEN),
        (text(b"A" * 17), TOKEN),
        (text(b"A" * 9000), TOKEN),
        (number(2**255) + b"\0" * 32, TOKEN),
        (number(32) + number(2**255), TOKEN),
        (number(32) + number(5000) + b"A" * 32, TOKEN),
    ],
)
def test_a_symbol_is_shown_where_it_is_a_plain_word_and_the_address_where_not(
    web3: Web3, symbol: bytes, shown: str
) -> None:
    put(web3, {"symbol()": symbol, "decimals()": number(6)})
    assert asset_at(web3, TOKEN.lower()) == Asset(TOKEN, shown, 6)


@pytest.mark.parametrize(
    ("decimals", "counted"),
    [(number(0), 0), (number(77), 77), (number(78), 0), (number(2**256 - 1), 0), (b"", 0), (b"\6", 6)],
)
def test_decimals_that_make_no_sense_count_smallest_units(web3: Web3, decimals: bytes, counted: int) -> None:
    put(web3, {"symbol()": text(b"ODD"), "decimals()": decimals})
    assert asset_at(web3, TOKEN).decimals == counted


def test_a_token_need_not_say_what_it_is_called(web3: Web3) -> None:
    put(web3, {})
    asset = asset_at(web3, TOKEN)
    assert asset == Asset(TOKEN, TOKEN, 0)
    assert balance_of(web3, asset, TOKEN) == 5


def test_decimals_that_a_node_does_not_find_out_are_not_taken_for_none(web3: Web3) -> None:
    endless = b"\x5b\x5f\x56"  # jumpdest, push0, jump
    code = answering({"balanceOf(address)": number(5), "symbol()": text(b"ODD")})
    code = code.replace(b"\x5f\x5f\xfd", b"\x5f\x5f\xfe")  # invalid instead of revert, as old compilers have it
    for answer in (endless, code):
        web3.provider.make_request(RPCEndpoint("anvil_setCode"), [TOKEN, "0x" + answer.hex()])
        with pytest.raises(ChainError, match=f"the node could not read .* of the token {TOKEN}"):
            asset_at(web3, TOKEN)


def test_what_has_no_balances_is_no_token(web3: Web3, federation: Federation) -> None:
    for address in (account_of("nobody").address, federation.address):
        with pytest.raises(ChainError, match=f"{address} is not a token: it does not answer balanceOf"):
            asset_at(web3, address)
    with pytest.raises(ChainError, match="is not an address"):
        asset_at(web3, "PLAY")


def test_a_federation_is_not_made_in_what_is_no_contract(web3: Web3, organization: Sender) -> None:
    nobody = account_of("nobody").address
    with pytest.raises(Reverted, match=f"cannot create a federation: there is no contract at {nobody}"):
        create_federation(web3, organization, terms=FederationTerms(nobody))
    with pytest.raises(Reverted, match="1 basis points of a stake would be slashed; the federation allows at most 0"):
        create_federation(web3, organization, terms=FederationTerms(max_slash_rate=1))


def test_balances_are_read_at_the_block_that_is_named(
    web3: Web3, federation: Federation, token: Asset, alice: Sender
) -> None:
    before = federation.block()
    alice.send(mint(token, alice.address, 1))
    assert balance_of(web3, token, alice.address, before) == 100 * UNIT
    assert balance_of(web3, token, alice.address) == 100 * UNIT + 1
    coins = asset_at(web3, ZERO_ADDRESS)
    assert balance_of(web3, coins, alice.address, before) > balance_of(web3, coins, alice.address) > 0
