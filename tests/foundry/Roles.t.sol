// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Base} from "./Base.sol";

/// @title What the owner may do, what the operator, and what nobody else.
contract RolesTest is Base {
    IFederation.Adjustment[] private _none;

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
        assertEq(federation.openRound(roundTerms), 1);
        vm.stopPrank();
        assertEq(_view().base.modelCid, "operator's model");

        _submit(ADA, 1000);
        _endTraining();
        vm.prank(OPERATOR);
        federation.finalizeRound(1, 1, 1000, MODEL, REPORT, _none, SECRET);
        _assertPhase(1, IFederation.Phase.Finalized);
    }

    function test_TheOwnerRunsTheRoundsBesideTheOperator() public {
        _open();
        _submit(ADA, 1000);
        _finalize();
        _assertPhase(1, IFederation.Phase.Finalized);
    }

    function test_TheOperatorMayDoNothingElse() public {
        bytes[] memory calls = new bytes[](8);
        calls[0] = abi.encodeCall(federation.setOperator, (STRANGER));
        calls[1] = abi.encodeCall(federation.pause, ());
        calls[2] = abi.encodeCall(federation.unpause, ());
        calls[3] = abi.encodeCall(federation.revokeVoucher, (1));
        calls[4] = abi.encodeCall(federation.close, ());
        calls[5] = abi.encodeCall(federation.withdraw, (payable(OPERATOR)));
        calls[6] = abi.encodeCall(federation.transferOwnership, (OPERATOR));
        calls[7] = abi.encodeCall(federation.renounceOwnership, ());
        for (uint256 i; i < calls.length; ++i) {
            vm.prank(OPERATOR);
            (bool success, bytes memory answer) = address(federation).call(calls[i]);
            assertFalse(success);
            assertEq(answer, abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, OPERATOR));
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
        vm.expectEmit(address(federation));
        emit Ownable2Step.OwnershipTransferStarted(OWNER, STRANGER);
        vm.prank(OWNER);
        federation.transferOwnership(STRANGER);
        assertEq(federation.owner(), OWNER);
        assertEq(federation.pendingOwner(), STRANGER);
        assertEq(federation.operator(), OPERATOR, "until it is accepted");

        vm.expectEmit(address(federation));
        emit Ownable.OwnershipTransferred(OWNER, STRANGER);
        vm.expectEmit(address(federation));
        emit IFederation.OperatorSet(address(0));
        vm.prank(STRANGER);
        federation.acceptOwnership();
        assertEq(federation.owner(), STRANGER);
        assertEq(federation.pendingOwner(), address(0));
        assertEq(federation.operator(), address(0));
        _cannotRun(OPERATOR);
        _cannotRun(OWNER);
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
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, OPERATOR));
        vm.prank(OPERATOR);
        federation.acceptOwnership();
    }

    function test_OwnershipIsNeverGivenUp() public {
        vm.expectRevert(IFederation.OwnerIsNeeded.selector);
        vm.prank(OWNER);
        federation.renounceOwnership();
        assertEq(federation.owner(), OWNER);
    }

    // ------------------------------------------------------------------------------------------------------ pause

    function test_APauseStopsNewRounds() public {
        vm.expectEmit(address(federation));
        emit Pausable.Paused(OWNER);
        vm.prank(OWNER);
        federation.pause();
        assertTrue(federation.paused());
        vm.deal(OPERATOR, REWARD);
        vm.expectRevert(Pausable.EnforcedPause.selector);
        vm.prank(OPERATOR);
        federation.openRound{value: REWARD}(_roundTerms());

        vm.expectEmit(address(federation));
        emit Pausable.Unpaused(OWNER);
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
        assertEq(_claim(ADA, 1), 1 gwei);
        assertEq(federation.claimFor(payable(BOB), _list(1)), 2 gwei);
        _leave(ADA);
        federation.fund{value: 1}(1);
        vm.startPrank(OWNER);
        federation.setOperator(STRANGER);
        federation.close();
        assertEq(federation.withdraw(payable(PURSE)), REWARD - 3 gwei + 1);
    }

    function test_ThePauseIsOneOrTheOther() public {
        vm.startPrank(OWNER);
        vm.expectRevert(Pausable.ExpectedPause.selector);
        federation.unpause();
        federation.pause();
        vm.expectRevert(Pausable.EnforcedPause.selector);
        federation.pause();
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
        federation.setInitialModel(MODEL);
    }

    function test_AnInitialModelIsSomewhere() public {
        vm.expectRevert(abi.encodeWithSelector(IFederation.ZeroValue.selector, "modelCid"));
        vm.prank(OWNER);
        federation.setInitialModel(0);
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    function _cannotRun(address who) private {
        bytes[] memory calls = new bytes[](3);
        calls[0] = abi.encodeCall(federation.setInitialModel, (MODEL));
        calls[1] = abi.encodeCall(federation.openRound, (_roundTerms()));
        calls[2] = abi.encodeCall(federation.finalizeRound, (1, 1, 1000, MODEL, REPORT, _none, SECRET));
        for (uint256 i; i < calls.length; ++i) {
            vm.prank(who);
            (bool success, bytes memory answer) = address(federation).call(calls[i]);
            assertFalse(success);
            assertEq(answer, abi.encodeWithSelector(IFederation.NeitherOwnerNorOperator.selector, who));
        }
    }
}
