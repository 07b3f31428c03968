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
        IFederation.Opening memory opening = _unusualOpening();
        bytes20 digest = _firstDigest(opening);
        vm.expectEmit(address(federation));
        emit IFederation.RoundOpened(1, digest, 0, opening);
        assertEq(_open(roundTerms), 1);
        assertEq(federation.roundCount(), 1);
        assertEq(address(federation).balance, 1541);

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
        expected.selectionOffset = 2;
        expected.selectedCount = 2;
        expected.maxUpdates = 5;
        expected.maxComputeMs = 70_000;
        expected.digest = digest;
        expected.rewardRateCap = 11 gwei;
        expected.pool = 1541;
        expected.guaranteedRate = 11 gwei;
        assertEq(abi.encode(_view()), abi.encode(expected));
    }

    /// @dev Nothing of the first round is left in the second, and the other way round.
    function test_TheNextRoundIsWhatItsOwnTermsSay() public {
        _open(_unusualTerms());
        vm.warp(START + 1000);
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.maxUpdates = 1;
        roundTerms.maxComputeMs = 50_000;
        roundTerms.trainingPeriod = 300;
        _register(DOT);
        _open(roundTerms);

        IFederation.Opening memory expected;
        expected.round = 2;
        expected.openedAt = uint40(START + 1000);
        expected.trainingDeadline = uint40(START + 1300);
        expected.aggregationDeadline = uint40(START + 1300 + PERIOD);
        expected.memberCount = 4;
        expected.selectionOffset = 3; // 2 of round 1, and one that is selected
        expected.selectedCount = 1;
        expected.maxUpdates = 1;
        expected.maxComputeMs = 50_000;
        expected.planCid = _planOf(2);
        expected.sealingKey = _keyOf(2);
        expected.baseModelCid = INITIAL_MODEL;
        expected.rewardRateCap = RATE_CAP;
        expected.pool = REWARD + 1541;
        assertEq(abi.encode(_opening()), abi.encode(expected));
        assertEq(_view().digest, _firstDigest(expected));
        assertEq(federation.roundCount(), 2);
    }

    function test_ARoundStartsFromWhatTheOneBeforeReleased() public {
        for (uint24 round = 1; round <= 3; ++round) {
            _open();
            assertEq(_view().base.modelCid, round == 1 ? INITIAL_MODEL : _modelOf(round - 1));
            assertEq(_view().base.reportCid, round == 1 ? bytes32(0) : _reportOf(round - 1));
            _submit(ADA, 1000);
            _finalize();
            assertEq(_view().base.modelCid, 0, "the report names it");
            assertEq(_view().base.reportCid, 0);
        }
    }

    function test_ARoundAfterAnAbandonedOneStartsFromTheSameModel() public {
        _open();
        _submit(ADA, 1000);
        _finalize();
        _open();
        _submit(ADA, 1000);
        _abandon();
        _open();
        assertEq(_view().base.modelCid, _modelOf(1));
        assertEq(_view().base.reportCid, _reportOf(1));
    }

    function test_TheWidestTermsFit() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        (roundTerms.trainingPeriod, roundTerms.aggregationPeriod) = (30 days, 30 days);
        (roundTerms.maxUpdates, roundTerms.maxComputeMs) = (1000, 30 days * 1000);
        (roundTerms.rewardRateCap, roundTerms.reward) = (type(uint112).max, type(uint112).max);
        _open(roundTerms);
        IFederation.RoundView memory view_ = _view();
        assertEq(view_.trainingDeadline, START + 30 days);
        assertEq(view_.aggregationDeadline, START + 60 days);
        assertEq(view_.maxUpdates, 1000);
        assertEq(view_.maxComputeMs, 2_592_000_000);
        assertEq(view_.rewardRateCap, type(uint112).max);
        assertEq(view_.pool, type(uint112).max);
        assertEq(view_.guaranteedRate, type(uint112).max);
    }

    function testFuzz_EveryFieldKeepsItsPlace(IFederation.RoundTerms memory roundTerms) public {
        roundTerms.planCid = bytes32(bound(uint256(roundTerms.planCid), 1, type(uint256).max));
        roundTerms.sealingKey = bytes32(bound(uint256(roundTerms.sealingKey), 1, type(uint256).max));
        roundTerms.trainingPeriod = uint32(bound(roundTerms.trainingPeriod, 30, 30 days));
        roundTerms.aggregationPeriod = uint32(bound(roundTerms.aggregationPeriod, 30, 30 days));
        roundTerms.maxUpdates = uint16(bound(roundTerms.maxUpdates, 1, 1000));
        roundTerms.maxComputeMs = uint32(bound(roundTerms.maxComputeMs, 1, 30 days * 1000));
        roundTerms.selectionRate = uint16(bound(roundTerms.selectionRate, 1, 10_000));
        roundTerms.rewardRateCap = uint112(bound(roundTerms.rewardRateCap, 1, type(uint112).max));
        roundTerms.reward = 0;
        _open(roundTerms);
        IFederation.RoundView memory view_ = _view();
        assertEq(view_.planCid, roundTerms.planCid);
        assertEq(view_.sealingKey, roundTerms.sealingKey);
        assertEq(view_.trainingDeadline, START + roundTerms.trainingPeriod);
        assertEq(view_.aggregationDeadline, START + roundTerms.trainingPeriod + roundTerms.aggregationPeriod);
        assertEq(view_.maxUpdates, roundTerms.maxUpdates);
        assertEq(view_.maxComputeMs, roundTerms.maxComputeMs);
        assertEq(view_.rewardRateCap, roundTerms.rewardRateCap);
        assertEq(view_.pool, 0);
    }

    // -------------------------------------------------------------------------------------------------- selection

    function test_TheRateRoundsTheNumberOfTheSelectedUp() public {
        uint16[5] memory rates = [1, 3333, 3334, 6667, 10_000];
        uint8[5] memory expected = [1, 1, 2, 3, 3];
        for (uint256 i; i < rates.length; ++i) {
            IFederation.RoundTerms memory roundTerms = _roundTerms();
            roundTerms.selectionRate = rates[i];
            _open(roundTerms);
            assertEq(_view().selectedCount, expected[i]);
            _abandon();
        }
    }

    function test_NoMoreAreSelectedThanMaySubmit() public {
        _openFor(2);
        assertEq(_view().selectedCount, 2);
        assertEq(_view().memberCount, 3);
    }

    function test_WhoLeftIsNotCounted() public {
        _leave(BOB);
        _open();
        assertEq(_view().memberCount, 2);
        assertEq(_view().selectedCount, 2);
        assertTrue(_view(ADA).selected);
        assertTrue(_view(CYD).selected);
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
        _fund(REWARD);
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.reward = 0;
        _open(roundTerms);
        assertEq(_view().pool, REWARD);
    }

    function test_TheRewardIsEscrowedExactly() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        vm.deal(OWNER, REWARD + 1);
        for (uint256 i; i < 2; ++i) {
            uint256 wrong = i == 0 ? REWARD - 1 : REWARD + 1;
            vm.expectRevert(abi.encodeWithSelector(IFederation.WrongAmount.selector, REWARD, wrong));
            vm.prank(OWNER);
            federation.openRound{value: wrong}(roundTerms, 0);
        }
    }

    function test_APoolFits() public {
        _fund(1);
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.reward = type(uint112).max;
        _refuses(roundTerms, _tooLarge(uint256(type(uint112).max) + 1));

        roundTerms.reward -= 1;
        _open(roundTerms);
        assertEq(_view().pool, type(uint112).max);
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
        assertEq(federation.carried(), 0);
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
        vm.expectRevert(_zeroValue("amount"));
        federation.fund(0);
    }

    function test_FundsArriveExactly() public {
        vm.expectRevert(abi.encodeWithSelector(IFederation.WrongAmount.selector, 3, 2));
        federation.fund{value: 2}(3);
    }

    function test_NoGiftMakesTheNextOpeningImpossible() public {
        _open();
        _refusesToFundMoreThan(type(uint112).max - REWARD);
        _fund(type(uint112).max - REWARD);
        _abandon();
        assertEq(federation.carried(), type(uint112).max);
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.reward = 0;
        _open(roundTerms);
        assertEq(_view().pool, type(uint112).max);
    }

    /// @dev What a round has paid out makes room again: the bound looks at what is live, not at all that ever was.
    function test_OnceARoundIsOverOnlyWhatItLeftCounts() public {
        _open();
        _submit(ADA, 1000);
        _finalize();
        _refusesToFundMoreThan(type(uint112).max - REWARD + WAGE);
        _fund(type(uint112).max - REWARD + WAGE);
        assertEq(federation.carried(), type(uint112).max);
    }

    function test_GiftsAddUp() public {
        _fund(type(uint112).max);
        vm.deal(STRANGER, 1);
        vm.expectRevert(_tooLarge(uint256(type(uint112).max) + 1));
        vm.prank(STRANGER);
        federation.fund{value: 1}(1);
    }

    // --------------------------------------------------------------------------------------------------- the spread

    function test_APoolPaysWhatTheSelectedMayClaim() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.reward = 300 gwei; // three clients, 100 s each
        roundTerms.reward -= 1;
        _refuses(roundTerms, _tooSmall(300 gwei, 300 gwei - 1));
        roundTerms.reward += 1;
        _open(roundTerms);
        assertEq(_view().guaranteedRate, RATE_CAP);
    }

    function test_ASpreadLetsTheSelectedClaimSoManyTimesAsMuch() public {
        terms.maxSpread = 3;
        _create();
        _registerThree();
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.reward = 100 gwei - 1;
        _refuses(roundTerms, _tooSmall(100 gwei, 100 gwei - 1));
        roundTerms.reward = 100 gwei;
        _open(roundTerms);
        assertEq(_view().guaranteedRate, RATE_CAP / 3);
    }

    function test_AnEmptyPoolPromisesNothing() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.reward = 0;
        _open(roundTerms);
        assertEq(_view().pool, 0);
        assertEq(_view().guaranteedRate, 0);
        skip(100);
        _submit(ADA, 1000);
        _finalize();
        assertEq(_owed(ADA), 0);
    }

    function test_WhatIsCarriedCountsForThePool() public {
        _fund(250 gwei);
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.reward = 50 gwei - 1;
        _refuses(roundTerms, _tooSmall(300 gwei, 300 gwei - 1));
        roundTerms.reward = 50 gwei;
        _open(roundTerms);
        assertEq(_view().pool, 300 gwei);
    }

    /// @dev The least pool goes by k, not by how many updates there may be, and rounds up.
    function test_TheLeastPoolGoesByTheSelected() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        (roundTerms.maxUpdates, roundTerms.selectionRate) = (1000, 1);
        (roundTerms.maxComputeMs, roundTerms.rewardRateCap) = (1, 1);
        roundTerms.reward = 1;
        _open(roundTerms);
        assertEq(_view().guaranteedRate, 1);
        _abandon();

        roundTerms = _roundTerms();
        (roundTerms.maxUpdates, roundTerms.maxComputeMs, roundTerms.rewardRateCap) = (2, 1, 1e12 + 1);
        roundTerms.reward = 1;
        _refuses(roundTerms, _tooSmall(3, 2)); // the reward, and what round 1 left
        roundTerms.reward = 2;
        _open(roundTerms);
        assertEq(_view().pool, 3);
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
        _register(ADA);
        _leave(ADA);
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
        _close();
        _refuses(_roundTerms(), abi.encodeWithSelector(IFederation.FederationIsClosed.selector));
    }

    function test_AnOpeningNamesTheFinalizedRoundBeforeToo() public {
        _open();
        bytes20 first = _view().digest;
        _submit(ADA, 1000);
        _finalize();
        bytes20 digest = _view().digest;
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        bytes20[2] memory wrong = [bytes20(0), first];
        vm.deal(OWNER, REWARD);
        for (uint256 i; i < wrong.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IFederation.WrongDigest.selector, 1, digest, wrong[i]));
            vm.prank(OWNER);
            federation.openRound{value: REWARD}(roundTerms, wrong[i]);
        }
    }

    function test_AnOpeningNamesTheRoundBefore() public {
        vm.deal(OWNER, REWARD);
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        vm.expectRevert(abi.encodeWithSelector(IFederation.WrongDigest.selector, 0, bytes20(0), bytes20("x")));
        vm.prank(OWNER);
        federation.openRound{value: REWARD}(roundTerms, bytes20("x"));

        _open();
        bytes20 first = _view().digest;
        _submit(ADA, 1000);
        _abandon();
        bytes20 second = _view().digest;
        roundTerms = _roundTerms();
        bytes20[2] memory wrong = [bytes20(0), first];
        vm.deal(OWNER, REWARD);
        for (uint256 i; i < wrong.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IFederation.WrongDigest.selector, 1, second, wrong[i]));
            vm.prank(OWNER);
            federation.openRound{value: REWARD}(roundTerms, wrong[i]);
        }
        vm.prank(OWNER);
        assertEq(federation.openRound{value: REWARD}(roundTerms, second), 2);
    }

    function test_TheKeyOfTheRoundBeforeIsRefused() public {
        _open();
        _submit(ADA, 1000);
        _finalize();
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.sealingKey = _keyOf(1);
        _refuses(roundTerms, abi.encodeWithSelector(IFederation.SealingKeyUsed.selector, _keyOf(1)));
        _open();
        _abandon();
        roundTerms.sealingKey = _keyOf(2);
        _refuses(roundTerms, abi.encodeWithSelector(IFederation.SealingKeyUsed.selector, _keyOf(2)));
    }

    // ------------------------------------------------------------------------------------------------------ terms

    function test_APlanIsNeeded() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.planCid = 0;
        _refuses(roundTerms, _zeroValue("planCid"));
    }

    function test_ASealingKeyIsNeeded() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.sealingKey = 0;
        _refuses(roundTerms, _zeroValue("sealingKey"));
    }

    function test_AWageIsNeeded() public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        roundTerms.rewardRateCap = 0;
        _refuses(roundTerms, _zeroValue("rewardRateCap"));
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
            (roundTerms.maxComputeMs, roundTerms.reward) = (times[i], 10_000_000 gwei);
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

    function test_BeforeTheFirstRoundThereIsNoPhase() public {
        _assertPhase(IFederation.Phase.None);
        vm.warp(type(uint40).max);
        _assertPhase(IFederation.Phase.None);
        assertEq(federation.roundCount(), 0);
    }

    function test_TrainingEndsAtItsDeadline() public {
        _open();
        _submit(ADA, 1000);
        vm.warp(START + PERIOD - 1);
        _assertPhase(IFederation.Phase.Training);
        vm.warp(START + PERIOD);
        _assertPhase(IFederation.Phase.Aggregating);
    }

    function test_TrainingEndsOnceAllOfTheSelectedSubmitted() public {
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 1000);
        _assertPhase(IFederation.Phase.Training);
        _submit(CYD, 1000);
        _assertPhase(IFederation.Phase.Aggregating);
    }

    function test_TrainingEndsOnceNobodyIsAwaitedAnyMore() public {
        _open();
        _submit(ADA, 1000);
        _decline(BOB);
        _assertPhase(IFederation.Phase.Training);
        _leave(CYD);
        _assertPhase(IFederation.Phase.Aggregating);
    }

    function test_AggregatingEndsAtItsDeadline() public {
        _open();
        _submit(ADA, 1000);
        vm.warp(START + 2 * PERIOD - 1);
        _assertPhase(IFederation.Phase.Aggregating);
        vm.warp(START + 2 * PERIOD);
        _assertPhase(IFederation.Phase.Abandoned);
    }

    /// @dev Nobody's early end lengthens the organization's time: both deadlines are fixed at the opening.
    function test_AnEarlyEndOfTrainingMovesNoDeadline() public {
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 1000);
        _submit(CYD, 1000);
        vm.warp(START + 2 * PERIOD - 1);
        _assertPhase(IFederation.Phase.Aggregating);
        vm.warp(START + 2 * PERIOD);
        _assertPhase(IFederation.Phase.Abandoned);
    }

    function test_WithoutUpdatesThereIsNothingToAggregate() public {
        _open();
        vm.warp(START + PERIOD - 1);
        _assertPhase(IFederation.Phase.Training);
        vm.warp(START + PERIOD);
        _assertPhase(IFederation.Phase.Abandoned);
        vm.warp(START + 2 * PERIOD);
        _assertPhase(IFederation.Phase.Abandoned);
    }

    function test_WhatIsFinalizedStaysFinalized() public {
        _open();
        _submit(ADA, 1000);
        _finalize();
        _assertPhase(IFederation.Phase.Finalized);
        vm.warp(START + 2 * PERIOD);
        _assertPhase(IFederation.Phase.Finalized);
        _open();
        _assertPhase(IFederation.Phase.Training);
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
            rewardRateCap: 11 gwei, // 11 wei a second
            reward: 1541
        });
    }

    function _unusualOpening() private view returns (IFederation.Opening memory) {
        return IFederation.Opening({
            round: 1,
            openedAt: uint40(block.timestamp),
            trainingDeadline: uint40(block.timestamp + 31),
            aggregationDeadline: uint40(block.timestamp + 31 + 47),
            memberCount: 3,
            selectionOffset: 2,
            selectedCount: 2,
            maxUpdates: 5,
            maxComputeMs: 70_000,
            planCid: "unusual plan",
            sealingKey: "unusual key",
            baseModelCid: INITIAL_MODEL,
            baseReportCid: 0,
            rewardRateCap: 11 gwei,
            pool: 1541
        });
    }

    function _outside(uint256 minimum, uint256 maximum, uint256 actual) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IFederation.PeriodOutOfBounds.selector, minimum, maximum, actual);
    }

    function _tooLarge(uint256 actual) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IFederation.AmountTooLarge.selector, type(uint112).max, actual);
    }

    function _tooSmall(uint256 needed, uint256 pool) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IFederation.PoolTooSmall.selector, needed, pool);
    }

    function _refuses(IFederation.RoundTerms memory roundTerms, bytes memory error) private {
        vm.deal(OWNER, roundTerms.reward);
        bytes20 digest = _view().digest;
        vm.expectRevert(error);
        vm.prank(OWNER);
        federation.openRound{value: roundTerms.reward}(roundTerms, digest);
    }

    function _refusesToFundMoreThan(uint112 most) private {
        vm.deal(STRANGER, uint256(most) + 1);
        vm.expectRevert(_tooLarge(uint256(type(uint112).max) + 1));
        vm.prank(STRANGER);
        federation.fund{value: uint256(most) + 1}(most + 1);
        vm.deal(STRANGER, 0);
    }

    /// @dev ... and makes way for the next.
    function _opens(IFederation.RoundTerms memory roundTerms) private {
        _open(roundTerms);
        _assertPhase(IFederation.Phase.Training);
        _abandon();
    }
}
