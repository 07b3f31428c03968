// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IFederation} from "../interfaces/IFederation.sol";
import {Rewards} from "./Rewards.sol";
import {Selection} from "./Selection.sol";

/// @notice One client's update in one round.
struct Update {
    bytes32 updateCid;
    uint32 computeMs; // never 0 for an update that exists
    uint32 creditedMs; // computeMs until an adjustment lowers it
    uint64 samples;
    uint32 index; // the client's member index when it submitted
    uint16 slashRate; // of the client's stake, in basis points
    bool claimed;
}

/// @notice One round. Fields that are written together lie together; the first slot is full to the bit.
struct Round {
    uint40 openedAt;
    uint40 trainingDeadline;
    uint40 aggregationDeadline;
    uint16 updateCount;
    uint16 selectedCount;
    uint48 claimedMs;
    uint48 creditedMs; // claimedMs until adjustments lower it: what an abandoned round settles on
    bool finalized;
    // slot
    uint128 pool;
    uint128 rewardRateCap;
    // slot
    uint32 memberCount;
    uint32 selectionOffset;
    uint32 maxComputeMs;
    uint16 maxUpdates;
    // slots of their own
    bytes32 planCid;
    bytes32 sealingKey;
    IFederation.Release base;
    bytes32 secret;
    mapping(address client => Update) updates;
}

/// @title The life of a round: its phase, derived from storage and the block time, and the three transitions.
library Rounds {
    using Rounds for Round;

    uint256 internal constant MIN_PERIOD = 30 seconds;
    uint256 internal constant MAX_PERIOD = 30 days;
    uint256 internal constant MAX_UPDATES = 1000;

    /// @notice Every phase is half-open: it ends at the first block whose time is its deadline.
    function phase(Round storage self) internal view returns (IFederation.Phase) {
        if (self.openedAt == 0) return IFederation.Phase.None;
        if (self.finalized) return IFederation.Phase.Finalized;
        if (block.timestamp >= self.aggregationDeadline) return IFederation.Phase.Abandoned;
        if (block.timestamp < self.trainingDeadline && self.updateCount < self.selectedCount) {
            return IFederation.Phase.Training;
        }
        return self.updateCount == 0 ? IFederation.Phase.Abandoned : IFederation.Phase.Aggregating;
    }

    /// @notice Whether the round was opened and waits for nobody any more: its money is settled.
    function isOver(Round storage self) internal view returns (bool) {
        return _isOver(self.phase());
    }

    function isSelected(Round storage self, uint256 index) internal view returns (bool) {
        return Selection.includes(index, self.memberCount, self.selectedCount, self.selectionOffset);
    }

    /// @notice P(T'): what the clients of a round that is over share.
    function payable_(Round storage self) internal view returns (uint256) {
        return Rewards.payable_(self.pool, self.rewardRateCap, self.creditedMs);
    }

    /// @notice What carries on from a round that is over.
    function surplus(Round storage self) internal view returns (uint256) {
        return Rewards.surplus(self.pool, self.rewardRateCap, self.claimedMs);
    }

    /// @notice One client's reward in a round that is over.
    function reward(Round storage self, Update storage update) internal view returns (uint256) {
        return Rewards.share(self.payable_(), update.creditedMs, self.creditedMs);
    }

    function requirePhase(Round storage self, uint32 round, IFederation.Phase expected) internal view {
        IFederation.Phase actual = self.phase();
        if (actual != expected) revert IFederation.WrongPhase(round, expected, actual);
    }

    function requireOver(Round storage self, uint32 round) internal view {
        IFederation.Phase actual = self.phase();
        if (!_isOver(actual)) revert IFederation.RoundIsLive(round, actual);
    }

    /// @notice None to Training.
    function open(
        Round storage self,
        uint32 round,
        IFederation.RoundTerms calldata terms,
        IFederation.Release memory base,
        uint32 memberCount,
        uint128 pool
    ) internal {
        _requireValid(terms);
        if (memberCount == 0) revert IFederation.NoMembers();

        uint256 deadline = block.timestamp + terms.trainingPeriod;
        bytes32 entropy = keccak256(abi.encode(blockhash(block.number - 1), round));
        self.openedAt = uint40(block.timestamp);
        self.trainingDeadline = uint40(deadline);
        self.aggregationDeadline = uint40(deadline + terms.aggregationPeriod);
        self.selectedCount = uint16(Selection.count(terms.selectionRate, memberCount, terms.maxUpdates));
        self.pool = pool;
        self.rewardRateCap = terms.rewardRateCap;
        self.memberCount = memberCount;
        self.selectionOffset = uint32(uint256(entropy) % memberCount);
        self.maxComputeMs = terms.maxComputeMs;
        self.maxUpdates = terms.maxUpdates;
        self.planCid = terms.planCid;
        self.sealingKey = terms.sealingKey;
        self.base = base;
    }

    /// @notice Stays in Training, until the last of the selected has submitted.
    function submit(
        Round storage self,
        uint32 round,
        address client,
        uint32 index,
        bytes32 updateCid,
        uint32 computeMs,
        uint64 samples
    ) internal {
        Update storage update = self.updates[client];
        if (update.computeMs != 0) revert IFederation.AlreadySubmitted(round, client);
        if (!self.isSelected(index)) revert IFederation.NotSelected(round, client);
        if (updateCid == 0) revert IFederation.ZeroValue("updateCid");
        if (samples == 0) revert IFederation.ZeroValue("samples");
        // Block times are whole seconds: the second that has begun counts.
        uint256 elapsedMs = (block.timestamp - self.openedAt + 1) * 1000;
        uint256 maximum = Math.min(self.maxComputeMs, elapsedMs);
        if (computeMs == 0 || computeMs > maximum) {
            revert IFederation.ComputeTimeOutOfBounds(1, maximum, computeMs);
        }

        update.updateCid = updateCid;
        update.computeMs = computeMs;
        update.creditedMs = computeMs;
        update.samples = samples;
        update.index = index;
        // MAX_UPDATES times a uint32 fits: written together, the three are one write.
        unchecked {
            ++self.updateCount;
            self.claimedMs += computeMs;
            self.creditedMs += computeMs;
        }
    }

    /// @notice Aggregating to Finalized.
    function finalize(Round storage self, uint256 loweredMs, bytes32 secret) internal {
        self.creditedMs -= uint48(loweredMs);
        self.finalized = true;
        self.secret = secret;
    }

    /// @notice Lowers one update, and returns by how much its credited time falls.
    function adjust(Round storage self, uint32 round, address client, uint32 creditedMs, uint16 slashRate)
        internal
        returns (uint256)
    {
        Update storage update = self.updates[client];
        uint32 claimedMs = update.computeMs;
        if (creditedMs >= claimedMs) {
            if (claimedMs == 0) revert IFederation.NoUpdate(round, client);
            revert IFederation.AdjustmentNotLower(client, claimedMs, creditedMs);
        }

        (update.creditedMs, update.slashRate) = (creditedMs, slashRate);
        emit IFederation.UpdateAdjusted(round, client, creditedMs);
        unchecked {
            return claimedMs - creditedMs;
        }
    }

    function _isOver(IFederation.Phase phase_) private pure returns (bool) {
        return phase_ == IFederation.Phase.Finalized || phase_ == IFederation.Phase.Abandoned;
    }

    function _requireValid(IFederation.RoundTerms calldata terms) private pure {
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
