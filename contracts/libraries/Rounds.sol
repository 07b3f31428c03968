// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IFederation} from "../interfaces/IFederation.sol";
import {Seat, Seats} from "./Seats.sol";
import {Selection} from "./Selection.sol";

/// @notice What an opening fixes of a round's course: a slot, full to the bit, that the next opening rewrites.
struct Schedule {
    uint40 openedAt;
    uint40 trainingDeadline;
    uint40 aggregationDeadline;
    uint16 selectedCount;
    uint24 memberCount;
    uint24 selectionOffset;
    uint32 maxComputeMs;
    uint16 maxUpdates;
    uint24 round;
}

/// @notice What a round counts while it is live: a slot, full to the bit.
struct Tally {
    bytes20 digest;
    uint16 updateCount;
    uint16 absentCount; // selected, and not awaited: declined, or left without an update
    uint48 claimedMs;
    bool finalized;
    bool booked; // what the round left is part of what was withdrawn
}

/// @notice What a round can pay: a slot.
struct Money {
    uint112 pool;
    uint112 rewardRateCap;
}

/// @notice What a round leaves for ever, the one slot that it creates: what its clients share, and in proportion to what.
struct Result {
    uint112 payable_;
    uint48 creditedMs;
    bytes12 sealingKey;
}

/// @title The life of a round, over what its slots say: its phase, its selection, and what its lists commit to.
library Rounds {
    using Seats for Seat;

    uint256 internal constant MIN_PERIOD = 30 seconds;
    uint256 internal constant MAX_PERIOD = 30 days;
    uint256 internal constant MAX_UPDATES = 1000;

    /// @notice Every phase is half-open: it ends at the first block whose time is its deadline.
    function phase(Schedule memory self, Tally memory tally) internal view returns (IFederation.Phase) {
        if (self.round == 0) return IFederation.Phase.None;
        if (tally.finalized) return IFederation.Phase.Finalized;
        if (block.timestamp >= self.aggregationDeadline) return IFederation.Phase.Abandoned;
        // Both counts are at most MAX_UPDATES.
        if (block.timestamp < self.trainingDeadline && tally.updateCount + tally.absentCount < self.selectedCount) {
            return IFederation.Phase.Training;
        }
        return tally.updateCount == 0 ? IFederation.Phase.Abandoned : IFederation.Phase.Aggregating;
    }

    /// @notice Whether the round was opened and waits for nobody any more: its money is settled.
    function isOver(Schedule memory self, Tally memory tally) internal view returns (bool) {
        IFederation.Phase actual = phase(self, tally);
        return actual == IFederation.Phase.Finalized || actual == IFederation.Phase.Abandoned;
    }

    /// @notice Whether a member takes part: by where it stood at the opening.
    function selects(Schedule memory self, Seat memory seat) internal pure returns (bool) {
        uint256 position = seat.positionAtOpening(self.round);
        return
            position != 0
                && Selection.includes(position - 1, self.memberCount, self.selectedCount, self.selectionOffset);
    }

    /// @notice The most that a client can have computed by now. Block times are whole seconds: the one that has begun
    /// counts.
    function mostMs(Schedule memory self) internal view returns (uint256) {
        return Math.min(self.maxComputeMs, (block.timestamp - self.openedAt + 1) * 1000);
    }

    /// @notice The digest that a round starts from.
    function begin(IFederation.Opening memory opening) internal view returns (bytes20) {
        return bytes20(keccak256(abi.encode(block.chainid, address(this), opening)));
    }

    /// @notice The digest with one more update.
    function chain(bytes20 digest, address client, bytes32 updateCid, uint32 computeMs)
        internal
        pure
        returns (bytes20)
    {
        return bytes20(keccak256(abi.encode(digest, client, updateCid, computeMs)));
    }

    /// @notice The record with one more round; `outcome` is 0 for an abandoned one.
    function chain(bytes32 record, uint24 round, Tally memory tally, bytes32 outcome) internal pure returns (bytes32) {
        return keccak256(abi.encode(record, round, tally.digest, tally.updateCount, tally.claimedMs, outcome));
    }

    /// @notice What a finalization says, in one word.
    function outcomeOf(IFederation.Finalization calldata self, uint48 creditedMs) internal pure returns (bytes32) {
        return keccak256(abi.encode(self.modelCid, self.reportCid, self.secret, creditedMs, self.adjustments));
    }

    function requireValid(IFederation.RoundTerms calldata terms) internal pure {
        if (terms.planCid == 0) revert IFederation.ZeroValue("planCid");
        if (terms.sealingKey == 0) revert IFederation.ZeroValue("sealingKey");
        _requirePeriod(terms.trainingPeriod);
        _requirePeriod(terms.aggregationPeriod);
        if (terms.maxUpdates == 0 || terms.maxUpdates > MAX_UPDATES) {
            revert IFederation.MaxUpdatesOutOfBounds(1, MAX_UPDATES, terms.maxUpdates);
        }
        if (terms.maxComputeMs == 0 || terms.maxComputeMs > MAX_PERIOD * 1000) {
            revert IFederation.ComputeTimeOutOfBounds(1, MAX_PERIOD * 1000, terms.maxComputeMs);
        }
        if (terms.selectionRate == 0 || terms.selectionRate > Selection.BASIS_POINTS) {
            revert IFederation.SelectionRateOutOfBounds(1, Selection.BASIS_POINTS, terms.selectionRate);
        }
        if (terms.rewardRateCap == 0) revert IFederation.ZeroValue("rewardRateCap");
    }

    function _requirePeriod(uint256 period) private pure {
        if (period < MIN_PERIOD || period > MAX_PERIOD) {
            revert IFederation.PeriodOutOfBounds(MIN_PERIOD, MAX_PERIOD, period);
        }
    }
}
