// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Receiver} from "../../contracts/mocks/Receiver.sol";
import {Base} from "./Base.sol";

/// @title Claiming rewards: of rounds that are over, once, to wherever the client says.
contract ClaimsTest is Base {
    function setUp() public override {
        super.setUp();
        _registerThree();
    }

    function test_AClientIsPaidItsWage() public {
        _finalizedRound();
        assertEq(_view(1, BOB).reward, 2 gwei);
        assertFalse(_view(1, BOB).claimed);
        vm.expectEmit(address(federation));
        emit IFederation.RewardClaimed(1, BOB, PURSE, 2 gwei);
        vm.prank(BOB);
        assertEq(federation.claim(_list(1), payable(PURSE)), 2 gwei);

        assertEq(PURSE.balance, 2 gwei);
        assertEq(BOB.balance, 0);
        assertEq(address(federation).balance, REWARD - 2 gwei);
        assertTrue(_view(1, BOB).claimed);
        assertEq(_view(1, BOB).reward, 2 gwei);
        assertFalse(_view(1, ADA).claimed);
    }

    function test_ManyRoundsArePaidTogether() public {
        _finalizedRound();
        _abandonedRound();
        uint32[] memory rounds = _list(2, 1);
        vm.expectEmit(address(federation));
        emit IFederation.RewardClaimed(2, ADA, ADA, 5 gwei);
        vm.expectEmit(address(federation));
        emit IFederation.RewardClaimed(1, ADA, ADA, 1 gwei);
        vm.prank(ADA);
        assertEq(federation.claim(rounds, payable(ADA)), 6 gwei);
        assertEq(ADA.balance, 6 gwei);
    }

    function test_WhatIsClaimedAlreadyIsSkipped() public {
        _finalizedRound();
        _abandonedRound();
        assertEq(_claim(ADA, 1), 1 gwei);
        vm.recordLogs();
        uint32[] memory rounds = _list(1, 2);
        vm.prank(ADA);
        assertEq(federation.claim(rounds, payable(ADA)), 5 gwei);
        assertEq(_emitted(), 1);
        assertEq(ADA.balance, 6 gwei);
        assertEq(_claim(ADA, 2), 0);
        assertEq(ADA.balance, 6 gwei);
    }

    function test_ARoundNamedTwiceIsPaidOnce() public {
        _finalizedRound();
        uint32[] memory rounds = _list(1, 1);
        vm.prank(ADA);
        assertEq(federation.claim(rounds, payable(ADA)), 1 gwei);
        assertEq(ADA.balance, 1 gwei);
    }

    function test_NothingIsPaidForNoRounds() public {
        vm.prank(ADA);
        assertEq(federation.claim(new uint32[](0), payable(ADA)), 0);
    }

    function test_ALiveRoundPaysNothing() public {
        _open();
        _submit(ADA, 1000);
        _refuses(ADA, 1, abi.encodeWithSelector(IFederation.RoundIsLive.selector, 1, IFederation.Phase.Training));
        _endTraining();
        _refuses(ADA, 1, abi.encodeWithSelector(IFederation.RoundIsLive.selector, 1, IFederation.Phase.Aggregating));
        vm.warp(_view().aggregationDeadline - 1);
        _refuses(ADA, 1, abi.encodeWithSelector(IFederation.RoundIsLive.selector, 1, IFederation.Phase.Aggregating));
        _abandon();
        assertEq(_claim(ADA, 1), 1 gwei);
    }

    function test_WhatWasNeverOpenedPaysNothing() public {
        _finalizedRound();
        _refuses(ADA, 0, abi.encodeWithSelector(IFederation.RoundIsLive.selector, 0, IFederation.Phase.None));
        _refuses(ADA, 2, abi.encodeWithSelector(IFederation.RoundIsLive.selector, 2, IFederation.Phase.None));
    }

    function test_WhoDidNotSubmitIsNotPaid() public {
        _finalizedRound();
        _refuses(CYD, 1, abi.encodeWithSelector(IFederation.NoUpdate.selector, 1, CYD));
    }

    function test_NothingIsPaidToNowhere() public {
        _finalizedRound();
        vm.expectRevert(abi.encodeWithSelector(IFederation.ZeroValue.selector, "to"));
        vm.prank(ADA);
        federation.claim(_list(1), payable(0));
    }

    function test_ARejectedClientIsOwedNothing() public {
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _finalize(_adjustment(ADA, 0, 0));
        vm.expectEmit(address(federation));
        emit IFederation.RewardClaimed(1, ADA, ADA, 0);
        assertEq(_claim(ADA, 1), 0);
        assertTrue(_view(1, ADA).claimed);
        assertEq(ADA.balance, 0);
        assertEq(_claim(BOB, 1), 2 gwei);
    }

    function test_WhereAllAreRejectedNobodyIsOwedAnything() public {
        _open();
        _submit(ADA, 1000);
        _finalize(_adjustment(ADA, 0, 0));
        assertEq(_claim(ADA, 1), 0);
        assertEq(federation.carried(), REWARD - 1 gwei);
    }

    function test_WhoLeftIsPaid() public {
        _finalizedRound();
        _leave(ADA);
        assertEq(_claim(ADA, 1), 1 gwei);
    }

    function test_WhoLeftDuringTheRoundIsPaid() public {
        _open();
        _submit(ADA, 1000);
        _leave(ADA);
        _finalize();
        assertEq(_claim(ADA, 1), 1 gwei);
    }

    function test_RewardsNeverExpire() public {
        _finalizedRound();
        vm.prank(OWNER);
        federation.pause();
        vm.prank(OWNER);
        federation.close();
        vm.prank(OWNER);
        federation.withdraw(payable(OWNER));
        skip(36_500 days);
        assertEq(_claim(ADA, 1), 1 gwei);
        assertEq(_claim(BOB, 1), 2 gwei);
        assertEq(address(federation).balance, 0);
    }

    function test_AScarcePoolIsSharedByComputeTime() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.reward = 10;
        _open(roundTerms);
        skip(100);
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _finalize();
        assertEq(_view(1, ADA).reward, 3);
        assertEq(_view(1, BOB).reward, 6);
        assertEq(_claim(BOB, 1), 6);
        assertEq(_claim(ADA, 1), 3);
        assertEq(address(federation).balance, 1, "the rounding stays");
        assertEq(federation.carried(), 0);
    }

    // ------------------------------------------------------------------------------------------------- for others

    function test_AnybodyMayHaveAClientPaid() public {
        _finalizedRound();
        vm.expectEmit(address(federation));
        emit IFederation.RewardClaimed(1, ADA, ADA, 1 gwei);
        vm.prank(STRANGER);
        assertEq(federation.claimFor(payable(ADA), _list(1)), 1 gwei);
        assertEq(ADA.balance, 1 gwei);
        assertEq(STRANGER.balance, 0);
        assertTrue(_view(1, ADA).claimed);
    }

    function test_AClientsBatchSurvivesBeingFrontRun() public {
        _finalizedRound();
        _abandonedRound();
        federation.claimFor(payable(ADA), _list(2));
        uint32[] memory rounds = _list(1, 2);
        vm.prank(ADA);
        assertEq(federation.claim(rounds, payable(PURSE)), 1 gwei);
        assertEq(ADA.balance, 5 gwei);
        assertEq(PURSE.balance, 1 gwei);
    }

    function test_NobodyIsPaidForNobody() public {
        vm.expectRevert(abi.encodeWithSelector(IFederation.ZeroValue.selector, "to"));
        federation.claimFor(payable(0), _list(1));
    }

    function test_NobodyIsPaidForWhoDidNotSubmit() public {
        _finalizedRound();
        vm.expectRevert(abi.encodeWithSelector(IFederation.NoUpdate.selector, 1, STRANGER));
        federation.claimFor(payable(STRANGER), _list(1));
    }

    // ------------------------------------------------------------------------------------------------- recipients

    function test_ARecipientThatRefusesIsItsClientsOwnConcern() public {
        Receiver receiver = new Receiver();
        receiver.refuse(true);
        _finalizedRound();
        vm.expectRevert(Receiver.Refused.selector);
        vm.prank(ADA);
        federation.claim(_list(1), payable(address(receiver)));

        assertEq(_claim(BOB, 1), 2 gwei);
        assertEq(_claim(ADA, 1), 1 gwei);
    }

    function test_NothingIsSentWhereNothingIsOwed() public {
        Receiver receiver = new Receiver();
        receiver.refuse(true);
        _finalizedRound();
        _claim(ADA, 1);
        vm.prank(ADA);
        assertEq(federation.claim(_list(1), payable(address(receiver))), 0);
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    /// @dev One second by Ada and two by Bob: paid 1 and 2 gwei.
    function _finalizedRound() private {
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _finalize();
    }

    /// @dev Five seconds by Ada: paid 5 gwei.
    function _abandonedRound() private {
        _open();
        _submit(ADA, 5000);
        _abandon();
    }

    function _refuses(address client, uint32 round, bytes memory error) private {
        vm.expectRevert(error);
        _claim(client, round);
    }
}
