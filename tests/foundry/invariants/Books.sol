// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {CommonBase} from "forge-std/Base.sol";

import {IFederation} from "../../../contracts/interfaces/IFederation.sol";

/// @title What a federation's books should say: a model kept from the words of the specification.
/// @notice It is told what happened and never asks the federation anything. Deposits and payments are told as measured
/// on the accounts of those who paid and were paid; everything else follows from the specification's formulas. Where
/// the federation keeps one slot and books late, the model keeps every round and every update, and books at once.
abstract contract Books is CommonBase {
    struct UpdateRecord {
        bytes32 cid;
        /// @dev The most compute time that could be claimed when the update was submitted.
        uint256 boundMs;
        uint256 claimedMs;
        uint256 creditedMs;
        uint256 ordinal;
        bool adjusted;
        uint256 slashRate;
    }

    struct RoundRecord {
        IFederation.Opening opening;
        bool finalized;
        bool settled;
        /// @dev Selected, and not awaited: declined, or left without an update.
        uint256 absent;
        /// @dev How many left with their update in it while it was live.
        uint256 leavers;
        bytes32 modelCid;
        bytes32 reportCid;
        bytes32 secret;
        IFederation.Adjustment[] adjustments;
        /// @dev T' and P(T'), once the round is settled.
        uint256 creditedMs;
        uint256 payable_;
        /// @dev Who submitted, in that order.
        address[] clients;
    }

    uint256 internal constant MULTIPLIER = 2 ** 31 - 1;

    IFederation public federation;
    uint256 public deposits;
    uint256 public paid;
    uint256 public owed;
    uint256 public livePool;
    uint256 public carried;
    uint256 public stakes;
    uint256 public forfeited;
    /// @notice What came without being asked for: coins forced in, tokens given.
    uint256 public gifts;

    uint24 public rounds;
    bool public closed;
    bytes32 public latestModel;
    bytes32 public latestReport;
    address[] internal _members;
    /// @notice The current position plus one; 0 for who is no member.
    mapping(address client => uint256) public positionOf;
    mapping(address client => uint256) public stakeOf;
    mapping(address client => uint256) public owedTo;
    /// @notice What a client has been paid of its rewards, and what wages its credited time is worth.
    mapping(address client => uint256) public receivedBy;
    mapping(address client => uint256) public wagesOf;
    /// @notice No member, with a stake or an update still to be settled by `leave`.
    mapping(address client => bool) public isHeld;
    /// @notice The round of the last update, decline or registration.
    mapping(address client => uint24) public lastOf;
    /// @notice The round, plus one, in which the client's membership last ended, and in which it signed that.
    mapping(address client => uint256) public leftIn;
    mapping(address client => uint256) public leftSignedIn;
    /// @notice Was selected at the opening, and has been a member ever since.
    mapping(uint256 round => mapping(address client => bool)) public isSelected;
    mapping(uint256 round => mapping(address client => bool)) public hasDeclined;
    /// @notice The update is part of its round, but who left after the round took its line along.
    mapping(uint256 round => mapping(address client => bool)) public tookAlong;
    mapping(uint256 round => RoundRecord) internal _rounds;
    mapping(uint256 round => mapping(address client => UpdateRecord)) internal _updates;
    /// @notice By how many turns clients differed at most, between two changes of the membership.
    uint256 public unevenTurns;
    uint256 private _memberships;
    mapping(uint256 membership => mapping(address client => uint256)) private _turns;

    // ------------------------------------------------------------------------------------------------- what is

    function roundRecord(uint256 round) public view returns (RoundRecord memory) {
        return _rounds[round];
    }

    function updateRecord(uint256 round, address client) public view returns (UpdateRecord memory) {
        return _updates[round][client];
    }

    function memberList() public view returns (address[] memory) {
        return _members;
    }

    /// @notice The time of the block. `block.timestamp` is taken for a constant of the call by the optimizer.
    function time() public view returns (uint256) {
        return vm.getBlockTimestamp();
    }

    function phaseNow() public view returns (IFederation.Phase) {
        RoundRecord storage self = _rounds[rounds];
        if (rounds == 0) return IFederation.Phase.None;
        if (self.finalized) return IFederation.Phase.Finalized;
        bool awaited = self.clients.length + self.absent < self.opening.selectedCount;
        if (time() < self.opening.trainingDeadline && awaited) return IFederation.Phase.Training;
        if (time() < self.opening.aggregationDeadline && self.clients.length > 0) return IFederation.Phase.Aggregating;
        return IFederation.Phase.Abandoned;
    }

    function isLive() public view returns (bool) {
        IFederation.Phase phase = phaseNow();
        return phase == IFederation.Phase.Training || phase == IFederation.Phase.Aggregating;
    }

    function hasUpdate(uint256 round, address client) public view returns (bool) {
        return _updates[round][client].claimedMs != 0;
    }

    /// @notice Whether the client's stake may still be slashed: the live round has an update of the client.
    function isLocked(address client) public view returns (bool) {
        return isLive() && hasUpdate(rounds, client);
    }

    /// @notice Whether the latest round waits for the client.
    function isAwaited(address client) public view returns (bool) {
        return phaseNow() == IFederation.Phase.Training && isSelected[rounds][client] && !hasUpdate(rounds, client)
            && !hasDeclined[rounds][client];
    }

    /// @notice T and T': the claimed and the credited total.
    function totals(uint256 round) public view returns (uint256 claimedMs, uint256 creditedMs) {
        RoundRecord storage self = _rounds[round];
        for (uint256 i; i < self.clients.length; ++i) {
            claimedMs += _updates[round][self.clients[i]].claimedMs;
            creditedMs += _updates[round][self.clients[i]].creditedMs;
        }
    }

    /// @notice P(t) = min(pool, cap per second * t), where the cap is in 10^-9 units.
    function earned(uint256 round, uint256 ms) public view returns (uint256) {
        uint256 wages = _rounds[round].opening.rewardRateCap * ms / (1000 * 10 ** 9);
        return wages < _rounds[round].opening.pool ? wages : _rounds[round].opening.pool;
    }

    /// @notice floor(P(T') * credited / T'), of a round that is settled.
    function shareOf(uint256 round, address client) public view returns (uint256) {
        RoundRecord storage self = _rounds[round];
        if (self.creditedMs == 0) return 0;
        return self.payable_ * _updates[round][client].creditedMs / self.creditedMs;
    }

    /// @notice The digest that follows from a round's opening and the list of all that was submitted.
    function digestOf(uint256 round) public view returns (bytes20 digest) {
        if (round == 0) return 0;
        RoundRecord storage self = _rounds[round];
        digest = bytes20(keccak256(abi.encode(block.chainid, address(federation), self.opening)));
        for (uint256 i; i < self.clients.length; ++i) {
            UpdateRecord storage update = _updates[round][self.clients[i]];
            digest = bytes20(keccak256(abi.encode(digest, self.clients[i], update.cid, update.claimedMs)));
        }
    }

    /// @notice The record that follows from all lists and outcomes. An abandoned round is chained by the next opening.
    function recordNow() public view returns (bytes32 record) {
        for (uint256 round = 1; round <= rounds; ++round) {
            RoundRecord storage self = _rounds[round];
            if (round == rounds && !self.finalized) break;
            (uint256 claimedMs, uint256 creditedMs) = totals(round);
            bytes32 outcome;
            if (self.finalized) {
                outcome =
                    keccak256(abi.encode(self.modelCid, self.reportCid, self.secret, creditedMs, self.adjustments));
            }
            record = keccak256(abi.encode(record, round, digestOf(round), self.clients.length, claimedMs, outcome));
        }
    }

    // -------------------------------------------------------------------------------------------- what happened

    function _bookRegistration(address client, uint256 stake, uint256 measured) internal {
        deposits += measured;
        stakes += stake;
        stakeOf[client] = stake;
        if (hasUpdate(rounds, client)) tookAlong[rounds][client] = true;
        (isHeld[client], lastOf[client]) = (false, rounds);
        _members.push(client);
        positionOf[client] = _members.length;
        ++_memberships;
    }

    /// @dev Pays everything, unless the client has an update in the live round.
    function _bookDeparture(address client, bool isSigned, uint256 measured) internal {
        bool locked = isLocked(client);
        if (positionOf[client] != 0) {
            if (isAwaited(client)) ++_rounds[rounds].absent;
            _removeMember(client);
        }
        leftIn[client] = rounds + 1;
        if (isSigned) leftSignedIn[client] = rounds + 1;
        isHeld[client] = locked;
        paid += measured;
        if (locked) ++_rounds[rounds].leavers;
        if (locked) return;
        receivedBy[client] += owedTo[client];
        owed -= owedTo[client];
        stakes -= stakeOf[client];
        (owedTo[client], stakeOf[client], lastOf[client]) = (0, 0, 0);
        if (hasUpdate(rounds, client)) tookAlong[rounds][client] = true;
    }

    function _bookRetirement(address client) internal {
        _removeMember(client);
        isHeld[client] = true;
        leftIn[client] = rounds + 1;
    }

    function _bookFunds(uint256 amount, uint256 measured) internal {
        deposits += measured;
        carried += amount;
    }

    function _bookOpening(IFederation.RoundTerms memory terms, uint256 measured) internal {
        IFederation.Opening memory before = _rounds[rounds].opening;
        RoundRecord storage self = _rounds[++rounds];
        deposits += measured;
        livePool = carried + terms.reward;
        carried = 0;
        uint256 n = _members.length;
        uint256 k = (uint256(terms.selectionRate) * n + 9999) / 10_000;
        if (k > terms.maxUpdates) k = terms.maxUpdates;
        IFederation.Opening memory opening;
        (opening.round, opening.openedAt) = (rounds, uint40(time()));
        opening.trainingDeadline = opening.openedAt + terms.trainingPeriod;
        opening.aggregationDeadline = opening.trainingDeadline + terms.aggregationPeriod;
        (opening.memberCount, opening.selectedCount) = (uint24(n), uint16(k));
        opening.selectionOffset = uint24((before.selectionOffset + k) % n);
        (opening.maxUpdates, opening.maxComputeMs) = (terms.maxUpdates, terms.maxComputeMs);
        (opening.planCid, opening.sealingKey) = (terms.planCid, terms.sealingKey);
        (opening.baseModelCid, opening.baseReportCid) = (latestModel, latestReport);
        (opening.rewardRateCap, opening.pool) = (terms.rewardRateCap, uint112(livePool));
        self.opening = opening;
        _select(k, opening.selectionOffset);
    }

    function _bookUpdate(address client, uint256 boundMs, bytes32 cid, uint256 computeMs) internal {
        UpdateRecord storage update = _updates[rounds][client];
        (update.cid, update.boundMs) = (cid, boundMs);
        (update.claimedMs, update.creditedMs) = (computeMs, computeMs);
        update.ordinal = _rounds[rounds].clients.length;
        _rounds[rounds].clients.push(client);
        lastOf[client] = rounds;
    }

    function _bookDecline(address client) internal {
        ++_rounds[rounds].absent;
        hasDeclined[rounds][client] = true;
        lastOf[client] = rounds;
    }

    function _bookFinalization(IFederation.Finalization memory finalization) internal {
        RoundRecord storage self = _rounds[rounds];
        IFederation.Adjustment[] memory adjustments = finalization.adjustments;
        for (uint256 i; i < adjustments.length; ++i) {
            IFederation.Adjustment memory adjustment = adjustments[i];
            UpdateRecord storage update = _updates[rounds][adjustment.client];
            update.creditedMs = adjustment.creditedMs;
            (update.adjusted, update.slashRate) = (true, adjustment.slashRate);
            uint256 slash = stakeOf[adjustment.client] * adjustment.slashRate / 10_000;
            stakeOf[adjustment.client] -= slash;
            stakes -= slash;
            forfeited += slash;
            self.adjustments.push(adjustment);
        }
        (self.modelCid, self.reportCid) = (finalization.modelCid, finalization.reportCid);
        (latestModel, latestReport) = (finalization.modelCid, finalization.reportCid);
        (self.secret, self.finalized) = (finalization.secret, true);
    }

    /// @dev What a round leaves is settled as soon as it is over, which time alone can bring about.
    function _bookEnd() internal {
        RoundRecord storage self = _rounds[rounds];
        if (rounds == 0 || self.settled || isLive()) return;
        (uint256 claimedMs, uint256 creditedMs) = totals(rounds);
        (self.settled, self.creditedMs, self.payable_) = (true, creditedMs, earned(rounds, creditedMs));
        uint256 shares;
        for (uint256 i; i < self.clients.length; ++i) {
            address client = self.clients[i];
            uint256 share = shareOf(rounds, client);
            shares += share;
            owedTo[client] += share;
            wagesOf[client] += _updates[rounds][client].creditedMs * uint256(self.opening.rewardRateCap)
            / (1000 * 10 ** 9);
        }
        owed += shares;
        carried += self.opening.pool - earned(rounds, claimedMs);
        forfeited += earned(rounds, claimedMs) - shares;
        livePool = 0;
    }

    function _bookClaim(address client, uint256 measured) internal {
        paid += measured;
        owed -= owedTo[client];
        receivedBy[client] += measured;
        owedTo[client] = 0;
    }

    function _bookWithdrawal(uint256 measured) internal {
        paid += measured;
        carried = 0;
    }

    // ----------------------------------------------------------------------------------------------- selection

    /// @dev Members stand where (2^31 - 1) * position + b says; those at 0 to k - 1 are selected.
    function _select(uint256 k, uint256 b) private {
        uint256 n = _members.length;
        (uint256 least, uint256 most) = (type(uint256).max, 0);
        for (uint256 i; i < n; ++i) {
            address client = _members[i];
            if (addmod(mulmod(MULTIPLIER, i, n), b, n) < k) {
                isSelected[rounds][client] = true;
                ++_turns[_memberships][client];
            }
            uint256 turns = _turns[_memberships][client];
            if (turns < least) least = turns;
            if (turns > most) most = turns;
        }
        if (most - least > unevenTurns) unevenTurns = most - least;
    }

    /// @dev The last one moves to the free place.
    function _removeMember(address client) private {
        uint256 index = positionOf[client] - 1;
        address last = _members[_members.length - 1];
        _members[index] = last;
        positionOf[last] = index + 1;
        _members.pop();
        positionOf[client] = 0;
        isSelected[rounds][client] = false;
        ++_memberships;
    }
}
