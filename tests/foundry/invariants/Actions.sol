// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../../contracts/interfaces/IFederation.sol";
import {Stage} from "./Stage.sol";

/// @title What people do in a federation, decided by a seed; every action here is one that must succeed.
/// @notice An action that makes no sense as things stand is discarded: it counts for nothing.
abstract contract Actions is Stage {
    /// @notice How often something worth reaching was reached.
    mapping(string event_ => uint256) public reached;
    /// @notice By how much a finalization with adjustments beat the same without, in what the owner can withdraw.
    uint256 public gainedByRejecting;
    /// @notice How often rejecting raised somebody's pay further than the spread allows, or paid who was adjusted more.
    uint256 public raisedTooFar;
    mapping(address client => bool) private _wasMember;
    /// @dev What a relay has seen, and may send again.
    bytes[] internal _relayed;
    /// @dev A client has to claim first: what it signed may count later.
    bool private _mayBeSentAgain;

    /// @dev Every action: draws from its seed, and leaves books that know what time has brought about.
    modifier action(uint256 seed) {
        _begin(seed);
        _;
        _bookTime();
    }

    constructor() {
        vm.prank(owner);
        federation.setInitialModel(_modelOf(0));
        latestModel = _modelOf(0);
    }

    // --------------------------------------------------------------------------------------------------- time

    /// @notice Moves to a deadline, to the second before one, or just on.
    function wait(uint256 seed) external action(seed) {
        IFederation.Opening memory opening = _rounds[rounds].opening;
        uint256[4] memory instants = [
            uint256(opening.trainingDeadline),
            uint256(opening.trainingDeadline) + 1,
            uint256(opening.aggregationDeadline),
            uint256(opening.aggregationDeadline) + 1
        ];
        uint256 instant = instants[_draw(0, 3)];
        _waitUntil(instant > time() + 1 && !_oneIn(3) ? instant - 1 : time() + _draw(1, 100));
    }

    // ------------------------------------------------------------------------------------------------ clients

    /// @notice Some of those who are no members register, each in one of the ways that the terms allow.
    function register(uint256 seed) external action(seed) {
        uint256 first = _draw(0, CLIENTS - 1);
        uint256 count;
        for (uint256 i; i < CLIENTS && (count == 0 || !_oneIn(3)); ++i) {
            address client = clients[(first + i) % CLIENTS];
            if (!_mayRegister(client)) continue;
            _register(client);
            ++count;
        }
        vm.assume(count > 0);
    }

    /// @notice One leaves, often while its update is in the live round; sometimes it comes straight back.
    function leave(uint256 seed) external action(seed) {
        address[] memory submitted = _rounds[rounds].clients;
        address client = submitted.length > 0 && _oneIn(2) ? submitted[_draw(0, submitted.length - 1)] : _drawClient();
        vm.assume(_mayLeave(client));

        _leave(client, _recipient(client));
        if (_oneIn(3) && _mayRegister(client)) _register(client);
    }

    /// @notice Some of those who may submit do, or decline.
    function submit(uint256 seed) external action(seed) {
        _submitSome();
    }

    /// @notice A relay submits what clients signed, with what must be refused in between.
    function relayUpdates(uint256 seed) external action(seed) {
        vm.assume(phaseNow() == IFederation.Phase.Training);
        _relay();
    }

    /// @notice Somebody ends the membership of a client that stayed silent for long.
    function retire(uint256 seed) external action(seed) {
        uint256 first = _draw(0, CLIENTS - 1);
        for (uint256 i; i < CLIENTS; ++i) {
            address client = clients[(first + i) % CLIENTS];
            if (!_mayBeRetired(client)) continue;
            vm.prank(_oneIn(2) ? stranger : owner);
            federation.retire(client);
            _bookRetirement(client);
            ++reached["retired"];
            return;
        }
        vm.assume(false);
    }

    function claim(uint256 seed) external action(seed) {
        address client = _drawClaimant();
        _claim(client, client, _recipient(client));
    }

    function claimFor(uint256 seed) external action(seed) {
        address client = _drawClaimant();
        _claim(_oneIn(2) ? stranger : owner, client, client);
    }

    // ------------------------------------------------------------------------------------------- organization

    /// @notice Opens a round, sometimes after the live one was left to itself.
    function open(uint256 seed) external action(seed) {
        vm.assume(_mayOpen() && (!isLive() || _oneIn(3)));
        if (isLive()) _waitUntil(_rounds[rounds].opening.aggregationDeadline);
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
        if (_oneIn(2)) _submitSome();
        else _relay();
        if (_rounds[rounds].clients.length > 0) _finalizeLive();
    }

    function fund(uint256 seed) external action(seed) {
        uint256 taken = carried + livePool;
        vm.assume(!closed && taken < MAX_AMOUNT);
        uint256 amount = _drawAmount(MAX_AMOUNT - taken);
        vm.assume(amount > 0);

        address[3] memory givers = [stranger, owner, clients[0]];
        address giver = givers[_draw(0, 2)];
        uint256 coins = _endow(giver, amount);
        uint256 before = held(giver);
        vm.prank(giver);
        federation.fund{value: coins}(uint112(amount));
        _bookFunds(amount, before - held(giver));
    }

    /// @notice Closes the federation, rarely, also during a live round; withdraws what is carried once it is closed.
    function close(uint256 seed) external action(seed) {
        vm.assume(closed || (rounds > 1 && _oneIn(15)));
        if (!closed) _close();
        else _bookWithdrawal(_withdraw(_oneIn(2) ? owner : purse));
    }

    /// @notice Sets an operator, hands ownership over in its two steps, pauses, resumes, revokes a voucher or posts.
    function administer(uint256 seed) external action(seed) {
        uint256 deed = _draw(0, 6);
        if (deed == 0) _setOperator(_oneIn(4) ? address(0) : operators[_draw(0, 1)]);
        else if (deed == 1) _transferOwnership(_oneIn(4) ? address(0) : owners[_draw(0, 1)]);
        else if (deed == 2) _acceptOwnership();
        else if (deed == 3) _revokeVoucher(_draw());
        else if (deed == 4) _post();
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

    /// @notice Every client leaves while the organization does nothing, some by signature, some after a claim; fails
    /// where one gets less or more than what is theirs. Meant for a snapshot.
    function evacuate() external {
        for (uint256 i; i < CLIENTS; ++i) {
            if (i % 3 == 0 && owedTo[clients[i]] > 0) _claim(stranger, clients[i], clients[i]);
            if (_mayLeave(clients[i])) _leaveAs(clients[i], clients[i], i % 2 == 0 && !hasComeBack(clients[i]));
        }
        if (isLive()) _waitUntil(_rounds[rounds].opening.aggregationDeadline);
        for (uint256 i = CLIENTS; i > 0; --i) {
            if (_mayLeave(clients[i - 1])) _leaveAs(clients[i - 1], clients[i - 1], i % 2 == 0);
        }
        assertEq(owed + stakes + livePool, 0, "left to clients");
        assertEq(_members.length, 0, "members");
        assertEq(held(address(federation)), carried + forfeited + gifts, "left in the federation");
    }

    /// @notice Whether the client has left in this round and come back: what it signs for the round, to leave, is spent
    /// where there is no stake, or where it left by signature. With a stake, who left by itself may sign; nobody does
    /// here.
    function hasComeBack(address client) public view returns (bool) {
        return positionOf[client] != 0 && leftIn[client] == rounds + 1;
    }

    // ----------------------------------------------------------------------------------------------- internal

    /// @dev Who does the organization's daily work.
    function _organizer() internal virtual returns (address) {
        return operator == address(0) || _oneIn(2) ? owner : operator;
    }

    function _recipient(address client) internal virtual returns (address payable) {
        return payable(_oneIn(2) ? client : purse);
    }

    function _bookTime() internal {
        bool before = _rounds[rounds].settled;
        _bookEnd();
        if (before || !_rounds[rounds].settled) return;
        if (!_rounds[rounds].finalized) ++reached[_rounds[rounds].clients.length == 0 ? "empty" : "abandoned"];
    }

    function _waitUntil(uint256 instant) internal {
        if (instant <= time()) return;
        vm.roll(vm.getBlockNumber() + 1);
        vm.warp(instant);
        _bookTime();
    }

    // --------------------------------------------------------------------------------------- internal: members

    function _mayRegister(address client) internal view virtual returns (bool) {
        return !closed && positionOf[client] == 0 && !isLocked(client)
            && (!isHeld[client] || owedTo[client] <= type(uint112).max);
    }

    function _mayRegisterSigned(address client) internal view returns (bool) {
        return _terms.stake == 0 && leftIn[client] != rounds + 1 && _mayRegister(client);
    }

    /// @dev By itself or by a relay; with a voucher where one is needed. What is held with a stake is fetched first.
    function _register(address client) internal {
        if (isHeld[client] && _terms.stake > 0) _leave(client, client);
        IFederation.Voucher memory voucher = _noVoucher();
        if (_terms.admission == IFederation.Admission.Voucher) {
            uint256 id = _oneIn(2) ? _draw() : _draw(0, type(uint64).max);
            voucher = _signVoucher(owner, client, id, uint40(time() + _draw(1, 1 days)), ownerNonce);
            _spentVouchers.push(voucher.id);
        }
        uint256 coins = _endow(client, _terms.stake);
        uint256 before = held(client);
        uint24 index = _mayRegisterSigned(client) && _oneIn(2)
            ? _registerSigned(client, voucher)
            : _registerDirectly(client, coins, voucher);

        if (_wasMember[client]) ++reached["registered again"];
        if (isHeld[client]) ++reached["registered while held"];
        _wasMember[client] = true;
        _bookRegistration(client, _terms.stake, before - held(client));
        assertEq(index, _members.length - 1, "index");
    }

    function _registerDirectly(address client, uint256 coins, IFederation.Voucher memory voucher)
        private
        returns (uint24)
    {
        vm.prank(client);
        if (_terms.admission == IFederation.Admission.Open) return federation.register{value: coins}();
        return federation.registerWithVoucher{value: coins}(voucher);
    }

    function _registerSigned(address client, IFederation.Voucher memory voucher) private returns (uint24) {
        uint40 deadline = uint40(time() + _draw(1, 1 days));
        bytes memory call_ = abi.encodeCall(
            federation.registerSigned, (client, deadline, _signRegistration(client, rounds, deadline), voucher)
        );
        ++reached["registered by signature"];
        return abi.decode(_performRelayed(call_), (uint24));
    }

    function _mayLeave(address client) internal view returns (bool) {
        return positionOf[client] != 0 || (isHeld[client] && !isLocked(client));
    }

    function _leave(address client, address to) internal returns (uint256) {
        return _leaveAs(client, to, _oneIn(2) && !hasComeBack(client));
    }

    function _leaveAs(address client, address to, bool isSigned) internal returns (uint256 measured) {
        uint256 expected = isLocked(client) ? 0 : stakeOf[client] + owedTo[client];
        if (isLocked(client)) ++reached["left in a live round"];
        if (isAwaited(client)) ++reached["left when awaited"];
        if (positionOf[client] != 0 && positionOf[client] < _members.length) ++reached["moved"];
        uint256 before = held(to);
        uint256 returned = isSigned ? _leaveSigned(client, to) : _leaveDirectly(client, to);
        measured = held(to) - before;
        assertEq(returned, measured, "what leave returns");
        assertEq(measured, expected, "what leave pays");
        _bookDeparture(client, isSigned, measured);
        _bookTime();
    }

    function _leaveDirectly(address client, address to) private returns (uint256) {
        vm.prank(client);
        return federation.leave(payable(to));
    }

    function _leaveSigned(address client, address to) private returns (uint256) {
        uint40 deadline = uint40(time() + _draw(1, 1 days));
        bytes memory call_ = abi.encodeCall(
            federation.leaveSigned, (client, payable(to), deadline, _signLeaving(client, rounds, to, deadline))
        );
        ++reached["left by signature"];
        return abi.decode(_performRelayed(call_), (uint256));
    }

    function _mayBeRetired(address client) internal view returns (bool) {
        IFederation.Phase phase = phaseNow();
        return _terms.idleRounds > 0 && phase != IFederation.Phase.None && phase != IFederation.Phase.Training
            && isSelected[rounds][client] && !hasUpdate(rounds, client) && !hasDeclined[rounds][client]
            && rounds - lastOf[client] >= _terms.idleRounds;
    }

    // --------------------------------------------------------------------------------------- internal: updates

    /// @dev Selected, silent so far, and with room for what it is owed.
    function _isExpected(address client) internal view returns (bool) {
        return isSelected[rounds][client] && !hasUpdate(rounds, client) && !hasDeclined[rounds][client]
            && owedTo[client] <= type(uint112).max;
    }

    function _maySubmit(address client) internal view returns (bool) {
        return phaseNow() == IFederation.Phase.Training && _isExpected(client);
    }

    function _boundMs() internal view returns (uint256) {
        IFederation.Opening memory opening = _rounds[rounds].opening;
        uint256 elapsedMs = (time() - opening.openedAt + 1) * 1000;
        return elapsedMs < opening.maxComputeMs ? elapsedMs : opening.maxComputeMs;
    }

    function _drawComputeMs() private returns (uint32) {
        uint256 boundMs = _boundMs();
        return uint32(_oneIn(3) ? boundMs : _draw(1, _oneIn(3) && boundMs > 10 ? 10 : boundMs));
    }

    /// @dev Discards where nobody may submit.
    function _submitSome() private {
        uint256 first = _draw(0, CLIENTS - 1);
        uint256 count;
        bool late = _oneIn(2);
        for (uint256 i; i < CLIENTS && (count == 0 || !_oneIn(5)); ++i) {
            address client = clients[(first + i) % CLIENTS];
            if (!_maySubmit(client)) continue;
            if (count == 0 && late) _waitUntil(_draw(time(), _rounds[rounds].opening.trainingDeadline - 1));
            if (_oneIn(6)) _decline(client);
            else _submit(client, _drawComputeMs());
            ++count;
        }
        vm.assume(count > 0);
    }

    function _submit(address client, uint32 computeMs) internal {
        bytes32 cid = _updateOf(rounds, client);
        vm.prank(client);
        federation.submitUpdate(rounds, _sealingKeyOf(rounds), cid, computeMs);
        _bookUpdate(client, _boundMs(), cid, computeMs);
    }

    function _decline(address client) internal {
        vm.prank(client);
        federation.decline(rounds, _sealingKeyOf(rounds));
        _bookDecline(client);
        _bookTime();
        ++reached["declined"];
    }

    /// @dev For each client an entry or two, good or bad; the federation must take what the books take, in this order.
    function _relay() private {
        IFederation.SignedUpdate[] memory batch = new IFederation.SignedUpdate[](2 * CLIENTS);
        uint256 first = _draw(0, CLIENTS - 1);
        (uint256 count, uint256 accepted) = (0, 0);
        _mayBeSentAgain = false;
        for (uint256 i; i < CLIENTS; ++i) {
            address client = clients[(first + i) % CLIENTS];
            bool taken;
            for (uint256 entries = _oneIn(5) ? 2 : _draw(0, 1); entries > 0; --entries) {
                (batch[count++], taken) = _drawEntry(client);
                if (taken) ++accepted;
            }
        }
        assembly ("memory-safe") {
            mstore(batch, count)
        }
        bytes memory call_ = abi.encodeCall(federation.submitUpdates, (rounds, _sealingKeyOf(rounds), batch));
        if (accepted > 0) {
            assertEq(abi.decode(_performRelayed(call_), (uint256)), accepted, "accepted");
            if (_mayBeSentAgain) _relayed.pop();
            ++reached["relayed"];
            if (accepted < count) ++reached["relayed in part"];
            return;
        }
        vm.prank(relay);
        (bool success, bytes memory answer) = address(federation).call(call_);
        assertFalse(success, "accepted nothing and succeeded");
        assertEq(bytes4(answer), IFederation.NothingAccepted.selector, "refused for another reason");
    }

    /// @dev What a client signed, or somebody for it; books what must be taken.
    function _drawEntry(address client) private returns (IFederation.SignedUpdate memory entry, bool taken) {
        bytes32 key = _sealingKeyOf(rounds);
        bytes32 cid = keccak256(abi.encode(_updateOf(rounds, client), _draw(0, 1)));
        uint32 computeMs = _drawComputeMs();
        uint256 kind = _draw(0, 12);
        if (kind == 0) return (_signUpdate(client, rounds, key, 0, computeMs), false);
        if (kind == 1) return (_signUpdate(client, rounds, key, cid, 0), false);
        if (kind == 2) {
            return (_signUpdate(client, rounds, key, cid, _rounds[rounds].opening.maxComputeMs + 1), false);
        }
        if (kind == 3) return (_signUpdate(client, rounds + 1, key, cid, computeMs), false);
        if (kind == 4) return (_signUpdate(client, rounds, _sealingKeyOf(rounds - 1), cid, computeMs), false);
        if (kind == 5) return (_signUpdate(stranger, rounds, key, cid, computeMs), false);
        if (kind == 6) {
            return (IFederation.SignedUpdate(cid, computeMs, bytes32(_draw()), bytes32(_draw())), false);
        }
        taken = _isExpected(client);
        if (owedTo[client] > type(uint112).max) _mayBeSentAgain = true;
        if (kind == 7) {
            if (taken) _bookDecline(client);
            return (_signUpdate(client, rounds, key, 0, 0), taken);
        }
        if (taken) _bookUpdate(client, _boundMs(), cid, computeMs);
        return (_signUpdate(client, rounds, key, cid, computeMs), taken);
    }

    // ---------------------------------------------------------------------------------------- internal: claims

    /// @dev Discards where nobody has anything to claim.
    function _drawClaimant() private returns (address client) {
        uint256 first = _draw(0, CLIENTS - 1);
        for (uint256 i; i < CLIENTS; ++i) {
            client = clients[(first + i) % CLIENTS];
            if (owedTo[client] > 0) return client;
        }
        vm.assume(false);
    }

    function _claim(address caller, address client, address to) internal returns (uint256 measured) {
        uint256 before = held(to);
        vm.prank(caller);
        uint256 returned = caller == client ? federation.claim(payable(to)) : federation.claimFor(payable(client));
        measured = held(to) - before;
        assertEq(returned, measured, "what claim returns");
        assertEq(measured, owedTo[client], "what claim pays");
        _bookClaim(client, measured);
    }

    // ---------------------------------------------------------------------------------------- internal: rounds

    function _drawTerms() internal virtual returns (IFederation.RoundTerms memory terms) {
        terms.planCid = _planOf(rounds + 1);
        terms.sealingKey = _sealingKeyOf(rounds + 1);
        terms.trainingPeriod = uint32(_oneIn(8) ? 30 days : _draw(30, 1 days));
        terms.aggregationPeriod = uint32(_oneIn(8) ? 30 days : _draw(30, 1 days));
        terms.maxUpdates = uint16(_oneIn(4) ? _draw(1, 4) : 1000);
        terms.maxComputeMs = uint32(_oneIn(8) ? 30 days * 1000 : _draw(1, 10 ** 5));
        terms.selectionRate = uint16(_oneIn(3) ? _draw(1, 10_000) : 10_000);
        terms.reward = uint112(_drawAmount(MAX_AMOUNT - carried));
        if (_mostRateCap(terms) == 0) terms.maxComputeMs = 1;
        terms.rewardRateCap = uint112(_drawRateCap(_mostRateCap(terms)));
    }

    /// @dev The highest cap under which the selected may claim at most `maxSpread` times the pool; any cap if that is
    /// empty.
    function _mostRateCap(IFederation.RoundTerms memory terms) internal view returns (uint256 most) {
        uint256 pool = carried + terms.reward;
        if (pool == 0) return MAX_AMOUNT;
        uint256 k = (terms.selectionRate * _members.length + 9999) / 10_000;
        if (k == 0) k = 1; // nobody to select: refused for that
        if (k > terms.maxUpdates) k = terms.maxUpdates;
        most = _terms.maxSpread * pool * 10 ** 12 / (k * terms.maxComputeMs);
        return most < MAX_AMOUNT ? most : MAX_AMOUNT;
    }

    /// @dev Where the pool just lasts; a little below; or anything.
    function _drawRateCap(uint256 most) internal returns (uint256) {
        uint256 manner = _draw(0, 3);
        if (manner < 2) return most;
        return manner == 2 ? _draw((most + 1) / 2, most) : 1 + _drawAmount(most - 1);
    }

    function _mayOpen() private view returns (bool) {
        return !closed && !paused && _members.length > 0;
    }

    function _openNext() private {
        _open(_organizer(), _drawTerms());
    }

    function _open(address organizer, IFederation.RoundTerms memory terms) internal {
        uint256 coins = _endow(organizer, terms.reward);
        uint256 before = held(organizer);
        bytes20 digest = digestOf(rounds);
        vm.prank(organizer);
        uint24 round = federation.openRound{value: coins}(terms, digest);
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

    /// @dev The next model is sometimes the one before: where nothing could be learned.
    function _finalization(IFederation.Adjustment[] memory adjustments)
        internal
        view
        returns (IFederation.Finalization memory)
    {
        return IFederation.Finalization({
            round: rounds,
            digest: digestOf(rounds),
            modelCid: rounds % 5 == 0 ? latestModel : _modelOf(rounds),
            reportCid: _reportOf(rounds),
            secret: _terms.auditPolicy == IFederation.AuditPolicy.Open ? _secretOf(rounds) : bytes32(0),
            adjustments: adjustments
        });
    }

    function _finalizeLive() private {
        if (phaseNow() == IFederation.Phase.Training) _waitUntil(_rounds[rounds].opening.trainingDeadline);
        else if (_oneIn(4)) _waitUntil(_rounds[rounds].opening.aggregationDeadline - 1);

        IFederation.Adjustment[] memory adjustments = _drawAdjustments();
        address organizer = _organizer();
        if (adjustments.length > 0) _compare(organizer, adjustments);
        _finalize(organizer, adjustments);
    }

    /// @dev What the owner could withdraw, and everybody claim, after such a finalization and after one that adjusts
    /// nobody. With a pool that pays the k-th of what the selected may claim, a wage that rounds down on the way loses
    /// less than two units before it is multiplied.
    function _compare(address organizer, IFederation.Adjustment[] memory adjustments) internal virtual {
        (uint256 without, uint256[] memory fair) = _after(organizer, new IFederation.Adjustment[](0));
        (uint256 with_, uint256[] memory pay) = _after(organizer, adjustments);
        if (with_ > without) gainedByRejecting += with_ - without;
        for (uint256 i; i < CLIENTS; ++i) {
            if (pay[i] > _terms.maxSpread * (fair[i] + 2)) ++raisedTooFar;
            if (pay[i] > fair[i] + 2) ++reached["raised by rejecting others"];
        }
    }

    function _finalize(address organizer, IFederation.Adjustment[] memory adjustments) internal {
        IFederation.Finalization memory finalization = _finalization(adjustments);
        vm.prank(organizer);
        federation.finalizeRound(finalization);
        _bookFinalization(finalization);
        _bookTime();

        ++reached["finalized"];
        for (uint256 i; i < adjustments.length; ++i) {
            if (adjustments[i].creditedMs == 0) ++reached["rejected"];
            if (adjustments[i].slashRate > 0) ++reached["slashed"];
        }
    }

    /// @dev What the owner gets if it closes right after such a finalization, and what this round brings each client.
    function _after(address organizer, IFederation.Adjustment[] memory adjustments)
        private
        returns (uint256 amount, uint256[] memory pay)
    {
        IFederation.Finalization memory finalization = _finalization(adjustments);
        uint256 snapshot = vm.snapshotState();
        vm.prank(organizer);
        federation.finalizeRound(finalization);
        pay = new uint256[](CLIENTS);
        for (uint256 i; i < CLIENTS; ++i) {
            (uint256 balance,) = federation.balanceOf(clients[i]);
            pay[i] = balance - owedTo[clients[i]];
        }
        if (!closed) {
            vm.prank(owner);
            federation.close();
        }
        amount = _withdraw(owner);
        vm.revertToStateAndDelete(snapshot);
    }

    // -------------------------------------------------------------------------------- internal: administration

    function _close() private {
        vm.prank(owner);
        federation.close();
        closed = true;
        ++reached["closed"];
        if (isLive()) ++reached["closed in a live round"];
        if (carried > 0 && _oneIn(2)) _bookWithdrawal(_withdraw(owner));
    }

    function _withdraw(address to) internal returns (uint256 measured) {
        if (federation.carried() > 0) ++reached["withdrawn"];
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
        federation.transferOwnership(to);
        pendingOwner = to;
    }

    function _acceptOwnership() private {
        vm.assume(pendingOwner != address(0));
        vm.prank(pendingOwner);
        federation.acceptOwnership();
        (owner, pendingOwner, operator) = (pendingOwner, address(0), address(0));
        ++ownerNonce;
        ++reached["handed over"];
    }

    function _revokeVoucher(uint256 id) private {
        vm.prank(owner);
        federation.revokeVoucher(id);
        _spentVouchers.push(id);
    }

    function _post() private {
        vm.assume(_members.length > 0);
        vm.prank(_oneIn(2) ? owner : _members[_draw(0, _members.length - 1)]);
        federation.post(keccak256("topic"), bytes32(_draw()));
    }

    function _setPaused(bool paused_) private {
        vm.assume(paused_ != paused);
        vm.prank(owner);
        if (paused_) federation.pause();
        else federation.unpause();
        paused = paused_;
    }

    /// @dev A relay does what somebody signed. Fails with the federation's own words where that is refused.
    function _performRelayed(bytes memory call_) internal returns (bytes memory answer) {
        _relayed.push(call_);
        bool success;
        vm.prank(relay);
        (success, answer) = address(federation).call(call_);
        if (success) return answer;
        assembly ("memory-safe") {
            revert(add(answer, 32), mload(answer))
        }
    }
}
