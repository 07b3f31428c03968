"""Receipts of relays: whose they are, and what becomes of them against the lists of the rounds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from processor import jcs
from processor.artifacts.round import RoundFile
from processor.errors import ArtifactError
from processor.protocol.receipts import (
    RECEIPT_LIMIT,
    Receipt,
    Verdict,
    check_receipts,
    judge,
    sign_receipt,
    unkept,
)
from processor.protocol.relaying import Handed, HandedUpdate
from processor.types import Submitted
from tests.unit.protocol.test_relaying import CHAIN, CLIENTS, EVERYTHING, FEDERATION, decline, registration, update
from tests.unit.protocol.views import digest_for, round_view

RELAYS = [Account.from_key(digest_for("relay", number)) for number in range(2)]


def receipt(handed: Handed, relay: int = 0) -> Receipt:
    return sign_receipt(RELAYS[relay], 1_000 * handed.round + 7, handed)


def list_of(round: int, *updates: HandedUpdate, **changes: Any) -> RoundFile:
    view = round_view(round, **changes)
    lines = [Submitted(each.client, each.update or "", each.compute_ms) for each in updates]
    return RoundFile.of(CHAIN, FEDERATION, view.opening, lines, digest_for("record", round))


@pytest.mark.parametrize("handed", EVERYTHING, ids=lambda handed: type(handed).__name__)
def test_a_receipt_is_canonical_json_over_all_that_was_taken_signed_by_the_relay(handed: Handed) -> None:
    given = receipt(handed)
    data = given.encode()
    assert jcs.dumps(json.loads(data)) == data and len(data) < RECEIPT_LIMIT
    assert Receipt.decode(data) == given
    assert given.valid and given.signer() == RELAYS[0].address
    assert given.taken == handed


@pytest.mark.parametrize(
    "change",
    [
        {"taken_at": 1},
        {"relay": RELAYS[1].address},
        {"taken": update(4)},
        {"taken": replace(update(3), compute_ms=9)},
        {"signature": b"\x00" * 65},
        {"signature": b"\x11" * 64},
    ],
)
def test_a_receipt_of_which_anything_was_changed_is_not_valid(change: dict[str, Any]) -> None:
    assert not replace(receipt(update(3)), **change).valid


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"{}", "no receipt"),
        (b"[]", "no receipt"),
        (receipt(update(3)).encode().replace(b'"version":1}', b'"version":3}', 2), "version"),
        (receipt(update(3)).encode() + b" ", "canonical"),
        (receipt(update(3)).encode().replace(b"taken_at", b"taken_on"), "taken_at: is missing"),
        (b"x" * (RECEIPT_LIMIT + 1), "over the limit"),
    ],
)
def test_what_is_no_receipt_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ArtifactError, match=words):
        Receipt.decode(data)


# ------------------------------------------------------------------------------------------------------- in an audit


@pytest.mark.parametrize("round", [3, 4])
def test_a_receipt_whose_update_is_in_the_list_was_kept(round: int) -> None:
    rounds = {round: list_of(round, update(round, 1), update(round, 0))}
    assert judge(receipt(update(round, 0)), rounds, CHAIN, FEDERATION) is Verdict.KEPT


def test_a_receipt_without_an_update_in_the_list_names_its_relay() -> None:
    rounds = {3: list_of(3, update(3, 1)), 4: list_of(4, update(4, 0))}
    assert judge(receipt(update(3, 0)), rounds, CHAIN, FEDERATION) is Verdict.MISSING


def test_another_line_of_the_client_is_no_fault_of_the_relay() -> None:
    own = update(3, 0)
    for other in (replace(own, compute_ms=1), replace(own, update=update(4, 0).update)):
        rounds = {3: list_of(3, other)}
        assert judge(receipt(update(3, 0)), rounds, CHAIN, FEDERATION) is Verdict.REPLACED


def test_a_round_that_a_reorganization_undid_says_nothing() -> None:
    rounds = {3: list_of(3, sealing_key=digest_for("sealing key", 30))}
    assert judge(receipt(update(3, 0)), rounds, CHAIN, FEDERATION) is Verdict.UNDONE


def test_what_no_list_shows_and_what_is_not_known_is_said() -> None:
    rounds = {3: list_of(3)}
    assert judge(receipt(decline(3)), rounds, CHAIN, FEDERATION) is Verdict.NOT_LISTED
    assert judge(receipt(registration(3)), rounds, CHAIN, FEDERATION) is Verdict.NOT_LISTED
    assert judge(receipt(update(5)), rounds, CHAIN, FEDERATION) is Verdict.UNKNOWN
    assert judge(receipt(update(3)), rounds, CHAIN + 1, FEDERATION) is Verdict.ELSEWHERE
    assert judge(receipt(update(3)), rounds, CHAIN, CLIENTS[0].address) is Verdict.ELSEWHERE
    assert judge(replace(receipt(update(3)), taken_at=0), rounds, CHAIN, FEDERATION) is Verdict.INVALID


def test_all_receipts_of_a_folder_are_checked_and_the_relays_named_once(tmp_path: Path) -> None:
    files = {
        "a.json": receipt(update(3, 0), 0).encode(),
        "b.json": receipt(update(3, 1), 1).encode(),
        "c.json": receipt(update(4, 0), 1).encode(),
        "d.json": receipt(update(5, 0), 1).encode(),
        "e.json": b"nothing",
        "f.json": replace(receipt(update(3, 1), 1), taken_at=5).encode(),
        "g.txt": b"not looked at",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    rounds = {3: list_of(3, update(3, 0)), 4: list_of(4, update(4, 2))}
    found = check_receipts(tmp_path, rounds, CHAIN, FEDERATION)
    assert [(each.path.name, each.verdict) for each in found] == [
        ("a.json", Verdict.KEPT),
        ("b.json", Verdict.MISSING),
        ("c.json", Verdict.MISSING),
        ("d.json", Verdict.UNKNOWN),
        ("e.json", Verdict.INVALID),
        ("f.json", Verdict.INVALID),
    ]
    assert unkept(found) == [RELAYS[1].address]
    assert RELAYS[1].address in found[1].words and "withheld" in found[1].words
    assert found[4].receipt is None and "holds no receipt" in found[4].words


def test_every_verdict_has_words(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_bytes(receipt(update(3, 0)).encode())
    lists: list[dict[int, RoundFile]] = [
        {3: list_of(3, update(3, 0))},
        {3: list_of(3)},
        {3: list_of(3, replace(update(3, 0), compute_ms=1))},
        {3: list_of(3, sealing_key=digest_for("sealing key", 30))},
        {},
    ]
    words = [check_receipts(tmp_path, rounds, CHAIN, FEDERATION)[0].words for rounds in lists]
    assert len(set(words)) == len(lists)


def test_a_folder_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="there is no directory"):
        check_receipts(tmp_path / "receipts", {}, CHAIN, FEDERATION)
    assert check_receipts(tmp_path, {}, CHAIN, FEDERATION) == []


@pytest.mark.parametrize("count", [1, 2], ids=["what was taken", "and the receipt itself"])
def test_a_receipt_of_a_newer_version_is_an_open_question(tmp_path: Path, count: int) -> None:
    """Its own version stands behind that of what was taken."""
    data = receipt(update(3, 0)).encode().replace(b'"version":1', b'"version":9', count)
    (tmp_path / "a.json").write_bytes(data)
    [found] = check_receipts(tmp_path, {3: list_of(3)}, CHAIN, FEDERATION)
    assert (found.verdict, found.receipt) == (Verdict.UNKNOWN, None)
    assert "whether a.json was kept is open" in found.words and "update Koinon" in found.words
    assert unkept([found]) == [] and (tmp_path / "a.json").read_bytes() == data
