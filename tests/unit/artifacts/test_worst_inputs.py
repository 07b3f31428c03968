"""What a stranger can send within the limit of a kind costs its reader little, however it is made."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_utils.address import to_checksum_address

from processor import jcs
from processor.artifacts.committed import MAX_UPDATES, AdjustmentFields
from processor.artifacts.plan import PLAN
from processor.artifacts.report import MAX_ABANDONED, REPORT, Report
from processor.artifacts.round import ROUND
from processor.artifacts.versions import Kind
from processor.cid import cid_of
from processor.errors import ArtifactError
from processor.tensors import TensorFile
from processor.tensors.form import HEADER_LIMIT, KEY, METADATA
from tests.memory import FORGETS, fresh_peak, peak
from tests.unit.artifacts import examples

SECONDS, MIB = 1.0, 200
"""Of the processor's time, and of memory above what the program has anyway."""

measured = pytest.mark.skipif(not FORGETS, reason="the peak of memory cannot be forgotten here")

EXAMPLES: dict[Kind[Any], Any] = {PLAN: examples.PLAN, REPORT: examples.REPORT, ROUND: examples.ROUND}


def filled(kind: Kind[Any]) -> Iterator[bytes]:
    """Files at the limits of the kind: an example, with the most of the worst in the place of each of its parts."""
    document = jcs.loads(kind.encode(EXAMPLES[kind]))
    values = (kind.values or kind.limit // 8) - 500
    for number, path in enumerate(_paths(document)):
        for make in (_objects, _named, _wide, *([] if number else [_numbers, _texts])):
            changed = copy.deepcopy(document)
            _put(changed, path, None)
            room = kind.limit - len(_spelled(changed))
            _put(changed, path, make(room, values))
            yield _spelled(changed)
    for sign in ("{},", "0,", "[],"):
        yield ("[" + sign * (kind.limit // len(sign) - 2) + "0]").encode()


def _spelled(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """One path to every list and object, of a list's members the first alone."""
    members = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for name, member in members:
        if isinstance(member, dict | list):
            yield (*path, name)
        yield from _paths(member, (*path, name))


def _put(document: Any, path: tuple[Any, ...], value: Any) -> None:
    for name in path[:-1]:
        document = document[name]
    document[path[-1]] = value


def _objects(room: int, values: int) -> Any:
    return [{}] * min(room // 3, values // 2, 1000)


def _numbers(room: int, values: int) -> Any:
    return [[0] * 900] * min(room // 1802, values // 902)


def _named(room: int, values: int) -> Any:
    return {f"n{number:03}": 0 for number in range(min(room // 9, values, 1000))}


def _wide(room: int, values: int) -> Any:
    inner: dict[str, Any] = {f"n{number:03}": {} for number in range(60)}
    return [inner] * min(room // 700, values // 122)


def _texts(room: int, values: int) -> Any:
    return ["\x01" * ((room - 16) // 6)]


def heads() -> Iterator[bytes]:
    """Headers of files of tensors, at their limits."""
    most = HEADER_LIMIT // 4 - 5000
    entry = '{"dtype":"I64","shape":[%s],"data_offsets":[%d,%d]}'
    small = ",".join(f'"t{number:05x}":' + entry % ("1", 8 * number, 8 * number + 8) for number in range(14_000))
    deep = '"t":' + entry % ("1,1,1,1,1,1,1,1", 0, 8)
    long = '"t":' + entry % (",".join(["1"] * most), 0, 8)
    metadata = ("{}", "[" + "{}," * 4000 + "{}]", "[" + "{}," * 200_000 + "{}]", '{"a":"' + "\x01" * 100_000 + '"}')
    for text in metadata:
        for body in (small, deep, long, '"t":{},"t":{}'):
            head = "{" + f'"{METADATA}":' + json.dumps({KEY: text}, separators=(",", ":")) + "," + body + "}"
            if len(head) <= HEADER_LIMIT - 8:
                yield (head + " " * (-len(head) % 8)).encode()
    yield ("[" + "{}," * (HEADER_LIMIT // 3 - 8) + "{}]").encode()


def cost(read: Callable[[], object]) -> tuple[float, int]:
    """Seconds of the processor's time and MiB of memory at the peak that reading what nobody can want takes."""
    before, started = fresh_peak(), time.thread_time()
    try:
        read()
    except ArtifactError as error:
        assert len(str(error)) < 10_000
    return time.thread_time() - started, peak() - before >> 20


@measured
@pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.name)
def test_whatever_stands_in_an_artifact_its_reader_is_soon_done_and_small(kind: Kind[Any]) -> None:
    kind.build_readers()
    for data in filled(kind):
        assert len(data) <= kind.limit
        seconds, mib = cost(lambda data=data: kind.decode(data))  # type: ignore[misc]
        assert (seconds <= SECONDS, mib <= MIB) == (True, True), (seconds, mib, data[:200], data[-200:])


@measured
def test_whatever_stands_in_a_header_of_tensors_its_reader_is_soon_done_and_small(tmp_path: Path) -> None:
    path = tmp_path / "tensors"
    for head in heads():
        path.write_bytes(len(head).to_bytes(8, "little") + head)
        seconds, mib = cost(lambda: TensorFile(path))
        assert (seconds <= SECONDS, mib <= MIB) == (True, True), (seconds, mib, head[:100], head[-100:])


def largest_report() -> Report:
    """As many lines, adjustments and abandoned rounds as a report may have."""
    finished, line, gone = examples.BEFORE[0], examples.REPORT.updates[1], examples.REPORT.abandoned[0]
    clients = [_address(number) for number in range(1, MAX_UPDATES + 1)]

    def abandoned(first: int) -> Any:
        return tuple(
            replace(gone, round=first + number, list=cid_of(b"%d" % number)) for number in range(MAX_ABANDONED)
        )

    lowered = tuple(AdjustmentFields(client, 2**32 - 2, 10_000) for client in clients)
    before = tuple(
        replace(finished, round=round, adjustments=lowered, abandoned=abandoned(round - MAX_ABANDONED))
        for round in (12_000_000, 11_000_000)
    )
    updates = tuple(
        replace(line, client=client, update=cid_of(client.encode()), claimed_ms=2**32 - 1, credited_ms=2**32 - 1)
        for client in clients
    )
    opening = replace(examples.REPORT.opening, round=13_000_000)
    return replace(examples.REPORT, opening=opening, updates=updates, before=before, abandoned=abandoned(12_000_001))


def _address(number: int) -> str:
    return str(to_checksum_address(number.to_bytes(20, "big")))


def test_the_largest_report_that_an_organization_may_have_to_write_is_read() -> None:
    report = largest_report()
    assert REPORT.decode(REPORT.encode(report)) == report
