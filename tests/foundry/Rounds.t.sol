// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Base} from "./Base.sol";

/// @title Opening rounds: what is checked, what is fixed and booked, and how long every phase lasts.
contract RoundsTest is Base {
    function setUp() public override {
        super.setUp();
        _registerThree();
    }

    // --------------------------------------------------------------------------------------------- what is fixed

    function test_ARoundIsWhatItsTermsSay() public {
        IFederation.RoundTerms memory roundTerms = _unusualTerms();
        bytes32 blockHash = keccak256("block");
        vm.setBlockhash(block.number - 1, blockHash);
        uint32 offset = uint32(uint256(keccak256(abi.encode(blockHash, uint32(1)))) % 3);

        vm.expectEmit(address(federation));
        emit IFederation.RoundOpened(
            1,
            roundTerms.planCid,
            roundTerms.sealingKey,
            INITIAL_MODEL,
            uint40(START + 31),
            uint40(START + 31 + 47),
            3,
            2,
            offset,
            5,
            70_000,
            11,
            13
        );
        assertEq(_open(roundTerms), 1);
        assertEq(federation.roundCount(), 1);
        assertEq(address(federation).balance, 13);

        IFederation.RoundView memory expected;
        expected.round = 1;
        expected.phase = IFederation.Phase.Training;
        expected.openedAt = uint40(START);
        expected.trainingDeadline = uint40(START + 31);
        expected.aggregationDeadline = uint40(START + 31 + 47);
        expected.planCid = roundTerms.planCid;
        expected.sealingKey = roundTerms.sealingKey;
        expected.base.modelCid = INITIAL_MODEL;
        expected.memberCount = 3;
        expected.selectionOffset = offset;
        expected.selectedCount = 2;
        expected.maxUpdates = 5;
        expected.maxComputeMs = 70_000;
        expected.rewardRateCap = 11;
        expected.pool = 13;
        expected.guaranteedRate = 0; // 13 * 1000 / (5 * 70,000)
        assertEq(abi.encode(_view()), abi.encode(expected));
    }

    function testFuzz_TheOffsetComesFromTheBlockBefore(bytes32 first, bytes32 second) public {
        vm.setBlockhash(block.number - 1, first);
        _open();
        assertEq(_view().selectionOffset, uint256(keccak256(abi.encode(first, 1))) % 3);
        _abandon();
        vm.roll(block.number + 10);
        _register(DOT);
        vm.setBlockhash(block.number - 1, second);
        _open();
        assertEq(_view().selectionOffset, uint256(keccak256(abi.encode(second, 2))) % 4);
    }

    function test_ARoundStartsFromWhatTheOneBeforeReleased() public {
        _open();
        _submit(ADA, 1000);
        _finalize();
        _open();
        assertEq(_view().base.modelCid, MODEL);
        assertEq(_view().base.reportCid, REPORT);
    }

    function test_ARoundAfterAnAbandonedOneStartsFromTheSameModel() public {
        _open();
        _abandon();
        _open();
        assertEq(_view().base.modelCid, INITIAL_MODEL);
        assertEq(_view().base.reportCid, 0);
    }

    function test_TheWidestTermsFit() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        (roundTerms.trainingPeriod, roundTerms.aggregationPeriod) = (30 days, 30 days);
        (roundTerms.maxUpdates, roundTerms.maxComputeMs) = (1000, 30 days * 1000);
        (roundTerms.rewardRateCap, roundTerms.reward) = (type(uint128).max, type(uint128).max);
        _open(roundTerms);
        IFederation.RoundView memory view_ = _view();
        assertEq(view_.trainingDeadline, START + 30 days);
        assertEq(view_.aggregationDeadline, START + 60 days);
        assertEq(view_.maxUpdates, 1000);
        assertEq(view_.maxComputeMs, 2_592_000_000);
        assertEq(view_.rewardRateCap, type(uint128).max);
        assertEq(view_.pool, type(uint128).max);
        assertEq(view_.guaranteedRate, uint256(type(uint128).max) / 2_592_000_000);
    }

    // -------------------------------------------------------------------------------------------------- selection

    function test_TheRateRoundsTheNumberOfTheSelectedUp() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        uint16[5] memory rates = [1, 3333, 3334, 6667, 10_000];
        uint8[5] memory expected = [1, 1, 2, 3, 3];
        for (uint256 i; i < rates.length; ++i) {
            roundTerms.selectionRate = rates[i];
            _open(roundTerms);
            assertEq(_view().selectedCount, expected[i]);
            _abandon();
        }
    }

    function test_NoMoreAreSelectedThanMaySubmit() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.maxUpdates = 2;
        _open(roundTerms);
        assertEq(_view().selectedCount, 2);
        assertEq(_view().memberCount, 3);
    }

    function test_WhoLeftStillHoldsAnIndex() public {
        _leave(ADA);
        _leave(BOB);
        _leave(CYD);
        _open();
        assertEq(_view().memberCount, 3);
        assertEq(_view().selectedCount, 3);
    }

    // ------------------------------------------------------------------------------------------------------ money

    function test_ThePoolIsTheRewardAndWhatIsCarried() public {
        _fund(7);
        assertEq(federation.carried(), 7);
        _open();
        assertEq(_view().pool, REWARD + 7);
        assertEq(federation.carried(), 0);
    }

    function test_ARoundMayLiveOnWhatIsCarried() public {
        _fund(7);
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.reward = 0;
        _open(roundTerms);
        assertEq(_view().pool, 7);
    }

    function test_TheRewardIsEscrowedExactly() public {
        vm.deal(OWNER, REWARD + 1);
        for (uint256 i; i < 2; ++i) {
            uint256 wrong = i == 0 ? REWARD - 1 : REWARD + 1;
            vm.expectRevert(abi.encodeWithSelector(IFederation.WrongAmount.selector, REWARD, wrong));
            vm.prank(OWNER);
            federation.openRound{value: wrong}(_roundTerms());
        }
    }

    function test_APoolFits() public {
        _fund(1);
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.reward = type(uint128).max;
        vm.deal(OWNER, roundTerms.reward);
        vm.expectRevert(
            abi.encodeWithSelector(
                IFederation.AmountTooLarge.selector, type(uint128).max, uint256(type(uint128).max) + 1
            )
        );
        vm.prank(OWNER);
        federation.openRound{value: roundTerms.reward}(roundTerms);

        roundTerms.reward -= 1;
        _open(roundTerms);
        assertEq(_view().pool, type(uint128).max);
    }

    function test_WhatNobodyClaimedIsBookedOnce() public {
        _open();
        _submit(ADA, 2500);
        assertEq(federation.carried(), 0, "the round is live");
        _endTraining();
        assertEq(federation.carried(), 0, "the round is live");
        _finalize();
        uint256 surplus = REWARD - 2.5 gwei;
        assertEq(federation.carried(), surplus);

        _open();
        assertEq(_view().pool, surplus + REWARD);
        assertEq(federation.carried(), 0);
        _abandon();
        assertEq(federation.carried(), surplus + REWARD, "nobody submitted");
        _fund(5);
        assertEq(federation.carried(), surplus + REWARD + 5);
        _open();
        assertEq(_view().pool, surplus + 2 * uint256(REWARD) + 5);
        assertEq(address(federation).balance, 3 * uint256(REWARD) + 5);
    }

    function test_AnAbandonedRoundOwesWhatWasClaimed() public {
        _open();
        _submit(ADA, 1000);
        _abandon();
        assertEq(federation.carried(), REWARD - WAGE);
    }

    function test_FundingSaysSo() public {
        vm.deal(STRANGER, 3);
        vm.expectEmit(address(federation));
        emit IFederation.Funded(STRANGER, 3);
        vm.prank(STRANGER);
        federation.fund{value: 3}(3);
        assertEq(federation.carried(), 3);
        assertEq(address(federation).balance, 3);
    }

    function test_FundingWithNothingIsAMistake() public {
        vm.expectRevert(abi.encodeWithSelector(IFederation.ZeroValue.selector, "amount"));
        federation.fund(0);
    }

    function test_FundsArriveExactly() public {
        vm.expectRevert(abi.encodeWithSelector(IFederation.WrongAmount.selector, 3, 2));
        federation.fund{value: 2}(3);
    }

    function test_NoGiftMakesTheNextOpeningImpossible() public {
        _open();
        uint128 most = type(uint128).max - REWARD;
        vm.deal(STRANGER, uint256(most) + 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IFederation.AmountTooLarge.selector, type(uint128).max, uint256(type(uint128).max) + 1
            )
        );
        vm.prank(STRANGER);
        federation.fund{value: uint256(most) + 1}(most + 1);

        vm.prank(STRANGER);
        federation.fund{value: most}(most);
        _abandon();
        assertEq(federation.carried(), type(uint128).max);
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.reward = 0;
        _open(roundTerms);
        assertEq(_view().pool, type(uint128).max);
    }

    function test_GiftsAddUp() public {
        _fund(type(uint128).max);
        vm.deal(STRANGER, 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IFederation.AmountTooLarge.selector, type(uint128).max, uint256(type(uint128).max) + 1
            )
        );
        vm.prank(STRANGER);
        federation.fund{value: 1}(1);
    }

    // ------------------------------------------------------------------------------------------------------ order

    function test_ARoundNeedsAnInitialModel() public {
        _createBare();
        _register(ADA);
        _refuses(_roundTerms(), abi.encodeWithSelector(IFederation.NoInitialModel.selector));
    }

    function test_ARoundNeedsMembers() public {
        _create();
        _refuses(_roundTerms(), abi.encodeWithSelector(IFederation.NoMembers.selector));
    }

    function test_OneRoundAtATime() public {
        _open();
        bytes4 live = IFederation.RoundIsLive.selector;
        _refuses(_roundTerms(), abi.encodeWithSelector(live, 1, IFederation.Phase.Training));
        _submit(ADA, 1000);
        _endTraining();
        _refuses(_roundTerms(), abi.encodeWithSelector(live, 1, IFederation.Phase.Aggregating));
        vm.warp(_view().aggregationDeadline - 1);
        _refuses(_roundTerms(), abi.encodeWithSelector(live, 1, IFederation.Phase.Aggregating));
        _abandon();
        assertEq(_open(), 2);
    }

    function test_AClosedFederationOpensNoRound() public {
        vm.prank(OWNER);
        federation.close();
        _refuses(_roundTerms(), abi.encodeWithSelector(IFederation.FederationIsClosed.selector));
    }

    // ------------------------------------------------------------------------------------------------------ terms

    function test_APlanIsNeeded() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.planCid = 0;
        _refuses(roundTerms, abi.encodeWithSelector(IFederation.ZeroValue.selector, "planCid"));
    }

    function test_ASealingKeyIsNeeded() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.sealingKey = 0;
        _refuses(roundTerms, abi.encodeWithSelector(IFederation.ZeroValue.selector, "sealingKey"));
    }

    function test_AWageIsNeeded() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.rewardRateCap = 0;
        _refuses(roundTerms, abi.encodeWithSelector(IFederation.ZeroValue.selector, "rewardRateCap"));
        roundTerms.rewardRateCap = 1;
        _open(roundTerms);
        assertEq(_view().rewardRateCap, 1);
    }

    function test_TrainingLastsFromHalfAMinuteToAMonth() public {
        uint24[4] memory periods = [29, 30, 30 days, 30 days + 1];
        for (uint256 i; i < periods.length; ++i) {
            IFederation.RoundTerms memory roundTerms = _roundTerms();
            roundTerms.trainingPeriod = periods[i];
            if (i == 0 || i == 3) _refuses(roundTerms, _outside(30, 30 days, periods[i]));
            else _opens(roundTerms);
        }
    }

    function test_AggregatingLastsFromHalfAMinuteToAMonth() public {
        uint24[4] memory periods = [29, 30, 30 days, 30 days + 1];
        for (uint256 i; i < periods.length; ++i) {
            IFederation.RoundTerms memory roundTerms = _roundTerms();
            roundTerms.aggregationPeriod = periods[i];
            if (i == 0 || i == 3) _refuses(roundTerms, _outside(30, 30 days, periods[i]));
            else _opens(roundTerms);
        }
    }

    function test_OneToAThousandMaySubmit() public {
        uint16[4] memory counts = [0, 1, 1000, 1001];
        bytes4 error = IFederation.MaxUpdatesOutOfBounds.selector;
        for (uint256 i; i < counts.length; ++i) {
            IFederation.RoundTerms memory roundTerms = _roundTerms();
            roundTerms.maxUpdates = counts[i];
            if (i == 0 || i == 3) _refuses(roundTerms, abi.encodeWithSelector(error, 1, 1000, counts[i]));
            else _opens(roundTerms);
        }
    }

    function test_AMonthOfComputeMayBeClaimed() public {
        uint32[4] memory times = [0, 1, 2_592_000_000, 2_592_000_001];
        bytes4 error = IFederation.ComputeTimeOutOfBounds.selector;
        for (uint256 i; i < times.length; ++i) {
            IFederation.RoundTerms memory roundTerms = _roundTerms();
            roundTerms.maxComputeMs = times[i];
            if (i == 0 || i == 3) {
                _refuses(roundTerms, abi.encodeWithSelector(error, 1, 2_592_000_000, times[i]));
            } else {
                _opens(roundTerms);
            }
        }
    }

    function test_TheSelectionRateIsAPartOfAll() public {
        uint16[4] memory rates = [0, 1, 10_000, 10_001];
        bytes4 error = IFederation.SelectionRateOutOfBounds.selector;
        for (uint256 i; i < rates.length; ++i) {
            IFederation.RoundTerms memory roundTerms = _roundTerms();
            roundTerms.selectionRate = rates[i];
            if (i == 0 || i == 3) _refuses(roundTerms, abi.encodeWithSelector(error, 1, 10_000, rates[i]));
            else _opens(roundTerms);
        }
    }

    // ----------------------------------------------------------------------------------------------------- phases

    function test_WhatWasNeverOpenedHasNoPhase() public {
        _assertPhase(0, IFederation.Phase.None);
        _assertPhase(1, IFederation.Phase.None);
        _open();
        _assertPhase(0, IFederation.Phase.None);
        _assertPhase(2, IFederation.Phase.None);
    }

    function test_TrainingEndsAtItsDeadline() public {
        _open();
        _submit(ADA, 1000);
        vm.warp(START + PERIOD - 1);
        _assertPhase(1, IFederation.Phase.Training);
        vm.warp(START + PERIOD);
        _assertPhase(1, IFederation.Phase.Aggregating);
    }

    function test_TrainingEndsOnceAllOfTheSelectedSubmitted() public {
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 1000);
        _assertPhase(1, IFederation.Phase.Training);
        _submit(CYD, 1000);
        _assertPhase(1, IFederation.Phase.Aggregating);
    }

    function test_AggregatingEndsAtItsDeadline() public {
        _open();
        _submit(ADA, 1000);
        vm.warp(START + 2 * PERIOD - 1);
        _assertPhase(1, IFederation.Phase.Aggregating);
        vm.warp(START + 2 * PERIOD);
        _assertPhase(1, IFederation.Phase.Abandoned);
    }

    function test_WithoutUpdatesThereIsNothingToAggregate() public {
        _open();
        vm.warp(START + PERIOD - 1);
        _assertPhase(1, IFederation.Phase.Training);
        vm.warp(START + PERIOD);
        _assertPhase(1, IFederation.Phase.Abandoned);
        vm.warp(START + 2 * PERIOD);
        _assertPhase(1, IFederation.Phase.Abandoned);
    }

    function test_WhatIsFinalizedStaysFinalized() public {
        _open();
        _submit(ADA, 1000);
        _finalize();
        _assertPhase(1, IFederation.Phase.Finalized);
        vm.warp(START + 2 * PERIOD);
        _assertPhase(1, IFederation.Phase.Finalized);
        _open();
        _assertPhase(1, IFederation.Phase.Finalized);
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    function _unusualTerms() private pure returns (IFederation.RoundTerms memory) {
        return IFederation.RoundTerms({
            planCid: "unusual plan",
            sealingKey: "unusual key",
            trainingPeriod: 31,
            aggregationPeriod: 47,
            maxUpdates: 5,
            maxComputeMs: 70_000,
            selectionRate: 5000,
            rewardRateCap: 11,
            reward: 13
        });
    }

    function _fund(uint128 amount) private {
        vm.deal(STRANGER, amount);
        vm.prank(STRANGER);
        federation.fund{value: amount}(amount);
    }

    function _outside(uint256 minimum, uint256 maximum, uint256 actual) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IFederation.PeriodOutOfBounds.selector, minimum, maximum, actual);
    }

    function _refuses(IFederation.RoundTerms memory roundTerms, bytes memory error) private {
        vm.deal(OWNER, roundTerms.reward);
        vm.expectRevert(error);
        vm.prank(OWNER);
        federation.openRound{value: roundTerms.reward}(roundTerms);
    }

    /// @dev ... and makes way for the next.
    function _opens(IFederation.RoundTerms memory roundTerms) private {
        uint32 round = _open(roundTerms);
        _assertPhase(round, IFederation.Phase.Training);
        _abandon();
    }
}
