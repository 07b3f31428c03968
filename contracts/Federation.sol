// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";

import {IFederation} from "./interfaces/IFederation.sol";
import {Rewards} from "./libraries/Rewards.sol";
import {Round, Rounds, Update} from "./libraries/Rounds.sol";
import {Registry} from "./Registry.sol";

/// @title One organization's federation: rounds, updates and claims.
/// @notice IFederation is its specification.
contract Federation is Registry, Ownable2Step {
    using Rounds for Round;

    uint256 public constant MIN_PERIOD = Rounds.MIN_PERIOD;
    uint256 public constant MAX_PERIOD = Rounds.MAX_PERIOD;
    uint256 public constant MAX_UPDATES = Rounds.MAX_UPDATES;

    /// @inheritdoc IFederation
    uint32 public roundCount;
    /// @inheritdoc IFederation
    bool public closed;
    Release private _latest;
    /// @dev Without the surplus of the latest round, which is booked once: by the next opening or by `close`.
    uint256 private _carried;
    mapping(uint32 round => Round) private _rounds;

    constructor(address owner) Ownable(owner) {}

    // -------------------------------------------------------------------------------------------------- clients

    /// @inheritdoc IFederation
    function submitUpdate(uint32 round, bytes32 sealingKey, bytes32 updateCid, uint32 computeMs, uint64 samples)
        external
    {
        Round storage self = _rounds[round];
        self.requirePhase(round, Phase.Training);
        if (sealingKey != self.sealingKey) revert WrongSealingKey(round, self.sealingKey, sealingKey);
        uint32 index = _requireMember(msg.sender);

        self.submit(round, msg.sender, index, updateCid, computeMs, samples);
        emit UpdateSubmitted(round, msg.sender, updateCid, computeMs, samples);
    }

    /// @inheritdoc IFederation
    function claim(uint32[] calldata rounds, address payable to) external returns (uint256 amount) {
        return _claim(msg.sender, rounds, to);
    }

    /// @inheritdoc IFederation
    function claimFor(address payable client, uint32[] calldata rounds) external returns (uint256 amount) {
        return _claim(client, rounds, client);
    }

    // --------------------------------------------------------------------------------------------- organization

    /// @inheritdoc IFederation
    function setInitialModel(bytes32 modelCid) external onlyOwner {
        _requireOpen();
        if (roundCount != 0) revert RoundsHaveBegun(roundCount);
        if (modelCid == 0) revert ZeroValue("modelCid");

        _latest.modelCid = modelCid;
        emit InitialModelSet(modelCid);
    }

    /// @inheritdoc IFederation
    function openRound(RoundTerms calldata terms) external payable onlyOwner returns (uint32 round) {
        _requireOpen();
        _requireNoLiveRound();
        if (_latest.modelCid == 0) revert NoInitialModel();
        if (msg.value != terms.reward) revert WrongAmount(terms.reward, msg.value);
        uint256 pool = carried() + terms.reward;
        if (pool > type(uint128).max) revert AmountTooLarge(type(uint128).max, pool);

        round = ++roundCount;
        _carried = 0;
        _rounds[round].open(round, terms, _latest, memberCount(), uint128(pool));
        _emitRoundOpened(round);
    }

    /// @inheritdoc IFederation
    function finalizeRound(
        uint32 round,
        uint16 updateCount,
        uint48 claimedMs,
        bytes32 modelCid,
        bytes32 reportCid,
        Adjustment[] calldata adjustments,
        bytes32 secret
    ) external onlyOwner {
        Round storage self = _rounds[round];
        self.requirePhase(round, Phase.Aggregating);
        if (updateCount != self.updateCount || claimedMs != self.claimedMs) {
            revert WrongUpdates(self.updateCount, updateCount, self.claimedMs, claimedMs);
        }
        if (modelCid == 0) revert ZeroValue("modelCid");
        if (reportCid == 0) revert ZeroValue("reportCid");

        self.finalize(round, adjustments, secret);
        _latest = Release(modelCid, reportCid);
        emit RoundFinalized(round, modelCid, reportCid, secret, claimedMs, self.creditedMs);
    }

    /// @inheritdoc IFederation
    function fund(uint128 amount) external payable {
        _requireOpen();
        if (amount == 0) revert ZeroValue("amount");
        if (msg.value != amount) revert WrongAmount(amount, msg.value);

        _carried += amount;
        emit Funded(msg.sender, amount);
    }

    /// @inheritdoc IFederation
    function close() external onlyOwner {
        _requireOpen();
        _requireNoLiveRound();

        uint256 amount = carried();
        _carried = amount;
        closed = true;
        emit Closed(amount);
    }

    /// @dev Ownership is handed on, in two steps, never given up.
    function renounceOwnership() public view override onlyOwner {
        revert OwnerIsNeeded();
    }

    /// @inheritdoc IFederation
    function withdraw(address payable to) external onlyOwner returns (uint256 amount) {
        if (!closed) revert FederationIsOpen();
        if (to == address(0)) revert ZeroValue("to");

        amount = _carried;
        _carried = 0;
        emit Withdrawn(to, amount);
        Address.sendValue(to, amount);
    }

    // ----------------------------------------------------------------------------------------------------- views

    /// @inheritdoc IFederation
    function latestRelease() external view returns (Release memory) {
        return _latest;
    }

    /// @inheritdoc IFederation
    function phase(uint32 round) external view returns (Phase) {
        return _rounds[round].phase();
    }

    /// @inheritdoc IFederation
    function isSelected(uint32 round, uint32 index) external view returns (bool) {
        return _rounds[round].isSelected(index);
    }

    /// @inheritdoc IFederation
    function roundView(uint32 round, address client) external view returns (RoundView memory view_) {
        Round storage self = _rounds[round];
        view_.round = round;
        view_.phase = self.phase();
        view_.openedAt = self.openedAt;
        view_.trainingDeadline = self.trainingDeadline;
        view_.aggregationDeadline = self.aggregationDeadline;
        view_.planCid = self.planCid;
        view_.sealingKey = self.sealingKey;
        view_.base = self.base;
        // Every round starts from what the one before released.
        if (self.finalized) view_.released = round == roundCount ? _latest : _rounds[round + 1].base;
        view_.secret = self.secret;
        view_.memberCount = self.memberCount;
        view_.selectionOffset = self.selectionOffset;
        view_.selectedCount = self.selectedCount;
        view_.maxUpdates = self.maxUpdates;
        view_.maxComputeMs = self.maxComputeMs;
        view_.updateCount = self.updateCount;
        view_.claimedMs = self.claimedMs;
        view_.creditedMs = self.creditedMs;
        view_.rewardRateCap = self.rewardRateCap;
        view_.pool = self.pool;
        view_.guaranteedRate = Rewards.guaranteedRate(self.pool, self.rewardRateCap, self.maxUpdates, self.maxComputeMs);
        if (self.isOver()) {
            view_.payable_ = self.payable_();
            view_.surplus = self.surplus();
            view_.forfeited = Rewards.forfeited(self.pool, self.rewardRateCap, self.claimedMs, self.creditedMs);
        }
        view_.client = _clientView(self, client);
    }

    /// @inheritdoc IFederation
    function updates(uint32 round, uint32 from, uint32 limit) external view returns (ClientView[] memory page) {
        Round storage self = _rounds[round];
        uint256 end = _pageEnd(from, limit);
        uint256 count;
        for (uint256 i = from; i < end; ++i) {
            if (_hasUpdate(self, i)) ++count;
        }
        page = new ClientView[](count);
        count = 0;
        for (uint256 i = from; i < end; ++i) {
            if (_hasUpdate(self, i)) page[count++] = _clientView(self, _clientAt(i));
        }
    }

    /// @inheritdoc IFederation
    function carried() public view returns (uint256) {
        Round storage self = _rounds[roundCount];
        return closed || !self.isOver() ? _carried : _carried + self.surplus();
    }

    // -------------------------------------------------------------------------------------------------- internal

    function _claim(address client, uint32[] calldata rounds, address payable to) private returns (uint256 amount) {
        if (to == address(0)) revert ZeroValue("to");

        for (uint256 i; i < rounds.length; ++i) {
            uint32 round = rounds[i];
            Round storage self = _rounds[round];
            self.requireOver(round);
            Update storage update = self.updates[client];
            if (update.computeMs == 0) revert NoUpdate(round, client);
            if (update.claimed) continue;

            uint256 reward = self.reward(update);
            update.claimed = true;
            amount += reward;
            emit RewardClaimed(round, client, to, reward);
        }
        if (amount != 0) Address.sendValue(to, amount);
    }

    function _emitRoundOpened(uint32 round) private {
        Round storage self = _rounds[round];
        emit RoundOpened(
            round,
            self.planCid,
            self.sealingKey,
            self.base.modelCid,
            self.trainingDeadline,
            self.aggregationDeadline,
            self.memberCount,
            self.selectedCount,
            self.selectionOffset,
            self.maxUpdates,
            self.maxComputeMs,
            self.rewardRateCap,
            self.pool
        );
    }

    function _requireOpen() internal view override {
        if (closed) revert FederationIsClosed();
    }

    function _requireNoLiveRound() private view {
        if (roundCount != 0) _rounds[roundCount].requireOver(roundCount);
    }

    /// @dev Whether the update of whoever was given the index was submitted with this very index: a client that left
    /// and registered again appears at both.
    function _hasUpdate(Round storage self, uint256 index) private view returns (bool) {
        Update storage update = self.updates[_clientAt(index)];
        return update.computeMs != 0 && update.index == index;
    }

    function _clientView(Round storage self, address client) private view returns (ClientView memory view_) {
        Update storage update = self.updates[client];
        bool submitted = update.computeMs != 0;
        view_.client = client;
        (view_.member, view_.index) = _membership(client);
        if (submitted) view_.index = update.index;
        view_.selected = submitted || (view_.member && self.isSelected(view_.index));
        view_.updateCid = update.updateCid;
        view_.samples = update.samples;
        view_.computeMs = update.computeMs;
        view_.creditedMs = update.creditedMs;
        if (submitted && self.isOver()) view_.reward = self.reward(update);
        view_.claimed = update.claimed;
    }
}
