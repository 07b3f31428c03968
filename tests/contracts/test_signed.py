"""Clients without coins: what they sign, anybody may send, once, in the round that they signed it for."""

from __future__ import annotations

import pytest
from eth_account.messages import encode_typed_data
from eth_utils import keccak

from .chain import CHAIN, deploy
from .helpers import (
    ABANDONED,
    AGGREGATING,
    ALREADY_SUBMITTED,
    COMPUTE_TIME,
    FOREVER,
    GWEI,
    HOUR,
    NOT_SELECTED,
    OPEN,
    STAKE,
    TRAINING,
    VOUCHER,
    ZERO_ADDRESS,
    ZERO_CID,
    abandon,
    client_of,
    compact,
    decline,
    deploy_federation,
    digest,
    end_training,
    finalize,
    key_of,
    leave,
    leave_signed,
    mine_at,
    now,
    open_round,
    owed,
    person,
    play_round,
    register,
    register_signed,
    relay,
    reverts,
    sign_decline,
    sign_leaving,
    sign_registration,
    sign_update,
    sign_voucher,
    submit,
    typed_data,
    update_of,
    view,
)

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def chain_id():
    return int(CHAIN.request("eth_chainId"), 16)


# ------------------------------------------------------------------------------------------------------ updates


def test_a_relay_submits_what_clients_signed_in_the_order_that_it_chooses(federation, clients, relayer):
    round = open_round(federation)
    order = [clients[3], clients[0], clients[4]]
    signed = [sign_update(federation, client, 1000 + place) for place, client in enumerate(order)]
    transaction = relay(federation, signed, relayer)
    assert transaction.return_value == 3
    assert transaction.all("UpdateSubmitted") == [
        {"round": round, "client": client, "updateCid": update_of(round, client), "computeMs": 1000 + place}
        for place, client in enumerate(order)
    ]
    lines = sorted(federation.updates(0, 10), key=lambda line: line["ordinal"])
    assert [(line["client"], line["computeMs"], line["ordinal"]) for line in lines] == [
        (client, 1000 + place, place) for place, client in enumerate(order)
    ]
    assert (view(federation)["updateCount"], view(federation)["claimedMs"]) == (3, 3003)


def test_a_relayed_update_leaves_the_very_state_of_a_direct_one(federation, clients, relayer):
    open_round(federation)
    times = {clients[1]: 1234, clients[3]: 77}
    with CHAIN.imagined():
        for client, ms in times.items():
            submit(federation, client, ms)
        directly = [view(federation, client) for client in clients]
    relay(federation, [sign_update(federation, client, ms) for client, ms in times.items()], relayer)
    assert [view(federation, client) for client in clients] == directly


def test_who_signed_is_paid_and_the_relay_is_not(federation, clients, relayer):
    open_round(federation)
    relay(federation, [sign_update(federation, client, 2000) for client in clients], relayer)
    finalize(federation)
    assert owed(federation, *clients) == [2 * GWEI] * 5
    assert owed(federation, relayer) == 0


def test_a_client_with_an_empty_wallet_registers_takes_part_leaves_and_is_paid(organization, relayer):
    federation = deploy_federation(organization)
    poor = person("a client without coins", fortune=0)
    register_signed(federation, poor, relayer)
    open_round(federation)
    relay(federation, [sign_update(federation, poor, 3000)], relayer)
    finalize(federation)
    federation.claimFor(poor, {"from": relayer})
    assert poor.balance() == 3 * GWEI
    open_round(federation)
    relay(federation, [sign_update(federation, poor, 1000)], relayer)
    end_training(federation)
    finalize(federation)
    assert leave_signed(federation, poor, relayer).return_value == GWEI
    assert poor.balance() == 4 * GWEI
    assert federation.memberCount() == 0


def test_what_would_be_refused_is_skipped(federation, clients, stranger, relayer):
    round = open_round(federation, selection_rate=8000)
    (unselected,) = [client for client in clients if not client_of(federation, client)["selected"]]
    first, second, third, fourth = [client for client in clients if client != unselected]
    submit(federation, first, 1)
    batch = [
        sign_update(federation, first, 2),
        sign_update(federation, unselected),
        sign_update(federation, stranger),
        sign_update(federation, second, 100_001),
        sign_update(federation, second, 0),
        sign_update(federation, second, 1000, update_cid=ZERO_CID),
        sign_update(federation, second, 3),
        sign_update(federation, second, 4),
        sign_decline(federation, second),
        sign_decline(federation, third),
        sign_update(federation, third, 5),
        (update_of(round, fourth), 6, bytes(32), bytes(32)),
        sign_update(federation, fourth, 7),
    ]
    transaction = relay(federation, batch, relayer)
    assert transaction.return_value == 3
    assert [event["client"] for event in transaction.all("UpdateSubmitted")] == [second, fourth]
    assert [event["client"] for event in transaction.all("Declined")] == [third]
    assert (view(federation)["updateCount"], view(federation)["claimedMs"]) == (3, 1 + 3 + 7)


def test_a_batch_of_which_nothing_is_left_is_refused(federation, clients, stranger, relayer):
    round = open_round(federation)
    submit(federation, clients[0])
    with reverts("NothingAccepted", round, 2):
        relay(federation, [sign_update(federation, clients[0]), sign_update(federation, stranger)], relayer)
    with reverts("NothingAccepted", round, 0):
        relay(federation, [], relayer)


@pytest.mark.parametrize(
    "changes",
    [
        {"round": 1},
        {"sealing_key": key_of(1)},
        {"sealing_key": digest("another key")},
        {"chain_id": 1},
        {"name": "Koinonia"},
        {"version": "1"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_update_that_was_signed_for_anything_else_is_nothing(federation, clients, relayer, changes):
    play_round(federation, {clients[0]: 1000})
    round = open_round(federation)
    with reverts("NothingAccepted", round, 1):
        relay(federation, [sign_update(federation, clients[0], **changes)], relayer)
    relay(federation, [sign_update(federation, clients[0])], relayer)


@pytest.mark.parametrize("field", [0, 1])
def test_an_update_that_the_relay_changes_is_nothing(federation, clients, relayer, field):
    round = open_round(federation)
    signed = list(sign_update(federation, clients[0], 1000))
    signed[field] = [digest("another update"), 1001][field]
    with reverts("NothingAccepted", round, 1):
        relay(federation, [tuple(signed)], relayer)


def test_an_update_for_another_federation_is_nothing(federation, organization, clients, relayer):
    """The same round and the same key, and the same members."""
    other = deploy_federation(organization, clients)
    round = open_round(federation)
    open_round(other)
    with reverts("NothingAccepted", round, 1):
        relay(federation, [sign_update(other, clients[0])], relayer)


def test_a_relayed_update_cannot_be_sent_again_in_a_later_round(federation, clients, relayer):
    open_round(federation)
    signed = sign_update(federation, clients[0])
    relay(federation, [signed], relayer)
    with reverts("NothingAccepted", 1, 1):
        relay(federation, [signed], relayer)
    abandon(federation)
    open_round(federation)
    with reverts("NothingAccepted", 2, 1):
        relay(federation, [signed], relayer)
    with reverts("WrongPhase", 2, TRAINING, 1):
        relay(federation, [signed], relayer, round=1)
    with reverts("WrongSealingKey", 2, key_of(2), key_of(1)):
        relay(federation, [signed], relayer, sealing_key=key_of(1))


def test_the_mirrored_signature_is_no_second_one(federation, clients, relayer):
    round = open_round(federation)
    cid, ms, r, vs = sign_update(federation, clients[0])
    s, v = int.from_bytes(vs, "big") & (2**255 - 1), vs[0] >> 7
    mirrored = ((CURVE_ORDER - s) | (1 - v) << 255) % 2**256
    with reverts("NothingAccepted", round, 1):
        relay(federation, [(cid, ms, r, mirrored.to_bytes(32, "big"))], relayer)


def test_a_relay_comes_too_late_once_training_is_over(federation, clients, relayer):
    round = open_round(federation)
    submit(federation, clients[0])
    signed = [sign_update(federation, clients[1])]
    end_training(federation)
    with reverts("WrongPhase", round, AGGREGATING, round):
        relay(federation, signed, relayer)
    abandon(federation)
    with reverts("WrongPhase", round, ABANDONED, round):
        relay(federation, signed, relayer)


def test_a_client_may_always_submit_itself_what_a_relay_withholds(federation, clients, relayer):
    open_round(federation)
    sign_update(federation, clients[0], 5000)
    submit(federation, clients[0], 5000)
    end_training(federation)
    finalize(federation)
    assert owed(federation, clients[0]) == 5 * GWEI


def test_what_is_signed_is_typed_data(federation, clients):
    """A wallet can show its owner what it signs: the digest is that of EIP-712, checked by recovering it."""
    open_round(federation)
    values = {"round": 1, "deadline": FOREVER}
    message = encode_typed_data(*typed_data("Registration", federation, values))
    types = keccak(text="Registration(uint24 round,uint40 deadline)")
    body = keccak(types + (1).to_bytes(32, "big") + FOREVER.to_bytes(32, "big"))
    assert message.body == body
    assert message.header == domain_of(federation)


def domain_of(federation):
    kind = keccak(text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    address = bytes.fromhex(federation.address[2:]).rjust(32, b"\0")
    return keccak(kind + keccak(text="Koinon") + keccak(text="2") + chain_id().to_bytes(32, "big") + address)


# ----------------------------------------------------------------------------------------------------- declining


def test_who_declines_is_awaited_no_more(federation, clients, relayer):
    round = open_round(federation)
    transaction = decline(federation, clients[0])
    assert transaction.event("Declined") == {"round": round, "client": clients[0]}
    relay(federation, [sign_decline(federation, clients[1])], relayer)
    for client in clients[2:]:
        assert federation.phase() == TRAINING
        submit(federation, client)
    assert federation.phase() == AGGREGATING
    assert (view(federation)["updateCount"], view(federation)["absentCount"]) == (3, 2)
    for client in clients[:2]:
        seen = client_of(federation, client)
        assert (seen["selected"], seen["declined"], seen["last"], seen["updateCid"]) == (True, True, round, ZERO_CID)


def test_a_round_that_everybody_declines_is_abandoned_at_once(federation, clients):
    open_round(federation, reward=7 * GWEI, reward_rate_cap=1)
    for client in clients:
        decline(federation, client)
    assert federation.phase() == ABANDONED
    assert federation.carried() == 7 * GWEI
    assert open_round(federation) == 2


def test_a_decline_stands_in_no_digest_and_no_list(federation, clients):
    open_round(federation)
    before = view(federation)["digest"]
    decline(federation, clients[0])
    assert view(federation)["digest"] == before
    assert federation.updates(0, 10) == []


def test_who_declined_cannot_submit_and_who_submitted_cannot_decline(federation, clients):
    round = open_round(federation)
    decline(federation, clients[0])
    submit(federation, clients[1])
    for client, attempt in ((clients[0], submit), (clients[0], decline), (clients[1], decline)):
        with reverts("UpdateRefused", round, client, ALREADY_SUBMITTED):
            attempt(federation, client)


def test_only_the_selected_decline_in_training_and_by_its_key(federation, clients, stranger):
    play_round(federation, {clients[0]: 1000})
    with reverts("WrongPhase", 1, 3, 1):
        decline(federation, clients[1])
    round = open_round(federation, selection_rate=8000)
    (unselected,) = [client for client in clients if not client_of(federation, client)["selected"]]
    for nobody in (stranger, unselected):
        with reverts("UpdateRefused", round, nobody, NOT_SELECTED):
            decline(federation, nobody)
    selected = next(client for client in clients if client != unselected)
    with reverts("WrongSealingKey", round, key_of(2), key_of(1)):
        decline(federation, selected, sealing_key=key_of(1))
    with reverts("WrongPhase", round, TRAINING, 1):
        decline(federation, selected, round=1)
    end_training(federation)
    with reverts("WrongPhase", round, ABANDONED, round):
        decline(federation, selected)


def test_a_decline_books_what_the_round_before_left(staked, clients):
    play_round(staked, {clients[0]: 2000}, {clients[0]: (1000, 1000)})
    open_round(staked)
    transaction = decline(staked, clients[0])
    assert transaction.event("Slashed") == {"round": 1, "client": clients[0], "amount": STAKE // 10}
    assert staked.balanceOf(clients[0]) == (GWEI, STAKE * 9 // 10)
    end_training(staked)
    assert leave(staked, clients[0]).return_value == GWEI + STAKE * 9 // 10


def test_a_decline_signed_by_somebody_else_declines_for_nobody(federation, clients, stranger, relayer):
    round = open_round(federation)
    with reverts("NothingAccepted", round, 1):
        relay(federation, [sign_decline(federation, stranger)], relayer)


def test_a_relayed_compute_time_has_the_bound_of_a_direct_one(federation, clients, relayer):
    round = open_round(federation, wait=0)
    mine_at(now() + 6)
    with reverts("UpdateRefused", round, clients[0], COMPUTE_TIME):
        submit(federation, clients[0], 7001)
    with reverts("NothingAccepted", round, 1):
        relay(federation, [sign_update(federation, clients[0], 7001)], relayer)
    relay(federation, [sign_update(federation, clients[0], 7000)], relayer)


# --------------------------------------------------------------------------------------------------- registering


@pytest.fixture(scope="module")
def vouchered(organization):
    return deploy_federation(organization, admission=VOUCHER)


def test_anybody_registers_who_signed_it(federation, stranger, relayer):
    transaction = register_signed(federation, stranger, relayer)
    assert transaction.return_value == 5
    assert transaction.event("Registered") == {"client": stranger, "index": 5}
    assert federation.members(5, 10) == [stranger]


def test_who_stakes_registers_itself(staked, stranger, relayer):
    with reverts("StakeNeedsItsOwner", STAKE):
        register_signed(staked, stranger, relayer)


def test_a_registration_by_signature_may_need_a_voucher(vouchered, organization, clients, stranger, relayer):
    voucher = (9, now() + HOUR, sign_voucher(vouchered, stranger, 9, now() + HOUR))
    with reverts("WrongAdmission", VOUCHER, OPEN):
        register_signed(vouchered, stranger, relayer)
    with reverts("InvalidVoucher", organization, clients[0]):
        register_signed(vouchered, clients[0], relayer, voucher=voucher)
    register_signed(vouchered, stranger, relayer, voucher=voucher)
    assert vouchered.voucherSpent(9)
    assert vouchered.members(0, 10) == [stranger]
    leave(vouchered, stranger)
    open_round_without_members = ("NoMembers",)
    with reverts(*open_round_without_members):
        open_round(vouchered)
    with reverts("SignatureSpent", stranger, 0):
        register_signed(vouchered, stranger, relayer, voucher=voucher)


def test_where_everybody_may_register_no_voucher_comes_along(federation, stranger, relayer):
    voucher = (9, FOREVER, sign_voucher(federation, stranger, 9))
    with reverts("WrongAdmission", OPEN, VOUCHER):
        register_signed(federation, stranger, relayer, voucher=voucher)
    assert not federation.voucherSpent(9)


def test_a_registration_is_good_before_its_deadline_and_in_its_round(federation, stranger, relayer):
    deadline = now() + HOUR
    signature = sign_registration(federation, stranger, deadline=deadline)
    with CHAIN.imagined():
        mine_at(deadline)
        with reverts("SignatureExpired", deadline, deadline):
            register_signed(federation, stranger, relayer, deadline=deadline, signature=signature)
    with CHAIN.imagined():
        open_round(federation)
        with reverts("InvalidSignature", stranger, 1):
            register_signed(federation, stranger, relayer, deadline=deadline, signature=signature)
    mine_at(deadline - 1)
    register_signed(federation, stranger, relayer, deadline=deadline, signature=signature)


@pytest.mark.parametrize(
    "changes", [{"round": 1}, {"chain_id": 1}, {"name": "Koinonia"}, {"version": "1"}], ids=lambda one: next(iter(one))
)
def test_a_registration_signed_over_anything_else_is_nothing(federation, stranger, relayer, changes):
    signature = sign_registration(federation, stranger, **changes)
    with reverts("InvalidSignature", stranger, 0):
        register_signed(federation, stranger, relayer, signature=signature)


def test_nobody_registers_whom_it_likes(federation, stranger, relayer):
    signature = sign_registration(federation, relayer)
    for somebody in (stranger, ZERO_ADDRESS):
        with reverts("InvalidSignature", somebody, 0):
            federation.registerSigned(somebody, FOREVER, signature, (0, 0, b""), {"from": relayer})
    with reverts("InvalidSignature", ZERO_ADDRESS, 0):
        federation.registerSigned(ZERO_ADDRESS, FOREVER, (bytes(32), bytes(32)), (0, 0, b""), {"from": relayer})


def test_a_member_is_not_registered_a_second_time(federation, clients, relayer):
    with reverts("AlreadyRegistered", clients[0], 0):
        register_signed(federation, clients[0], relayer)


# ------------------------------------------------------------------------------------------------------- leaving


def test_a_client_leaves_by_signature_with_what_is_its_own(staked, clients, relayer, stranger):
    play_round(staked, {clients[0]: 3000})
    before = stranger.balance()
    transaction = leave_signed(staked, clients[0], relayer, to=stranger)
    assert transaction.return_value == stranger.balance() - before == 3 * GWEI + STAKE
    assert transaction.event("Paid") == {"client": clients[0], "to": stranger, "reward": 3 * GWEI, "stake": STAKE}
    assert transaction.event("Left")["client"] == clients[0]


def test_a_leaving_is_good_before_its_deadline_in_its_round_to_its_recipient(federation, clients, relayer, stranger):
    deadline = now() + HOUR
    signature = sign_leaving(federation, clients[0], deadline=deadline)
    means = {"deadline": deadline, "signature": signature}
    with reverts("InvalidSignature", clients[0], 0):
        leave_signed(federation, clients[0], relayer, to=relayer, **means)
    with CHAIN.imagined():
        mine_at(deadline)
        with reverts("SignatureExpired", deadline, deadline):
            leave_signed(federation, clients[0], relayer, **means)
    with CHAIN.imagined():
        open_round(federation)
        with reverts("InvalidSignature", clients[0], 1):
            leave_signed(federation, clients[0], relayer, **means)
    with reverts("InvalidSignature", clients[1], 0):
        leave_signed(federation, clients[1], relayer, **means)
    leave_signed(federation, clients[0], relayer, **means)


@pytest.mark.parametrize(
    "changes", [{"round": 1}, {"chain_id": 1}, {"name": "Koinonia"}, {"version": "1"}], ids=lambda one: next(iter(one))
)
def test_a_leaving_signed_over_anything_else_is_nothing(federation, clients, relayer, changes):
    signature = sign_leaving(federation, clients[0], **changes)
    with reverts("InvalidSignature", clients[0], 0):
        leave_signed(federation, clients[0], relayer, signature=signature)


def test_nothing_signed_is_burnt(federation, clients, relayer):
    signature = sign_leaving(federation, clients[0], to=ZERO_ADDRESS)
    with reverts("ZeroValue", "to"):
        federation.leaveSigned(clients[0], ZERO_ADDRESS, FOREVER, signature, {"from": relayer})


def test_with_an_update_in_the_live_round_a_signed_leaving_is_sent_twice(staked, clients, relayer):
    round = open_round(staked)
    submit(staked, clients[0], 2000)
    assert leave_signed(staked, clients[0], relayer).return_value == 0
    with reverts("UpdateIsLive", round):
        leave_signed(staked, clients[0], relayer)
    end_training(staked)
    finalize(staked)
    assert leave_signed(staked, clients[0], relayer).return_value == 2 * GWEI + STAKE
    with reverts("NotRegistered", clients[0]):
        leave_signed(staked, clients[0], relayer)


# ---------------------------------------------------------------------------------------------- replaying the two


def test_nobody_is_brought_back_or_sent_away_by_what_it_signed_before(federation, stranger, relayer):
    """One round, four signatures of one client: each works once, in any order that somebody tries."""
    open_round(federation)
    coming, going = sign_registration(federation, stranger), sign_leaving(federation, stranger)
    register_signed(federation, stranger, relayer, signature=coming)
    leave_signed(federation, stranger, relayer, signature=going)
    with reverts("SignatureSpent", stranger, 1):
        register_signed(federation, stranger, relayer, signature=coming)
    with reverts("NotRegistered", stranger):
        leave_signed(federation, stranger, relayer, signature=going)
    register(federation, stranger)
    with reverts("SignatureSpent", stranger, 1):
        leave_signed(federation, stranger, relayer, signature=going)
    leave(federation, stranger)
    with reverts("SignatureSpent", stranger, 1):
        register_signed(federation, stranger, relayer, signature=coming)
    abandon(federation)
    open_round(federation)
    for signature in (coming, None):
        expected = ("InvalidSignature", stranger, 2) if signature else None
        if expected:
            with reverts(*expected):
                register_signed(federation, stranger, relayer, signature=signature)
        else:
            register_signed(federation, stranger, relayer)
    assert client_of(federation, stranger)["member"]


def test_leaving_directly_spends_what_was_signed_too(federation, clients, relayer):
    coming = sign_registration(federation, clients[0])
    leave(federation, clients[0])
    with reverts("SignatureSpent", clients[0], 0):
        register_signed(federation, clients[0], relayer, signature=coming)


def test_leaving_by_signature_spends_what_was_signed_where_there_is_a_stake_too(staked, clients, relayer):
    going = sign_leaving(staked, clients[0])
    leave_signed(staked, clients[0], relayer, signature=going)
    register(staked, clients[0])
    with reverts("SignatureSpent", clients[0], 0):
        leave_signed(staked, clients[0], relayer, signature=going)
    assert leave(staked, clients[0]).return_value == STAKE


def test_an_update_signed_before_leaving_counts_no_more_after_coming_back(federation, clients, relayer):
    round = open_round(federation)
    signed = sign_update(federation, clients[0])
    leave(federation, clients[0])
    register(federation, clients[0])
    with reverts("NothingAccepted", round, 1):
        relay(federation, [signed], relayer)


@pytest.mark.parametrize("moved", [False, True], ids=["where it stood", "at another position"])
def test_what_was_signed_counts_again_from_the_next_round(federation, clients, relayer, moved):
    """It left and came back in one round; in the next it leaves by signature, though a leaver may have moved it."""
    open_round(federation)
    leave(federation, clients[4])
    register(federation, clients[4])
    abandon(federation)
    open_round(federation)
    if moved:
        leave(federation, clients[0])
        assert client_of(federation, clients[4])["index"] == 0
    leave_signed(federation, clients[4], relayer)
    assert not client_of(federation, clients[4])["member"]


def test_contract_wallets_submit_directly(organization, stranger):
    """What their signer signs is another's update: nobody's who is a member."""
    federation = deploy_federation(organization)
    wallet = deploy("Wallet", stranger, {"from": stranger})
    register(federation, wallet)
    round = open_round(federation)
    with reverts("NothingAccepted", round, 1):
        relay(federation, [sign_update(federation, stranger)], stranger)
    submit(federation, wallet, 1000)
    finalize(federation)
    assert owed(federation, wallet) == GWEI


def test_the_compact_form_is_that_of_erc_2098():
    signature = bytes(range(1, 33)) + (5).to_bytes(32, "big") + b"\x1c"
    assert compact(signature) == (bytes(range(1, 33)), (2**255 + 5).to_bytes(32, "big"))
