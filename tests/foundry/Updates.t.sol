// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Base} from "./Base.sol";

/// @title Submitting an update, or declining: by whom, when, once, and how much compute time may be claimed.
contract UpdatesTest is Base {
    function setUp() public override {
        super.setUp();
        _registerThree();
    }

    function test_AnUpdateIsKeptAsItWasSubmitted() public {
        _open();
        bytes20 digest = _view().digest;
        vm.expectEmit(address(federation));
        emit IFederation.UpdateSubmitted(1, BOB, "cid", 4321);
        vm.prank(BOB);
        federation.submitUpdate(1, _keyOf(1), "cid", 4321);

        IFederation.RoundView memory view_ = federation.roundView(BOB);
        assertEq(view_.updateCount, 1);
        assertEq(view_.claimedMs, 4321);
        assertEq(view_.creditedMs, 4321);
        assertEq(view_.digest, _nextDigest(digest, BOB, "cid", 4321));
        IFederation.ClientView memory expected;
        expected.client = BOB;
        expected.member = true;
        expected.index = 1;
        expected.selected = true;
        expected.last = 1;
        expected.updateCid = "cid";
        expected.computeMs = 4321;
        assertEq(abi.encode(view_.client), abi.encode(expected));
    }

    function test_UpdatesAddUp() public {
        _open();
        _submit(ADA, 1);
        _submit(CYD, 200);
        IFederation.RoundView memory view_ = _view();
        assertEq(view_.updateCount, 2);
        assertEq(view_.claimedMs, 201);
        assertEq(view_.creditedMs, 201);
        assertEq(_view(ADA).computeMs, 1);
        assertEq(_view(BOB).computeMs, 0);
        assertEq(_view(CYD).computeMs, 200);
    }

    function test_TwoUpdatesMayHaveTheSameCid() public {
        _open();
        for (uint160 i; i < 2; ++i) {
            vm.prank(i == 0 ? ADA : BOB);
            federation.submitUpdate(1, _keyOf(1), "copied", 1000);
        }
        assertEq(_view(ADA).updateCid, "copied");
        assertEq(_view(BOB).updateCid, "copied");
    }

    function test_AClientSubmitsInEveryRound() public {
        for (uint24 round = 1; round <= 3; ++round) {
            _open();
            _submit(ADA, 1000 * round);
            assertEq(_view(ADA).last, round);
            assertEq(_view(ADA).computeMs, 1000 * round);
            assertEq(_view(ADA).updateCid, _cidOf(round, ADA));
            _finalize();
        }
    }

    // -------------------------------------------------------------------------------------------------------- who

    function test_OneUpdatePerClient() public {
        _open();
        _submit(ADA, 1000);
        _refusesUpdate(ADA, 1000, IFederation.Refusal.AlreadySubmitted);
        _refusesDecline(ADA, IFederation.Refusal.AlreadySubmitted);
        assertEq(_view().updateCount, 1);
    }

    function test_WhoIsNoMemberSubmitsNothing() public {
        _open();
        _refusesUpdate(STRANGER, 1000, IFederation.Refusal.NotSelected);
    }

    function test_WhoLeftSubmitsNothing() public {
        _open();
        _leave(ADA);
        _refusesUpdate(ADA, 1000, IFederation.Refusal.NotSelected);
        _submit(BOB, 1000);
        _leave(BOB);
        _refusesUpdate(BOB, 1000, IFederation.Refusal.NotSelected);
    }

    function test_WhoRegisteredAfterTheOpeningIsNotIn() public {
        _open();
        _register(DOT);
        _refusesUpdate(DOT, 1000, IFederation.Refusal.NotSelected);
        _refusesDecline(DOT, IFederation.Refusal.NotSelected);
    }

    function test_OnlyTheSelectedSubmit() public {
        _openFor(1);
        address[3] memory clients = [ADA, BOB, CYD];
        uint256 selected = 3;
        for (uint256 i; i < clients.length; ++i) {
            if (_view(clients[i]).selected) selected = i;
            else _refusesUpdate(clients[i], 1000, IFederation.Refusal.NotSelected);
        }
        _submit(clients[selected], 1000);
        _assertPhase(IFederation.Phase.Aggregating);
    }

    // ------------------------------------------------------------------------------------------------------- when

    function test_NothingIsSubmittedBeforeTheFirstRound() public {
        vm.expectRevert(_wrongPhase(IFederation.Phase.None, 0));
        vm.prank(ADA);
        federation.submitUpdate(0, 0, "cid", 1000);
        vm.expectRevert(_wrongPhase(IFederation.Phase.None, 1));
        vm.prank(ADA);
        federation.submitUpdate(1, _keyOf(1), "cid", 1000);
    }

    function test_OnlyTheLatestRoundTakesUpdates() public {
        _open();
        _abandon();
        _open();
        uint8[3] memory others = [0, 1, 3];
        for (uint256 i; i < others.length; ++i) {
            vm.expectRevert(_wrongPhase(IFederation.Phase.Training, others[i]));
            vm.prank(ADA);
            federation.submitUpdate(others[i], _keyOf(2), "cid", 1000);
            vm.expectRevert(_wrongPhase(IFederation.Phase.Training, others[i]));
            vm.prank(ADA);
            federation.decline(others[i], _keyOf(2));
        }
    }

    function test_UpdatesAreSubmittedUntilTheDeadline() public {
        _open();
        vm.warp(START + PERIOD - 1);
        _submit(ADA, 1000);
        vm.warp(START + PERIOD);
        _refusesInPhase(BOB, IFederation.Phase.Aggregating);
    }

    function test_NothingIsSubmittedToAnAbandonedRound() public {
        _open();
        _endTraining();
        _refusesInPhase(ADA, IFederation.Phase.Abandoned);
    }

    function test_NothingIsSubmittedToAFinalizedRound() public {
        _open();
        _submit(ADA, 1000);
        _finalize();
        _refusesInPhase(BOB, IFederation.Phase.Finalized);
    }

    // ------------------------------------------------------------------------------------------------------- what

    function test_AnUpdateIsSealedToTheRoundsKey() public {
        _open();
        _submit(ADA, 1000);
        _finalize();
        _open();
        _refusesOtherKeys(2);
        _abandon();
        _open();
        _refusesOtherKeys(3);
        _submit(ADA, 1000);
    }

    function test_AnUpdateIsSomewhere() public {
        _open();
        uint32[2] memory times = [uint32(1000), 0];
        for (uint256 i; i < times.length; ++i) {
            vm.expectRevert(_refused(ADA, IFederation.Refusal.ZeroCid));
            vm.prank(ADA);
            federation.submitUpdate(1, _keyOf(1), 0, times[i]);
        }
        assertEq(_view().absentCount, 0, "it is no decline either");
    }

    function test_TheSecondThatHasBegunCounts() public {
        _open(_roundTerms());
        _refusesUpdate(ADA, 1001, IFederation.Refusal.ComputeTime);
        _submit(ADA, 1000);
        skip(1);
        _refusesUpdate(BOB, 2001, IFederation.Refusal.ComputeTime);
        _submit(BOB, 2000);
        skip(98);
        _refusesUpdate(CYD, 100_001, IFederation.Refusal.ComputeTime);
        skip(1);
        _refusesUpdate(CYD, 100_001, IFederation.Refusal.ComputeTime);
        _submit(CYD, 100_000);
    }

    function test_SomeTimeIsClaimed() public {
        _open();
        _refusesUpdate(ADA, 0, IFederation.Refusal.ComputeTime);
        _submit(ADA, 1);
        assertEq(_view(ADA).computeMs, 1);
    }

    function testFuzz_NobodyClaimsMoreThanThereWas(uint32 maximum, uint32 elapsed, uint32 claimed) public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.maxComputeMs = uint32(bound(maximum, 1, 30 days * 1000));
        (roundTerms.trainingPeriod, roundTerms.reward) = (30 days, 10_000_000 gwei);
        _open(roundTerms);
        elapsed = uint32(bound(elapsed, 0, 30 days - 1));
        skip(elapsed);
        uint256 most = (uint256(elapsed) + 1) * 1000;
        if (most > roundTerms.maxComputeMs) most = roundTerms.maxComputeMs;

        if (claimed == 0 || claimed > most) _refusesUpdate(ADA, claimed, IFederation.Refusal.ComputeTime);
        _submit(ADA, uint32(bound(claimed, 1, most)));
    }

    function test_TheMostThatMayBeClaimedAddsUp() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        (roundTerms.trainingPeriod, roundTerms.maxComputeMs) = (30 days, 30 days * 1000);
        roundTerms.reward = 10_000_000 gwei;
        _open(roundTerms);
        skip(30 days - 1);
        _submit(ADA, 2_592_000_000);
        _submit(BOB, 2_592_000_000);
        assertEq(_view().claimedMs, 5_184_000_000);
        assertEq(_view().creditedMs, 5_184_000_000);
        assertEq(_view(BOB).computeMs, 2_592_000_000);
    }

    // --------------------------------------------------------------------------------------------------- declining

    function test_WhoDeclinesIsNotAwaited() public {
        _open();
        bytes20 digest = _view().digest;
        vm.expectEmit(address(federation));
        emit IFederation.Declined(1, BOB);
        _decline(BOB);

        IFederation.RoundView memory view_ = federation.roundView(BOB);
        assertEq(view_.absentCount, 1);
        assertEq(view_.updateCount, 0);
        assertEq(view_.claimedMs, 0);
        assertEq(view_.digest, digest, "no entry");
        IFederation.ClientView memory expected;
        expected.client = BOB;
        expected.member = true;
        expected.index = 1;
        expected.selected = true;
        expected.last = 1;
        expected.declined = true;
        assertEq(abi.encode(view_.client), abi.encode(expected));
    }

    function test_WhoDeclinedSubmitsNothingThen() public {
        _open();
        _decline(ADA);
        _refusesUpdate(ADA, 1000, IFederation.Refusal.AlreadySubmitted);
        _refusesDecline(ADA, IFederation.Refusal.AlreadySubmitted);
        assertEq(_view().absentCount, 1);
    }

    function test_WhereAllDeclineTheRoundIsAbandonedAtOnce() public {
        _open();
        _decline(ADA);
        _decline(BOB);
        _assertPhase(IFederation.Phase.Training);
        _decline(CYD);
        _assertPhase(IFederation.Phase.Abandoned);
        assertEq(federation.carried(), REWARD);
        assertEq(_open(), 2);
    }

    function test_OnlyTheSelectedDecline() public {
        _openFor(1);
        address[4] memory clients = [ADA, BOB, CYD, STRANGER];
        for (uint256 i; i < clients.length; ++i) {
            if (!_view(clients[i]).selected) _refusesDecline(clients[i], IFederation.Refusal.NotSelected);
        }
        assertEq(_view().absentCount, 0);
    }

    function test_DecliningBooksWhatTheLastUpdateEarned() public {
        _open();
        _submit(ADA, 1000);
        _finalize();
        _open();
        _decline(ADA);
        assertEq(_view(ADA).owed, WAGE);
        assertEq(_view(ADA).updateCid, 0, "the update is of another round");
        assertEq(_view(ADA).computeMs, 0);
        _abandon();
        _open();
        _submit(ADA, 2000);
        assertEq(_view(ADA).owed, WAGE, "once");
        _finalize();
        assertEq(_claim(ADA), 3 * WAGE);
    }

    function test_ADeclineEarnsNothing() public {
        _open();
        _submit(BOB, 1000);
        _decline(ADA);
        _finalize();
        assertEq(_owed(ADA), 0);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NothingOwed.selector, ADA));
        _claim(ADA);
        assertFalse(_view(ADA).updateCid != 0);
    }

    function test_WhoDeclinedLeavesAtOnce() public {
        (terms.stake, terms.maxSlashRate) = (100, 10_000);
        _create();
        _registerThree();
        _open();
        _decline(ADA);
        assertEq(_leave(ADA), 100);
        assertFalse(_view(ADA).declined, "it is no member");
        assertEq(_view().absentCount, 1);
    }

    function test_NobodyDeclinesOutsideOfTraining() public {
        vm.expectRevert(_wrongPhase(IFederation.Phase.None, 1));
        vm.prank(ADA);
        federation.decline(1, _keyOf(1));
        _open();
        _submit(ADA, 1000);
        _endTraining();
        vm.expectRevert(_wrongPhase(IFederation.Phase.Aggregating, 1));
        vm.prank(BOB);
        federation.decline(1, _keyOf(1));
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    /// @dev Neither that of the round before, finalized or abandoned, nor one to come, nor none.
    function _refusesOtherKeys(uint24 round) private {
        bytes32[4] memory others = [_keyOf(1), _keyOf(2), _keyOf(round + 1), bytes32(0)];
        for (uint256 i; i < others.length; ++i) {
            bytes32 own = _keyOf(round);
            if (others[i] == own) continue;
            bytes memory error = abi.encodeWithSelector(IFederation.WrongSealingKey.selector, round, own, others[i]);
            vm.expectRevert(error);
            vm.prank(ADA);
            federation.submitUpdate(round, others[i], "cid", 1000);
            vm.expectRevert(error);
            vm.prank(ADA);
            federation.decline(round, others[i]);
            IFederation.SignedUpdate[] memory signed = _batch(_signedUpdate(ADA_KEY, 1000));
            vm.expectRevert(error);
            federation.submitUpdates(round, others[i], signed);
        }
    }

    function _refusesInPhase(address client, IFederation.Phase actual) private {
        vm.expectRevert(_wrongPhase(actual, 1));
        vm.prank(client);
        federation.submitUpdate(1, _keyOf(1), _cidOf(1, client), 1000);
    }
}
