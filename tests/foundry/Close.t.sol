// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Receiver} from "../../contracts/mocks/Receiver.sol";
import {Base} from "./Base.sol";

/// @title Closing a federation, also during a live round, and who gets what is left.
contract CloseTest is Base {
    uint256 private constant SURPLUS = REWARD - 3 gwei;

    function setUp() public override {
        super.setUp();
        _registerThree();
    }

    function test_ClosingEndsTheFederation() public {
        _finalizedRound();
        vm.recordLogs();
        vm.expectEmit(address(federation));
        emit IFederation.Closed();
        _close();
        assertEq(_emitted(), 1);
        assertTrue(federation.closed());
        assertEq(federation.carried(), SURPLUS);
    }

    function test_AFederationMayCloseBeforeItsFirstRound() public {
        _fund(7);
        _close();
        assertEq(federation.carried(), 7);
        assertEq(_withdraw(PURSE), 7);
    }

    function test_AFederationClosesOnce() public {
        _close();
        vm.expectRevert(IFederation.FederationIsClosed.selector);
        _close();
    }

    function test_OnlyTheOwnerCloses() public {
        vm.prank(OWNER);
        federation.setOperator(OPERATOR);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotTheOwner.selector, OWNER, OPERATOR));
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
        federation.setInitialModel(_modelOf(7));
    }

    function test_WhoIsOwedIsPaidByAClosedFederation() public {
        _finalizedRound();
        _close();
        _withdraw(PURSE);
        assertEq(_leave(ADA), WAGE);
        assertEq(_claim(BOB), 2 * WAGE);
        assertEq(_leave(BOB), 0);
        assertEq(address(federation).balance, 0);
    }

    // -------------------------------------------------------------------------------------------- a live round goes on

    function test_ALiveRoundGoesOn() public {
        _open();
        _submit(ADA, 1000);
        _close();
        _submit(BOB, 2000);
        assertEq(_relay(_batch(_signedUpdate(CYD_KEY, 0))), 1);
        _finalize(_adjustment(BOB, 500, 0));
        assertEq(federation.latestRelease().modelCid, _modelOf(1));
        assertEq(_claim(ADA), WAGE);
        assertEq(_claim(BOB), WAGE / 2);
    }

    function test_WhatIsCarriedIsWithdrawnAtOnceAndWhatTheLiveRoundLeavesAfterIt() public {
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _fund(7);
        _close();
        vm.expectEmit(address(federation));
        emit IFederation.Withdrawn(PURSE, 7);
        assertEq(_withdraw(PURSE), 7);
        assertEq(_withdraw(PURSE), 0, "the pool is the round's");
        _endTraining();
        assertEq(_withdraw(PURSE), 0);
        _finalize();
        assertEq(federation.carried(), SURPLUS);
        vm.expectEmit(address(federation));
        emit IFederation.Withdrawn(PURSE, SURPLUS);
        assertEq(_withdraw(PURSE), SURPLUS);
        assertEq(federation.carried(), 0);
        assertEq(_withdraw(PURSE), 0, "once");
        assertEq(address(federation).balance, 3 * WAGE);
        assertEq(_claim(ADA), WAGE);
        assertEq(_claim(BOB), 2 * WAGE);
    }

    function test_WhatAnAbandonedRoundLeavesIsWithdrawnToo() public {
        _open();
        _submit(ADA, 1000);
        _close();
        assertEq(_withdraw(PURSE), 0);
        _abandon();
        assertEq(_withdraw(PURSE), REWARD - WAGE);
        assertEq(_withdraw(PURSE), 0);
        assertEq(federation.record(), 0, "nothing opens that would chain it");
        assertEq(_claim(ADA), WAGE, "and Ada is paid for ever");
        assertEq(address(federation).balance, 0);
    }

    function test_TwoWithdrawalsAreOneWhereTheRoundIsOver() public {
        _open();
        _submit(ADA, 1000);
        _fund(7);
        _close();
        _finalize();
        assertEq(_withdraw(PURSE), REWARD - WAGE + 7);
        assertEq(_withdraw(PURSE), 0);
    }

    /// @dev With the withdrawal before it, the finalization still counts what it counts.
    function test_AWithdrawalChangesNothingOfTheRound() public {
        _open();
        _submit(ADA, 1000);
        _endTraining();
        _close();
        _withdraw(PURSE);
        bytes20 digest = _view().digest;
        _finalize();
        assertEq(_view().digest, digest);
        assertEq(_view().updateCount, 1);
        assertEq(_view().claimedMs, 1000);
        _withdraw(PURSE);
        _assertPhase(IFederation.Phase.Finalized);
        assertEq(_view().surplus, REWARD - WAGE, "the view tells the round");
        assertEq(_view().payable_, WAGE);
    }

    function test_AClosedFederationOpensNoFurtherRound() public {
        _open();
        _submit(ADA, 1000);
        _close();
        _finalize();
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        bytes20 digest = _view().digest;
        vm.deal(OWNER, REWARD);
        vm.expectRevert(IFederation.FederationIsClosed.selector);
        vm.prank(OWNER);
        federation.openRound{value: REWARD}(roundTerms, digest);
    }

    function test_WhoLeftALiveRoundOfAClosedFederationIsPaid() public {
        _open();
        _submit(ADA, 1000);
        _close();
        _leave(ADA);
        _abandon();
        _withdraw(PURSE);
        assertEq(_leave(ADA), WAGE);
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
        vm.expectRevert(_zeroValue("to"));
        _withdraw(address(0));
    }

    function test_OnlyTheOwnerWithdraws() public {
        vm.prank(OWNER);
        federation.setOperator(OPERATOR);
        _close();
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotTheOwner.selector, OWNER, OPERATOR));
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
        assertEq(_claim(ADA), 1 gwei);
        assertEq(_owed(BOB), 0);
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
}
