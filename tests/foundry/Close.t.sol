// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Receiver} from "../../contracts/mocks/Receiver.sol";
import {Base} from "./Base.sol";

/// @title Closing a federation, and who gets what is left.
contract CloseTest is Base {
    uint256 private constant SURPLUS = REWARD - 3 gwei;

    function setUp() public override {
        super.setUp();
        _registerThree();
    }

    function test_ClosingBooksWhatTheLatestRoundLeft() public {
        _finalizedRound();
        vm.expectEmit(address(federation));
        emit IFederation.Closed(SURPLUS);
        _close();
        assertTrue(federation.closed());
        assertEq(federation.carried(), SURPLUS);
    }

    function test_ClosingBooksWhatAnAbandonedRoundLeft() public {
        _open();
        _submit(ADA, 1000);
        _abandon();
        vm.expectEmit(address(federation));
        emit IFederation.Closed(REWARD - 1 gwei);
        _close();
    }

    function test_AFederationMayCloseBeforeItsFirstRound() public {
        _fund(7);
        vm.expectEmit(address(federation));
        emit IFederation.Closed(7);
        _close();
        assertEq(federation.carried(), 7);
    }

    function test_ALiveRoundKeepsTheFederationOpen() public {
        _open();
        _submit(ADA, 1000);
        vm.expectRevert(abi.encodeWithSelector(IFederation.RoundIsLive.selector, 1, IFederation.Phase.Training));
        _close();
        _endTraining();
        vm.expectRevert(abi.encodeWithSelector(IFederation.RoundIsLive.selector, 1, IFederation.Phase.Aggregating));
        _close();
        _abandon();
        _close();
        assertTrue(federation.closed());
    }

    function test_AFederationClosesOnce() public {
        _close();
        vm.expectRevert(IFederation.FederationIsClosed.selector);
        _close();
    }

    function test_OnlyTheOwnerCloses() public {
        vm.prank(OWNER);
        federation.setOperator(OPERATOR);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, OPERATOR));
        vm.prank(OPERATOR);
        federation.close();
    }

    function test_NobodyFundsAClosedFederation() public {
        _close();
        vm.expectRevert(IFederation.FederationIsClosed.selector);
        federation.fund{value: 1}(1);
    }

    function test_AClosedFederationSetsNoInitialModel() public {
        _close();
        vm.expectRevert(IFederation.FederationIsClosed.selector);
        vm.prank(OWNER);
        federation.setInitialModel(MODEL);
    }

    function test_WhoIsOwedIsPaidByAClosedFederation() public {
        _finalizedRound();
        _close();
        _withdraw(PURSE);
        assertEq(_leave(ADA), 0);
        assertEq(_claim(ADA, 1), 1 gwei);
        assertEq(_claim(BOB, 1), 2 gwei);
        assertEq(address(federation).balance, 0);
    }

    // ------------------------------------------------------------------------------------------------- withdrawal

    function test_WhatIsCarriedIsWithdrawnOnce() public {
        _finalizedRound();
        _close();
        vm.expectEmit(address(federation));
        emit IFederation.Withdrawn(PURSE, SURPLUS);
        assertEq(_withdraw(PURSE), SURPLUS);
        assertEq(PURSE.balance, SURPLUS);
        assertEq(federation.carried(), 0);
        assertEq(address(federation).balance, 3 gwei, "what is owed stays");

        assertEq(_withdraw(PURSE), 0);
        assertEq(PURSE.balance, SURPLUS);
    }

    function test_NothingIsWithdrawnFromAnOpenFederation() public {
        _fund(7);
        vm.expectRevert(IFederation.FederationIsOpen.selector);
        _withdraw(PURSE);
    }

    function test_NothingIsWithdrawnToNowhere() public {
        _fund(7);
        _close();
        vm.expectRevert(abi.encodeWithSelector(IFederation.ZeroValue.selector, "to"));
        _withdraw(address(0));
    }

    function test_OnlyTheOwnerWithdraws() public {
        vm.prank(OWNER);
        federation.setOperator(OPERATOR);
        _close();
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, OPERATOR));
        vm.prank(OPERATOR);
        federation.withdraw(payable(OPERATOR));
    }

    function test_RejectingClientsPaysNobody() public {
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _finalize(_adjustment(BOB, 0, 0));
        _close();
        assertEq(_withdraw(PURSE), SURPLUS);
        assertEq(_claim(ADA, 1), 1 gwei);
        assertEq(_claim(BOB, 1), 0);
        assertEq(address(federation).balance, 2 gwei, "forfeited for good");
    }

    function test_ARefusedWithdrawalMayBeTriedElsewhere() public {
        Receiver receiver = new Receiver();
        receiver.refuse(true);
        _fund(7);
        _close();
        vm.expectRevert(Receiver.Refused.selector);
        _withdraw(address(receiver));
        assertEq(_withdraw(PURSE), 7);
    }

    function test_ForcedCoinsAreNobodys() public {
        _finalizedRound();
        vm.deal(address(federation), address(federation).balance + 1 ether);
        assertEq(federation.carried(), SURPLUS);
        _close();
        assertEq(_withdraw(PURSE), SURPLUS);
        assertEq(address(federation).balance, 1 ether + 3 gwei);
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    /// @dev One second by Ada and two by Bob.
    function _finalizedRound() private {
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _finalize();
    }

    function _fund(uint128 amount) private {
        federation.fund{value: amount}(amount);
    }

    function _close() private {
        vm.prank(OWNER);
        federation.close();
    }

    function _withdraw(address to) private returns (uint256) {
        vm.prank(OWNER);
        return federation.withdraw(payable(to));
    }
}
