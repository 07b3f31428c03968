from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.abi import function_abi_to_4byte_selector
from hypothesis import given
from hypothesis import strategies as st
from web3.exceptions import ContractCustomError, ContractLogicError

from processor.chain import contracts
from processor.chain.amounts import format_moment
from processor.chain.reverts import _SENTENCES, decode, explain, revert_of
from processor.types import ZERO_ADDRESS, Admission, AuditPolicy, Phase, Refusal

ALICE = "0x00000000000000000000000000000000000A11cE"
SAMPLES: dict[str, Any] = {"address": ALICE, "bytes32": b"\x5e" * 32, "bytes20": b"\xd1" * 20, "bool": True}

MOMENTS = ("expiry", "deadline", "time")


def sample(entry: dict[str, Any], numbers: int = 4321) -> dict[str, Any]:
    """Arguments for an error of the ABI: members of an enum are its second, other numbers all different."""
    arguments: dict[str, Any] = {}
    for position, item in enumerate(entry["inputs"]):
        number = 1 if item["internalType"].startswith("enum") else numbers + position
        arguments[item["name"]] = SAMPLES.get(item["type"], number)
    return arguments


def revert_data(entry: dict[str, Any], arguments: dict[str, Any]) -> bytes:
    types = [item["type"] for item in entry["inputs"]]
    return function_abi_to_4byte_selector(entry) + encode(types, list(arguments.values()))  # type: ignore[arg-type]


def test_the_errors_with_a_sentence_are_those_of_the_contracts() -> None:
    assert set(_SENTENCES) == set(contracts.errors())


@pytest.mark.parametrize("name", sorted(_SENTENCES))
def test_an_error_travels_from_revert_data_to_a_sentence_with_its_values(name: str) -> None:
    entry = contracts.errors()[name]
    arguments = sample(entry)

    revert = decode(revert_data(entry, arguments))

    assert (revert.name, revert.arguments) == (name, arguments)
    assert str(revert) == explain(name, arguments)
    assert name not in str(revert)
    for item in entry["inputs"]:
        value = arguments[item["name"]]
        if item["type"] == "address":
            assert value in str(revert)
        elif item["name"] in MOMENTS:
            assert format_moment(value) in str(revert)
        elif item["name"] == "field":
            assert value.decode() in str(revert)
        elif not item["internalType"].startswith(("enum", "bool")):
            assert (value.hex() if isinstance(value, bytes) else str(value)) in str(revert)


def test_an_error_says_what_was_given_and_what_is_allowed() -> None:
    sentence = explain("ComputeTimeOutOfBounds", {"minimum": 1, "maximum": 5000, "actual": 9000})
    assert sentence == "the compute time of a round is 9000 ms; 1 to 5000 ms are allowed"


def test_a_phase_is_named_in_words_and_so_is_a_round_that_is_not_the_latest() -> None:
    assert explain("WrongPhase", {"latest": 3, "actual": 4, "named": 3}).startswith("round 3 is abandoned, which does")
    sentence = explain("WrongPhase", {"latest": 4, "actual": 1, "named": 3})
    assert sentence.startswith("round 3 is named, but round 4 is the latest and in Training")
    assert "not open yet" in explain("WrongPhase", {"latest": 0, "actual": 0, "named": 0})


@pytest.mark.parametrize("reason", list(Refusal))
def test_every_reason_to_refuse_an_update_has_words_of_its_own(reason: Refusal) -> None:
    sentences = {kind: explain("UpdateRefused", {"round": 3, "client": ALICE, "reason": int(kind)}) for kind in Refusal}
    assert ALICE in sentences[reason] and "round 3" in sentences[reason]
    assert list(sentences.values()).count(sentences[reason]) == 1


def test_the_reasons_to_refuse_are_those_of_the_contract() -> None:
    source = (Path(__file__).parents[3] / "contracts" / "interfaces" / "IFederation.sol").read_text()
    for kind in (Refusal, Phase, Admission, AuditPolicy):
        (body,) = re.findall(rf"enum {kind.__name__} {{(.*?)}}", source, re.DOTALL)
        names = [name.strip() for name in body.split(",")]
        assert [name.upper() for name in names] == [member.name.replace("_", "") for member in kind]
        assert [member.value for member in kind] == list(range(len(names)))


def test_an_owner_that_nobody_is_offered_to_become_is_called_nobody() -> None:
    sentence = explain("NotThePendingOwner", {"pending": ZERO_ADDRESS, "actual": ALICE})
    assert sentence.endswith("it is offered to nobody")


def test_a_pause_that_is_one_already_is_told_from_one_that_is_none() -> None:
    assert explain("PauseIsAlready", {"paused": True}) == "the federation is paused already"
    assert "is not paused" in explain("PauseIsAlready", {"paused": False})


def test_what_a_federation_demands_is_said_in_its_own_terms() -> None:
    by_voucher = explain("WrongAdmission", {"expected": 1, "actual": 0})
    assert by_voucher == "the federation admits by voucher: register with one that its organization signed"
    assert "admits everybody" in explain("WrongAdmission", {"expected": 0, "actual": 1})
    assert "publishes the round's secret" in explain("SecretAgainstPolicy", {"policy": 0})
    assert "publishes no secret" in explain("SecretAgainstPolicy", {"policy": 1})


@given(st.sampled_from(sorted(_SENTENCES)), st.binary(min_size=32 * 6, max_size=32 * 6))
def test_values_that_no_federation_gives_are_explained_too(name: str, values: bytes) -> None:
    assert str(decode(function_abi_to_4byte_selector(contracts.errors()[name]) + values))  # type: ignore[arg-type]


def test_the_words_of_a_contract_cannot_write_to_the_terminal() -> None:
    data = bytes.fromhex("08c379a0") + encode(["string"], ["\x1b[2J\r\u202epaid" + "!" * 10_000])
    sentence = str(decode(data))
    assert sentence.isprintable() and "paid" in sentence and len(sentence) < 300


@given(st.binary(min_size=32, max_size=32))
def test_the_name_of_a_field_cannot_either(field: bytes) -> None:
    assert explain("ZeroValue", {"field": field}).isprintable()


def test_the_name_of_a_field_is_read_from_its_word() -> None:
    sentence = explain("ZeroValue", {"field": b"modelCid".ljust(32, b"\0")})
    assert sentence == "modelCid is zero; it must be given"


def test_an_error_of_another_contract_keeps_its_name_and_values() -> None:
    assert explain("Paused", {"since": 12}) == "the contract refused with Paused(12)"


@given(st.binary(max_size=200))
def test_any_bytes_are_explained(data: bytes) -> None:
    assert str(decode(data))


def test_a_reason_string_and_a_panic_are_explained() -> None:
    assert "not today" in str(decode(bytes.fromhex("08c379a0") + encode(["string"], ["not today"])))
    assert "0x11" in str(decode(bytes.fromhex("4e487b71") + encode(["uint256"], [0x11])))


@pytest.mark.parametrize(
    "wrapped",
    [lambda text: text, lambda text: f"Reverted {text}", lambda text: {"message": "revert", "data": text}],
    ids=["bare", "behind a word", "in an object"],
)
def test_revert_data_is_found_however_a_node_wraps_it(wrapped: Any) -> None:
    data = "0x" + revert_data(contracts.errors()["NoMembers"], {}).hex()
    assert revert_of(ContractCustomError("execution reverted", data=wrapped(data))).name == "NoMembers"


def test_a_revert_without_data_keeps_the_words_of_the_node() -> None:
    assert "out of gas" in str(revert_of(ContractLogicError("out of gas", data="no data")))
