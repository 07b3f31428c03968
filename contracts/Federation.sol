// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import {IFederation} from "./interfaces/IFederation.sol";
import {Assets} from "./libraries/Assets.sol";
import {Rewards} from "./libraries/Rewards.sol";
import {Money, Result, Rounds, Schedule, Tally} from "./libraries/Rounds.sol";
import {Seat, Seats} from "./libraries/Seats.sol";
import {Selection} from "./libraries/Selection.sol";
import {Terms} from "./libraries/Terms.sol";
import {Registry} from "./Registry.sol";

/// @title One organization's federation: rounds and updates.
/// @notice IFederation is its specification. This code is shared: a federation is a clone with its terms in its own code.
contract Federation is Registry {
    using Assets for address;
    using Rounds for Schedule;
    using Seats for Seat;

    uint256 public constant MIN_PERIOD = Rounds.MIN_PERIOD;
    uint256 public constant MAX_PERIOD = Rounds.MAX_PERIOD;
    uint256 public constant MAX_UPDATES = Rounds.MAX_UPDATES;

    bytes32 private constant UPDATE_TYPEHASH =
        keccak256("Update(uint24 round,bytes32 sealingKey,bytes32 updateCid,uint32 computeMs)");

    /// @inheritdoc IFederation
    bytes32 public record;
    bytes32 private _planCid;
    bytes32 private _sealingKey;
    Release private _latest;
    /// @inheritdoc IFederation
    bytes32 public secret;
    /// @dev Without the surplus of the latest round, which the next opening or a withdrawal books.
    uint256 private _carried;

    // -------------------------------------------------------------------------------------------------- clients

    /// @inheritdoc IFederation
    function submitUpdate(uint24 round, bytes32 sealingKey, bytes32 updateCid, uint32 computeMs)
        external
        onlyFederation
    {
        (Schedule memory schedule, Tally memory tally) = _requireTraining(round, sealingKey);
        if (updateCid == 0) revert UpdateRefused(round, msg.sender, Refusal.ZeroCid);
        _requireAccepted(round, _submit(schedule, tally, msg.sender, updateCid, computeMs));
        _setTally(tally);
    }

    /// @inheritdoc IFederation
    function decline(uint24 round, bytes32 sealingKey) external onlyFederation {
        (Schedule memory schedule, Tally memory tally) = _requireTraining(round, sealingKey);
        _requireAccepted(round, _submit(schedule, tally, msg.sender, 0, 0));
        _setTally(tally);
    }

    /// @inheritdoc IFederation
    function submitUpdates(uint24 round, bytes32 sealingKey, SignedUpdate[] calldata signed)
        external
        onlyFederation
        returns (uint256 accepted)
    {
        (Schedule memory schedule, Tally memory tally) = _requireTraining(round, sealingKey);
        bytes32 domain = _domainSeparator();
        for (uint256 i; i < signed.length; ++i) {
            SignedUpdate calldata one = signed[i];
            bytes32 hash = keccak256(abi.encode(UPDATE_TYPEHASH, round, sealingKey, one.updateCid, one.computeMs));
            (address client,,) = ECDSA.tryRecover(MessageHashUtils.toTypedDataHash(domain, hash), one.r, one.vs);
            if (_submit(schedule, tally, client, one.updateCid, one.computeMs) == Refusal.None) ++accepted;
        }
        if (accepted == 0) revert NothingAccepted(round, signed.length);
        _setTally(tally);
    }

    /// @inheritdoc IFederation
    function post(bytes32 topic, bytes32 cid) external onlyFederation {
        if (_seatOf(msg.sender).position == 0 && !_isOrganization(msg.sender)) {
            revert NeitherMemberNorOrganization(msg.sender);
        }
        emit Posted(_schedule.round, msg.sender, topic, cid);
    }

    // --------------------------------------------------------------------------------------------- organization

    /// @inheritdoc IFederation
    function setInitialModel(bytes32 modelCid) external onlyOrganization {
        _requireOpen();
        if (_schedule.round != 0) revert RoundsHaveBegun(_schedule.round);
        if (modelCid == 0) revert ZeroValue("modelCid");

        _latest.modelCid = modelCid;
        emit InitialModelSet(modelCid);
    }

    /// @inheritdoc IFederation
    function openRound(RoundTerms calldata terms_, bytes20 previousDigest)
        external
        payable
        onlyOrganization
        nonReentrant
        returns (uint24 round)
    {
        (Schedule memory before, Tally memory tally) = _latestRound();
        Release memory base = _latest;
        _requireOpen();
        if (_header.paused) revert FederationIsPaused();
        if (before.round != 0) _requireOver(before, tally);
        if (previousDigest != tally.digest) revert WrongDigest(before.round, tally.digest, previousDigest);
        if (base.modelCid == 0) revert NoInitialModel();
        Rounds.requireValid(terms_);
        if (terms_.sealingKey == _sealingKey) revert SealingKeyUsed(terms_.sealingKey);
        uint256 pool = carried() + terms_.reward;
        _requireFits(pool);
        Opening memory opening = _opening(terms_, before, base, uint112(pool));

        if (before.round != 0 && !tally.finalized) _recordAbandoned(before.round, tally);
        if (_carried != 0) _carried = 0;
        if (_header.leavers != 0) _header.leavers = 0;
        round = opening.round;
        bytes20 digest = Rounds.begin(opening);
        _store(opening);
        _setTally(Tally(digest, 0, 0, 0, false, false));
        emit RoundOpened(round, digest, record, opening);
        Terms.own().asset.pull(terms_.reward);
    }

    /// @inheritdoc IFederation
    function finalizeRound(Finalization calldata self) external onlyOrganization {
        FederationTerms memory w = Terms.own();
        (Schedule memory schedule, Tally memory tally) = _latestRound();
        _requirePhase(schedule, tally, Phase.Aggregating, self.round);
        if (self.digest != tally.digest) revert WrongDigest(self.round, tally.digest, self.digest);
        if (self.modelCid == 0) revert ZeroValue("modelCid");
        if (self.reportCid == 0) revert ZeroValue("reportCid");
        if ((self.secret != 0) != (w.auditPolicy == AuditPolicy.Open)) revert SecretAgainstPolicy(w.auditPolicy);

        uint48 creditedMs = tally.claimedMs - _adjust(self.round, w.maxSlashRate, self.adjustments);
        Money memory money = _money;
        uint256 amount = Rewards.payable_(money.pool, money.rewardRateCap, creditedMs);
        results[self.round] = Result(uint112(amount), creditedMs, bytes12(_sealingKey));
        tally.finalized = true;
        _setTally(tally);
        _latest = Release(self.modelCid, self.reportCid);
        if (self.secret != 0) secret = self.secret;
        bytes32 record_ = Rounds.chain(record, self.round, tally, Rounds.outcomeOf(self, creditedMs));
        record = record_;
        if (self.adjustments.length != 0) emit UpdatesAdjusted(self.round, self.adjustments);
        emit RoundFinalized(
            self.round, record_, self.modelCid, self.reportCid, self.secret, tally.claimedMs, creditedMs
        );
    }

    /// @inheritdoc IFederation
    function fund(uint112 amount) external payable onlyFederation nonReentrant {
        _requireOpen();
        if (amount == 0) revert ZeroValue("amount");
        // What the live round leaves comes on top, at most its pool: no gift makes the next opening impossible.
        (Schedule memory schedule, Tally memory tally) = _latestRound();
        _requireFits(carried() + amount + (schedule.isOver(tally) ? 0 : _money.pool));

        _carried += amount;
        emit Funded(msg.sender, amount);
        Terms.own().asset.pull(amount);
    }

    /// @inheritdoc IFederation
    function close() external onlyOwner {
        _requireOpen();

        _header.closed = true;
        emit Closed();
    }

    /// @inheritdoc IFederation
    function withdraw(address payable to) external onlyOwner nonReentrant returns (uint256 amount) {
        if (!_header.closed) revert FederationIsOpen();
        if (to == address(0)) revert ZeroValue("to");
        (Schedule memory schedule, Tally memory tally) = _latestRound();

        amount = carried();
        _carried = 0;
        if (schedule.isOver(tally) && !tally.booked) _tally.booked = true;
        emit Withdrawn(to, amount);
        Terms.own().asset.push(to, amount);
    }

    // ----------------------------------------------------------------------------------------------------- views

    /// @inheritdoc IFederation
    function roundCount() external view returns (uint24) {
        return _schedule.round;
    }

    /// @inheritdoc IFederation
    function latestRelease() external view returns (Release memory) {
        return _latest;
    }

    /// @inheritdoc IFederation
    function phase() external view returns (Phase) {
        (Schedule memory schedule, Tally memory tally) = _latestRound();
        return schedule.phase(tally);
    }

    /// @inheritdoc IFederation
    function carried() public view returns (uint256) {
        (Schedule memory schedule, Tally memory tally) = _latestRound();
        if (tally.booked || !schedule.isOver(tally)) return _carried;
        return _carried + Rewards.surplus(_money.pool, _money.rewardRateCap, tally.claimedMs);
    }

    /// @inheritdoc IFederation
    function roundView(address client) external view returns (RoundView memory view_) {
        (Schedule memory schedule, Tally memory tally) = _latestRound();
        Money memory money = _money;
        view_.round = schedule.round;
        view_.phase = schedule.phase(tally);
        view_.openedAt = schedule.openedAt;
        view_.trainingDeadline = schedule.trainingDeadline;
        view_.aggregationDeadline = schedule.aggregationDeadline;
        view_.planCid = _planCid;
        view_.sealingKey = _sealingKey;
        view_.memberCount = schedule.memberCount;
        view_.selectionOffset = schedule.selectionOffset;
        view_.selectedCount = schedule.selectedCount;
        view_.maxUpdates = schedule.maxUpdates;
        view_.maxComputeMs = schedule.maxComputeMs;
        view_.digest = tally.digest;
        view_.updateCount = tally.updateCount;
        view_.absentCount = tally.absentCount;
        view_.claimedMs = tally.claimedMs;
        view_.creditedMs = tally.claimedMs;
        view_.rewardRateCap = money.rewardRateCap;
        view_.pool = money.pool;
        view_.guaranteedRate =
            Rewards.guaranteedRate(money.pool, money.rewardRateCap, schedule.selectedCount, schedule.maxComputeMs);
        if (!tally.finalized) {
            if (schedule.round != 0) view_.base = _latest;
        } else {
            view_.released = _latest;
            if (Terms.own().auditPolicy == AuditPolicy.Open) view_.secret = secret;
            view_.creditedMs = results[schedule.round].creditedMs;
        }
        if (schedule.isOver(tally)) {
            view_.payable_ = Rewards.payable_(money.pool, money.rewardRateCap, view_.creditedMs);
            view_.surplus = Rewards.surplus(money.pool, money.rewardRateCap, tally.claimedMs);
            view_.forfeited = Rewards.forfeited(money.pool, money.rewardRateCap, tally.claimedMs, view_.creditedMs);
        }
        view_.client = _clientView(schedule, client);
    }

    /// @inheritdoc IFederation
    function updates(uint256 from, uint256 limit) external view returns (UpdateView[] memory page) {
        uint24 round = _schedule.round;
        uint256 end = _pageEnd(from, limit, seatCount());
        uint256 count;
        for (uint256 i = from; i < end; ++i) {
            if (_seatOf(_clients[i]).hasUpdate(round)) ++count;
        }
        page = new UpdateView[](count);
        count = 0;
        for (uint256 i = from; i < end; ++i) {
            address client = _clients[i];
            Seat memory seat = _seatOf(client);
            if (!seat.hasUpdate(round)) continue;
            page[count++] = UpdateView(
                client, _cids[client], seat.computeMs, seat.mark & Seats.LOW, seat.isAdjusted(), seat.slashRate()
            );
        }
    }

    /// @inheritdoc IFederation
    function seatCount() public view returns (uint256) {
        return uint256(_header.memberCount) + _header.leavers;
    }

    // -------------------------------------------------------------------------------------------------- internal

    /// @dev Takes an update, or a decline where CID and time are 0, or says why not. Counts in memory; books what the
    /// client's round before left.
    function _submit(Schedule memory schedule, Tally memory tally, address client, bytes32 updateCid, uint32 computeMs)
        private
        returns (Refusal)
    {
        Seat memory seat = _seatOf(client);
        bool declined = updateCid == 0 && computeMs == 0;
        if (!schedule.selects(seat)) return Refusal.NotSelected;
        if (seat.last == schedule.round) return Refusal.AlreadySubmitted;
        if (!declined && updateCid == 0) return Refusal.ZeroCid;
        if (!declined && (computeMs == 0 || computeMs > schedule.mostMs())) return Refusal.ComputeTime;
        (uint256 reward, uint256 slash) = _pending(schedule, tally, client, seat);
        uint256 owed = seat.owed + reward;
        if (owed > type(uint112).max) return Refusal.ClaimFirst;

        if (slash != 0) _slash(client, seat.last, slash);
        (seat.owed, seat.last, seat.computeMs) = (uint112(owed), schedule.round, computeMs);
        seat.mark = declined ? Seats.SETTLED : tally.updateCount;
        _setSeat(client, seat);
        if (declined) {
            ++tally.absentCount;
            emit Declined(schedule.round, client);
            return Refusal.None;
        }
        _cids[client] = updateCid;
        tally.digest = Rounds.chain(tally.digest, client, updateCid, computeMs);
        // MAX_UPDATES times a uint32 fits.
        unchecked {
            ++tally.updateCount;
            tally.claimedMs += computeMs;
        }
        emit UpdateSubmitted(schedule.round, client, updateCid, computeMs);
        return Refusal.None;
    }

    /// @dev Returns by how much the credited time of the round falls. Stakes are slashed when that is booked.
    function _adjust(uint24 round, uint16 maxSlashRate, Adjustment[] calldata adjustments)
        private
        returns (uint48 loweredMs)
    {
        address previous;
        // No seat is needed after its turn: memory that grew with each would be dear for a thousand.
        uint256 free;
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            free := mload(64)
        }
        for (uint256 i; i < adjustments.length; ++i) {
            Adjustment calldata adjustment = adjustments[i];
            address client = adjustment.client;
            (uint32 creditedMs, uint16 slashRate) = (adjustment.creditedMs, adjustment.slashRate);
            if (client <= previous) revert AdjustmentsNotAscending(previous, client);
            Seat memory seat = _seatOf(client);
            if (!seat.hasUpdate(round)) revert NoUpdate(round, client);
            if (creditedMs >= seat.computeMs) revert AdjustmentNotLower(client, seat.computeMs, creditedMs);
            if (slashRate > maxSlashRate) revert SlashRateTooHigh(maxSlashRate, slashRate);

            // MAX_UPDATES times a uint32 fits.
            unchecked {
                loweredMs += seat.computeMs - creditedMs;
            }
            (seat.computeMs, seat.mark) = (creditedMs, Seats.ADJUSTED | slashRate);
            _setSeat(client, seat);
            previous = client;
            // solhint-disable-next-line no-inline-assembly
            assembly ("memory-safe") {
                mstore(64, free)
            }
        }
    }

    function _recordAbandoned(uint24 round, Tally memory tally) private {
        if (tally.claimedMs != 0) results[round] = _claimedResult(tally);
        bytes32 record_ = Rounds.chain(record, round, tally, 0);
        record = record_;
        emit RoundAbandoned(round, record_);
    }

    function _opening(RoundTerms calldata terms_, Schedule memory before, Release memory base, uint112 pool)
        private
        view
        returns (Opening memory opening)
    {
        uint24 n = _header.memberCount;
        if (n == 0) revert NoMembers();
        uint256 k = Selection.count(terms_.selectionRate, n, terms_.maxUpdates);
        _requireSpread(terms_, k, pool);
        uint256 deadline = block.timestamp + terms_.trainingPeriod;
        opening.round = before.round + 1;
        opening.openedAt = uint40(block.timestamp);
        opening.trainingDeadline = uint40(deadline);
        opening.aggregationDeadline = uint40(deadline + terms_.aggregationPeriod);
        opening.memberCount = n;
        opening.selectionOffset = uint24(Selection.offset(before.selectionOffset, k, n));
        opening.selectedCount = uint16(k);
        opening.maxUpdates = terms_.maxUpdates;
        opening.maxComputeMs = terms_.maxComputeMs;
        opening.planCid = terms_.planCid;
        opening.sealingKey = terms_.sealingKey;
        opening.baseModelCid = base.modelCid;
        opening.baseReportCid = base.reportCid;
        opening.rewardRateCap = terms_.rewardRateCap;
        opening.pool = pool;
    }

    function _store(Opening memory opening) private {
        _schedule = Schedule(
            opening.openedAt,
            opening.trainingDeadline,
            opening.aggregationDeadline,
            opening.selectedCount,
            opening.memberCount,
            opening.selectionOffset,
            opening.maxComputeMs,
            opening.maxUpdates,
            opening.round
        );
        _money = Money(opening.pool, opening.rewardRateCap);
        _planCid = opening.planCid;
        _sealingKey = opening.sealingKey;
    }

    function _clientView(Schedule memory schedule, address client) private view returns (ClientView memory view_) {
        Seat memory seat = _seatOf(client);
        bool submitted = seat.hasUpdate(schedule.round);
        view_.client = client;
        if (seat.position != 0) (view_.member, view_.index) = (true, seat.position - 1);
        view_.selected = submitted || schedule.selects(seat);
        view_.last = seat.last;
        view_.declined = view_.selected && !submitted && seat.last == schedule.round;
        if (submitted) {
            view_.updateCid = _cids[client];
            view_.computeMs = seat.computeMs;
            view_.adjusted = seat.isAdjusted();
            view_.slashRate = seat.slashRate();
        }
        (view_.owed, view_.stake) = _balanceOf(client, seat);
    }

    function _requireTraining(uint24 round, bytes32 sealingKey)
        private
        view
        returns (Schedule memory schedule, Tally memory tally)
    {
        (schedule, tally) = _latestRound();
        _requirePhase(schedule, tally, Phase.Training, round);
        if (sealingKey != _sealingKey) revert WrongSealingKey(round, _sealingKey, sealingKey);
    }

    function _requireSpread(RoundTerms calldata terms_, uint256 selected, uint256 pool) private view {
        if (pool == 0) return;
        uint256 least = Rewards.leastPool(terms_.rewardRateCap, selected, terms_.maxComputeMs, Terms.own().maxSpread);
        if (pool < least) revert PoolTooSmall(least, pool);
    }

    function _requireAccepted(uint24 round, Refusal reason) private view {
        if (reason != Refusal.None) revert UpdateRefused(round, msg.sender, reason);
    }

    function _requirePhase(Schedule memory schedule, Tally memory tally, Phase expected, uint24 round) private view {
        Phase actual = schedule.phase(tally);
        if (actual != expected || round != schedule.round) revert WrongPhase(schedule.round, actual, round);
    }

    function _requireOver(Schedule memory schedule, Tally memory tally) private view {
        if (!schedule.isOver(tally)) revert RoundIsLive(schedule.round, schedule.phase(tally));
    }

    function _requireFits(uint256 amount) private pure {
        if (amount > type(uint112).max) revert AmountTooLarge(type(uint112).max, amount);
    }
}
