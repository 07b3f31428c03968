// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Vm} from "forge-std/Vm.sol";

import {IFederation} from "../../../contracts/interfaces/IFederation.sol";
import {Stage} from "./Stage.sol";

/// @title What people do in a federation, decided by a seed; every action here is one that must succeed.
/// @notice An action that makes no sense as things stand is discarded: it counts for nothing.
abstract contract Actions is Stage {
    /// @notice How often something worth reaching was reached.
    mapping(string event_ => uint256) public reached;
    /// @notice By how much a finalization with adjustments beat the same without, in what the owner can withdraw.
    uint256 public gainedByRejecting;
    /// @notice What a round and its updates looked like when it was over.
    mapping(uint256 round => bytes32) public seals;
    mapping(address client => bool) private _wasMember;

    /// @dev Every action: draws from its seed, and leaves books that know what time has brought about.
    modifier action(uint256 seed) {
        _begin(seed);
        _;
        _end();
    }

    constructor() {
        vm.prank(owner);
        federation.setInitialModel("initial model");
    }

    // --------------------------------------------------------------------------------------------------- time

    /// @notice Moves to a deadline, to the second before one, or just on.
    function wait(uint256 seed) external action(seed) {
        (uint256 training, uint256 aggregation) =
            (_rounds[rounds].trainingDeadline, _rounds[rounds].aggregationDeadline);
        uint256[4] memory instants = [training, training + 1, aggregation, aggregation + 1];
        uint256 instant = instants[_draw(0, 3)];
        _waitUntil(instant > time() + 1 && !_oneIn(3) ? instant - 1 : time() + _draw(1, 100));
    }

    // ------------------------------------------------------------------------------------------------ clients

    /// @notice Some of those who are no members register.
    function register(uint256 seed) external action(seed) {
        vm.assume(_terms.admission == IFederation.Admission.Open);
        _register(_drawCandidate());
        while (!_oneIn(3)) {
            address client = _drawClient();
            if (_mayRegister(client)) _register(client);
        }
    }

    function registerWithVoucher(uint256 seed) external action(seed) {
        vm.assume(_terms.admission == IFederation.Admission.Voucher);
        _registerWithVoucher(_drawCandidate());
        while (!_oneIn(3)) {
            address client = _drawClient();
            if (_mayRegister(client)) _registerWithVoucher(client);
        }
    }

    /// @notice One leaves, often while its update is in the live round.
    function leave(uint256 seed) external action(seed) {
        address[] memory submitted = _rounds[rounds].clients;
        address client = submitted.length > 0 && _oneIn(2) ? submitted[_draw(0, submitted.length - 1)] : _drawClient();
        vm.assume(_mayLeave(client));

        _leave(client, _recipient(client));
    }

    /// @notice Some of those who may submit do.
    function submit(uint256 seed) external action(seed) {
        _submitSome();
    }

    function claim(uint256 seed) external action(seed) {
        address client = _drawClaimant();
        uint32[] memory due = _drawRounds(client);

        _claim(client, client, due, _recipient(client));
    }

    function claimFor(uint256 seed) external action(seed) {
        address client = _drawClaimant();
        uint32[] memory due = _drawRounds(client);

        _claim(_oneIn(2) ? stranger : owner, client, due, client);
    }

    // ------------------------------------------------------------------------------------------- organization

    /// @notice Opens a round, sometimes after the live one was left to itself.
    function open(uint256 seed) external action(seed) {
        vm.assume(_mayOpen() && (!isLive() || _oneIn(3)));
        if (isLive()) _waitUntil(_rounds[rounds].aggregationDeadline);
        _openNext();
    }

    function finalize(uint256 seed) external action(seed) {
        vm.assume(isLive() && _rounds[rounds].clients.length > 0);
        _finalizeLive();
    }

    /// @notice A whole round: opened, worked on, finalized.
    function run(uint256 seed) external action(seed) {
        vm.assume(_mayOpen() && !isLive());
        _openNext();
        _submitSome();
        _finalizeLive();
    }

    function fund(uint256 seed) external action(seed) {
        uint256 taken = carried + _rounds[rounds].pool;
        vm.assume(!closed && taken < MAX_AMOUNT);
        uint256 amount = _drawAmount(MAX_AMOUNT - taken);
        vm.assume(amount > 0);

        address[3] memory givers = [stranger, owner, clients[0]];
        address giver = givers[_draw(0, 2)];
        uint256 coins = _endow(giver, amount);
        uint256 before = held(giver);
        vm.prank(giver);
        federation.fund{value: coins}(uint128(amount));
        _bookFunds(amount, before - held(giver));
    }

    /// @notice Closes the federation, rarely; withdraws what is carried once it is closed.
    function close(uint256 seed) external action(seed) {
        vm.assume(closed || (rounds > 1 && !isLive() && _oneIn(15)));
        if (!closed) _close();
        else _bookWithdrawal(_withdraw(_oneIn(2) ? owner : purse));
    }

    /// @notice Sets an operator, hands ownership over in its two steps, pauses, resumes or revokes a voucher.
    function administer(uint256 seed) external action(seed) {
        uint256 deed = _draw(0, 5);
        if (deed == 0) _setOperator(_oneIn(4) ? address(0) : operators[_draw(0, 1)]);
        else if (deed == 1) _transferOwnership(owners[_draw(0, 1)]);
        else if (deed == 2) _acceptOwnership();
        else if (deed == 3) _revokeVoucher(_draw());
        else _setPaused(!paused && _oneIn(3));
    }

    /// @notice Coins forced in, tokens given: nobody's deposits.
    function give(uint256 seed) external action(seed) {
        uint256 amount = _drawAmount(10 ** 21);
        vm.deal(address(federation), address(federation).balance + amount);
        if (!_native()) token.mint(address(federation), amount);
        gifts += amount;
    }

    // ----------------------------------------------------------------------------------------- the end of it all

    /// @notice Every client leaves and claims while the organization does nothing; fails where one gets less or more
    /// than what is theirs. Meant for a snapshot.
    function evacuate() external {
        for (uint256 i; i < CLIENTS; ++i) {
            if (!_mayLeave(clients[i])) continue;
            uint256 expected = isLocked(clients[i]) ? 0 : stakeOf[clients[i]];
            assertEq(_leave(clients[i], clients[i]), expected, "stake returned at once");
        }
        if (isLive()) _waitUntil(_rounds[rounds].aggregationDeadline);
        for (uint256 i = CLIENTS; i > 0; --i) {
            address client = clients[i - 1];
            if (stakeOf[client] > 0) {
                uint256 stake = stakeOf[client];
                assertEq(_leave(client, client), stake, "stake returned after the round");
            }
            uint256 expected = owedTo(client);
            assertEq(_claim(client, client, _roundsOf(client), client), expected, "reward");
        }
        assertEq(owed + stakes + livePool, 0, "left to clients");
        assertEq(held(address(federation)), carried + forfeited + gifts, "left in the federation");
    }

    /// @notice What a client can claim, by the books.
    function owedTo(address client) public view returns (uint256 amount) {
        for (uint32 round = 1; round <= rounds; ++round) {
            if (_rounds[round].settled && !_updates[round][client].claimed) amount += shareOf(round, client);
        }
    }

    /// @notice A round and its updates, without what changes for a client after the round.
    function sealOf(uint32 round) public view returns (bytes32 seal) {
        seal = keccak256(abi.encode(federation.roundView(round, address(0))));
        IFederation.ClientView[] memory updates = federation.updates(round, 0, type(uint32).max);
        for (uint256 i; i < updates.length; ++i) {
            (updates[i].member, updates[i].stake, updates[i].claimed) = (false, 0, false);
        }
        return keccak256(abi.encode(seal, updates));
    }

    // ----------------------------------------------------------------------------------------------- internal

    /// @dev Who does the organization's daily work.
    function _organizer() internal virtual returns (address) {
        return operator == address(0) || _oneIn(2) ? owner : operator;
    }

    function _recipient(address client) internal virtual returns (address payable) {
        return payable(_oneIn(2) ? client : purse);
    }

    function _end() internal {
        bool before = _rounds[rounds].settled;
        _bookEnd();
        if (before || !_rounds[rounds].settled) return;
        seals[rounds] = sealOf(rounds);
        if (!_rounds[rounds].finalized) ++reached[_rounds[rounds].clients.length == 0 ? "empty" : "abandoned"];
    }

    function _waitUntil(uint256 instant) internal {
        if (instant <= time()) return;
        vm.roll(vm.getBlockNumber() + 1);
        vm.warp(instant);
        _end();
    }

    /// @dev Discards where nobody may register.
    function _drawCandidate() private returns (address client) {
        uint256 first = _draw(0, CLIENTS - 1);
        for (uint256 i; i < CLIENTS; ++i) {
            client = clients[(first + i) % CLIENTS];
            if (_mayRegister(client)) return client;
        }
        vm.assume(false);
    }

    function _mayRegister(address client) internal view virtual returns (bool) {
        return !closed && positionOf[client] == 0 && (stakeOf[client] == 0 || !isLocked(client));
    }

    function _register(address client) internal {
        uint256 before = _prepareToStake(client);
        vm.prank(client);
        uint32 index = federation.register{value: _native() ? _terms.stake : 0}();
        _registered(client, index, before - held(client));
    }

    function _registerWithVoucher(address client) private {
        uint256 id = _draw();
        uint40 expiry = uint40(time() + _draw(1, 1 days));
        bytes memory signature = _sign(owner, client, id, expiry);
        uint256 before = _prepareToStake(client);
        vm.prank(client);
        uint32 index = federation.registerWithVoucher{value: _native() ? _terms.stake : 0}(id, expiry, signature);
        _registered(client, index, before - held(client));
        _spentVouchers.push(id);
    }

    /// @dev Returns what the client has before it pays.
    function _prepareToStake(address client) private returns (uint256) {
        if (stakeOf[client] > 0) _leave(client, client);
        _endow(client, _terms.stake);
        return held(client);
    }

    function _registered(address client, uint32 index, uint256 measured) private {
        if (_wasMember[client]) ++reached["registered again"];
        _wasMember[client] = true;
        _bookRegistration(client, _terms.stake, measured);
        assertEq(index, registrations - 1, "index");
    }

    function _mayLeave(address client) internal view returns (bool) {
        return positionOf[client] != 0 || (stakeOf[client] > 0 && !isLocked(client));
    }

    function _leave(address client, address payable_) internal returns (uint256 measured) {
        if (isLocked(client)) ++reached["left in a live round"];
        uint256 before = held(payable_);
        vm.prank(client);
        uint256 returned = federation.leave(payable(payable_));
        measured = held(payable_) - before;
        assertEq(returned, measured, "what leave returns");
        _bookDeparture(client, measured);
    }

    /// @dev Discards where nobody may submit.
    function _drawSubmitter() private returns (address client) {
        uint256 first = _draw(0, CLIENTS - 1);
        for (uint256 i; i < CLIENTS; ++i) {
            client = clients[(first + i) % CLIENTS];
            if (_maySubmit(client)) return client;
        }
        vm.assume(false);
    }

    function _submitSome() private {
        address client = _drawSubmitter();
        if (_oneIn(2)) _waitUntil(_draw(time(), _rounds[rounds].trainingDeadline - 1));

        _submit(client);
        for (uint256 i; i < CLIENTS && !_oneIn(4); ++i) {
            if (_maySubmit(clients[i])) _submit(clients[i]);
        }
    }

    function _maySubmit(address client) internal view returns (bool) {
        return phaseOf(rounds) == IFederation.Phase.Training && positionOf[client] != 0 && !hasUpdate(rounds, client)
            && federation.isSelected(rounds, uint32(positionOf[client] - 1));
    }

    function _boundMs() internal view returns (uint256) {
        uint256 elapsedMs = (time() - _rounds[rounds].openedAt + 1) * 1000;
        return elapsedMs < _rounds[rounds].maxComputeMs ? elapsedMs : _rounds[rounds].maxComputeMs;
    }

    function _submit(address client) internal {
        uint256 boundMs = _boundMs();
        uint256 computeMs = _oneIn(3) ? boundMs : _draw(1, _oneIn(3) && boundMs > 10 ? 10 : boundMs);
        vm.prank(client);
        federation.submitUpdate(
            rounds, _rounds[rounds].sealingKey, bytes32(_draw()), uint32(computeMs), uint64(_draw(1, 10 ** 6))
        );
        _bookUpdate(client, boundMs, computeMs);
    }

    /// @dev The rounds that are over and have the client's update.
    function _roundsOf(address client) internal view returns (uint32[] memory due) {
        due = new uint32[](rounds);
        uint256 count;
        for (uint32 round = 1; round <= rounds; ++round) {
            if (_rounds[round].settled && hasUpdate(round, client)) due[count++] = round;
        }
        assembly ("memory-safe") {
            mstore(due, count)
        }
    }

    /// @dev Discards where nobody has anything to claim, or to claim again.
    function _drawClaimant() private returns (address client) {
        uint256 first = _draw(0, CLIENTS - 1);
        for (uint256 i; i < CLIENTS; ++i) {
            client = clients[(first + i) % CLIENTS];
            if (_roundsOf(client).length > 0) return client;
        }
        vm.assume(false);
    }

    /// @dev Some of them, in any order, some of them twice, some of them claimed long ago.
    function _drawRounds(address client) internal returns (uint32[] memory drawn) {
        uint32[] memory due = _roundsOf(client);
        drawn = new uint32[](_draw(1, due.length + 1));
        for (uint256 i; i < drawn.length; ++i) {
            drawn[i] = due[_draw(0, due.length - 1)];
        }
    }

    function _claim(address caller, address client, uint32[] memory due, address to)
        internal
        returns (uint256 measured)
    {
        uint256 before = held(to);
        vm.recordLogs();
        vm.prank(caller);
        uint256 returned =
            caller == client ? federation.claim(due, payable(to)) : federation.claimFor(payable(client), due);
        measured = held(to) - before;
        assertEq(returned, measured, "what claim returns");
        _bookClaim(client, due, measured);
        _bookReceipts(client, measured);
    }

    /// @dev What the federation says it paid for each round is in all what it paid.
    function _bookReceipts(address client, uint256 measured) private {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].topics[0] != IFederation.RewardClaimed.selector) continue;
            (, uint256 amount) = abi.decode(logs[i].data, (address, uint256));
            _updates[uint256(logs[i].topics[1])][client].received += amount;
            measured -= amount;
        }
        assertEq(measured, 0, "paid without an event");
    }

    function _drawTerms() internal virtual returns (IFederation.RoundTerms memory terms) {
        terms.planCid = bytes32(_draw());
        terms.sealingKey = bytes32(_draw());
        terms.trainingPeriod = uint32(_oneIn(8) ? 30 days : _draw(30, 1 days));
        terms.aggregationPeriod = uint32(_oneIn(8) ? 30 days : _draw(30, 1 days));
        terms.maxUpdates = uint16(_oneIn(4) ? _draw(1, 4) : 1000);
        terms.maxComputeMs = uint32(_oneIn(8) ? 30 days * 1000 : _draw(1, 10 ** 5));
        terms.selectionRate = uint16(_oneIn(4) ? _draw(1, 10_000) : 10_000);
        terms.reward = uint128(_drawAmount(MAX_AMOUNT - carried));
        terms.rewardRateCap = uint128(_drawRateCap(carried + terms.reward, terms.maxComputeMs));
    }

    /// @dev Around what makes the pool just last, where pool and wage bound each other; sometimes anything.
    function _drawRateCap(uint256 pool, uint256 maxComputeMs) internal returns (uint256 cap) {
        if (_oneIn(4)) return 1 + _drawAmount(MAX_AMOUNT - 1);
        cap = pool * 1000 / (_draw(1, 10) * maxComputeMs);
        cap = cap + _draw(0, cap) / 2;
        return cap == 0 ? 1 : cap < MAX_AMOUNT ? cap : MAX_AMOUNT;
    }

    function _mayOpen() private view returns (bool) {
        return !closed && !paused && registrations > 0;
    }

    function _openNext() private {
        _open(_organizer(), _drawTerms());
    }

    function _open(address organizer, IFederation.RoundTerms memory terms) internal {
        uint256 coins = _endow(organizer, terms.reward);
        uint256 before = held(organizer);
        vm.prank(organizer);
        uint32 round = federation.openRound{value: coins}(terms);
        _bookOpening(terms, before - held(organizer));
        assertEq(round, rounds, "round");
    }

    /// @dev None, some or all of the live round's updates; lowered or rejected; slashed or not.
    function _drawAdjustments() internal virtual returns (IFederation.Adjustment[] memory adjustments) {
        uint256 lenience = _draw(0, 3);
        adjustments = new IFederation.Adjustment[](CLIENTS);
        uint256 count;
        for (uint256 i; i < CLIENTS; ++i) {
            uint256 claimedMs = _updates[rounds][clients[i]].claimedMs;
            if (claimedMs == 0 || _draw(1, 3) <= lenience) continue;
            uint256 creditedMs = _oneIn(2) ? 0 : _draw(0, claimedMs - 1);
            uint256 slashRate = _oneIn(3) ? 0 : _oneIn(2) ? _terms.maxSlashRate : _draw(0, _terms.maxSlashRate);
            adjustments[count++] = IFederation.Adjustment(clients[i], uint32(creditedMs), uint16(slashRate));
        }
        assembly ("memory-safe") {
            mstore(adjustments, count)
        }
    }

    function _finalizeCall(IFederation.Adjustment[] memory adjustments) internal view returns (bytes memory) {
        RoundRecord storage self = _rounds[rounds];
        (uint256 claimedMs,) = totals(rounds);
        bytes32 secret = _terms.auditPolicy == IFederation.AuditPolicy.Open ? bytes32("secret") : bytes32(0);
        return abi.encodeCall(
            federation.finalizeRound,
            (
                rounds,
                uint16(self.clients.length),
                uint48(claimedMs),
                keccak256(abi.encode("model", rounds)),
                keccak256(abi.encode("report", rounds)),
                adjustments,
                secret
            )
        );
    }

    function _finalizeLive() private {
        if (phaseOf(rounds) == IFederation.Phase.Training) _waitUntil(_rounds[rounds].trainingDeadline);
        else if (_oneIn(4)) _waitUntil(_rounds[rounds].aggregationDeadline - 1);

        IFederation.Adjustment[] memory adjustments = _drawAdjustments();
        address organizer = _organizer();
        if (adjustments.length > 0) _compare(organizer, adjustments);
        _finalize(organizer, adjustments);
    }

    /// @dev What the owner could withdraw after such a finalization, and after one without adjustments.
    function _compare(address organizer, IFederation.Adjustment[] memory adjustments) internal virtual {
        uint256 without = _withdrawableAfter(organizer, new IFederation.Adjustment[](0));
        uint256 with_ = _withdrawableAfter(organizer, adjustments);
        if (with_ > without) gainedByRejecting += with_ - without;
    }

    function _finalize(address organizer, IFederation.Adjustment[] memory adjustments) internal {
        vm.prank(organizer);
        _perform(_finalizeCall(adjustments));
        _bookFinalization(adjustments);

        ++reached["finalized"];
        for (uint256 i; i < adjustments.length; ++i) {
            if (adjustments[i].creditedMs == 0) ++reached["rejected"];
            if (adjustments[i].slashRate > 0) ++reached["slashed"];
        }
    }

    /// @dev What the owner gets if it closes right after such a finalization.
    function _withdrawableAfter(address organizer, IFederation.Adjustment[] memory adjustments)
        private
        returns (uint256 amount)
    {
        uint256 snapshot = vm.snapshotState();
        vm.prank(organizer);
        _perform(_finalizeCall(adjustments));
        vm.prank(owner);
        federation.close();
        amount = _withdraw(owner);
        vm.revertToStateAndDelete(snapshot);
    }

    function _close() private {
        vm.prank(owner);
        federation.close();
        closed = true;
        ++reached["closed"];
        if (carried > 0 && _oneIn(2)) _bookWithdrawal(_withdraw(owner));
    }

    function _withdraw(address to) internal returns (uint256 measured) {
        if (carried > 0) ++reached["withdrawn"];
        uint256 before = held(to);
        vm.prank(owner);
        uint256 returned = federation.withdraw(payable(to));
        measured = held(to) - before;
        assertEq(returned, measured, "what withdraw returns");
    }

    function _setOperator(address operator_) internal {
        vm.prank(owner);
        federation.setOperator(operator_);
        operator = operator_;
    }

    function _transferOwnership(address to) private {
        vm.prank(owner);
        Ownable2Step(address(federation)).transferOwnership(to);
        pendingOwner = to;
    }

    function _acceptOwnership() private {
        vm.assume(pendingOwner != address(0));
        vm.prank(pendingOwner);
        Ownable2Step(address(federation)).acceptOwnership();
        (owner, pendingOwner, operator) = (pendingOwner, address(0), address(0));
        ++reached["handed over"];
    }

    function _revokeVoucher(uint256 id) private {
        vm.prank(owner);
        federation.revokeVoucher(id);
        _spentVouchers.push(id);
    }

    function _setPaused(bool paused_) private {
        vm.assume(paused_ != paused);
        vm.prank(owner);
        if (paused_) federation.pause();
        else federation.unpause();
        paused = paused_;
    }

    /// @dev Fails with the federation's own words where it refuses.
    function _perform(bytes memory call_) internal {
        (bool success, bytes memory answer) = address(federation).call(call_);
        if (success) return;
        assembly ("memory-safe") {
            revert(add(answer, 32), mload(answer))
        }
    }
}
