// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Base} from "./Base.sol";

/// @title Submitting an update: by whom, when, once, and how much compute time it may claim.
contract UpdatesTest is Base {
    function setUp() public override {
        super.setUp();
        _registerThree();
    }

    function test_AnUpdateIsKeptAsItWasSubmitted() public {
        _open();
        vm.expectEmit(address(federation));
        emit IFederation.UpdateSubmitted(1, BOB, "cid", 4321, type(uint64).max);
        vm.prank(BOB);
        federation.submitUpdate(1, SEALING_KEY, "cid", 4321, type(uint64).max);

        IFederation.RoundView memory view_ = federation.roundView(1, BOB);
        assertEq(view_.updateCount, 1);
        assertEq(view_.claimedMs, 4321);
        assertEq(view_.creditedMs, 4321);
        IFederation.ClientView memory expected;
        expected.client = BOB;
        expected.member = true;
        expected.index = 1;
        expected.selected = true;
        expected.updateCid = "cid";
        expected.samples = type(uint64).max;
        expected.computeMs = 4321;
        expected.creditedMs = 4321;
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
        assertEq(_view(1, ADA).computeMs, 1);
        assertEq(_view(1, BOB).computeMs, 0);
        assertEq(_view(1, CYD).computeMs, 200);
    }

    function test_TwoUpdatesMayHaveTheSameCid() public {
        _open();
        for (uint160 i; i < 2; ++i) {
            vm.prank(i == 0 ? ADA : BOB);
            federation.submitUpdate(1, SEALING_KEY, "copied", 1000, SAMPLES);
        }
        assertEq(_view(1, ADA).updateCid, "copied");
        assertEq(_view(1, BOB).updateCid, "copied");
    }

    function test_AClientSubmitsInEveryRound() public {
        _open();
        _submit(ADA, 1000);
        _finalize();
        _open();
        _submit(ADA, 2000);
        assertEq(_view(1, ADA).computeMs, 1000);
        assertEq(_view(2, ADA).computeMs, 2000);
    }

    // -------------------------------------------------------------------------------------------------------- who

    function test_OneUpdatePerClient() public {
        _open();
        _submit(ADA, 1000);
        _refuses(ADA, 1000, abi.encodeWithSelector(IFederation.AlreadySubmitted.selector, 1, ADA));
    }

    function test_WhoIsNoMemberSubmitsNothing() public {
        _open();
        _refuses(STRANGER, 1000, abi.encodeWithSelector(IFederation.NotRegistered.selector, STRANGER));
    }

    function test_WhoLeftSubmitsNothing() public {
        _open();
        _leave(ADA);
        _refuses(ADA, 1000, abi.encodeWithSelector(IFederation.NotRegistered.selector, ADA));
    }

    function test_WhoRegisteredAfterTheOpeningIsNotIn() public {
        _open();
        _register(DOT);
        _refuses(DOT, 1000, abi.encodeWithSelector(IFederation.NotSelected.selector, 1, DOT));
    }

    function test_WhoLeftAndRegisteredAgainIsNotIn() public {
        _open();
        _leave(ADA);
        _register(ADA);
        _refuses(ADA, 1000, abi.encodeWithSelector(IFederation.NotSelected.selector, 1, ADA));
    }

    function test_LeavingGivesNoSecondUpdate() public {
        _open();
        _submit(ADA, 1000);
        _leave(ADA);
        _register(ADA);
        _refuses(ADA, 1000, abi.encodeWithSelector(IFederation.AlreadySubmitted.selector, 1, ADA));
    }

    function test_OnlyTheSelectedSubmit() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.maxUpdates = 1;
        _open(roundTerms);
        address[3] memory clients = [ADA, BOB, CYD];
        uint256 selected;
        for (uint32 i; i < clients.length; ++i) {
            if (federation.isSelected(1, i)) selected = i;
            else _refuses(clients[i], 1000, abi.encodeWithSelector(IFederation.NotSelected.selector, 1, clients[i]));
        }
        _submit(clients[selected], 1000);
        _assertPhase(1, IFederation.Phase.Aggregating);
    }

    // ------------------------------------------------------------------------------------------------------- when

    function test_NothingIsSubmittedToWhatWasNeverOpened() public {
        _refuses(ADA, 1000, _wrongPhase(0, IFederation.Phase.None));
        _open();
        vm.expectRevert(_wrongPhase(2, IFederation.Phase.None));
        vm.prank(ADA);
        federation.submitUpdate(2, SEALING_KEY, "cid", 1000, SAMPLES);
    }

    function test_UpdatesAreSubmittedUntilTheDeadline() public {
        _open();
        vm.warp(START + PERIOD - 1);
        _submit(ADA, 1000);
        vm.warp(START + PERIOD);
        _refuses(BOB, 1000, _wrongPhase(1, IFederation.Phase.Aggregating));
    }

    function test_NothingIsSubmittedToAnAbandonedRound() public {
        _open();
        _endTraining();
        _refuses(ADA, 1000, _wrongPhase(1, IFederation.Phase.Abandoned));
    }

    function test_NothingIsSubmittedToAFinalizedRound() public {
        _open();
        _submit(ADA, 1000);
        _finalize();
        _refuses(BOB, 1000, _wrongPhase(1, IFederation.Phase.Finalized));
    }

    // ------------------------------------------------------------------------------------------------------- what

    function test_AnUpdateIsSealedToTheRoundsKey() public {
        _open();
        bytes32 other = "other key";
        vm.expectRevert(abi.encodeWithSelector(IFederation.WrongSealingKey.selector, 1, SEALING_KEY, other));
        vm.prank(ADA);
        federation.submitUpdate(1, other, "cid", 1000, SAMPLES);
    }

    function test_AnUpdateIsSomewhere() public {
        _open();
        vm.expectRevert(abi.encodeWithSelector(IFederation.ZeroValue.selector, "updateCid"));
        vm.prank(ADA);
        federation.submitUpdate(1, SEALING_KEY, 0, 1000, SAMPLES);
    }

    function test_AnUpdateIsTrainedOnSomething() public {
        _open();
        vm.expectRevert(abi.encodeWithSelector(IFederation.ZeroValue.selector, "samples"));
        vm.prank(ADA);
        federation.submitUpdate(1, SEALING_KEY, "cid", 1000, 0);
        vm.prank(ADA);
        federation.submitUpdate(1, SEALING_KEY, "cid", 1000, 1);
        assertEq(_view(1, ADA).samples, 1);
    }

    function test_TheSecondThatHasBegunCounts() public {
        _open(_roundTerms());
        _refuses(ADA, 1001, _outside(1000, 1001));
        _submit(ADA, 1000);
        skip(1);
        _refuses(BOB, 2001, _outside(2000, 2001));
        _submit(BOB, 2000);
        skip(98);
        _refuses(CYD, 100_001, _outside(100_000, 100_001));
        skip(1);
        _refuses(CYD, 100_001, _outside(100_000, 100_001));
        _submit(CYD, 100_000);
    }

    function test_SomeTimeIsClaimed() public {
        _open();
        _refuses(ADA, 0, _outside(100_000, 0));
        _submit(ADA, 1);
        assertEq(_view(1, ADA).computeMs, 1);
    }

    function testFuzz_NobodyClaimsMoreThanThereWas(uint32 maximum, uint32 elapsed, uint32 claimed) public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.maxComputeMs = uint32(bound(maximum, 1, 30 days * 1000));
        roundTerms.trainingPeriod = 30 days;
        _open(roundTerms);
        elapsed = uint32(bound(elapsed, 0, 30 days - 1));
        skip(elapsed);
        uint256 most = (uint256(elapsed) + 1) * 1000;
        if (most > roundTerms.maxComputeMs) most = roundTerms.maxComputeMs;

        if (claimed == 0 || claimed > most) _refuses(ADA, claimed, _outside(most, claimed));
        _submit(ADA, uint32(bound(claimed, 1, most)));
    }

    function test_TheMostThatMayBeClaimedAddsUp() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        (roundTerms.trainingPeriod, roundTerms.maxComputeMs) = (30 days, 30 days * 1000);
        _open(roundTerms);
        skip(30 days - 1);
        _submit(ADA, 2_592_000_000);
        _submit(BOB, 2_592_000_000);
        assertEq(_view().claimedMs, 5_184_000_000);
        assertEq(_view().creditedMs, 5_184_000_000);
        assertEq(_view(1, BOB).creditedMs, 2_592_000_000);
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    function _refuses(address client, uint32 computeMs, bytes memory error) private {
        uint32 round = federation.roundCount();
        vm.expectRevert(error);
        vm.prank(client);
        federation.submitUpdate(round, SEALING_KEY, _cidOf(client), computeMs, SAMPLES);
    }

    function _wrongPhase(uint32 round, IFederation.Phase actual) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IFederation.WrongPhase.selector, round, IFederation.Phase.Training, actual);
    }

    function _outside(uint256 maximum, uint256 actual) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IFederation.ComputeTimeOutOfBounds.selector, 1, maximum, actual);
    }
}
