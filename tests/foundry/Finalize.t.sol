// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Base} from "./Base.sol";

/// @title Finalizing a round: what is released, what is checked, and how adjustments lower what is credited.
contract FinalizeTest is Base {
    function setUp() public override {
        super.setUp();
        _registerThree();
    }

    function test_FinalizingReleasesTheNextModel() public {
        _aggregating();
        IFederation.Finalization memory finalization = _finalization();
        bytes32 record = _nextRecord(0, 1, finalization.digest, 2, 3000, _outcomeOf(finalization, 3000));
        vm.recordLogs();
        vm.expectEmit(address(federation));
        emit IFederation.RoundFinalized(1, record, _modelOf(1), _reportOf(1), _secretOf(1), 3000, 3000);
        vm.prank(OWNER);
        federation.finalizeRound(finalization);
        assertEq(_emitted(), 1, "nothing is said of adjustments where there are none");

        _assertPhase(IFederation.Phase.Finalized);
        assertEq(federation.latestRelease().modelCid, _modelOf(1));
        assertEq(federation.latestRelease().reportCid, _reportOf(1));
        assertEq(federation.record(), record);
        IFederation.RoundView memory view_ = _view();
        assertEq(view_.released.modelCid, _modelOf(1));
        assertEq(view_.released.reportCid, _reportOf(1));
        assertEq(view_.base.modelCid, 0);
        assertEq(view_.base.reportCid, 0);
        assertEq(view_.secret, _secretOf(1));
        assertEq(view_.digest, finalization.digest);
        assertEq(view_.updateCount, 2);
        assertEq(view_.claimedMs, 3000);
        assertEq(view_.creditedMs, 3000);
        assertEq(view_.payable_, 3 * WAGE);
        assertEq(view_.surplus, REWARD - 3 * WAGE);
        assertEq(view_.forfeited, 0);
    }

    function test_EveryRoundReleasesItsOwn() public {
        for (uint24 round = 1; round <= 3; ++round) {
            _aggregating();
            _finalize();
            assertEq(federation.latestRelease().modelCid, _modelOf(round));
            assertEq(federation.latestRelease().reportCid, _reportOf(round));
            assertEq(_view().secret, _secretOf(round));
            assertEq(_view().planCid, _planOf(round));
            assertEq(_view().sealingKey, _keyOf(round));
        }
    }

    function test_TheBaseModelMayBeReleasedAgain() public {
        _aggregating();
        IFederation.Finalization memory finalization = _finalization();
        finalization.modelCid = INITIAL_MODEL;
        vm.prank(OWNER);
        federation.finalizeRound(finalization);
        assertEq(federation.latestRelease().modelCid, INITIAL_MODEL);
        assertEq(federation.latestRelease().reportCid, _reportOf(1));
    }

    function test_AnAbandonedRoundReleasesNothing() public {
        _aggregating();
        _finalize();
        _aggregating();
        _abandon();
        IFederation.RoundView memory view_ = _view();
        assertEq(view_.released.modelCid, 0);
        assertEq(view_.released.reportCid, 0);
        assertEq(view_.secret, 0, "not the secret of the round before");
        assertEq(view_.base.modelCid, _modelOf(1));
        assertEq(federation.latestRelease().modelCid, _modelOf(1));
        assertEq(federation.latestRelease().reportCid, _reportOf(1));
    }

    function test_ALiveRoundShowsNoSecret() public {
        _aggregating();
        _finalize();
        _open();
        assertEq(_view().secret, 0);
        assertEq(_view().released.modelCid, 0);
    }

    // ------------------------------------------------------------------------------------------------------- when

    function test_ARoundIsFinalizedFromTheEndOfTrainingOn() public {
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        vm.warp(START + PERIOD - 1);
        _refuses(_wrongPhase(IFederation.Phase.Training, 1));
        vm.warp(START + PERIOD);
        _finalizes();
    }

    function test_ARoundIsFinalizedBeforeTheDeadline() public {
        _aggregating();
        vm.warp(START + 2 * PERIOD - 1);
        _finalizes();
    }

    function test_AnAbandonedRoundIsNotFinalized() public {
        _aggregating();
        vm.warp(START + 2 * PERIOD);
        _refuses(_wrongPhase(IFederation.Phase.Abandoned, 1));
    }

    function test_ARoundWithoutUpdatesIsNotFinalized() public {
        _open();
        _endTraining();
        _refuses(_wrongPhase(IFederation.Phase.Abandoned, 1));
    }

    function test_ARoundIsFinalizedAtOnceWhereNobodyIsAwaited() public {
        _open();
        _submit(ADA, 1000);
        _decline(BOB);
        _submit(CYD, 500);
        _finalizes();
    }

    function test_ARoundIsFinalizedOnce() public {
        _aggregating();
        _finalize();
        _refuses(_wrongPhase(IFederation.Phase.Finalized, 1));
    }

    function test_WhatWasNeverOpenedIsNotFinalized() public {
        _refuses(_wrongPhase(IFederation.Phase.None, 0));
    }

    function test_OnlyTheLatestRoundIsFinalized() public {
        _aggregating();
        _abandon();
        _aggregating();
        uint8[3] memory others = [0, 1, 3];
        for (uint256 i; i < others.length; ++i) {
            IFederation.Finalization memory finalization = _finalization();
            finalization.round = others[i];
            _refuses(finalization, _wrongPhase(IFederation.Phase.Aggregating, others[i]));
        }
        _finalizes();
    }

    // ------------------------------------------------------------------------------------------------------- what

    function test_WhatWasAggregatedAreTheUpdatesOfTheRound() public {
        _open();
        bytes20 opened = _view().digest;
        _submit(ADA, 1000);
        bytes20 first = _view().digest;
        _submit(BOB, 2000);
        _endTraining();
        bytes20 all = _nextDigest(first, BOB, _cidOf(1, BOB), 2000);
        assertEq(_view().digest, all);
        bytes20 otherOrder = _nextDigest(_nextDigest(opened, BOB, _cidOf(1, BOB), 2000), ADA, _cidOf(1, ADA), 1000);
        bytes20[4] memory others = [bytes20(0), opened, first, otherOrder];
        for (uint256 i; i < others.length; ++i) {
            IFederation.Finalization memory finalization = _finalization();
            finalization.digest = others[i];
            _refuses(finalization, abi.encodeWithSelector(IFederation.WrongDigest.selector, 1, all, others[i]));
        }
    }

    function test_AModelIsReleased() public {
        _aggregating();
        IFederation.Finalization memory finalization = _finalization();
        finalization.modelCid = 0;
        _refuses(finalization, _zeroValue("modelCid"));
    }

    function test_AReportIsReleased() public {
        _aggregating();
        IFederation.Finalization memory finalization = _finalization();
        finalization.reportCid = 0;
        _refuses(finalization, _zeroValue("reportCid"));
    }

    function test_WhereAnybodyAuditsTheSecretIsPublished() public {
        _aggregating();
        IFederation.Finalization memory finalization = _finalization();
        finalization.secret = 0;
        _refuses(
            finalization, abi.encodeWithSelector(IFederation.SecretAgainstPolicy.selector, IFederation.AuditPolicy.Open)
        );
    }

    function test_WhereAuditorsAreAppointedTheSecretIsKept() public {
        terms.auditPolicy = IFederation.AuditPolicy.Appointed;
        _create();
        _registerThree();
        _aggregating();
        IFederation.Finalization memory finalization = _finalization();
        finalization.secret = _secretOf(1);
        _refuses(
            finalization,
            abi.encodeWithSelector(IFederation.SecretAgainstPolicy.selector, IFederation.AuditPolicy.Appointed)
        );
        finalization.secret = 0;
        bytes32 record = _nextRecord(0, 1, finalization.digest, 2, 3000, _outcomeOf(finalization, 3000));
        vm.expectEmit(address(federation));
        emit IFederation.RoundFinalized(1, record, _modelOf(1), _reportOf(1), 0, 3000, 3000);
        vm.prank(OWNER);
        federation.finalizeRound(finalization);
        assertEq(_view().secret, 0);
    }

    function test_AResultKeepsWhatTheRoundLeft() public {
        for (uint24 round = 1; round <= 3; ++round) {
            _open();
            _submit(ADA, 1000 * round);
            _submit(BOB, 500);
            _assertResult(round, 0, 0, 0);
            _finalize(_adjustment(BOB, 100, 0));
            _assertResult(round, WAGE * round + WAGE / 10, 1000 * round + 100, bytes12(_keyOf(round)));
        }
        _assertResult(1, WAGE + WAGE / 10, 1100, bytes12(_keyOf(1)));
        _assertResult(2, 2 * WAGE + WAGE / 10, 2100, bytes12(_keyOf(2)));
        _assertResult(0, 0, 0, 0);
        _assertResult(4, 0, 0, 0);
    }

    function test_TheNextOpeningKeepsTheResultOfAnAbandonedRound() public {
        _aggregating();
        _abandon();
        _assertResult(1, 0, 0, 0);
        _open();
        _assertResult(1, 3 * WAGE, 3000, 0);
        _abandon();
        _open();
        _assertResult(2, 0, 0, 0);
    }

    function test_AKeyStandsInTheResultWhereNothingWasCredited() public {
        _aggregating();
        _finalize(_two(_adjustment(ADA, 0, 0), _adjustment(BOB, 0, 0)));
        _assertResult(1, 0, 0, bytes12(_keyOf(1)));
    }

    // ------------------------------------------------------------------------------------------------ adjustments

    function test_AdjustmentsLowerWhatIsCredited() public {
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _submit(CYD, 4000);
        IFederation.Adjustment[] memory adjustments = _two(_adjustment(ADA, 0, 0), _adjustment(CYD, 3999, 0));
        IFederation.Finalization memory finalization = _finalization(adjustments);
        bytes32 record = _nextRecord(0, 1, finalization.digest, 3, 7000, _outcomeOf(finalization, 5999));
        vm.expectEmit(address(federation));
        emit IFederation.UpdatesAdjusted(1, adjustments);
        vm.expectEmit(address(federation));
        emit IFederation.RoundFinalized(1, record, _modelOf(1), _reportOf(1), _secretOf(1), 7000, 5999);
        vm.prank(OWNER);
        federation.finalizeRound(finalization);

        assertEq(_view().claimedMs, 7000);
        assertEq(_view().creditedMs, 5999);
        assertEq(_view().payable_, 5999 * uint256(WAGE) / 1000);
        assertEq(_view().surplus, REWARD - 7 * WAGE);
        assertEq(_view().forfeited, 1001 * uint256(WAGE) / 1000);
        _assertUpdate(ADA, 0, true);
        _assertUpdate(BOB, 2000, false);
        _assertUpdate(CYD, 3999, true);
    }

    function test_AllMayBeRejected() public {
        _aggregating();
        _finalize(_two(_adjustment(ADA, 0, 0), _adjustment(BOB, 0, 0)));
        assertEq(_view().creditedMs, 0);
        assertEq(_view().claimedMs, 3000);
        assertEq(_view().payable_, 0);
        assertEq(_view().forfeited, 3 * WAGE);
        assertEq(_owed(ADA), 0);
        _assertUpdate(ADA, 0, true);
    }

    function test_WhoLeftTheLiveRoundIsAdjustedToo() public {
        _open();
        _submit(ADA, 1000);
        _leave(ADA);
        _finalize(_adjustment(ADA, 400, 0));
        assertEq(_leave(ADA), WAGE * 4 / 10);
    }

    function test_NobodyIsAdjustedTwice() public {
        _aggregating();
        _refuses(
            _two(_adjustment(BOB, 5, 0), _adjustment(BOB, 4, 0)),
            abi.encodeWithSelector(IFederation.AdjustmentsNotAscending.selector, BOB, BOB)
        );
    }

    function test_AdjustmentsAscend() public {
        _aggregating();
        _refuses(
            _two(_adjustment(BOB, 0, 0), _adjustment(ADA, 0, 0)),
            abi.encodeWithSelector(IFederation.AdjustmentsNotAscending.selector, BOB, ADA)
        );
    }

    function test_NobodyHasTheAddressZero() public {
        _aggregating();
        _refuses(
            _two(_adjustment(address(0), 0, 0), _adjustment(ADA, 0, 0)),
            abi.encodeWithSelector(IFederation.AdjustmentsNotAscending.selector, address(0), address(0))
        );
    }

    function test_WhoDidNotSubmitIsNotAdjusted() public {
        _aggregating();
        _refuses(
            _two(_adjustment(ADA, 0, 0), _adjustment(CYD, 0, 0)),
            abi.encodeWithSelector(IFederation.NoUpdate.selector, 1, CYD)
        );
    }

    function test_WhoDeclinedIsNotAdjusted() public {
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _decline(CYD);
        _refuses(_one(_adjustment(CYD, 0, 0)), abi.encodeWithSelector(IFederation.NoUpdate.selector, 1, CYD));
    }

    function test_AnUpdateOfAnotherRoundIsNotAdjusted() public {
        _aggregating();
        _finalize();
        _open();
        _submit(BOB, 1000);
        _endTraining();
        _refuses(_one(_adjustment(ADA, 0, 0)), abi.encodeWithSelector(IFederation.NoUpdate.selector, 2, ADA));
    }

    function test_AnAdjustmentLowers() public {
        _aggregating();
        uint32[2] memory notLower = [uint32(2000), 2001];
        for (uint256 i; i < notLower.length; ++i) {
            _refuses(
                _two(_adjustment(ADA, 999, 0), _adjustment(BOB, notLower[i], 0)),
                abi.encodeWithSelector(IFederation.AdjustmentNotLower.selector, BOB, 2000, notLower[i])
            );
        }
        _finalize(_two(_adjustment(ADA, 999, 0), _adjustment(BOB, 1999, 0)));
        assertEq(_view().creditedMs, 2998);
    }

    function test_WithoutAStakeNobodyIsSlashed() public {
        _aggregating();
        _refuses(_one(_adjustment(ADA, 0, 1)), abi.encodeWithSelector(IFederation.SlashRateTooHigh.selector, 0, 1));
    }

    function testFuzz_WhatIsCreditedIsTheSum(uint32[3] memory claimed, uint32[3] memory credited) public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        (roundTerms.trainingPeriod, roundTerms.maxComputeMs) = (30 days, 30 days * 1000);
        roundTerms.reward = 10_000_000 gwei;
        _open(roundTerms);
        skip(30 days - 1);
        address[3] memory clients = [ADA, BOB, CYD];
        IFederation.Adjustment[] memory adjustments = new IFederation.Adjustment[](3);
        (uint256 claimedMs, uint256 creditedMs) = (0, 0);
        for (uint256 i; i < clients.length; ++i) {
            claimed[i] = uint32(bound(claimed[i], 1, roundTerms.maxComputeMs));
            credited[i] = uint32(bound(credited[i], 0, claimed[i] - 1));
            _submit(clients[i], claimed[i]);
            adjustments[i] = _adjustment(clients[i], credited[i], 0);
            (claimedMs, creditedMs) = (claimedMs + claimed[i], creditedMs + credited[i]);
        }
        _finalize(adjustments);
        assertEq(_view().claimedMs, claimedMs);
        assertEq(_view().creditedMs, creditedMs);
        for (uint256 i; i < clients.length; ++i) {
            assertApproxEqAbs(_owed(clients[i]), credited[i] * uint256(WAGE) / 1000, 1);
        }
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    /// @dev The round has an update of one second by Ada and one of two by Bob.
    function _aggregating() private {
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _endTraining();
    }

    function _finalizes() private {
        IFederation.Finalization memory finalization = _finalization();
        vm.prank(OWNER);
        federation.finalizeRound(finalization);
        _assertPhase(IFederation.Phase.Finalized);
    }

    function _refuses(bytes memory error) private {
        _refuses(_finalization(), error);
    }

    function _refuses(IFederation.Adjustment[] memory adjustments, bytes memory error) private {
        _refuses(_finalization(adjustments), error);
    }

    function _refuses(IFederation.Finalization memory finalization, bytes memory error) private {
        vm.expectRevert(error);
        vm.prank(OWNER);
        federation.finalizeRound(finalization);
    }

    function _assertUpdate(address client, uint32 computeMs, bool adjusted) private view {
        assertEq(_view(client).computeMs, computeMs);
        assertEq(_view(client).adjusted, adjusted);
        assertEq(_view(client).updateCid, _cidOf(federation.roundCount(), client));
    }

    function _assertResult(uint24 round, uint256 payable_, uint256 creditedMs, bytes12 key) private view {
        (uint112 actualPayable, uint48 actualMs, bytes12 actualKey) = federation.results(round);
        assertEq(actualPayable, payable_, "payable");
        assertEq(actualMs, creditedMs, "credited");
        assertEq(actualKey, key, "sealing key");
    }
}
