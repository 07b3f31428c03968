// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Base} from "./Base.sol";

/// @title What the owner may do, what the operator, and what nobody else.
contract RolesTest is Base {
    function setUp() public override {
        super.setUp();
        _registerThree();
        vm.prank(OWNER);
        federation.setOperator(OPERATOR);
    }

    // --------------------------------------------------------------------------------------------------- operator

    function test_TheOwnerSetsTheOperator() public {
        assertEq(federation.operator(), OPERATOR);
        vm.expectEmit(address(federation));
        emit IFederation.OperatorSet(BOB);
        vm.prank(OWNER);
        federation.setOperator(BOB);
        assertEq(federation.operator(), BOB);
        _cannotRun(OPERATOR);
    }

    function test_TheOwnerRemovesTheOperator() public {
        vm.expectEmit(address(federation));
        emit IFederation.OperatorSet(address(0));
        vm.prank(OWNER);
        federation.setOperator(address(0));
        _cannotRun(OPERATOR);
    }

    function test_TheOperatorRunsTheRounds() public {
        vm.startPrank(OPERATOR);
        federation.setInitialModel("operator's model");
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.reward = 0;
        assertEq(federation.openRound(roundTerms, 0), 1);
        vm.stopPrank();
        assertEq(_view().base.modelCid, "operator's model");

        _submit(ADA, 1000);
        _endTraining();
        IFederation.Finalization memory finalization = _finalization();
        vm.prank(OPERATOR);
        federation.finalizeRound(finalization);
        _assertPhase(IFederation.Phase.Finalized);
    }

    function test_TheOwnerRunsTheRoundsToo() public {
        _open();
        _submit(ADA, 1000);
        _finalize();
        _assertPhase(IFederation.Phase.Finalized);
    }

    function test_TheOperatorMayDoNothingElse() public {
        bytes[] memory calls = new bytes[](7);
        calls[0] = abi.encodeCall(federation.setOperator, (STRANGER));
        calls[1] = abi.encodeCall(federation.pause, ());
        calls[2] = abi.encodeCall(federation.unpause, ());
        calls[3] = abi.encodeCall(federation.revokeVoucher, (1));
        calls[4] = abi.encodeCall(federation.close, ());
        calls[5] = abi.encodeCall(federation.withdraw, (payable(OPERATOR)));
        calls[6] = abi.encodeCall(federation.transferOwnership, (OPERATOR));
        for (uint256 i; i < calls.length; ++i) {
            vm.prank(OPERATOR);
            (bool success, bytes memory answer) = address(federation).call(calls[i]);
            assertFalse(success);
            assertEq(answer, abi.encodeWithSelector(IFederation.NotTheOwner.selector, OWNER, OPERATOR));
        }
    }

    function test_NobodyElseRunsTheRounds() public {
        _cannotRun(STRANGER);
        _open();
        _submit(ADA, 1000);
        _endTraining();
        _cannotRun(STRANGER);
        _cannotRun(ADA);
    }

    // ------------------------------------------------------------------------------------------------------ owner

    function test_OwnershipIsHandedOnInTwoSteps() public {
        assertEq(federation.ownerNonce(), 0);
        vm.expectEmit(address(federation));
        emit IFederation.OwnershipOffered(OWNER, STRANGER);
        vm.prank(OWNER);
        federation.transferOwnership(STRANGER);
        assertEq(federation.owner(), OWNER);
        assertEq(federation.pendingOwner(), STRANGER);
        assertEq(federation.operator(), OPERATOR, "until it is accepted");
        assertEq(federation.ownerNonce(), 0);

        vm.expectEmit(address(federation));
        emit IFederation.OwnershipTransferred(OWNER, STRANGER, 1);
        vm.expectEmit(address(federation));
        emit IFederation.OperatorSet(address(0));
        vm.prank(STRANGER);
        federation.acceptOwnership();
        assertEq(federation.owner(), STRANGER);
        assertEq(federation.pendingOwner(), address(0));
        assertEq(federation.operator(), address(0));
        assertEq(federation.ownerNonce(), 1);
        _cannotRun(OPERATOR);
        _cannotRun(OWNER);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotTheOwner.selector, STRANGER, OWNER));
        vm.prank(OWNER);
        federation.close();
        vm.prank(STRANGER);
        federation.setOperator(BOB);
    }

    function test_OwnershipMayComeBack() public {
        _handOver(OWNER, STRANGER);
        vm.prank(STRANGER);
        federation.transferOwnership(OWNER);
        vm.expectEmit(address(federation));
        emit IFederation.OwnershipTransferred(STRANGER, OWNER, 2);
        vm.prank(OWNER);
        federation.acceptOwnership();
        assertEq(federation.owner(), OWNER);
        assertEq(federation.ownerNonce(), 2);
        _cannotRun(STRANGER);
    }

    function test_AnOfferIsTakenBack() public {
        vm.startPrank(OWNER);
        federation.transferOwnership(STRANGER);
        vm.expectEmit(address(federation));
        emit IFederation.OwnershipOffered(OWNER, address(0));
        federation.transferOwnership(address(0));
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotThePendingOwner.selector, address(0), STRANGER));
        vm.prank(STRANGER);
        federation.acceptOwnership();
    }

    function test_AnOfferIsAcceptedOnce() public {
        _handOver(OWNER, STRANGER);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotThePendingOwner.selector, address(0), STRANGER));
        vm.prank(STRANGER);
        federation.acceptOwnership();
    }

    function test_WhereThereIsNoOperatorNoneIsRemoved() public {
        vm.startPrank(OWNER);
        federation.setOperator(address(0));
        federation.transferOwnership(STRANGER);
        vm.stopPrank();
        vm.recordLogs();
        vm.prank(STRANGER);
        federation.acceptOwnership();
        assertEq(_emitted(), 1, "OwnershipTransferred alone");
    }

    function test_OnlyThePendingOwnerAccepts() public {
        vm.prank(OWNER);
        federation.transferOwnership(STRANGER);
        address[2] memory others = [OPERATOR, OWNER];
        for (uint256 i; i < others.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IFederation.NotThePendingOwner.selector, STRANGER, others[i]));
            vm.prank(others[i]);
            federation.acceptOwnership();
        }
    }

    function test_OwnershipIsNeverGivenUp() public {
        vm.prank(OWNER);
        (bool success,) = address(federation).call(abi.encodeWithSignature("renounceOwnership()"));
        assertFalse(success, "there is no such call");
        assertEq(federation.owner(), OWNER);
    }

    // ------------------------------------------------------------------------------------------------------ pause

    function test_APauseStopsNewRounds() public {
        vm.expectEmit(address(federation));
        emit IFederation.PauseSet(true);
        vm.prank(OWNER);
        federation.pause();
        assertTrue(federation.paused());
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        vm.deal(OPERATOR, REWARD);
        vm.expectRevert(IFederation.FederationIsPaused.selector);
        vm.prank(OPERATOR);
        federation.openRound{value: REWARD}(roundTerms, 0);

        vm.expectEmit(address(federation));
        emit IFederation.PauseSet(false);
        vm.prank(OWNER);
        federation.unpause();
        assertFalse(federation.paused());
        assertEq(_open(), 1);
    }

    function test_APauseStopsNothingElse() public {
        _open();
        _submit(ADA, 1000);
        vm.prank(OWNER);
        federation.pause();

        _register(DOT);
        _submit(BOB, 2000);
        _finalize();
        assertEq(_claim(ADA), WAGE);
        assertEq(federation.claimFor(payable(BOB)), 2 * WAGE);
        _leave(ADA);
        federation.fund{value: 1}(1);
        vm.prank(BOB);
        federation.post("topic", "cid");
        vm.startPrank(OWNER);
        federation.setOperator(STRANGER);
        federation.close();
        assertEq(federation.withdraw(payable(PURSE)), REWARD - 3 * WAGE + 1);
    }

    function test_ThePauseIsOneOrTheOther() public {
        vm.startPrank(OWNER);
        vm.expectRevert(abi.encodeWithSelector(IFederation.PauseIsAlready.selector, false));
        federation.unpause();
        federation.pause();
        vm.expectRevert(abi.encodeWithSelector(IFederation.PauseIsAlready.selector, true));
        federation.pause();
    }

    /// @dev They share a slot: none of them touches another.
    function test_WhatTheHeaderHoldsStaysApart() public {
        _open();
        _submit(ADA, 1000);
        _leave(ADA);
        vm.startPrank(OWNER);
        federation.pause();
        federation.close();
        vm.stopPrank();
        assertEq(federation.operator(), OPERATOR);
        assertEq(federation.memberCount(), 2);
        assertEq(federation.seatCount(), 3);
        assertTrue(federation.paused());
        assertTrue(federation.closed());
        assertEq(federation.ownerNonce(), 0);
        _handOver(OWNER, STRANGER);
        assertEq(federation.operator(), address(0));
        assertEq(federation.memberCount(), 2);
        assertEq(federation.seatCount(), 3);
        assertTrue(federation.paused());
        assertTrue(federation.closed());
        assertEq(federation.ownerNonce(), 1);
        vm.prank(STRANGER);
        federation.unpause();
        assertFalse(federation.paused());
        assertTrue(federation.closed());
    }

    // ---------------------------------------------------------------------------------------------- initial model

    function test_TheInitialModelMayBeSetUntilTheFirstRound() public {
        vm.expectEmit(address(federation));
        emit IFederation.InitialModelSet("another model");
        vm.prank(OWNER);
        federation.setInitialModel("another model");
        assertEq(federation.latestRelease().modelCid, "another model");
        assertEq(federation.latestRelease().reportCid, 0);

        _open();
        _abandon();
        _open();
        _abandon();
        vm.expectRevert(abi.encodeWithSelector(IFederation.RoundsHaveBegun.selector, 2));
        vm.prank(OWNER);
        federation.setInitialModel(_modelOf(7));
    }

    function test_AnInitialModelIsSomewhere() public {
        vm.expectRevert(_zeroValue("modelCid"));
        vm.prank(OWNER);
        federation.setInitialModel(0);
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    function _cannotRun(address who) private {
        bytes[] memory calls = new bytes[](3);
        calls[0] = abi.encodeCall(federation.setInitialModel, (_modelOf(7)));
        calls[1] = abi.encodeCall(federation.openRound, (_roundTerms(), _view().digest));
        calls[2] = abi.encodeCall(federation.finalizeRound, (_finalization()));
        for (uint256 i; i < calls.length; ++i) {
            vm.prank(who);
            (bool success, bytes memory answer) = address(federation).call(calls[i]);
            assertFalse(success);
            assertEq(answer, abi.encodeWithSelector(IFederation.NeitherOwnerNorOperator.selector, who));
        }
    }
}
