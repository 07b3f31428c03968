// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {Selection} from "../../../contracts/libraries/Selection.sol";

/// @title What holds of the selection, for every offset and number of selected: for halmos.
/// @notice For each number of members up to MOST by itself. That i -> (P * i + b) mod n is a permutation for any other
/// n is arithmetic: P is a prime above n. Nothing here chooses by a symbol but the claims themselves, as every choice
/// would double what there is to prove.
contract SelectionSymbolic is Test {
    uint256 private constant MOST = 7;

    /// @notice Of n members exactly k are selected, whatever the offset.
    function check_ExactlyKOfNAreSelected(uint24 b, uint8 k, uint8 members) external pure {
        uint256 n = _among(members);
        vm.assume(k <= n);
        uint256 selected;
        for (uint256 i; i < n; ++i) {
            selected += _asNumber(Selection.includes(i, n, k, b));
        }
        assert(selected == k);
    }

    /// @notice Nobody is drawn in two rounds running of which there is room for both, and everybody in one of two that
    /// have room for all: windows that follow each other tile the members.
    function check_ConsecutiveWindowsTile(uint24 before, uint8 first, uint8 second, uint8 i, uint8 members)
        external
        pure
    {
        uint256 n = _among(members);
        vm.assume(first <= n && second <= n && i < n);
        uint256 b = Selection.offset(before, first, n);
        uint256 turns = _asNumber(Selection.includes(i, n, first, b));
        turns += _asNumber(Selection.includes(i, n, second, Selection.offset(b, second, n)));
        if (uint256(first) + second <= n) assert(turns <= 1);
        else assert(turns >= 1);
    }

    /// @notice k is at least one, at most n and at most the most updates, for any number of members.
    function check_TheCountIsWithinItsBounds(uint16 rate, uint24 n, uint16 maxUpdates) external pure {
        vm.assume(rate != 0 && rate <= 10_000 && n != 0 && maxUpdates != 0);
        uint256 k = Selection.count(rate, n, maxUpdates);
        assert(k >= 1 && k <= n && k <= maxUpdates);
    }

    // ----------------------------------------------------------------------------------------------- refutable

    function refute_EverybodyIsDrawnInTwoRounds(uint24 before, uint8 k, uint8 i) external pure {
        vm.assume(k != 0 && k < 3 && i < 5);
        uint256 b = Selection.offset(before, k, 5);
        uint256 turns = _asNumber(Selection.includes(i, 5, k, b));
        turns += _asNumber(Selection.includes(i, 5, k, Selection.offset(b, k, 5)));
        assert(turns >= 1);
    }

    /// @dev One path for each number of members from 1 to MOST, on which it is no symbol.
    function _among(uint8 members) private pure returns (uint256 n) {
        vm.assume(members >= 1 && members <= MOST);
        for (n = 1; n < MOST; ++n) {
            if (members == n) break;
        }
    }

    function _asNumber(bool yes) private pure returns (uint256 one) {
        assembly ("memory-safe") {
            one := yes
        }
    }
}
