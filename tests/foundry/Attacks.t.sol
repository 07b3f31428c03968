// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";

import {Federation} from "../../contracts/Federation.sol";
import {FederationFactory} from "../../contracts/FederationFactory.sol";
import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Receiver} from "../../contracts/mocks/Receiver.sol";
import {Base} from "./Base.sol";

/// @title Leaves the code that it is given at its address, and something in its storage: a clone that is none.
contract Poison {
    constructor(bytes memory code, bytes32 slot, bytes32 value) {
        // solhint-disable-next-line no-inline-assembly
        assembly {
            sstore(slot, value)
            return(add(code, 32), mload(code))
        }
    }
}

/// @title Says that everything is a federation, and makes clones of whatever it is given.
contract LyingFactory {
    address public immutable IMPLEMENTATION;

    constructor(address implementation) {
        IMPLEMENTATION = implementation == address(0) ? address(new Federation()) : implementation;
    }

    function createClone(bytes calldata packed) external returns (address) {
        return Clones.cloneDeterministicWithImmutableArgs(IMPLEMENTATION, packed, 0);
    }

    function isFederation(address) external pure returns (bool) {
        return true;
    }
}

/// @title Registers and leaves as often as it is told, in one transaction, with one stake.
contract Looper is Receiver {
    function loop(IFederation federation, uint256 times, uint256 stake) external payable {
        for (uint256 i; i < times; ++i) {
            federation.register{value: stake}();
            federation.leave(payable(address(this)));
        }
    }
}

/// @title What each known attack on a federation achieves: nothing, or exactly what the documentation says.
contract AttacksTest is Base {
    // ---------------------------------------------------------------------------------------------- on the selection

    /// @dev Whoever leaves is gone: no loop of registering and leaving makes a number that selection could fall on.
    function test_RegisteringAndLeavingInALoopHasNoEffect() public {
        (terms.stake, terms.maxSlashRate) = (1 ether, 10_000);
        _create();
        _registerMany(10);
        address[] memory before = federation.members(0, 100);
        Looper looper = new Looper();
        vm.deal(address(looper), 1 ether);
        for (uint256 round; round < 5; ++round) {
            looper.loop(federation, 300, 1 ether);
            assertEq(address(looper).balance, 1 ether);
            _assertMembers(before);
            _openFor(3);
            looper.loop(federation, 20, 1 ether);
            assertEq(_selectedOf(before), 3);
            assertEq(_view().absentCount, 0);
            _abandon();
        }
    }

    /// @dev Without a stake too, where the slot of who left is kept.
    function test_NorWithoutAStake() public {
        _registerMany(10);
        address[] memory before = federation.members(0, 100);
        Looper looper = new Looper();
        looper.loop(federation, 300, 0);
        _openFor(3);
        looper.loop(federation, 20, 0);
        _assertMembers(before);
        assertEq(_selectedOf(before), 3);
    }

    /// @dev Members of one attacker dilute who is drawn, and stay silent. Where admission is open and free nothing else
    /// keeps them out: `idleRounds` lets anybody put them out again, each after its own rounds of silence.
    function test_SquattersOfAFreeFederationAreRetired() public {
        terms.idleRounds = 1;
        _create();
        _registerThree();
        for (uint256 i; i < 27; ++i) {
            _register(_clientAt(i));
        }
        uint256 rounds;
        while (federation.memberCount() > 3) {
            assertLt(++rounds, 20, "each round retires whoever it drew of them");
            _openFor(10);
            address[3] memory honest = [ADA, BOB, CYD];
            for (uint256 i; i < 3; ++i) {
                if (_view(honest[i]).selected) _submit(honest[i], 1000);
            }
            _endTraining();
            uint256 drawn;
            for (uint256 i; i < 27; ++i) {
                if (!_view(_clientAt(i)).member || !_view(_clientAt(i)).selected) continue;
                vm.prank(STRANGER);
                federation.retire(_clientAt(i));
                ++drawn;
            }
            if (federation.phase() == IFederation.Phase.Aggregating) _finalize();
        }
        assertTrue(_view(ADA).member && _view(BOB).member && _view(CYD).member);
        _openFor(3);
        assertEq(_view().selectedCount, 3);
    }

    /// @dev With a stake every seat costs one for as long as it is held.
    function test_SquattingCostsAStakeForEverySeat() public {
        (terms.stake, terms.maxSlashRate) = (1 ether, 10_000);
        _create();
        for (uint256 i; i < 5; ++i) {
            _register(_clientAt(i));
        }
        assertEq(address(federation).balance, 5 ether);
        vm.deal(STRANGER, 1 ether - 1);
        vm.expectRevert(abi.encodeWithSelector(IFederation.WrongAmount.selector, 1 ether, 1 ether - 1));
        vm.prank(STRANGER);
        federation.register{value: 1 ether - 1}();
    }

    /// @dev With vouchers nobody sits where the owner does not want them.
    function test_NobodySquatsWhereVouchersAreNeeded() public {
        terms.admission = IFederation.Admission.Voucher;
        _create();
        IFederation.Voucher memory forged = _voucher(ADA_KEY, STRANGER, 1, type(uint40).max);
        vm.expectRevert(abi.encodeWithSelector(IFederation.InvalidVoucher.selector, OWNER, STRANGER));
        vm.prank(STRANGER);
        federation.registerWithVoucher(forged);
    }

    /// @dev Twenty members, two of them replaced in each of ninety rounds: exactly k members are drawn, and all of them
    /// can submit.
    function test_ChurnThinsOutNoRound() public {
        _registerMany(20);
        uint256 next = 20;
        for (uint256 round; round < 90; ++round) {
            for (uint256 i; i < 2; ++i) {
                _leave(federation.members((round * 7 + i * 3) % 20, 1)[0]);
                _register(_clientAt(next++));
            }
            _openFor(5);
            address[] memory members = federation.members(0, 100);
            assertEq(members.length, 20);
            assertEq(_selectedOf(members), 5);
            for (uint256 i; i < members.length; ++i) {
                if (_view(members[i]).selected) _submit(members[i], 1000);
            }
            assertEq(_view().updateCount, 5);
            _assertPhase(IFederation.Phase.Aggregating);
            _finalize();
        }
    }

    /// @dev It can be bent, and the documentation says so: whose turn comes next is known, and who leaves and registers
    /// again before an opening chooses a position. Still exactly k are drawn, and within a round nothing is gained.
    function test_LeavingAndRejoiningBeforeAnOpeningBendsTheSelection() public {
        _register(ADA);
        _registerMany(5);
        uint256 turns;
        for (uint256 round; round < 21; ++round) {
            for (uint256 plan; plan < 4; ++plan) {
                uint256 state = vm.snapshotState();
                _bend(plan);
                _openFor(1);
                bool drawn = _view(ADA).selected;
                vm.revertToState(state);
                if (!drawn) continue;
                _bend(plan);
                break;
            }
            _openFor(1);
            assertEq(_selectedOf(federation.members(0, 100)), 1, "still exactly k");
            if (_view(ADA).selected) ++turns;
            _abandon();
        }
        assertGt(turns, 2 * 21 / 6, "more than twice the share of one in six");
    }

    function test_LeavingAndRejoiningWithinARoundGainsNothing() public {
        _registerThree();
        _openFor(1);
        address drawn = _drawn();
        _leave(drawn);
        _register(drawn);
        assertFalse(_view(drawn).selected);
        assertEq(_view().absentCount, 1);
        _assertPhase(IFederation.Phase.Abandoned);
        _refusesInPhase(drawn, IFederation.Phase.Abandoned);
    }

    function test_AllSelectedLeavingOrDecliningAbandonsTheRoundAtOnce() public {
        _registerThree();
        _register(DOT);
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.maxUpdates = 2;
        _open(roundTerms);
        address[4] memory clients = [ADA, BOB, CYD, DOT];
        bool first = true;
        for (uint256 i; i < 4; ++i) {
            if (!_view(clients[i]).selected) continue;
            _assertPhase(IFederation.Phase.Training);
            if (first) _leave(clients[i]);
            else _decline(clients[i]);
            first = false;
        }
        _assertPhase(IFederation.Phase.Abandoned);
        assertEq(federation.carried(), REWARD, "nothing is lost");
        assertEq(_open(), 2, "and nobody waits");
    }

    // ------------------------------------------------------------------------------------------------- on signatures

    /// @dev Whoever takes entries out of a batch and submits them first helps: the rest of the batch is taken.
    function test_FrontRunningABatchOnlySubmitsItEarlier() public {
        _registerThree();
        _open();
        IFederation.SignedUpdate[] memory signed = new IFederation.SignedUpdate[](3);
        signed[0] = _signedUpdate(ADA_KEY, 1000);
        signed[1] = _signedUpdate(BOB_KEY, 0);
        signed[2] = _signedUpdate(CYD_KEY, 3000);
        federation.submitUpdates(1, _keyOf(1), _batch(signed[2], signed[1]));
        assertEq(_relay(signed), 1);
        assertEq(_view(ADA).computeMs, 1000);
        assertEq(_view(CYD).computeMs, 3000);
        assertTrue(_view(BOB).declined);
    }

    /// @dev Nor can an entry be changed on the way.
    function test_NobodyChangesWhatAClientSigned() public {
        _registerThree();
        _open();
        IFederation.SignedUpdate memory signed = _signedUpdate(ADA_KEY, 1000);
        IFederation.SignedUpdate memory more = IFederation.SignedUpdate(signed.updateCid, 2000, signed.r, signed.vs);
        IFederation.SignedUpdate memory other = IFederation.SignedUpdate("other", 1000, signed.r, signed.vs);
        IFederation.SignedUpdate memory decline = IFederation.SignedUpdate(0, 0, signed.r, signed.vs);
        _nothingAccepted(_batch(more, other));
        _nothingAccepted(_batch(decline));
        assertEq(_relay(_batch(signed)), 1);
    }

    function test_ASignedUpdateCountsInItsRoundOnly() public {
        _registerThree();
        _open();
        IFederation.SignedUpdate[] memory first = _batch(_signedUpdate(ADA_KEY, 1000), _signedUpdate(BOB_KEY, 0));
        assertEq(_relay(first), 2);
        _nothingAccepted(first);
        _finalize();
        _open();
        _nothingAccepted(first);
        assertEq(_view().absentCount, 0);
    }

    function test_ASignedUpdateCountsUnderItsKeyOnly() public {
        _registerThree();
        uint256 state = vm.snapshotState();
        _open();
        IFederation.SignedUpdate[] memory signed = _batch(_signedUpdate(ADA_KEY, 1000));
        // A reorganization: the same round opens again, with another key.
        vm.revertToState(state);
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.sealingKey = _keyOf(9);
        _open(roundTerms);
        skip(100);
        vm.expectRevert(abi.encodeWithSelector(IFederation.WrongSealingKey.selector, 1, _keyOf(9), _keyOf(1)));
        federation.submitUpdates(1, _keyOf(1), signed);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NothingAccepted.selector, 1, 1));
        federation.submitUpdates(1, _keyOf(9), signed);
    }

    function test_ASignedUpdateCountsInItsFederationAndChainOnly() public {
        _registerThree();
        _open();
        IFederation.SignedUpdate[] memory signed = _batch(_signedUpdate(ADA_KEY, 1000));
        uint256 chain = block.chainid;
        vm.chainId(chain + 1);
        _nothingAccepted(signed);
        vm.chainId(chain);
        Federation first = federation;
        _create();
        _registerThree();
        _open();
        _nothingAccepted(signed);
        assertEq(first.submitUpdates(1, _keyOf(1), signed), 1);
    }

    function test_ARegistrationAndALeavingAreReplayedByNobody() public {
        uint40 deadline = uint40(START + 1 days);
        _register(BOB);
        _open();
        IFederation.Signature memory registration = _signCompact(ADA_KEY, _registrationHash(1, deadline));
        IFederation.Signature memory leaving = _signCompact(ADA_KEY, _leavingHash(1, ADA, deadline));
        federation.registerSigned(ADA, deadline, registration, _noVoucher());
        federation.leaveSigned(ADA, payable(ADA), deadline, leaving);
        bytes memory spent = abi.encodeWithSelector(IFederation.SignatureSpent.selector, ADA, 1);
        vm.expectRevert(spent);
        federation.registerSigned(ADA, deadline, registration, _noVoucher());
        _register(ADA);
        vm.expectRevert(spent);
        federation.leaveSigned(ADA, payable(ADA), deadline, leaving);
        _leave(ADA);
        vm.expectRevert(spent);
        federation.registerSigned(ADA, deadline, registration, _noVoucher());
        _abandon();
        _open();
        vm.expectRevert(abi.encodeWithSelector(IFederation.InvalidSignature.selector, ADA, 2));
        federation.registerSigned(ADA, deadline, registration, _noVoucher());
    }

    // --------------------------------------------------------------------------------------------- on what is genuine

    /// @dev The code is the same to the last byte; storage was written before. The address tells.
    function test_APoisonedCloneIsRecognized() public {
        bytes memory code = address(federation).code;
        address poisoned = address(new Poison(code, bytes32(uint256(0)), bytes32(uint256(uint160(STRANGER)))));
        assertEq(poisoned.code, code);
        assertEq(Federation(poisoned).owner(), OWNER, "it even names the owner");
        assertEq(Federation(poisoned).FACTORY(), address(factory));
        assertEq(Federation(poisoned).operator(), STRANGER, "who has prepared a role");
        assertFalse(factory.isFederation(poisoned));
        assertTrue(factory.isFederation(address(federation)));
    }

    function test_ALyingFactoryIsRecognized() public {
        bytes memory packed = abi.encodePacked(
            OWNER, address(0), uint128(0), uint16(0), uint8(0), uint8(0), uint16(1), uint16(0), uint64(1)
        );
        // With the genuine code below its clones, only the address is wrong.
        LyingFactory lying = new LyingFactory(factory.IMPLEMENTATION());
        address made = lying.createClone(packed);
        assertEq(made.code, address(federation).code);
        assertTrue(lying.isFederation(made));
        assertEq(Federation(made).FACTORY(), address(factory));
        assertFalse(factory.isFederation(made));
        // With its own, the code itself names who made it.
        lying = new LyingFactory(address(0));
        made = lying.createClone(packed);
        assertEq(Federation(made).FACTORY(), address(lying));
        assertFalse(factory.isFederation(made));
    }

    /// @dev The code behind the federations does nothing for itself, whoever asks: nobody can prepare anything there.
    function test_TheBareImplementationRefusesEveryCallThatChangesSomething() public {
        Federation bare = Federation(factory.IMPLEMENTATION());
        bytes[] memory calls = _mutatingCalls();
        address[3] memory callers = [STRANGER, OWNER, bare.owner()];
        for (uint256 i; i < calls.length; ++i) {
            for (uint256 j; j < callers.length; ++j) {
                vm.prank(callers[j]);
                (bool success, bytes memory answer) = address(bare).call(calls[i]);
                assertFalse(success);
                assertEq(answer, abi.encodeWithSelector(IFederation.NotAFederation.selector));
            }
        }
        assertEq(bare.roundCount(), 0);
        assertEq(bare.memberCount(), 0);
    }

    /// @dev Nothing stands between the federations either: the clone delegates, it asks nobody.
    function test_NoFederationTouchesAnother() public {
        Federation first = federation;
        _registerThree();
        _open();
        _create();
        _register(DOT);
        _open();
        _close();
        assertFalse(first.closed());
        assertEq(first.memberCount(), 3);
        assertEq(uint8(first.phase()), uint8(IFederation.Phase.Training));
    }

    // ---------------------------------------------------------------------------------------------------- on the money

    /// @dev A wallet of the organization's own claims a millisecond, and all others are rejected. The cap on the rate
    /// cannot be so high that this wallet then gets the pool.
    function test_ARateThatPaysThePoolToAMillisecondOpensNoRound() public {
        _registerThree();
        _register(DOT);
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.rewardRateCap = type(uint112).max;
        vm.deal(OWNER, REWARD);
        uint256 needed = (uint256(type(uint112).max) * 4 * 100_000 + 1e12 - 1) / 1e12;
        vm.expectRevert(abi.encodeWithSelector(IFederation.PoolTooSmall.selector, needed, REWARD));
        vm.prank(OWNER);
        federation.openRound{value: REWARD}(roundTerms, 0);
    }

    function testFuzz_RejectingTheOthersGainsAWalletNothing(uint112 rateCap, uint32 own) public {
        _rejectingGains(1, rateCap, own);
    }

    function testFuzz_RejectingTheOthersGainsAWalletAtMostSoManyFold(uint16 spread, uint112 rateCap, uint32 own)
        public
    {
        _rejectingGains(uint16(bound(spread, 1, type(uint16).max)), rateCap, own);
    }

    /// @dev The pool is the least that `maxSpread` allows: the more others are rejected, the more the wallet gets.
    function _rejectingGains(uint16 spread, uint112 rateCap, uint32 own) private {
        terms.maxSpread = spread;
        _create();
        _registerThree();
        _register(DOT); // the organization's own
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.rewardRateCap = uint112(bound(rateCap, 1, type(uint112).max / 1e6));
        uint256 most = uint256(roundTerms.rewardRateCap) * 4 * 100_000;
        roundTerms.reward = uint112((most + uint256(spread) * 1e12 - 1) / (uint256(spread) * 1e12));
        _open(roundTerms);
        skip(100);
        _submit(ADA, 100_000);
        _submit(BOB, 100_000);
        _submit(CYD, 100_000);
        _submit(DOT, uint32(bound(own, 1, 100_000)));
        uint256 state = vm.snapshotState();
        _finalize();
        (uint256 among, uint256 carried) = (_owed(DOT), federation.carried());
        vm.revertToState(state);
        IFederation.Adjustment[] memory adjustments = new IFederation.Adjustment[](3);
        (adjustments[0], adjustments[1], adjustments[2]) =
        (_adjustment(ADA, 0, 0), _adjustment(BOB, 0, 0), _adjustment(CYD, 0, 0));
        _finalize(adjustments);
        assertLe(_owed(DOT), spread * (among + 2), "but for rounding");
        assertEq(federation.carried(), carried, "and the organization gets nothing back");
    }

    function test_WithASpreadOfOneAMillisecondIsPaidAMillisecond() public {
        _registerThree();
        _register(DOT);
        _open();
        _submit(ADA, 100_000);
        _submit(BOB, 100_000);
        _submit(CYD, 100_000);
        _submit(DOT, 1);
        IFederation.Adjustment[] memory adjustments = new IFederation.Adjustment[](3);
        (adjustments[0], adjustments[1], adjustments[2]) =
        (_adjustment(ADA, 0, 0), _adjustment(BOB, 0, 0), _adjustment(CYD, 0, 0));
        _finalize(adjustments);
        assertEq(_owed(DOT), WAGE / 1000);
        assertEq(federation.carried(), REWARD - 300 * WAGE - WAGE / 1000);
    }

    /// @dev Who over-claims takes nothing from others either, where the spread is one.
    function test_OverclaimingDilutesNobody() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 100_000);
        _submit(CYD, 100_000);
        _finalize();
        assertEq(_owed(ADA), WAGE);
    }

    /// @dev A client that refuses coins can hold up nobody: it can be paid elsewhere, and the federation goes on.
    function test_ARecipientThatRefusesHoldsUpNothing() public {
        (terms.stake, terms.maxSlashRate) = (100, 10_000);
        _create();
        Receiver receiver = new Receiver();
        receiver.refuse(true);
        _register(address(receiver));
        _register(ADA);
        _open();
        _submit(address(receiver), 1000);
        _submit(ADA, 1000);
        _finalize();
        vm.expectRevert(Receiver.Refused.selector);
        federation.claimFor(payable(address(receiver)));
        bytes memory toItself = abi.encodeCall(federation.leave, (payable(address(receiver))));
        vm.expectRevert(Receiver.Refused.selector);
        receiver.perform(address(federation), toItself);
        assertEq(_claim(ADA), WAGE);
        assertEq(_leave(ADA), 100);
        _open();
        _abandon();
        assertEq(_owed(address(receiver)), WAGE, "nothing of it was lost");
        receiver.perform(address(federation), abi.encodeCall(federation.leave, (payable(PURSE))));
        assertEq(PURSE.balance, WAGE + 100);
    }

    /// @dev A stake that was returned in one round cannot be slashed for it, nor one that came later.
    function test_ANewStakeDoesNotAnswerForAnOldUpdate() public {
        (terms.stake, terms.maxSlashRate) = (100, 10_000);
        _create();
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _leave(ADA);
        _finalize(_adjustment(ADA, 0, 10_000));
        assertEq(_leave(ADA), 0, "all of it");
        _register(ADA);
        assertEq(_stakeOf(ADA), 100);
        _open();
        _submit(ADA, 1000);
        assertEq(_stakeOf(ADA), 100);
    }

    // --------------------------------------------------------------------------------------------- on the organization

    /// @dev After a reorganization other updates, or the same in another order, are in the round: what was aggregated
    /// before is refused.
    function test_AFinalizationOfAnotherListIsRefused() public {
        _registerThree();
        _open();
        uint256 state = vm.snapshotState();
        _submit(ADA, 1000);
        _submit(BOB, 1000);
        _endTraining();
        IFederation.Finalization memory finalization = _finalization();
        vm.revertToState(state);
        _submit(BOB, 1000);
        _submit(ADA, 1000);
        _endTraining();
        bytes20 digest = _view().digest;
        vm.expectRevert(abi.encodeWithSelector(IFederation.WrongDigest.selector, 1, digest, finalization.digest));
        vm.prank(OWNER);
        federation.finalizeRound(finalization);
    }

    /// @dev The same updates of the same clients, but the round opened again: another key, plan or time.
    function test_AFinalizationOfAnotherOpeningIsRefused() public {
        _registerThree();
        uint256 state = vm.snapshotState();
        _open();
        _submit(ADA, 1000);
        _endTraining();
        IFederation.Finalization memory finalization = _finalization();
        vm.revertToState(state);
        skip(12);
        _open();
        _submit(ADA, 1000);
        _endTraining();
        bytes20 digest = _view().digest;
        vm.expectRevert(abi.encodeWithSelector(IFederation.WrongDigest.selector, 1, digest, finalization.digest));
        vm.prank(OWNER);
        federation.finalizeRound(finalization);
    }

    /// @dev An opening that was meant to follow another round is refused too.
    function test_AnOpeningAfterAnotherRoundIsRefused() public {
        _registerThree();
        _open();
        uint256 state = vm.snapshotState();
        _submit(ADA, 1000);
        _abandon();
        bytes20 seen = _view().digest;
        vm.revertToState(state);
        _submit(BOB, 1000);
        _abandon();
        bytes20 digest = _view().digest;
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        vm.deal(OWNER, REWARD);
        vm.expectRevert(abi.encodeWithSelector(IFederation.WrongDigest.selector, 1, digest, seen));
        vm.prank(OWNER);
        federation.openRound{value: REWARD}(roundTerms, seen);
    }

    /// @dev An operator whose key was stolen opens the longest round there is. Removed, it can open no other, and the
    /// owner closes at once; what was carried is in the pool, and comes back when the round is over.
    function test_ARemovedOperatorCannotHoldUpClosing() public {
        _registerThree();
        _fund(REWARD);
        vm.prank(OWNER);
        federation.setOperator(OPERATOR);
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        (roundTerms.trainingPeriod, roundTerms.aggregationPeriod, roundTerms.reward) = (30 days, 30 days, 0);
        vm.prank(OPERATOR);
        federation.openRound(roundTerms, 0);
        skip(100);
        _submit(ADA, 1000);
        _fund(7);
        vm.startPrank(OWNER);
        federation.setOperator(address(0));
        federation.close();
        assertEq(federation.withdraw(payable(PURSE)), 7);
        vm.stopPrank();
        vm.warp(START + 60 days);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NeitherOwnerNorOperator.selector, OPERATOR));
        vm.prank(OPERATOR);
        federation.openRound(roundTerms, 0);
        assertEq(_withdraw(PURSE), REWARD - WAGE);
        assertEq(_claim(ADA), WAGE);
    }

    /// @dev What an operator can sign counts for nothing: neither vouchers, nor the ownership.
    function test_AnOperatorAdmitsNobody() public {
        terms.admission = IFederation.Admission.Voucher;
        _create();
        vm.prank(OWNER);
        federation.setOperator(BOB);
        IFederation.Voucher memory voucher = _voucher(BOB_KEY, ADA, 1, type(uint40).max);
        vm.expectRevert(abi.encodeWithSelector(IFederation.InvalidVoucher.selector, OWNER, ADA));
        vm.prank(ADA);
        federation.registerWithVoucher(voucher);
    }

    // ----------------------------------------------------------------------------------------------------- on its size

    /// @dev A thousand members, updates, adjustments and slashes: each is booked as if it were alone.
    function test_AThousandOfEverything() public {
        (terms.stake, terms.maxSlashRate) = (1000, 10_000);
        _create();
        _registerMany(1000);
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        (roundTerms.maxUpdates, roundTerms.reward) = (1000, 100 * REWARD);
        _open(roundTerms);
        skip(100);
        IFederation.Adjustment[] memory adjustments = new IFederation.Adjustment[](1000);
        for (uint256 i; i < 1000; ++i) {
            _submit(_clientAt(i), 50_000);
            adjustments[i] = _adjustment(_clientAt(i), uint32(i * 10), uint16(i * 10));
        }
        _assertPhase(IFederation.Phase.Aggregating);
        assertEq(_view().claimedMs, 50_000_000);
        _finalize(adjustments);
        assertEq(_view().creditedMs, 4_995_000);
        for (uint256 i; i < 1000; i += 37) {
            assertApproxEqAbs(_owed(_clientAt(i)), uint256(WAGE) * i / 100, 1);
            assertEq(_stakeOf(_clientAt(i)), 1000 - i);
        }
        IFederation.UpdateView[] memory page = federation.updates(990, 100);
        assertEq(page.length, 10);
        assertEq(page[9].client, _clientAt(999));
        assertEq(page[9].computeMs, 9990);
        assertEq(page[9].slashRate, 9990);
        assertEq(_leave(_clientAt(999)), _dueTo(999));
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    /// @dev Ada leaves and registers again where the first bit says so; where the second does, her other wallet comes
    /// or goes, which changes n.
    function _bend(uint256 plan) private {
        if (plan & 1 != 0) {
            _leave(ADA);
            _register(ADA);
        }
        if (plan & 2 == 0) return;
        if (_view(BOB).member) _leave(BOB);
        else _register(BOB);
    }

    function _dueTo(uint256 i) private view returns (uint256) {
        (uint112 payable_, uint48 creditedMs,) = federation.results(1);
        return uint256(payable_) * (i * 10) / creditedMs + 1000 - i;
    }

    function _drawn() private view returns (address) {
        address[] memory members = federation.members(0, 100);
        for (uint256 i; i < members.length; ++i) {
            if (_view(members[i]).selected) return members[i];
        }
        return address(0);
    }

    function _selectedOf(address[] memory members) private view returns (uint256 count) {
        for (uint256 i; i < members.length; ++i) {
            if (_view(members[i]).selected) ++count;
        }
    }

    function _nothingAccepted(IFederation.SignedUpdate[] memory signed) private {
        uint24 round = federation.roundCount();
        vm.expectRevert(abi.encodeWithSelector(IFederation.NothingAccepted.selector, round, signed.length));
        federation.submitUpdates(round, _keyOf(round), signed);
    }

    function _refusesInPhase(address client, IFederation.Phase actual) private {
        vm.expectRevert(_wrongPhase(actual, 1));
        vm.prank(client);
        federation.submitUpdate(1, _keyOf(1), _cidOf(1, client), 1000);
    }

    /// @dev Each call that changes something, of every kind.
    function _mutatingCalls() private view returns (bytes[] memory calls) {
        IFederation.Signature memory signature = _signCompact(ADA_KEY, keccak256("anything"));
        IFederation.SignedUpdate[] memory batch = _batch(IFederation.SignedUpdate("cid", 1, signature.r, signature.vs));
        calls = new bytes[](24);
        calls[0] = abi.encodeCall(federation.register, ());
        calls[1] = abi.encodeCall(federation.registerWithVoucher, (_noVoucher()));
        calls[2] = abi.encodeCall(federation.registerSigned, (ADA, type(uint40).max, signature, _noVoucher()));
        calls[3] = abi.encodeCall(federation.leave, (payable(PURSE)));
        calls[4] = abi.encodeCall(federation.leaveSigned, (ADA, payable(PURSE), type(uint40).max, signature));
        calls[5] = abi.encodeCall(federation.submitUpdate, (1, _keyOf(1), "cid", 1));
        calls[6] = abi.encodeCall(federation.decline, (1, _keyOf(1)));
        calls[7] = abi.encodeCall(federation.submitUpdates, (1, _keyOf(1), batch));
        calls[8] = abi.encodeCall(federation.retire, (ADA));
        calls[9] = abi.encodeCall(federation.claim, (payable(PURSE)));
        calls[10] = abi.encodeCall(federation.claimFor, (payable(ADA)));
        calls[11] = abi.encodeCall(federation.post, ("topic", "cid"));
        calls[12] = abi.encodeCall(federation.transferOwnership, (STRANGER));
        calls[13] = abi.encodeCall(federation.acceptOwnership, ());
        calls[14] = abi.encodeCall(federation.setOperator, (STRANGER));
        calls[15] = abi.encodeCall(federation.pause, ());
        calls[16] = abi.encodeCall(federation.unpause, ());
        calls[17] = abi.encodeCall(federation.revokeVoucher, (1));
        calls[18] = abi.encodeCall(federation.setInitialModel, (INITIAL_MODEL));
        calls[19] = abi.encodeCall(federation.openRound, (_roundTerms(), bytes20(0)));
        calls[20] = abi.encodeCall(federation.finalizeRound, (_finalization()));
        calls[21] = abi.encodeCall(federation.fund, (1));
        calls[22] = abi.encodeCall(federation.close, ());
        calls[23] = abi.encodeCall(federation.withdraw, (payable(PURSE)));
    }
}
