// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {Seat, Seats} from "../../../contracts/libraries/Seats.sol";

/// @title What holds of seats, for whatever stands in their slots: for halmos.
/// @notice Members stand at the positions 1 to n, one at each. The steps here are those of an induction: what is true
/// of any two members before somebody comes, goes or moves is true of them after it. Nobody stands for who is no
/// member.
contract SeatsSymbolic is Test {
    using Seats for Seat;

    /// @notice Swap and pop: the leaver's place goes to who stands last. Of any two members who stay, at different
    /// places of n, both stand at different places of n - 1 then.
    function check_SwapAndPopKeepsOneMemberAtEachPlace(
        Seat memory one,
        Seat memory other,
        uint24 left,
        uint24 n,
        uint24 round
    ) external pure {
        vm.assume(one.position != 0 && one.position <= n && other.position != 0 && other.position <= n);
        vm.assume(left != 0 && left <= n);
        vm.assume(one.position != other.position && one.position != left && other.position != left);
        _swap(one, left, n, round);
        _swap(other, left, n, round);
        assert(one.position != other.position);
        assert(one.position != 0 && other.position != 0 && one.position < n && other.position < n);
    }

    /// @notice The live round sees everybody where they stood at its opening, however often they move; so any two are
    /// seen at different places as before, and nobody inherits one.
    function check_TheRoundSeesWhoMovesWhereItStood(Seat memory seat, uint24 first, uint24 second, uint24 round)
        external
        pure
    {
        vm.assume(seat.position != 0 && first != 0 && second != 0);
        uint256 before = seat.positionAtOpening(round);
        seat.moveTo(first, round);
        assert(seat.position == first);
        assert(seat.positionAtOpening(round) == before);
        seat.moveTo(second, round);
        assert(seat.position == second);
        assert(seat.positionAtOpening(round) == before);
    }

    /// @notice The next round sees everybody where they stand by then: its opening gives the positions, one at each
    /// place.
    function check_TheNextRoundSeesWhereEverybodyStands(Seat memory seat, uint24 position, uint24 round) external pure {
        vm.assume(seat.position != 0 && position != 0 && seat.since <= round && round < type(uint24).max);
        assert(seat.positionAtOpening(round + 1) == seat.position);
        seat.moveTo(position, round);
        assert(seat.positionAtOpening(round + 1) == position);
    }

    /// @notice Whoever registers in a round is out of it, also where it takes another place meanwhile.
    function check_WhoRegistersInARoundIsOutOfIt(Seat memory seat, uint24 position, uint24 moved, uint24 round)
        external
        pure
    {
        vm.assume(position != 0 && moved != 0);
        (seat.position, seat.previous, seat.since, seat.last) = (position, 0, round, round);
        assert(seat.positionAtOpening(round) == 0);
        seat.moveTo(moved, round);
        assert(seat.positionAtOpening(round) == 0);
    }

    /// @notice Whoever has left stands nowhere, in no round.
    function check_WhoHasLeftStandsNowhere(Seat memory seat, uint24 round, uint24 any) external pure {
        seat.vacate(round);
        assert(seat.position == 0);
        assert(seat.positionAtOpening(any) == 0);
    }

    /// @notice Moving and leaving touch neither money nor update.
    function check_MovingAndLeavingTouchNeitherMoneyNorUpdate(Seat memory seat, uint24 position, uint24 round)
        external
        pure
    {
        (uint24 last, uint32 computeMs, uint16 mark, uint112 owed) = (seat.last, seat.computeMs, seat.mark, seat.owed);
        seat.moveTo(position, round);
        seat.vacate(round);
        assert(seat.last == last && seat.computeMs == computeMs && seat.mark == mark && seat.owed == owed);
    }

    // ----------------------------------------------------------------------------------------------- refutable

    function refute_TheRoundSeesWhoMovesWhereItStands(Seat memory seat, uint24 position, uint24 round) external pure {
        vm.assume(seat.position != 0 && position != 0);
        seat.moveTo(position, round);
        assert(seat.positionAtOpening(round) == position);
    }

    function refute_SwapAndPopMovesNobody(Seat memory seat, uint24 left, uint24 n, uint24 round) external pure {
        vm.assume(seat.position != 0 && seat.position <= n && left != 0 && left <= n && seat.position != left);
        uint24 before = seat.position;
        _swap(seat, left, n, round);
        assert(seat.position == before);
    }

    /// @dev What a departure from `left` does to another member.
    function _swap(Seat memory seat, uint24 left, uint24 n, uint24 round) private pure {
        if (seat.position == n) seat.moveTo(left, round);
    }
}
