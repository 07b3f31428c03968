"""What a trace of `forge coverage` says nobody ran."""

from __future__ import annotations

from tools.coverage import counted, missed

TRACE = """TN:
SF:contracts/Federation.sol
DA:12,3
DA:14,0
FN:12,Federation.close
FNDA:3,Federation.close
BRDA:12,0,0,2
BRDA:12,0,1,-
LF:2
LH:1
end_of_record
TN:
SF:contracts/Registry.sol
DA:14,1
BRDA:14,3,0,0
end_of_record
"""


def test_every_line_and_branch_that_nothing_ran_is_named() -> None:
    assert list(missed(TRACE)) == [
        "contracts/Federation.sol:14: no test runs this line",
        "contracts/Federation.sol:12: no test takes branch 1 of decision 0",
        "contracts/Registry.sol:14: no test takes branch 0 of decision 3",
    ]


def test_every_file_of_a_trace_counts() -> None:
    assert counted(TRACE) == {"contracts/Federation.sol", "contracts/Registry.sol"}


def test_a_trace_without_gaps_is_without_complaint() -> None:
    assert list(missed("SF:a.sol\nDA:1,1\nBRDA:1,0,0,5\nend_of_record\n")) == []
