// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Base} from "./Base.sol";

/// @title A stake is its client's, but for what a finalization slashes, which is booked like a reward.
contract StakesTest is Base {
    uint128 private constant STAKE = 1 ether + 1;
    uint16 private constant MAX_SLASH_RATE = 5000;

    function setUp() public override {
        (terms.stake, terms.maxSlashRate) = (STAKE, MAX_SLASH_RATE);
        super.setUp();
    }

    function test_RegisteringStakesExactly() public {
        vm.deal(ADA, STAKE + 1);
        for (uint256 i; i < 2; ++i) {
            uint256 wrong = i == 0 ? STAKE - 1 : STAKE + 1;
            vm.expectRevert(abi.encodeWithSelector(IFederation.WrongAmount.selector, STAKE, wrong));
            vm.prank(ADA);
            federation.register{value: wrong}();
        }
        vm.prank(ADA);
        federation.register{value: STAKE}();
        assertEq(_view(ADA).stake, STAKE);
        assertEq(address(federation).balance, STAKE);
        assertEq(ADA.balance, 1);
    }

    function test_AStakeIsNotCarried() public {
        _register(ADA);
        assertEq(federation.carried(), 0);
    }

    function test_LeavingReturnsTheStakeToWhereTheClientSays() public {
        _register(ADA);
        _register(BOB);
        vm.expectEmit(address(federation));
        emit IFederation.Left(ADA, 0, BOB, false);
        vm.expectEmit(address(federation));
        emit IFederation.Paid(ADA, PURSE, 0, STAKE);
        vm.prank(ADA);
        assertEq(federation.leave(payable(PURSE)), STAKE);

        assertEq(PURSE.balance, STAKE);
        assertEq(ADA.balance, 0);
        assertEq(_stakeOf(ADA), 0);
        assertFalse(_view(ADA).member);
        assertEq(_stakeOf(BOB), STAKE, "another's stays");
    }

    function test_StakeAndRewardsArePaidTogether() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _finalize();
        vm.expectEmit(address(federation));
        emit IFederation.Paid(ADA, ADA, WAGE, STAKE);
        assertEq(_leave(ADA), STAKE + WAGE);
        assertEq(ADA.balance, STAKE + WAGE);
    }

    function test_AClaimLeavesTheStake() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _finalize();
        vm.expectEmit(address(federation));
        emit IFederation.Paid(ADA, ADA, WAGE, 0);
        assertEq(_claim(ADA), WAGE);
        assertEq(_stakeOf(ADA), STAKE);
        assertEq(_leave(ADA), STAKE);
    }

    function test_AStakeIsReturnedOnce() public {
        _register(ADA);
        _register(BOB);
        _leave(ADA);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotRegistered.selector, ADA));
        _leave(ADA);
    }

    function test_WhoDidNotSubmitLeavesALiveRoundWithItsStake() public {
        _registerThree();
        _open();
        _submit(BOB, 1000);
        assertEq(_leave(ADA), STAKE);
    }

    function test_AnUpdateInTheLiveRoundHoldsTheStake() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        vm.recordLogs();
        vm.expectEmit(address(federation));
        emit IFederation.Left(ADA, 0, CYD, false);
        assertEq(_leave(ADA), 0);

        assertEq(_emitted(), 1);
        assertFalse(_view(ADA).member);
        assertEq(_stakeOf(ADA), STAKE);
        assertEq(address(federation).balance, REWARD + 3 * uint256(STAKE));
    }

    function test_AHeldStakeIsReturnedOnceTheRoundIsFinalized() public {
        _hold();
        vm.warp(_view().trainingDeadline);
        _refusesToReturn();
        _finalize();
        _returnsTheStake();
    }

    function test_AHeldStakeIsReturnedOnceTheRoundIsAbandoned() public {
        _hold();
        vm.warp(_view().aggregationDeadline - 1);
        _refusesToReturn();
        vm.warp(_view().aggregationDeadline);
        _returnsTheStake();
    }

    function test_WhoHasAnUpdateInTheLiveRoundLeavesAfterItAtOnce() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _finalize();
        assertEq(_leave(ADA), STAKE + WAGE);
    }

    function test_AnUpdateOfAnEarlierRoundHoldsNothing() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _finalize();
        _open();
        assertEq(_leave(ADA), STAKE + WAGE);
    }

    function test_TheRefusalNamesTheLatestRound() public {
        _registerThree();
        _open();
        _abandon();
        _open();
        _submit(ADA, 1000);
        _leave(ADA);
        vm.expectRevert(abi.encodeWithSelector(IFederation.UpdateIsLive.selector, 2));
        _leave(ADA);
    }

    function test_NobodyRegistersWhileAnOldStakeIsHeld() public {
        _hold();
        vm.deal(ADA, STAKE);
        vm.expectRevert(abi.encodeWithSelector(IFederation.UpdateIsLive.selector, 1));
        vm.prank(ADA);
        federation.register{value: STAKE}();

        _finalize(_adjustment(ADA, 0, MAX_SLASH_RATE));
        uint256 left = STAKE - STAKE / 2;
        vm.expectRevert(abi.encodeWithSelector(IFederation.StakeNotReturned.selector, ADA, left));
        vm.prank(ADA);
        federation.register{value: STAKE}();

        assertEq(_leave(ADA), left);
        assertEq(_register(ADA), 2);
        assertEq(_stakeOf(ADA), STAKE, "whole: the slash was of the old one");
    }

    function test_AMemberCannotStakeTwice() public {
        _register(ADA);
        vm.deal(ADA, STAKE);
        vm.expectRevert(abi.encodeWithSelector(IFederation.AlreadyRegistered.selector, ADA, 0));
        vm.prank(ADA);
        federation.register{value: STAKE}();
    }

    // -------------------------------------------------------------------------------------------------- slashing

    /// @dev The finalization says what it slashes by its adjustments; the amount is said when it is booked.
    function test_ASlashIsBookedWithTheNextSubmission() public {
        _slashedRound(400);
        assertEq(_stakeOf(ADA), STAKE - STAKE / 2, "seen before it is booked");
        assertEq(_view(ADA).slashRate, MAX_SLASH_RATE);
        assertEq(_view(ADA).computeMs, 400);
        assertEq(_stakeOf(BOB), STAKE, "another's stays");
        assertEq(_view(BOB).slashRate, 0);
        _open();
        vm.expectEmit(address(federation));
        emit IFederation.Slashed(1, ADA, STAKE / 2);
        _submit(ADA, 1000);
        assertEq(_stakeOf(ADA), STAKE - STAKE / 2, "once");
        assertEq(_owed(ADA), uint256(WAGE) * 400 / 1000);
        assertEq(_view(ADA).slashRate, 0, "of the new update");
    }

    function test_ASlashIsBookedWithADecline() public {
        _slashedRound(400);
        _open();
        vm.expectEmit(address(federation));
        emit IFederation.Slashed(1, ADA, STAKE / 2);
        _decline(ADA);
        assertEq(_stakeOf(ADA), STAKE - STAKE / 2);
    }

    function test_ASlashIsBookedWithAClaim() public {
        _slashedRound(400);
        vm.expectEmit(address(federation));
        emit IFederation.Slashed(1, ADA, STAKE / 2);
        vm.expectEmit(address(federation));
        emit IFederation.Paid(ADA, ADA, uint256(WAGE) * 400 / 1000, 0);
        _claim(ADA);
        assertEq(_stakeOf(ADA), STAKE - STAKE / 2);
        assertEq(_view(ADA).slashRate, MAX_SLASH_RATE, "the line stays as it is");
        _open();
        vm.recordLogs();
        _submit(ADA, 1000);
        assertEq(_said(IFederation.Slashed.selector), 0, "not twice");
        assertEq(_stakeOf(ADA), STAKE - STAKE / 2);
    }

    function test_ASlashIsBookedWithLeaving() public {
        _slashedRound(400);
        vm.expectEmit(address(federation));
        emit IFederation.Left(ADA, 0, CYD, false);
        vm.expectEmit(address(federation));
        emit IFederation.Slashed(1, ADA, STAKE / 2);
        vm.expectEmit(address(federation));
        emit IFederation.Paid(ADA, ADA, uint256(WAGE) * 400 / 1000, STAKE - STAKE / 2);
        _leave(ADA);
        assertEq(ADA.balance, uint256(WAGE) * 400 / 1000 + STAKE - STAKE / 2);
    }

    function test_ASlashWaitsForItsClient() public {
        _slashedRound(0);
        for (uint256 i; i < 3; ++i) {
            _open();
            _submit(BOB, 1000);
            _finalize();
        }
        assertEq(_stakeOf(ADA), STAKE - STAKE / 2);
        vm.expectEmit(address(federation));
        emit IFederation.Slashed(1, ADA, STAKE / 2);
        assertEq(_leave(ADA), STAKE - STAKE / 2);
    }

    function test_AnAdjustmentWithoutASlashLeavesTheStake() public {
        _aggregating();
        _finalize(_adjustment(ADA, 0, 0));
        assertEq(_stakeOf(ADA), STAKE);
        vm.recordLogs();
        assertEq(_leave(ADA), STAKE);
        assertEq(_emitted(), 2, "left and paid, not slashed");
    }

    function test_TheMostThatCanBeSlashedIsFixed() public {
        _aggregating();
        IFederation.Finalization memory finalization = _finalization(_one(_adjustment(ADA, 0, MAX_SLASH_RATE + 1)));
        vm.expectRevert(
            abi.encodeWithSelector(IFederation.SlashRateTooHigh.selector, MAX_SLASH_RATE, MAX_SLASH_RATE + 1)
        );
        vm.prank(OWNER);
        federation.finalizeRound(finalization);
    }

    function test_ASlashTakesOfWhatIsLeft() public {
        _registerThree();
        (uint256 left, uint256 taken) = (STAKE, 0);
        for (uint24 round = 1; round <= 3; ++round) {
            _open();
            if (round > 1) {
                vm.expectEmit(address(federation));
                emit IFederation.Slashed(round - 1, ADA, taken);
            }
            _submit(ADA, 1000);
            _finalize(_adjustment(ADA, 0, 3333));
            taken = left * 3333 / 10_000;
            left -= taken;
            assertEq(_stakeOf(ADA), left);
        }
        assertEq(_leave(ADA), left);
    }

    function test_WhoLeftALiveRoundIsSlashedToo() public {
        _hold();
        _finalize(_adjustment(ADA, 0, 1));
        uint256 left = STAKE - STAKE / 10_000;
        assertEq(_stakeOf(ADA), left);
        vm.expectEmit(address(federation));
        emit IFederation.Slashed(1, ADA, STAKE / 10_000);
        assertEq(_leave(ADA), left);
        assertEq(ADA.balance, left);
    }

    function test_WhatIsSlashedGoesToNobody() public {
        _slashedRound(0);
        assertEq(federation.carried(), REWARD - 2 * WAGE, "what neither claimed");
        _close();
        _withdraw(PURSE);
        assertEq(PURSE.balance, REWARD - 2 * WAGE);

        _leave(ADA);
        _leave(BOB);
        _leave(CYD);
        assertEq(
            address(federation).balance, STAKE / 2 + WAGE, "the slash, and what the rejected update would have earned"
        );
    }

    function test_AStakeMayBeSlashedWhole() public {
        terms.maxSlashRate = 10_000;
        _create();
        _aggregating();
        _finalize(_adjustment(ADA, 0, 10_000));
        assertEq(_stakeOf(ADA), 0);
        assertTrue(_view(ADA).member);

        vm.expectEmit(address(federation));
        emit IFederation.Slashed(1, ADA, STAKE);
        vm.expectEmit(address(federation));
        emit IFederation.Paid(ADA, ADA, 0, 0);
        assertEq(_leave(ADA), 0);
        _register(ADA);
        assertEq(_stakeOf(ADA), STAKE);
    }

    function test_WhatHasNothingLeftIsSlashedOfNothing() public {
        terms.maxSlashRate = 10_000;
        _create();
        _aggregating();
        _finalize(_adjustment(ADA, 0, 10_000));
        _open();
        _submit(ADA, 1000);
        _finalize(_adjustment(ADA, 0, 10_000));
        vm.recordLogs();
        _open();
        _submit(ADA, 1000);
        assertEq(_said(IFederation.Slashed.selector), 0);
        assertEq(_stakeOf(ADA), 0);
        _finalize();
        assertEq(_claim(ADA), WAGE, "it still earns");
    }

    function testFuzz_TheSlashIsTheFloorAndStakesAreWhatTheyWere(uint128 stake, uint16 rate) public {
        stake = uint128(bound(stake, 1, type(uint128).max));
        rate = uint16(bound(rate, 1, 10_000));
        (terms.stake, terms.maxSlashRate) = (stake, 10_000);
        _create();
        _aggregating();
        uint256 slashed = uint256(stake) * rate / 10_000;
        _finalize(_adjustment(ADA, 0, rate));

        assertEq(_stakeOf(ADA), stake - slashed);
        assertEq(_leave(ADA), stake - slashed);
        assertEq(_leave(BOB), uint256(stake) + WAGE);
    }

    // --------------------------------------------------------------------------------------------------- helpers

    /// @dev Ada left round 1 with an update in it.
    function _hold() private {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _leave(ADA);
        _refusesToReturn();
    }

    function _refusesToReturn() private {
        vm.expectRevert(abi.encodeWithSelector(IFederation.UpdateIsLive.selector, 1));
        _leave(ADA);
    }

    function _returnsTheStake() private {
        vm.recordLogs();
        vm.expectEmit(address(federation));
        emit IFederation.Paid(ADA, ADA, WAGE, STAKE);
        assertEq(_leave(ADA), STAKE + WAGE);
        assertEq(_emitted(), 1, "the membership had ended before");
        assertEq(ADA.balance, STAKE + WAGE);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotRegistered.selector, ADA));
        _leave(ADA);
    }

    /// @dev Round 1 has an update of a second each by Ada and Bob.
    function _aggregating() private {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 1000);
        _endTraining();
    }

    /// @dev Of Ada's second so much is credited, and half of her stake is slashed.
    function _slashedRound(uint32 creditedMs) private {
        _aggregating();
        _finalize(_adjustment(ADA, creditedMs, MAX_SLASH_RATE));
    }
}
