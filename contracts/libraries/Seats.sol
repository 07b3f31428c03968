// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @notice One slot for each member: created by its registration, rewritten by each of its updates.
struct Seat {
    uint24 position; // index plus one; 0 for who is no member
    uint24 previous; // the position before the round `since`: 0 for who registered in it
    uint24 since; // the round, or the pause after it, in which `position` was taken or given up
    uint24 last; // the round of the last update, decline or registration
    uint32 computeMs; // of the last update: claimed, credited from an adjustment on; 0 without one
    uint16 mark; // ordinal of the update in its round, or ADJUSTED and the slash rate; SETTLED
    uint112 owed; // of all rounds that are booked
}

/// @title How a seat is read: pure functions.
/// @notice A seat without position is one of three: never used (the slot is 0), held (an update or a stake is still to
/// be settled by `leave`), or left (nothing is held; the slot keeps the round, so that signatures of that round are spent).
library Seats {
    /// @dev Nothing of the last round is left to book.
    uint16 internal constant SETTLED = 0x4000;
    /// @dev The update was adjusted: the low bits are its slash rate.
    uint16 internal constant ADJUSTED = 0x8000;
    uint16 internal constant LOW = 0x3fff;
    /// @dev A seat that was left in the round `since`. No ordinal and no rate is that high.
    uint16 internal constant LEFT = 0x7fff;
    /// @dev A seat that was left, and registered again, in the round `last`.
    uint16 internal constant REJOINED = 0x7ffe;

    /// @notice Where the seat stood when the round opened, plus one; 0 for whoever was no member then, or is none now.
    function positionAtOpening(Seat memory self, uint24 round) internal pure returns (uint256) {
        if (self.position == 0) return 0;
        return self.since == round ? self.previous : self.position;
    }

    /// @notice Whether no member's seat still holds a stake or an update.
    function isHeld(Seat memory self) internal pure returns (bool) {
        return self.position == 0 && self.mark != LEFT && (self.last != 0 || self.since != 0);
    }

    function isAdjusted(Seat memory self) internal pure returns (bool) {
        return self.mark & ADJUSTED != 0;
    }

    /// @notice Whether the seat has an update in the round.
    function hasUpdate(Seat memory self, uint24 round) internal pure returns (bool) {
        return round != 0 && self.last == round && (self.computeMs != 0 || isAdjusted(self));
    }

    /// @notice Whether the client has left in the round, so that whatever it signed for it is spent. A member's position
    /// may have been taken later than it registered.
    function isSpent(Seat memory self, uint24 round) internal pure returns (bool) {
        if (self.position != 0) return self.mark == REJOINED && self.last == round;
        return self.since == round && (self.mark == LEFT || isHeld(self));
    }

    /// @notice What the finalization of the last round slashes, in basis points.
    function slashRate(Seat memory self) internal pure returns (uint16) {
        return isAdjusted(self) ? self.mark & LOW : 0;
    }

    /// @notice Takes another position; the round keeps seeing the one at its opening.
    function moveTo(Seat memory self, uint24 position, uint24 round) internal pure {
        if (self.since != round) (self.previous, self.since) = (self.position, round);
        self.position = position;
    }

    /// @notice Gives up the position.
    function vacate(Seat memory self, uint24 round) internal pure {
        (self.position, self.previous, self.since) = (0, 0, round);
    }
}
