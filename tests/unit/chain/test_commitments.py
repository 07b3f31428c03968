"""The digest of a round and the record of all, recomputed: what changes anything in a list changes both."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st
from web3 import Web3

from processor.chain.commitments import (
    ABANDONED,
    NO_RECORD,
    digest_of,
    first_digest,
    next_digest,
    next_record,
    outcome_of,
)
from processor.cid import cid_of
from processor.cid import digest_of as bytes_of
from processor.errors import ArtifactError
from processor.types import Adjustment, Opening, Outcome, Submitted

CHAIN = 31337
FEDERATION = Web3.to_checksum_address("0x" + "fed1" * 10)
ALICE, BOB, CAROL = (Web3.to_checksum_address("0x" + digit * 40) for digit in "abc")
OPENING = Opening(
    round=7,
    opened_at=1_800_000_001,
    training_deadline=1_800_003_602,
    aggregation_deadline=1_800_007_203,
    member_count=40,
    selection_offset=11,
    selected_count=5,
    max_updates=6,
    max_compute_ms=60_000,
    plan=cid_of(b"plan 7"),
    sealing_key=b"\x57" * 32,
    base_model=cid_of(b"model 6"),
    base_report=cid_of(b"report 6"),
    reward_rate_cap=10**25 + 7,
    pool=3 * 10**18 + 7,
)
UPDATES = (
    Submitted(CAROL, cid_of(b"carol's of 7"), 900),
    Submitted(ALICE, cid_of(b"alice's of 7"), 500),
    Submitted(BOB, cid_of(b"bob's of 7"), 700),
)
OUTCOME = Outcome(
    model=cid_of(b"model 7"),
    report=cid_of(b"report 7"),
    secret=b"\x77" * 32,
    credited_ms=1750,
    adjustments=(Adjustment(ALICE, 250, 1000), Adjustment(BOB, 600)),
)


def in_solidity(types: list[str], *values: Any) -> bytes:
    """keccak256(abi.encode(...)), written as the interface's header has it."""
    return bytes(Web3.keccak(encode(types, values)))


def test_a_digest_starts_from_the_opening_and_chains_updates_in_the_order_of_submission() -> None:
    fields = (7, 1_800_000_001, 1_800_003_602, 1_800_007_203, 40, 11, 5, 6, 60_000)
    words = (bytes_of(OPENING.plan), b"\x57" * 32, bytes_of(OPENING.base_model), bytes_of(OPENING.base_report or ""))
    opening = [
        "uint24",
        *["uint40"] * 3,
        *["uint24"] * 2,
        *["uint16"] * 2,
        "uint32",
        *["bytes32"] * 4,
        *["uint112"] * 2,
    ]
    expected = in_solidity(
        ["uint256", "address", f"({','.join(opening)})"],
        CHAIN,
        FEDERATION,
        (*fields, *words, 10**25 + 7, 3 * 10**18 + 7),
    )[:20]
    assert first_digest(CHAIN, FEDERATION, OPENING) == expected
    for line in UPDATES:
        expected = in_solidity(
            ["bytes20", "address", "bytes32", "uint32"], expected, line.client, bytes_of(line.update), line.compute_ms
        )[:20]
    assert digest_of(CHAIN, FEDERATION, OPENING, UPDATES) == expected


def test_a_record_chains_digest_counts_and_outcome() -> None:
    outcome = in_solidity(
        ["bytes32", "bytes32", "bytes32", "uint48", "(address,uint32,uint16)[]"],
        *(bytes_of(OUTCOME.model), bytes_of(OUTCOME.report), OUTCOME.secret, 1750),
        [(ALICE, 250, 1000), (BOB, 600, 0)],
    )
    assert outcome_of(OUTCOME) == outcome
    record, digest = b"\x03" * 32, b"\x04" * 20
    expected = in_solidity(
        ["bytes32", "uint24", "bytes20", "uint16", "uint48", "bytes32"], record, 7, digest, 3, 2100, outcome
    )
    assert next_record(record, 7, digest, 3, 2100, outcome) == expected


def test_these_are_the_values_that_they_always_were() -> None:
    digest = digest_of(CHAIN, FEDERATION, OPENING, UPDATES)
    assert first_digest(CHAIN, FEDERATION, OPENING).hex() == "bbe2ada965843556066caddee0172eae1f488327"
    assert digest.hex() == "bc73842b7d6449918f527239161185ee7e5ee071"
    assert outcome_of(OUTCOME).hex() == "1937a9919a6f31afb2e5291f71e1389cc9c96d3041823bfda7755f13ec50bfd8"
    record = next_record(NO_RECORD, 7, digest, 3, 2100, outcome_of(OUTCOME))
    assert record.hex() == "b979b39ed9bace1c8b2cca35ea8255be3649aba75b6fa4bba1a37121ae3f2978"
    abandoned = next_record(record, 8, digest, 0, 0, ABANDONED)
    assert abandoned.hex() == "5e3ce2c817008d252fcdd8c4fdd0a2267a20f2f1c818fd74a0fff2fcc5b8c901"


def test_an_abandoned_round_has_no_outcome_and_a_first_round_no_report_before_it() -> None:
    assert outcome_of(None) == ABANDONED == bytes(32)
    first = dataclasses.replace(OPENING, base_report=None)
    assert first_digest(CHAIN, FEDERATION, first) != first_digest(CHAIN, FEDERATION, OPENING)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Opening)])
def test_every_field_of_an_opening_is_in_its_digest(field: str) -> None:
    value = getattr(OPENING, field)
    other: Any = value + 1 if isinstance(value, int) else b"\x58" * 32 if isinstance(value, bytes) else cid_of(b"other")
    changed = dataclasses.replace(OPENING, **{field: other})
    assert first_digest(CHAIN, FEDERATION, changed) != first_digest(CHAIN, FEDERATION, OPENING)


def test_another_chain_or_federation_is_another_digest() -> None:
    digests = {first_digest(CHAIN, FEDERATION, OPENING), first_digest(1, FEDERATION, OPENING)}
    assert len(digests | {first_digest(CHAIN, ALICE, OPENING)}) == 3


@given(st.permutations(UPDATES), st.data())
def test_a_list_that_differs_in_anything_has_another_digest(order: list[Submitted], data: st.DataObject) -> None:
    lines = list(order)
    change = data.draw(st.sampled_from(["none", "client", "update", "time", "left out", "twice"]))
    place = data.draw(st.integers(0, len(lines) - 1))
    line = lines[place]
    lines[place : place + 1] = {
        "none": [line],
        "client": [dataclasses.replace(line, client=FEDERATION)],
        "update": [dataclasses.replace(line, update=cid_of(b"another"))],
        "time": [dataclasses.replace(line, compute_ms=line.compute_ms + 1)],
        "left out": [],
        "twice": [line, line],
    }[change]
    same = digest_of(CHAIN, FEDERATION, OPENING, lines) == digest_of(CHAIN, FEDERATION, OPENING, UPDATES)
    assert same == (tuple(lines) == UPDATES)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Outcome)])
def test_every_field_of_an_outcome_is_in_it(field: str) -> None:
    value = getattr(OUTCOME, field)
    other: Any = (
        value + 1
        if isinstance(value, int)
        else b"\x78" * 32
        if isinstance(value, bytes)
        else value[::-1]
        if isinstance(value, tuple)
        else cid_of(b"other")
    )
    assert outcome_of(dataclasses.replace(OUTCOME, **{field: other})) != outcome_of(OUTCOME)


@pytest.mark.parametrize("place", range(6))
def test_everything_of_a_round_is_in_the_record(place: int) -> None:
    values: list[Any] = [b"\x03" * 32, 7, b"\x04" * 20, 3, 2100, b"\x05" * 32]
    before = next_record(*values)
    values[place] = values[place] + 1 if isinstance(values[place], int) else b"\x06" * len(values[place])
    assert next_record(*values) != before


@pytest.mark.parametrize(
    "change",
    [
        {"round": 2**24},
        {"opened_at": -1},
        {"selected_count": 2**16},
        {"pool": 2**112},
        {"sealing_key": b"\x57" * 31},
        {"sealing_key": b"\x57" * 33},
        {"sealing_key": "57" * 32},
        {"plan": "plan"},
        {"plan": None},
        {"base_model": None},
        {"max_compute_ms": "60000"},
    ],
    ids=str,
)
def test_an_opening_that_no_contract_holds_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ArtifactError):
        first_digest(CHAIN, FEDERATION, dataclasses.replace(OPENING, **change))


@pytest.mark.parametrize(
    "line",
    [
        Submitted("0x12", cid_of(b"update"), 1),
        Submitted(ALICE, "update", 1),
        Submitted(ALICE, None, 1),  # type: ignore[arg-type]
        Submitted(ALICE, cid_of(b"update"), 2**32),
        Submitted(ALICE, cid_of(b"update"), -1),
    ],
    ids=str,
)
def test_a_line_that_no_contract_holds_is_refused(line: Submitted) -> None:
    with pytest.raises(ArtifactError):
        next_digest(b"\x04" * 20, line)


def test_a_digest_or_record_that_was_cut_is_refused() -> None:
    with pytest.raises(ArtifactError, match="20 bytes"):
        next_digest(b"\x04" * 19, UPDATES[0])
    with pytest.raises(ArtifactError, match="32 bytes"):
        next_record(b"\x03" * 31, 7, b"\x04" * 20, 3, 2100, ABANDONED)
    with pytest.raises(ArtifactError):
        outcome_of(dataclasses.replace(OUTCOME, adjustments=(Adjustment(ALICE, 2**32),)))
