// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";

import {IFederation} from "./interfaces/IFederation.sol";
import {Assets} from "./libraries/Assets.sol";
import {Rewards} from "./libraries/Rewards.sol";
import {Money, Result, Rounds, Schedule, Tally} from "./libraries/Rounds.sol";
import {Seat, Seats} from "./libraries/Seats.sol";
import {Terms} from "./libraries/Terms.sol";
import {Ownership} from "./Ownership.sol";

/// @title Who belongs to a federation, where they stand, what they stake and what they are owed.
/// @notice What a round leaves a client is booked when the client next submits, declines, claims or leaves.
abstract contract Registry is Ownership, ReentrancyGuardTransient {
    using Assets for address;
    using BitMaps for BitMaps.BitMap;
    using Rounds for Schedule;
    using Seats for Seat;

    uint256 private constant BASIS_POINTS = 10_000;
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant VOUCHER_TYPEHASH =
        keccak256("Voucher(address client,uint256 id,uint40 expiry,uint32 ownerNonce)");
    bytes32 private constant REGISTRATION_TYPEHASH = keccak256("Registration(uint24 round,uint40 deadline)");
    bytes32 private constant LEAVING_TYPEHASH = keccak256("Leaving(uint24 round,address to,uint40 deadline)");

    Schedule internal _schedule;
    Tally internal _tally;
    Money internal _money;
    /// @inheritdoc IFederation
    mapping(uint24 round => Result) public results;
    mapping(address client => Seat) private _seats;
    /// @dev Of the last update.
    mapping(address client => bytes32) internal _cids;
    /// @dev Members, and behind them those who left with an update in the live round.
    mapping(uint256 position => address) internal _clients;
    /// @dev What was slashed of a stake: a slot for whoever was, and for nobody else.
    mapping(address client => uint256) private _slashed;
    BitMaps.BitMap private _spentVouchers;

    // -------------------------------------------------------------------------------------------------- clients

    /// @inheritdoc IFederation
    function register() external payable onlyFederation nonReentrant returns (uint24 index) {
        FederationTerms memory w = Terms.own();
        _requireAdmission(w, Admission.Open);

        return _register(w, msg.sender);
    }

    /// @inheritdoc IFederation
    function registerWithVoucher(Voucher calldata voucher)
        external
        payable
        onlyFederation
        nonReentrant
        returns (uint24 index)
    {
        FederationTerms memory w = Terms.own();
        _requireAdmission(w, Admission.Voucher);
        _spend(voucher, msg.sender);

        return _register(w, msg.sender);
    }

    /// @inheritdoc IFederation
    function registerSigned(address client, uint40 deadline, Signature calldata signature, Voucher calldata voucher)
        external
        onlyFederation
        nonReentrant
        returns (uint24 index)
    {
        FederationTerms memory w = Terms.own();
        uint24 round = _schedule.round;
        if (w.stake != 0) revert StakeNeedsItsOwner(w.stake);
        if (_seatOf(client).isSpent(round)) revert SignatureSpent(client, round);
        _requireSigned(client, deadline, keccak256(abi.encode(REGISTRATION_TYPEHASH, round, deadline)), signature);
        _requireAdmission(w, voucher.signature.length == 0 ? Admission.Open : Admission.Voucher);
        if (w.admission == Admission.Voucher) _spend(voucher, client);

        return _register(w, client);
    }

    /// @inheritdoc IFederation
    function leave(address payable to) external onlyFederation nonReentrant returns (uint256 paid) {
        return _leave(msg.sender, to, false);
    }

    /// @inheritdoc IFederation
    function leaveSigned(address client, address payable to, uint40 deadline, Signature calldata signature)
        external
        onlyFederation
        nonReentrant
        returns (uint256 paid)
    {
        uint24 round = _schedule.round;
        Seat memory seat = _seatOf(client);
        if (seat.position != 0 && seat.isSpent(round)) revert SignatureSpent(client, round);
        _requireSigned(client, deadline, keccak256(abi.encode(LEAVING_TYPEHASH, round, to, deadline)), signature);

        return _leave(client, to, true);
    }

    /// @inheritdoc IFederation
    function retire(address client) external onlyFederation {
        (Schedule memory schedule, Tally memory tally) = _latestRound();
        Phase phase_ = schedule.phase(tally);
        if (phase_ == Phase.None || phase_ == Phase.Training) {
            revert WrongPhase(schedule.round, phase_, schedule.round);
        }
        uint16 idleRounds = Terms.own().idleRounds;
        Seat memory seat = _seatOf(client);
        // Nobody's last round is after the latest.
        bool idle = idleRounds != 0 && schedule.round - seat.last >= idleRounds;
        if (!idle || !schedule.selects(seat)) revert NotIdle(client, seat.last);

        (uint24 index, address moved) = _vacate(client, seat, schedule.round, false);
        _setSeat(client, seat);
        emit Left(client, index, moved, true);
    }

    /// @inheritdoc IFederation
    function claim(address payable to) external onlyFederation nonReentrant returns (uint256 amount) {
        return _claim(msg.sender, to);
    }

    /// @inheritdoc IFederation
    function claimFor(address payable client) external onlyFederation nonReentrant returns (uint256 amount) {
        return _claim(client, client);
    }

    // --------------------------------------------------------------------------------------------- organization

    /// @inheritdoc IFederation
    function revokeVoucher(uint256 id) external onlyOwner {
        _spentVouchers.set(id);
        emit VoucherRevoked(id);
    }

    // ----------------------------------------------------------------------------------------------------- views

    /// @inheritdoc IFederation
    function terms() external view returns (FederationTerms memory) {
        return Terms.own();
    }

    /// @inheritdoc IFederation
    function voucherSpent(uint256 id) external view returns (bool) {
        return _spentVouchers.get(id);
    }

    /// @inheritdoc IFederation
    function voucherDigest(address client, uint256 id, uint40 expiry) public view returns (bytes32) {
        return _typedHash(keccak256(abi.encode(VOUCHER_TYPEHASH, client, id, expiry, _header.ownerNonce)));
    }

    /// @inheritdoc IFederation
    function balanceOf(address client) external view returns (uint256 owed, uint256 stake) {
        return _balanceOf(client, _seatOf(client));
    }

    /// @inheritdoc IFederation
    function memberCount() external view returns (uint24) {
        return _header.memberCount;
    }

    /// @inheritdoc IFederation
    function members(uint256 from, uint256 limit) external view returns (address[] memory page) {
        uint256 end = _pageEnd(from, limit, _header.memberCount);
        page = new address[](end - from);
        for (uint256 i = from; i < end; ++i) {
            page[i - from] = _clients[i];
        }
    }

    // -------------------------------------------------------------------------------------------------- internal

    /// @dev Not cached as OpenZeppelin does: every federation runs the same code.
    function _domainSeparator() internal view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPEHASH, keccak256("Koinon"), keccak256("2"), block.chainid, address(this)));
    }

    function _latestRound() internal view returns (Schedule memory, Tally memory) {
        return (_schedule, _tally);
    }

    function _setTally(Tally memory tally) internal {
        _tally = tally;
    }

    function _seatOf(address client) internal view returns (Seat memory) {
        return _seats[client];
    }

    function _setSeat(address client, Seat memory seat) internal {
        _seats[client] = seat;
    }

    /// @dev What the client's last update earns and costs, where its round is over and that is not booked yet.
    function _pending(Schedule memory schedule, Tally memory tally, address client, Seat memory seat)
        internal
        view
        returns (uint256 reward, uint256 slash)
    {
        if (seat.last == 0 || seat.mark & Seats.SETTLED != 0) return (0, 0);
        Result memory result = results[seat.last];
        if (seat.last == schedule.round) {
            if (!schedule.isOver(tally)) return (0, 0);
            // Abandoned, and not recorded yet: the next opening does that.
            if (!tally.finalized) result = _claimedResult(tally);
        }
        reward = Rewards.share(result.payable_, seat.computeMs, result.creditedMs);
        uint256 rate = seat.slashRate();
        if (rate != 0) slash = (Terms.own().stake - _slashed[client]) * rate / BASIS_POINTS;
    }

    /// @dev What a round leaves that is settled on what was claimed.
    function _claimedResult(Tally memory tally) internal view returns (Result memory) {
        Money memory money = _money;
        uint256 amount = Rewards.payable_(money.pool, money.rewardRateCap, tally.claimedMs);
        return Result(uint112(amount), tally.claimedMs, 0);
    }

    function _slash(address client, uint24 round, uint256 amount) internal {
        _slashed[client] += amount;
        emit Slashed(round, client, amount);
    }

    function _balanceOf(address client, Seat memory seat) internal view returns (uint256 owed, uint256 stake) {
        FederationTerms memory w = Terms.own();
        (Schedule memory schedule, Tally memory tally) = _latestRound();
        (uint256 reward, uint256 slash) = _pending(schedule, tally, client, seat);
        owed = seat.owed + reward;
        if (seat.position != 0 || seat.isHeld()) stake = w.stake - _slashed[client] - slash;
    }

    /// @dev Where a page ends: at most at the count, and never before it begins.
    function _pageEnd(uint256 from, uint256 limit, uint256 count) internal pure returns (uint256) {
        return Math.max(from, Math.min(Math.saturatingAdd(from, limit), count));
    }

    function _register(FederationTerms memory w, address client) private returns (uint24 index) {
        _requireOpen();
        uint24 round = _schedule.round;
        Seat memory seat = _seatOf(client);
        if (seat.position != 0) revert AlreadyRegistered(client, seat.position - 1);
        if (seat.isHeld()) _bookHeld(w, client, seat);

        index = _header.memberCount++;
        uint256 leavers = _header.leavers;
        if (leavers != 0) _clients[index + leavers] = _clients[index];
        _clients[index] = client;
        seat.mark = seat.isSpent(round) ? Seats.REJOINED : Seats.SETTLED;
        (seat.position, seat.previous, seat.since, seat.last, seat.computeMs) = (index + 1, 0, round, round, 0);
        _setSeat(client, seat);
        emit Registered(client, index);
        w.asset.pull(w.stake);
    }

    /// @dev Books what is held of an earlier membership without a stake: with one, `leave` returns it first.
    function _bookHeld(FederationTerms memory w, address client, Seat memory seat) private view {
        (Schedule memory schedule, Tally memory tally) = _latestRound();
        if (_isLive(schedule, tally, seat)) revert UpdateIsLive(schedule.round);
        (uint256 reward, uint256 slash) = _pending(schedule, tally, client, seat);
        if (w.stake != 0) revert StakeNotReturned(client, w.stake - _slashed[client] - slash);
        uint256 owed = seat.owed + reward;
        if (owed > type(uint112).max) revert UpdateRefused(seat.last, client, Refusal.ClaimFirst);
        seat.owed = uint112(owed);
    }

    function _leave(address client, address payable to, bool signed) private returns (uint256 paid) {
        if (to == address(0)) revert ZeroValue("to");
        FederationTerms memory w = Terms.own();
        (Schedule memory schedule, Tally memory tally) = _latestRound();
        Seat memory seat = _seatOf(client);
        bool live = _isLive(schedule, tally, seat);
        // What was signed for this round must not count again.
        bool spent = signed || w.stake == 0 || seat.isSpent(schedule.round);
        if (seat.position == 0) {
            if (!seat.isHeld()) revert NotRegistered(client);
            if (live) revert UpdateIsLive(schedule.round);
        } else {
            bool awaited = seat.last != schedule.round && schedule.phase(tally) == Phase.Training;
            if (awaited && schedule.selects(seat)) _tally.absentCount = tally.absentCount + 1;
            (uint24 index, address moved) = _vacate(client, seat, schedule.round, live);
            emit Left(client, index, moved, false);
        }
        if (live) {
            _setSeat(client, seat);
            return 0;
        }

        (uint256 reward, uint256 slash) = _pending(schedule, tally, client, seat);
        if (slash != 0) _slash(client, seat.last, slash);
        (reward, slash) = (seat.owed + reward, _slashed[client]);
        uint256 stake = w.stake - slash;
        delete _cids[client];
        if (slash != 0) delete _slashed[client];
        if (spent) _setSeat(client, Seat(0, 0, schedule.round, 0, 0, Seats.LEFT, 0));
        else delete _seats[client];
        emit Paid(client, to, reward, stake);
        paid = reward + stake;
        w.asset.push(to, paid);
    }

    /// @dev The last member moves to the place of who leaves; the leaver's own seat changes in memory only.
    function _vacate(address client, Seat memory seat, uint24 round, bool live)
        private
        returns (uint24 index, address mover)
    {
        index = seat.position - 1;
        uint256 leavers = _header.leavers;
        uint256 end = --_header.memberCount;
        if (index != end) {
            mover = _clients[end];
            Seat memory moved = _seatOf(mover);
            moved.moveTo(seat.position, round);
            _setSeat(mover, moved);
            _clients[index] = mover;
        }
        if (live) {
            _clients[end] = client;
            _header.leavers = uint24(leavers + 1);
        } else if (leavers != 0) {
            _clients[end] = _clients[end + leavers];
        }
        seat.vacate(round);
    }

    function _claim(address client, address payable to) private returns (uint256 amount) {
        if (to == address(0)) revert ZeroValue("to");
        FederationTerms memory w = Terms.own();
        (Schedule memory schedule, Tally memory tally) = _latestRound();
        Seat memory seat = _seatOf(client);
        (uint256 reward, uint256 slash) = _pending(schedule, tally, client, seat);
        amount = seat.owed + reward;
        if (amount == 0) revert NothingOwed(client);

        if (slash != 0) _slash(client, seat.last, slash);
        if (!_isLive(schedule, tally, seat)) seat.mark |= Seats.SETTLED;
        seat.owed = 0;
        _setSeat(client, seat);
        emit Paid(client, to, amount, 0);
        w.asset.push(to, amount);
    }

    /// @dev Takes a voucher that the owner of now signed for the client.
    function _spend(Voucher calldata voucher, address client) private {
        if (block.timestamp >= voucher.expiry) revert VoucherExpired(voucher.expiry, block.timestamp);
        if (_spentVouchers.get(voucher.id)) revert VoucherSpent(voucher.id);
        address signer = owner();
        bytes32 digest = voucherDigest(client, voucher.id, voucher.expiry);
        // A key signs also where its account runs code (EIP-7702) that knows no ERC-1271.
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecover(digest, voucher.signature);
        bool signed = failure == ECDSA.RecoverError.NoError && recovered == signer;
        if (!signed && !SignatureChecker.isValidERC1271SignatureNow(signer, digest, voucher.signature)) {
            revert InvalidVoucher(signer, client);
        }

        _spentVouchers.set(voucher.id);
    }

    /// @dev Whether the client has an update in the live round.
    function _isLive(Schedule memory schedule, Tally memory tally, Seat memory seat) private view returns (bool) {
        return seat.hasUpdate(schedule.round) && !schedule.isOver(tally);
    }

    function _typedHash(bytes32 structHash) private view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(_domainSeparator(), structHash);
    }

    function _requireAdmission(FederationTerms memory w, Admission admission) private pure {
        if (w.admission != admission) revert WrongAdmission(w.admission, admission);
    }

    function _requireSigned(address client, uint40 deadline, bytes32 structHash, Signature calldata signature)
        private
        view
    {
        if (block.timestamp >= deadline) revert SignatureExpired(deadline, block.timestamp);
        (address recovered,,) = ECDSA.tryRecover(_typedHash(structHash), signature.r, signature.vs);
        if (recovered != client || client == address(0)) revert InvalidSignature(client, _schedule.round);
    }
}
