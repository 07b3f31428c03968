// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {CommonBase} from "forge-std/Base.sol";

import {IFederation} from "../../../contracts/interfaces/IFederation.sol";

/// @title What a federation's books should say: a model kept from the words of the specification.
/// @notice It is told what happened and never asks the federation anything. Deposits and payments are told as measured
/// on the accounts of those who paid and were paid; everything else follows from the specification's formulas.
abstract contract Books is CommonBase {
    struct UpdateRecord {
        /// @dev The most compute time that could be claimed when the update was submitted.
        uint256 boundMs;
        uint256 claimedMs;
        uint256 creditedMs;
        uint256 slashRate;
        bool claimed;
        /// @dev The sum of what the federation said it paid.
        uint256 received;
    }

    struct RoundRecord {
        uint256 openedAt;
        uint256 trainingDeadline;
        uint256 aggregationDeadline;
        uint256 memberCount;
        uint256 selectedCount;
        uint256 maxComputeMs;
        uint256 rewardRateCap;
        uint256 pool;
        bytes32 sealingKey;
        bool finalized;
        bool settled;
        /// @dev T' and P(T'), once the round is settled.
        uint256 creditedMs;
        uint256 payable_;
        /// @dev Who submitted, in that order.
        address[] clients;
    }

    uint256 public deposits;
    uint256 public paid;
    uint256 public owed;
    uint256 public livePool;
    uint256 public carried;
    uint256 public stakes;
    uint256 public forfeited;
    /// @notice What came without being asked for: coins forced in, tokens given.
    uint256 public gifts;

    uint32 public rounds;
    uint32 public registrations;
    bool public closed;
    mapping(address client => uint256) public stakeOf;
    /// @notice The current index plus one; 0 for who is no member.
    mapping(address client => uint256) public positionOf;
    mapping(uint256 round => RoundRecord) internal _rounds;
    mapping(uint256 round => mapping(address client => UpdateRecord)) internal _updates;

    // ------------------------------------------------------------------------------------------------- what is

    function roundRecord(uint256 round) public view returns (RoundRecord memory) {
        return _rounds[round];
    }

    function updateRecord(uint256 round, address client) public view returns (UpdateRecord memory) {
        return _updates[round][client];
    }

    /// @notice The time of the block. `block.timestamp` is taken for a constant of the call by the optimizer.
    function time() public view returns (uint256) {
        return vm.getBlockTimestamp();
    }

    function phaseOf(uint256 round) public view returns (IFederation.Phase) {
        RoundRecord storage self = _rounds[round];
        if (round == 0 || round > rounds) return IFederation.Phase.None;
        if (self.finalized) return IFederation.Phase.Finalized;
        bool full = self.clients.length == self.selectedCount;
        if (time() < self.trainingDeadline && !full) return IFederation.Phase.Training;
        if (time() < self.aggregationDeadline && self.clients.length > 0) return IFederation.Phase.Aggregating;
        return IFederation.Phase.Abandoned;
    }

    function isLive() public view returns (bool) {
        IFederation.Phase phase = phaseOf(rounds);
        return phase == IFederation.Phase.Training || phase == IFederation.Phase.Aggregating;
    }

    function hasUpdate(uint256 round, address client) public view returns (bool) {
        return _updates[round][client].claimedMs != 0;
    }

    /// @notice Whether the client's stake may still be slashed: the live round has an update of the client.
    function isLocked(address client) public view returns (bool) {
        return isLive() && hasUpdate(rounds, client);
    }

    /// @notice T and T': the claimed and the credited total.
    function totals(uint256 round) public view returns (uint256 claimedMs, uint256 creditedMs) {
        RoundRecord storage self = _rounds[round];
        for (uint256 i; i < self.clients.length; ++i) {
            claimedMs += _updates[round][self.clients[i]].claimedMs;
            creditedMs += _updates[round][self.clients[i]].creditedMs;
        }
    }

    /// @notice P(t) = min(pool, cap per second * t).
    function earned(uint256 round, uint256 ms) public view returns (uint256) {
        uint256 wages = _rounds[round].rewardRateCap * ms / 1000;
        return wages < _rounds[round].pool ? wages : _rounds[round].pool;
    }

    /// @notice floor(P(T') * credited / T'), of a round that is settled.
    function shareOf(uint256 round, address client) public view returns (uint256) {
        RoundRecord storage self = _rounds[round];
        if (self.creditedMs == 0) return 0;
        return self.payable_ * _updates[round][client].creditedMs / self.creditedMs;
    }

    // -------------------------------------------------------------------------------------------- what happened

    function _bookRegistration(address client, uint256 stake, uint256 measured) internal {
        deposits += measured;
        stakes += stake;
        stakeOf[client] = stake;
        positionOf[client] = ++registrations;
    }

    function _bookDeparture(address client, uint256 measured) internal {
        paid += measured;
        positionOf[client] = 0;
        if (isLocked(client)) return;
        stakes -= stakeOf[client];
        stakeOf[client] = 0;
    }

    function _bookFunds(uint256 amount, uint256 measured) internal {
        deposits += measured;
        carried += amount;
    }

    function _bookOpening(IFederation.RoundTerms memory terms, uint256 measured) internal {
        RoundRecord storage self = _rounds[++rounds];
        deposits += measured;
        livePool = carried + terms.reward;
        carried = 0;
        self.openedAt = time();
        self.trainingDeadline = self.openedAt + terms.trainingPeriod;
        self.aggregationDeadline = self.trainingDeadline + terms.aggregationPeriod;
        self.memberCount = registrations;
        uint256 share = (uint256(terms.selectionRate) * registrations + 9999) / 10_000;
        self.selectedCount = share < terms.maxUpdates ? share : terms.maxUpdates;
        self.maxComputeMs = terms.maxComputeMs;
        self.rewardRateCap = terms.rewardRateCap;
        self.pool = livePool;
        self.sealingKey = terms.sealingKey;
    }

    function _bookUpdate(address client, uint256 boundMs, uint256 computeMs) internal {
        _rounds[rounds].clients.push(client);
        UpdateRecord storage update = _updates[rounds][client];
        (update.boundMs, update.claimedMs, update.creditedMs) = (boundMs, computeMs, computeMs);
    }

    function _bookFinalization(IFederation.Adjustment[] memory adjustments) internal {
        for (uint256 i; i < adjustments.length; ++i) {
            IFederation.Adjustment memory adjustment = adjustments[i];
            UpdateRecord storage update = _updates[rounds][adjustment.client];
            (update.creditedMs, update.slashRate) = (adjustment.creditedMs, adjustment.slashRate);
            uint256 slash = stakeOf[adjustment.client] * adjustment.slashRate / 10_000;
            stakeOf[adjustment.client] -= slash;
            stakes -= slash;
            forfeited += slash;
        }
        _rounds[rounds].finalized = true;
    }

    /// @dev What a round leaves is settled as soon as it is over, which time alone can bring about.
    function _bookEnd() internal {
        RoundRecord storage self = _rounds[rounds];
        if (rounds == 0 || self.settled || isLive()) return;
        (uint256 claimedMs, uint256 creditedMs) = totals(rounds);
        (self.settled, self.creditedMs, self.payable_) = (true, creditedMs, earned(rounds, creditedMs));
        uint256 shares;
        for (uint256 i; i < self.clients.length; ++i) {
            shares += shareOf(rounds, self.clients[i]);
        }
        owed += shares;
        carried += self.pool - earned(rounds, claimedMs);
        forfeited += earned(rounds, claimedMs) - shares;
        livePool = 0;
    }

    /// @dev A round that occurs twice is paid once.
    function _bookClaim(address client, uint32[] memory claimed, uint256 measured) internal {
        paid += measured;
        for (uint256 i; i < claimed.length; ++i) {
            UpdateRecord storage update = _updates[claimed[i]][client];
            if (!update.claimed) owed -= shareOf(claimed[i], client);
            update.claimed = true;
        }
    }

    function _bookWithdrawal(uint256 measured) internal {
        paid += measured;
        carried = 0;
    }
}
