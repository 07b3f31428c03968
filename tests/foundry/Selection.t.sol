// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {Selection} from "../../contracts/libraries/Selection.sol";
import {Base} from "./Base.sol";

/// @title Which positions take part: exactly as many as the formula says, evenly over the members.
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
        assertEq(Selection.count(10_000, type(uint24).max, 1000), 1000);
    }

    function testFuzz_TheCountIsTheLeastThatIsThePart(uint16 rate, uint24 n, uint16 maxUpdates) public pure {
        rate = uint16(bound(rate, 1, 10_000));
        uint256 whole = Selection.count(rate, n, type(uint256).max);
        assertGe(whole * 10_000, uint256(rate) * n);
        if (whole != 0) assertLt((whole - 1) * 10_000, uint256(rate) * n);
        assertEq(Selection.count(rate, n, maxUpdates), whole < maxUpdates ? whole : maxUpdates);
    }

    function test_TheSelectedFollowFromTheFormula() public pure {
        // 2^31 - 1 leaves 2 modulo 5: the places of the positions 0 to 4 are 1, 3, 0, 2 and 4.
        bool[5] memory expected = [true, false, true, false, false];
        for (uint256 i; i < 5; ++i) {
            assertEq(Selection.includes(i, 5, 2, 1), expected[i]);
        }
        assertFalse(Selection.includes(5, 5, 5, 0), "no member");
        assertFalse(Selection.includes(7, 5, 5, 0), "no member");
        assertFalse(Selection.includes(0, 0, 0, 0), "nobody at all");
    }

    function test_TheOffsetMovesOnByTheNumberOfTheSelected() public pure {
        assertEq(Selection.offset(0, 2, 5), 2);
        assertEq(Selection.offset(2, 2, 5), 4);
        assertEq(Selection.offset(4, 2, 5), 1);
        assertEq(Selection.offset(4, 5, 5), 4, "where all are selected it stays");
        assertEq(Selection.offset(17, 1, 3), 0, "there were more members before");
    }

    function testFuzz_ExactlyAsManyAsCountedAreSelected(uint256 n, uint16 rate, uint16 maxUpdates, uint24 offset)
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

    function testFuzz_EveryPositionHasItsOwnPlace(uint32 n, uint32 first, uint32 second, uint32 offset) public pure {
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

    /// @dev While members and positions stay, whatever k each round has: nobody is drawn again before all others were.
    function testFuzz_NobodyIsDrawnAgainBeforeAllOthersWere(uint256 n, uint256 seed) public pure {
        n = bound(n, 1, 20);
        uint256 offset = seed % n;
        uint256[] memory turns = new uint256[](n);
        for (uint256 round; round < 40; ++round) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 k = 1 + seed % n;
            offset = Selection.offset(offset, k, n);
            for (uint256 i; i < n; ++i) {
                if (Selection.includes(i, n, k, offset)) ++turns[i];
            }
            _assertNearlyEqual(turns);
        }
    }

    /// @dev With k constant too, a turn comes after floor(n / k) or ceil(n / k) rounds.
    function testFuzz_ATurnComesAfterAsManyRoundsAsTheShareSays(uint256 n, uint256 k, uint24 offset) public pure {
        n = bound(n, 1, 20);
        k = bound(k, 1, n);
        uint256[] memory last = new uint256[](n);
        for (uint256 round = 1; round <= 60; ++round) {
            offset = uint24(Selection.offset(offset, k, n));
            for (uint256 i; i < n; ++i) {
                if (!Selection.includes(i, n, k, offset)) continue;
                uint256 waited = round - last[i];
                if (last[i] == 0) assertLe(waited, (n + k - 1) / k, "the first turn");
                else assertTrue(waited == n / k || waited == (n + k - 1) / k, "a turn");
                last[i] = round;
            }
        }
    }

    function _assertNearlyEqual(uint256[] memory turns) private pure {
        (uint256 least, uint256 most) = (turns[0], turns[0]);
        for (uint256 i; i < turns.length; ++i) {
            if (turns[i] < least) least = turns[i];
            if (turns[i] > most) most = turns[i];
        }
        assertLe(most - least, 1);
    }

    function _place(uint256 i, uint256 n, uint256 offset) private pure returns (uint256) {
        return mulmod(2 ** 31 - 1, i, n) + offset < n
            ? mulmod(2 ** 31 - 1, i, n) + offset
            : mulmod(2 ** 31 - 1, i, n) + offset - n;
    }
}

/// @title Whose turn it is, in a federation that goes on for many rounds.
contract TurnsTest is Base {
    function test_TheFirstRoundMovesOnFromZero() public {
        _registerThree();
        _openFor(2);
        assertEq(_view().selectionOffset, 2);
        _abandon();
        _openFor(2);
        assertEq(_view().selectionOffset, 1);
    }

    function test_TheOffsetIsReducedToTheMembersThatThereAre() public {
        _registerMany(7);
        _openFor(5);
        assertEq(_view().selectionOffset, 5);
        _abandon();
        for (uint256 i; i < 4; ++i) {
            _leave(_clientAt(i));
        }
        _openFor(2);
        assertEq(_view().selectionOffset, (5 + 2) % 3);
    }

    function test_NobodyIsDrawnAgainBeforeAllOthersWereWhateverEachRoundSelects() public {
        uint256 n = 9;
        _registerMany(n);
        uint256[] memory turns = new uint256[](n);
        for (uint256 round; round < 40; ++round) {
            _openFor(uint16(1 + (round * 7) % n));
            if (round % 3 == 0) _submitByWhoeverIsSelected(n);
            (uint256 least, uint256 most) = (type(uint256).max, 0);
            for (uint256 i; i < n; ++i) {
                if (_view(_clientAt(i)).selected) ++turns[i];
                if (turns[i] < least) least = turns[i];
                if (turns[i] > most) most = turns[i];
            }
            assertLe(most - least, 1);
            _abandon();
        }
    }

    function test_ATurnComesAfterAsManyRoundsAsTheShareSays() public {
        (uint256 n, uint16 k) = (7, 3);
        _registerMany(n);
        uint256[] memory last = new uint256[](n);
        for (uint256 round = 1; round <= 30; ++round) {
            _openFor(k);
            for (uint256 i; i < n; ++i) {
                if (!_view(_clientAt(i)).selected) continue;
                uint256 waited = round - last[i];
                if (last[i] != 0) assertTrue(waited == 2 || waited == 3);
                else assertLe(waited, 3);
                last[i] = round;
            }
            _abandon();
        }
    }

    /// @dev A pause moves nobody: the offset goes by rounds, not by time or blocks.
    function test_NeitherTimeNorBlocksChangeWhoseTurnItIs() public {
        _registerMany(5);
        _openFor(2);
        _abandon();
        vm.prank(OWNER);
        federation.pause();
        vm.roll(block.number + 12_345);
        skip(90 days);
        vm.prank(OWNER);
        federation.unpause();
        _openFor(2);
        assertEq(_view().selectionOffset, 4);
    }

    function _submitByWhoeverIsSelected(uint256 n) private {
        for (uint256 i; i < n; ++i) {
            if (_view(_clientAt(i)).selected) _submit(_clientAt(i), 500);
        }
    }
}
