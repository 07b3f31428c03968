// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Base} from "./Base.sol";

/// @title A stake is its client's, but for what a finalization slashes.
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
        assertEq(_view(0, ADA).stake, STAKE);
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
        emit IFederation.Left(ADA, 0);
        vm.expectEmit(address(federation));
        emit IFederation.StakeReturned(ADA, PURSE, STAKE);
        vm.prank(ADA);
        assertEq(federation.leave(payable(PURSE)), STAKE);

        assertEq(PURSE.balance, STAKE);
        assertEq(ADA.balance, 0);
        assertEq(_view(0, ADA).stake, 0);
        assertFalse(_view(0, ADA).member);
        assertEq(_view(0, BOB).stake, STAKE, "another's stays");
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

    function test_AnUpdateInTheLiveRoundLocksTheStake() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        vm.recordLogs();
        vm.expectEmit(address(federation));
        emit IFederation.Left(ADA, 0);
        assertEq(_leave(ADA), 0);

        assertEq(_emitted(), 1);
        assertFalse(_view(1, ADA).member);
        assertEq(_view(1, ADA).stake, STAKE);
        assertEq(address(federation).balance, REWARD + 3 * uint256(STAKE));
    }

    function test_ALockedStakeIsReturnedOnceTheRoundIsFinalized() public {
        _lock();
        vm.warp(_view().trainingDeadline);
        _refusesToReturn();
        _finalize();
        _returnsTheStake();
    }

    function test_ALockedStakeIsReturnedOnceTheRoundIsAbandoned() public {
        _lock();
        vm.warp(_view().aggregationDeadline - 1);
        _refusesToReturn();
        vm.warp(_view().aggregationDeadline);
        _returnsTheStake();
    }

    function test_WhoIsInTheLiveRoundLeavesAfterItAtOnce() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _finalize();
        assertEq(_leave(ADA), STAKE);
    }

    function test_AnUpdateOfAnEarlierRoundLocksNothing() public {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _finalize();
        _open();
        assertEq(_leave(ADA), STAKE);
    }

    function test_TheLockNamesTheLatestRound() public {
        _registerThree();
        _open();
        _abandon();
        _open();
        _submit(ADA, 1000);
        _leave(ADA);
        vm.expectRevert(abi.encodeWithSelector(IFederation.StakeIsLocked.selector, 2));
        _leave(ADA);
    }

    function test_NobodyRegistersWhileAnOldStakeIsHeld() public {
        _lock();
        vm.deal(ADA, STAKE);
        vm.expectRevert(abi.encodeWithSelector(IFederation.StakeNotReturned.selector, ADA, STAKE));
        vm.prank(ADA);
        federation.register{value: STAKE}();

        _finalize(_adjustment(ADA, 0, MAX_SLASH_RATE));
        uint256 left = STAKE - STAKE / 2;
        vm.expectRevert(abi.encodeWithSelector(IFederation.StakeNotReturned.selector, ADA, left));
        vm.prank(ADA);
        federation.register{value: STAKE}();

        assertEq(_leave(ADA), left);
        assertEq(_register(ADA), 3);
        assertEq(_view(0, ADA).stake, STAKE);
    }

    function test_AMemberCannotStakeTwice() public {
        _register(ADA);
        vm.deal(ADA, STAKE);
        vm.expectRevert(abi.encodeWithSelector(IFederation.AlreadyRegistered.selector, ADA, 0));
        vm.prank(ADA);
        federation.register{value: STAKE}();
    }

    // -------------------------------------------------------------------------------------------------- slashing

    function test_SlashingTakesItsPartOfTheStakeRoundedDown() public {
        _aggregating();
        vm.expectEmit(address(federation));
        emit IFederation.UpdateAdjusted(1, ADA, 400);
        vm.expectEmit(address(federation));
        emit IFederation.Slashed(1, ADA, STAKE / 2);
        _finalize(_adjustment(ADA, 400, MAX_SLASH_RATE));

        assertEq(_view(1, ADA).stake, STAKE - STAKE / 2);
        assertEq(_view(1, ADA).slashRate, MAX_SLASH_RATE);
        assertEq(_view(1, ADA).creditedMs, 400);
        assertEq(_view(1, BOB).stake, STAKE, "another's stays");
        assertEq(_view(1, BOB).slashRate, 0);
    }

    function test_AnAdjustmentWithoutASlashLeavesTheStake() public {
        _aggregating();
        vm.recordLogs();
        _finalize(_adjustment(ADA, 0, 0));
        assertEq(_emitted(), 2, "adjusted and finalized, not slashed");
        assertEq(_view(1, ADA).stake, STAKE);
    }

    function test_TheMostThatCanBeSlashedIsFixed() public {
        _aggregating();
        IFederation.Adjustment[] memory adjustments = new IFederation.Adjustment[](1);
        adjustments[0] = _adjustment(ADA, 0, MAX_SLASH_RATE + 1);
        vm.expectRevert(
            abi.encodeWithSelector(IFederation.SlashRateTooHigh.selector, MAX_SLASH_RATE, MAX_SLASH_RATE + 1)
        );
        vm.prank(OWNER);
        federation.finalizeRound(1, 2, 2000, MODEL, REPORT, adjustments, SECRET);
    }

    function test_ASlashTakesOfWhatIsLeft() public {
        _registerThree();
        uint256 left = STAKE;
        for (uint32 round = 1; round <= 3; ++round) {
            _open();
            _submit(ADA, 1000);
            vm.expectEmit(address(federation));
            emit IFederation.Slashed(round, ADA, left * 3333 / 10_000);
            _finalize(_adjustment(ADA, 0, 3333));
            left -= left * 3333 / 10_000;
            assertEq(_view(round, ADA).stake, left);
        }
        assertEq(_leave(ADA), left);
    }

    function test_WhoLeftALiveRoundIsSlashedToo() public {
        _lock();
        _finalize(_adjustment(ADA, 0, 1));
        uint256 left = STAKE - STAKE / 10_000;
        assertEq(_leave(ADA), left);
        assertEq(ADA.balance, left);
    }

    function test_WhatIsSlashedGoesToNobody() public {
        _aggregating();
        _finalize(_adjustment(ADA, 0, MAX_SLASH_RATE));
        assertEq(federation.carried(), REWARD - 2 * WAGE, "what neither claimed");
        vm.prank(OWNER);
        federation.close();
        vm.prank(OWNER);
        federation.withdraw(payable(PURSE));
        assertEq(PURSE.balance, REWARD - 2 * WAGE);

        _leave(ADA);
        _leave(BOB);
        _leave(CYD);
        _claim(BOB, 1);
        assertEq(
            address(federation).balance, STAKE / 2 + WAGE, "the slash, and what the rejected update would have earned"
        );
    }

    function test_AStakeMayBeSlashedWhole() public {
        terms.maxSlashRate = 10_000;
        _create();
        _aggregating();
        vm.expectEmit(address(federation));
        emit IFederation.Slashed(1, ADA, STAKE);
        _finalize(_adjustment(ADA, 0, 10_000));
        assertEq(_view(1, ADA).stake, 0);
        assertTrue(_view(1, ADA).member);

        vm.recordLogs();
        vm.expectEmit(address(federation));
        emit IFederation.Left(ADA, 0);
        assertEq(_leave(ADA), 0);
        assertEq(_emitted(), 1);
    }

    function test_WithoutAStakeNobodyIsSlashed() public {
        (terms.stake, terms.maxSlashRate) = (0, 0);
        _create();
        _aggregating();
        IFederation.Adjustment[] memory adjustments = new IFederation.Adjustment[](1);
        adjustments[0] = _adjustment(ADA, 0, 1);
        vm.expectRevert(abi.encodeWithSelector(IFederation.SlashRateTooHigh.selector, 0, 1));
        vm.prank(OWNER);
        federation.finalizeRound(1, 2, 2000, MODEL, REPORT, adjustments, SECRET);
    }

    function testFuzz_TheSlashIsTheFloorAndStakesAreWhatTheyWere(uint128 stake, uint16 rate) public {
        stake = uint128(bound(stake, 1, type(uint128).max));
        rate = uint16(bound(rate, 1, 10_000));
        (terms.stake, terms.maxSlashRate) = (stake, 10_000);
        _create();
        _aggregating();
        uint256 slashed = uint256(stake) * rate / 10_000;
        vm.expectEmit(address(federation));
        emit IFederation.Slashed(1, ADA, slashed);
        _finalize(_adjustment(ADA, 0, rate));

        assertEq(_view(1, ADA).stake, stake - slashed);
        assertEq(_leave(ADA), stake - slashed);
        assertEq(_leave(BOB), stake);
    }

    // --------------------------------------------------------------------------------------------------- helpers

    /// @dev Ada left round 1 with an update in it.
    function _lock() private {
        _registerThree();
        _open();
        _submit(ADA, 1000);
        _leave(ADA);
        _refusesToReturn();
    }

    function _refusesToReturn() private {
        vm.expectRevert(abi.encodeWithSelector(IFederation.StakeIsLocked.selector, 1));
        _leave(ADA);
    }

    function _returnsTheStake() private {
        vm.recordLogs();
        vm.expectEmit(address(federation));
        emit IFederation.StakeReturned(ADA, ADA, STAKE);
        assertEq(_leave(ADA), STAKE);
        assertEq(_emitted(), 1, "the membership had ended before");
        assertEq(ADA.balance, STAKE);
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
}
