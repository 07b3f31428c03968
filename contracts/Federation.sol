// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

import {IFederation} from "./interfaces/IFederation.sol";
import {Assets} from "./libraries/Assets.sol";
import {Rewards} from "./libraries/Rewards.sol";
import {Round, Rounds, Update} from "./libraries/Rounds.sol";
import {Registry} from "./Registry.sol";

/// @title One organization's federation: rounds, updates and claims.
/// @notice IFederation is its specification.
contract Federation is Registry, Pausable {
    using Assets for address;
    using Rounds for Round;

    uint256 public constant MIN_PERIOD = Rounds.MIN_PERIOD;
    uint256 public constant MAX_PERIOD = Rounds.MAX_PERIOD;
    uint256 public constant MAX_UPDATES = Rounds.MAX_UPDATES;

    /// @inheritdoc IFederation
    uint32 public roundCount;
    /// @inheritdoc IFederation
    bool public closed;
    /// @inheritdoc IFederation
    address public operator;
    Release private _latest;
    /// @dev Without the surplus of the latest round, which is booked once: by the next opening or by `close`.
    uint256 private _carried;
    mapping(uint32 round => Round) private _rounds;

    modifier onlyOrganization() {
        if (msg.sender != owner() && msg.sender != operator) revert NeitherOwnerNorOperator(msg.sender);
        _;
    }

    constructor(address owner, FederationTerms memory terms_) Registry(owner, terms_) {}

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
    function claim(uint32[] calldata rounds, address payable to) external nonReentrant returns (uint256 amount) {
        return _claim(msg.sender, rounds, to);
    }

    /// @inheritdoc IFederation
    function claimFor(address payable client, uint32[] calldata rounds) external nonReentrant returns (uint256 amount) {
        return _claim(client, rounds, client);
    }

    // --------------------------------------------------------------------------------------------- organization

    /// @inheritdoc IFederation
    function setOperator(address operator_) external onlyOwner {
        _setOperator(operator_);
    }

    /// @inheritdoc IFederation
    function pause() external onlyOwner {
        _pause();
    }

    /// @inheritdoc IFederation
    function unpause() external onlyOwner {
        _unpause();
    }

    /// @inheritdoc IFederation
    function setInitialModel(bytes32 modelCid) external onlyOrganization {
        _requireOpen();
        if (roundCount != 0) revert RoundsHaveBegun(roundCount);
        if (modelCid == 0) revert ZeroValue("modelCid");

        _latest.modelCid = modelCid;
        emit InitialModelSet(modelCid);
    }

    /// @inheritdoc IFederation
    function openRound(RoundTerms calldata terms_)
        external
        payable
        onlyOrganization
        whenNotPaused
        nonReentrant
        returns (uint32 round)
    {
        _requireOpen();
        _requireNoLiveRound();
        if (_latest.modelCid == 0) revert NoInitialModel();
        uint256 pool = carried() + terms_.reward;
        _requireFits(pool);

        round = ++roundCount;
        _carried = 0;
        _rounds[round].open(round, terms_, _latest, memberCount(), uint128(pool));
        _emitRoundOpened(round);
        ASSET.pull(terms_.reward);
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
    ) external onlyOrganization {
        Round storage self = _rounds[round];
        self.requirePhase(round, Phase.Aggregating);
        if (updateCount != self.updateCount || claimedMs != self.claimedMs) {
            revert WrongUpdates(self.updateCount, updateCount, self.claimedMs, claimedMs);
        }
        if (modelCid == 0) revert ZeroValue("modelCid");
        if (reportCid == 0) revert ZeroValue("reportCid");
        if ((secret != 0) != (AUDIT_POLICY == AuditPolicy.Open)) revert SecretAgainstPolicy(AUDIT_POLICY);

        self.finalize(_adjust(self, round, adjustments), secret);
        _latest = Release(modelCid, reportCid);
        emit RoundFinalized(round, modelCid, reportCid, secret, claimedMs, self.creditedMs);
    }

    /// @inheritdoc IFederation
    function fund(uint128 amount) external payable nonReentrant {
        _requireOpen();
        if (amount == 0) revert ZeroValue("amount");
        uint256 carried_ = _carried + amount;
        // What the latest round leaves comes on top, at most its pool: no gift makes the next opening impossible.
        _requireFits(carried_ + _rounds[roundCount].pool);

        _carried = carried_;
        emit Funded(msg.sender, amount);
        ASSET.pull(amount);
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
    function withdraw(address payable to) external onlyOwner nonReentrant returns (uint256 amount) {
        if (!closed) revert FederationIsOpen();
        if (to == address(0)) revert ZeroValue("to");

        amount = _carried;
        _carried = 0;
        emit Withdrawn(to, amount);
        ASSET.push(to, amount);
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
        ASSET.push(to, amount);
    }

    /// @dev Returns by how much the credited time of the round falls.
    function _adjust(Round storage self, uint32 round, Adjustment[] calldata adjustments)
        private
        returns (uint256 loweredMs)
    {
        address previous;
        for (uint256 i; i < adjustments.length; ++i) {
            Adjustment calldata adjustment = adjustments[i];
            (address client, uint32 creditedMs, uint16 slashRate) =
                (adjustment.client, adjustment.creditedMs, adjustment.slashRate);
            if (client <= previous) revert AdjustmentsNotAscending(previous, client);

            // MAX_UPDATES times a uint32 fits.
            unchecked {
                loweredMs += self.adjust(round, client, creditedMs, slashRate);
            }
            if (slashRate != 0) _slash(round, client, slashRate);
            previous = client;
        }
    }

    function _setOperator(address operator_) private {
        operator = operator_;
        emit OperatorSet(operator_);
    }

    /// @dev The powers that an owner gave end with its ownership.
    function _transferOwnership(address newOwner) internal override {
        super._transferOwnership(newOwner);
        if (operator != address(0)) _setOperator(address(0));
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

    function _liveUpdate(address client) internal view override returns (bool live, uint32 round) {
        round = roundCount;
        Round storage self = _rounds[round];
        live = self.updates[client].computeMs != 0 && !self.isOver();
    }

    function _requireFits(uint256 amount) private pure {
        if (amount > type(uint128).max) revert AmountTooLarge(type(uint128).max, amount);
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
        (view_.member, view_.index, view_.stake) = _membership(client);
        if (submitted) view_.index = update.index;
        view_.selected = submitted || (view_.member && self.isSelected(view_.index));
        view_.updateCid = update.updateCid;
        view_.samples = update.samples;
        view_.computeMs = update.computeMs;
        view_.creditedMs = update.creditedMs;
        view_.slashRate = update.slashRate;
        if (submitted && self.isOver()) view_.reward = self.reward(update);
        view_.claimed = update.claimed;
    }
}
