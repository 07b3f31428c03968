"""Transactions are written down before they are sent, and followed until they are final."""

from __future__ import annotations

import pytest

from processor.errors import JournalError
from processor.journal import CANCELLED, DROPPED, FAILED, MINED, UNKNOWN, Broadcast, Intent, Journal
from tests.unit.journal.examples import SECRET, broadcast


def test_a_transaction_has_no_status_until_its_fate_is_known(journal: Journal) -> None:
    register = journal.record_intent("register", None, 0, broadcast("0xaa"))
    submit = journal.record_intent("submit", 3, 1, broadcast("0xbb"))
    journal.settle_intent(register, MINED, "0xaa", 17, "0x17")
    mined = Intent(register.id, "register", None, 0, MINED, "0xaa", 17, "0x17", final=False)
    assert journal.intents() == [mined, submit]
    assert (submit.status, journal.open_intents()) == (None, [submit])
    assert journal.unsettled_intents() == [mined, submit]


def test_a_transaction_is_followed_until_it_is_final_and_its_bytes_are_kept_as_long(journal: Journal) -> None:
    intent = journal.record_intent("submit", 3, 1, broadcast("0xbb"))
    journal.settle_intent(intent, MINED, "0xbb", 18, "0x18")
    assert [form.encrypted for form in journal.broadcasts(intent)] == [b"signed"]
    journal.finish_intent(intent)
    assert (journal.unsettled_intents(), [form.encrypted for form in journal.broadcasts(intent)]) == ([], [b""])
    journal.doubt_intents(above=18)
    assert journal.unsettled_intents() == []
    journal.doubt_intents(above=17)
    assert [each.id for each in journal.unsettled_intents()] == [intent.id]


def test_a_transaction_whose_block_vanished_is_open_again(journal: Journal) -> None:
    intent = journal.record_intent("submit", 3, 1, broadcast("0xbb"))
    journal.settle_intent(intent, MINED, "0xbb", 18, "0x18")
    journal.reopen_intent(intent, now=1_800_000_000)
    assert journal.open_intents() == [intent]
    assert [form.sent_at for form in journal.broadcasts(intent)] == [1_800_000_000]


def test_a_transaction_that_was_dropped_is_watched_for_a_while_and_holds_nobody_up(journal: Journal) -> None:
    intent = journal.record_intent("submit", 3, 1, broadcast("0xbb"))
    journal.settle_intent(intent, DROPPED, block=17)
    assert journal.open_intents() == []
    assert [each.status for each in journal.unsettled_intents()] == [DROPPED]
    journal.finish_intent(intent)
    assert journal.unsettled_intents() == []


def test_the_forms_of_a_transaction_are_kept_latest_first(journal: Journal) -> None:
    intent = journal.record_intent("submit", 3, 1, broadcast("0xbb"))
    journal.record_replacement(intent, broadcast("0xcc", max_fee=20))
    journal.record_replacement(intent, broadcast("0xdd", max_fee=30, cancels=True))
    forms = journal.broadcasts(intent)
    assert [(form.tx_hash, form.max_fee, form.cancels) for form in forms] == [
        ("0xdd", 30, True),
        ("0xcc", 20, False),
        ("0xbb", 10, False),
    ]


def test_signed_bytes_are_in_no_repr() -> None:
    assert "signed" not in repr(broadcast("0xaa"))
    assert "encrypted" not in repr(SECRET)


def test_what_cannot_be_written_whole_is_not_written_at_all(journal: Journal) -> None:
    journal._database.execute("DROP TABLE broadcasts")
    with pytest.raises(JournalError):
        journal.record_intent("submit", 3, 1, broadcast("0xbb"))
    assert journal.intents() == []


def test_the_very_same_transaction_takes_up_where_it_was_given_up(journal: Journal) -> None:
    refused = journal.record_intent("submit", 3, 1, broadcast("0xbb"))
    journal.record_replacement(refused, broadcast("0xcc", cancels=True))
    journal.settle_intent(refused, DROPPED, block=17)
    journal.finish_intent(refused)
    again = journal.record_intent("submit", 3, 1, broadcast("0xbb"))
    assert (again.id, again.status, journal.open_intents()) == (refused.id, None, [again])
    latest, cancellation = journal.broadcasts(again)
    assert (latest.tx_hash, latest.encrypted, latest.cancels) == ("0xbb", b"signed", False)
    assert (cancellation.tx_hash, cancellation.encrypted) == ("0xcc", b"")


def test_the_very_same_replacement_is_written_down_once(journal: Journal) -> None:
    intent = journal.record_intent("submit", 3, 1, broadcast("0xbb"))
    for _ in range(2):
        journal.record_replacement(intent, broadcast("0xcc"))
    assert [form.tx_hash for form in journal.broadcasts(intent)] == ["0xcc", "0xbb"]


def sent(hash: str, at: int, gas_limit: int | None = 90) -> Broadcast:
    return Broadcast(hash, 10, 1, False, at, b"signed", gas_limit)


def test_gas_is_counted_of_what_was_sent_since_a_time_and_of_what_may_still_take_it(journal: Journal) -> None:
    for number, (status, gas) in enumerate([(MINED, 50), (FAILED, 40), (CANCELLED, 21), (DROPPED, None)]):
        intent = journal.record_intent("submit", 3, number, sent(f"0x{number}", at=1000 + number))
        journal.settle_intent(intent, status, f"0x{number}", 18, "0x18", gas)
    assert [journal.gas_spent(since) for since in (0, 1000, 1001, 1002, 1003, 9000)] == [111, 111, 61, 21, 0, 0]
    unknown = journal.record_intent("submit", 3, 4, sent("0x4", at=1004))
    journal.settle_intent(unknown, UNKNOWN, block=18)
    assert (journal.gas_spent(1004), journal.gas_spent(9000)) == (90, 0)
    waits = journal.record_intent("submit", 3, 5, sent("0x5", at=1005))
    journal.record_replacement(waits, sent("0x6", at=1006, gas_limit=21))
    assert journal.gas_spent(9000) == 90, "what is on its way counts, however long"
    journal.settle_intent(waits, CANCELLED, "0x6", 19, "0x19", 21)
    assert (journal.gas_spent(1006), journal.gas_spent(1007)) == (21, 0)


def test_of_a_journal_of_before_no_gas_is_known(journal: Journal) -> None:
    journal.record_intent("submit", 3, 1, sent("0xbb", at=1000, gas_limit=None))
    assert journal.gas_spent(0) == 0


def test_what_a_transaction_may_offer_at_most_is_kept_with_it(journal: Journal) -> None:
    intent = journal.record_intent("claimed", 3, 1, sent("0xbb", at=1000), most_fee=17)
    journal.settle_intent(intent, MINED, "0xbb", 18, "0x18", 50)
    assert [(each.most_fee, each.gas) for each in journal.intents()] == [(17, 50)]
    journal.reopen_intent(intent, now=2000)
    assert [(each.most_fee, each.gas) for each in journal.intents()] == [(17, None)]


def test_the_highest_nonce_and_block_that_were_seen_are_those_of_transactions_in_blocks(journal: Journal) -> None:
    assert journal.mined_up_to() is None
    for nonce, status, block in ((0, MINED, 17), (1, FAILED, 19), (2, DROPPED, 20), (3, UNKNOWN, 21)):
        intent = journal.record_intent("submit", 3, nonce, sent(f"0x{nonce}", at=1000))
        journal.settle_intent(intent, status, f"0x{nonce}", block, f"0x{block}")
    assert journal.mined_up_to() == (1, 19)
    found = [journal.mined_under(nonce) for nonce in range(5)]
    assert [each and each.tx_hash for each in found] == ["0x0", "0x1", None, None, None]
