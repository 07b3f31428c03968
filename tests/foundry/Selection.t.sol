// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {Selection} from "../../contracts/libraries/Selection.sol";

/// @title Which members take part: exactly as many as the formula says, evenly over the members.
contract SelectionTest is Test {
    function test_TheCountIsThePartRoundedUp() public pure {
        assertEq(Selection.count(1, 1, 1000), 1);
        assertEq(Selection.count(1, 10_000, 1000), 1);
        assertEq(Selection.count(1, 10_001, 1000), 2);
        assertEq(Selection.count(5000, 3, 1000), 2);
        assertEq(Selection.count(5000, 4, 1000), 2);
        assertEq(Selection.count(9999, 1000, 1000), 1000);
        assertEq(Selection.count(10_000, 7, 1000), 7);
        assertEq(Selection.count(10_000, 7, 6), 6);
        assertEq(Selection.count(5000, 0, 1000), 0);
        assertEq(Selection.count(10_000, type(uint32).max, 1000), 1000);
    }

    function testFuzz_TheCountIsTheLeastThatIsThePart(uint16 rate, uint32 n, uint16 maxUpdates) public pure {
        rate = uint16(bound(rate, 1, 10_000));
        uint256 whole = Selection.count(rate, n, type(uint256).max);
        assertGe(whole * 10_000, uint256(rate) * n);
        if (whole != 0) assertLt((whole - 1) * 10_000, uint256(rate) * n);
        assertEq(Selection.count(rate, n, maxUpdates), whole < maxUpdates ? whole : maxUpdates);
    }

    function test_TheSelectedFollowFromTheFormula() public pure {
        // 2^31 - 1 leaves 2 modulo 5: the places of the indices 0 to 4 are 1, 3, 0, 2 and 4.
        bool[5] memory expected = [true, false, true, false, false];
        for (uint256 i; i < 5; ++i) {
            assertEq(Selection.includes(i, 5, 2, 1), expected[i]);
        }
        assertFalse(Selection.includes(5, 5, 5, 0), "no member");
        assertFalse(Selection.includes(7, 5, 5, 0), "no member");
        assertFalse(Selection.includes(0, 0, 0, 0), "nobody at all");
    }

    function testFuzz_ExactlyAsManyAsCountedAreSelected(uint256 n, uint16 rate, uint16 maxUpdates, uint32 offset)
        public
        pure
    {
        n = bound(n, 1, 300);
        uint256 k = Selection.count(bound(rate, 1, 10_000), n, bound(maxUpdates, 1, 1000));
        uint256 selected;
        for (uint256 i; i < n; ++i) {
            if (Selection.includes(i, n, k, offset % n)) ++selected;
        }
        assertEq(selected, k);
    }

    function testFuzz_EveryIndexHasItsOwnPlace(uint32 n, uint32 first, uint32 second, uint32 offset) public pure {
        n = uint32(bound(n, 2, Selection.P - 1));
        first = uint32(bound(first, 0, n - 1));
        second = uint32(bound(second, 0, n - 1));
        vm.assume(first != second);
        assertNotEq(_place(first, n, offset % n), _place(second, n, offset % n));
    }

    function testFuzz_TheSelectedAreThoseAtTheFirstPlaces(uint32 i, uint32 n, uint16 k, uint32 offset) public pure {
        n = uint32(bound(n, 1, Selection.P - 1));
        i = uint32(bound(i, 0, n - 1));
        assertEq(Selection.includes(i, n, k, offset % n), _place(i, n, offset % n) < k);
    }

    function _place(uint256 i, uint256 n, uint256 offset) private pure returns (uint256) {
        return mulmod(2 ** 31 - 1, i, n) + offset < n
            ? mulmod(2 ** 31 - 1, i, n) + offset
            : mulmod(2 ** 31 - 1, i, n) + offset - n;
    }
}
