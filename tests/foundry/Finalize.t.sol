// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Base} from "./Base.sol";

/// @title Finalizing a round: what is released, what is checked, and how adjustments lower what is credited.
contract FinalizeTest is Base {
    IFederation.Adjustment[] private _none;

    function setUp() public override {
        super.setUp();
        _registerThree();
    }

    function test_FinalizingReleasesTheNextModel() public {
        _aggregating();
        vm.expectEmit(address(federation));
        emit IFederation.RoundFinalized(1, MODEL, REPORT, SECRET, 3000, 3000);
        vm.prank(OWNER);
        federation.finalizeRound(1, 2, 3000, MODEL, REPORT, _none, SECRET);

        _assertPhase(1, IFederation.Phase.Finalized);
        assertEq(federation.latestRelease().modelCid, MODEL);
        assertEq(federation.latestRelease().reportCid, REPORT);
        IFederation.RoundView memory view_ = _view();
        assertEq(view_.released.modelCid, MODEL);
        assertEq(view_.released.reportCid, REPORT);
        assertEq(view_.base.modelCid, INITIAL_MODEL);
        assertEq(view_.base.reportCid, 0);
        assertEq(view_.secret, SECRET);
        assertEq(view_.updateCount, 2);
        assertEq(view_.claimedMs, 3000);
        assertEq(view_.creditedMs, 3000);
    }

    function test_TheBaseModelMayBeReleasedAgain() public {
        _aggregating();
        vm.prank(OWNER);
        federation.finalizeRound(1, 2, 3000, INITIAL_MODEL, REPORT, _none, SECRET);
        assertEq(federation.latestRelease().modelCid, INITIAL_MODEL);
    }

    function test_AnAbandonedRoundReleasesNothing() public {
        _aggregating();
        _abandon();
        IFederation.RoundView memory view_ = _view();
        assertEq(view_.released.modelCid, 0);
        assertEq(view_.released.reportCid, 0);
        assertEq(view_.secret, 0);
        assertEq(federation.latestRelease().modelCid, INITIAL_MODEL);
    }

    function test_OfAnEarlierRoundTheNextBaseTellsWhatWasReleased() public {
        _aggregating();
        _finalize();
        _open();
        _abandon();
        _open();
        _submit(ADA, 1000);
        _endTraining();
        vm.prank(OWNER);
        federation.finalizeRound(3, 1, 1000, "model 3", "report 3", _none, SECRET);

        assertEq(federation.roundView(1, ADA).released.modelCid, MODEL);
        assertEq(federation.roundView(1, ADA).released.reportCid, REPORT);
        assertEq(federation.roundView(2, ADA).released.modelCid, 0);
        assertEq(federation.roundView(3, ADA).base.modelCid, MODEL);
        assertEq(federation.roundView(3, ADA).released.modelCid, "model 3");
        assertEq(federation.roundView(3, ADA).released.reportCid, "report 3");
    }

    // ------------------------------------------------------------------------------------------------------- when

    function test_ARoundIsFinalizedFromTheEndOfTrainingOn() public {
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        vm.warp(START + PERIOD - 1);
        _refuses(_wrongPhase(IFederation.Phase.Training));
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
        _refuses(_wrongPhase(IFederation.Phase.Abandoned));
    }

    function test_ARoundIsFinalizedAtOnceWhereAllSubmitted() public {
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 1500);
        _submit(CYD, 500);
        vm.prank(OWNER);
        federation.finalizeRound(1, 3, 3000, MODEL, REPORT, _none, SECRET);
        _assertPhase(1, IFederation.Phase.Finalized);
    }

    function test_ARoundIsFinalizedOnce() public {
        _aggregating();
        _finalize();
        _refuses(_wrongPhase(IFederation.Phase.Finalized));
    }

    function test_WhatWasNeverOpenedIsNotFinalized() public {
        _refuses(_wrongPhase(IFederation.Phase.None));
    }

    // ------------------------------------------------------------------------------------------------------- what

    function test_WhatWasAggregatedAreTheUpdatesOfTheRound() public {
        _aggregating();
        uint8[4] memory counts = [1, 3, 2, 2];
        uint16[4] memory times = [3000, 3000, 2999, 3001];
        for (uint256 i; i < counts.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IFederation.WrongUpdates.selector, 2, counts[i], 3000, times[i]));
            vm.prank(OWNER);
            federation.finalizeRound(1, counts[i], times[i], MODEL, REPORT, _none, SECRET);
        }
    }

    function test_AModelIsReleased() public {
        _aggregating();
        vm.expectRevert(abi.encodeWithSelector(IFederation.ZeroValue.selector, "modelCid"));
        vm.prank(OWNER);
        federation.finalizeRound(1, 2, 3000, 0, REPORT, _none, SECRET);
    }

    function test_AReportIsReleased() public {
        _aggregating();
        vm.expectRevert(abi.encodeWithSelector(IFederation.ZeroValue.selector, "reportCid"));
        vm.prank(OWNER);
        federation.finalizeRound(1, 2, 3000, MODEL, 0, _none, SECRET);
    }

    function test_WhereAnybodyAuditsTheSecretIsPublished() public {
        _aggregating();
        vm.expectRevert(abi.encodeWithSelector(IFederation.SecretAgainstPolicy.selector, IFederation.AuditPolicy.Open));
        vm.prank(OWNER);
        federation.finalizeRound(1, 2, 3000, MODEL, REPORT, _none, 0);
    }

    function test_WhereAuditorsAreAppointedTheSecretIsKept() public {
        terms.auditPolicy = IFederation.AuditPolicy.Appointed;
        _create();
        _registerThree();
        _aggregating();
        _refuses(abi.encodeWithSelector(IFederation.SecretAgainstPolicy.selector, IFederation.AuditPolicy.Appointed));

        vm.expectEmit(address(federation));
        emit IFederation.RoundFinalized(1, MODEL, REPORT, 0, 3000, 3000);
        vm.prank(OWNER);
        federation.finalizeRound(1, 2, 3000, MODEL, REPORT, _none, 0);
        assertEq(_view().secret, 0);
    }

    // ------------------------------------------------------------------------------------------------ adjustments

    function test_AdjustmentsLowerWhatIsCredited() public {
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _submit(CYD, 4000);
        vm.expectEmit(address(federation));
        emit IFederation.UpdateAdjusted(1, ADA, 0);
        vm.expectEmit(address(federation));
        emit IFederation.UpdateAdjusted(1, CYD, 3999);
        vm.expectEmit(address(federation));
        emit IFederation.RoundFinalized(1, MODEL, REPORT, SECRET, 7000, 5999);
        _finalize(_two(_adjustment(ADA, 0, 0), _adjustment(CYD, 3999, 0)));

        assertEq(_view().claimedMs, 7000);
        assertEq(_view().creditedMs, 5999);
        _assertTimes(ADA, 1000, 0);
        _assertTimes(BOB, 2000, 2000);
        _assertTimes(CYD, 4000, 3999);
    }

    function test_AllMayBeRejected() public {
        _aggregating();
        _finalize(_two(_adjustment(ADA, 0, 0), _adjustment(BOB, 0, 0)));
        assertEq(_view().creditedMs, 0);
        assertEq(_view().claimedMs, 3000);
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

    function test_AnUpdateOfAnotherRoundIsNotAdjusted() public {
        _aggregating();
        _finalize();
        _open();
        _submit(BOB, 1000);
        _endTraining();
        IFederation.Adjustment[] memory adjustments = new IFederation.Adjustment[](1);
        adjustments[0] = _adjustment(ADA, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IFederation.NoUpdate.selector, 2, ADA));
        vm.prank(OWNER);
        federation.finalizeRound(2, 1, 1000, MODEL, REPORT, adjustments, SECRET);
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

    function testFuzz_WhatIsCreditedIsTheSum(uint32[3] memory claimed, uint32[3] memory credited) public {
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        (roundTerms.trainingPeriod, roundTerms.maxComputeMs) = (30 days, 30 days * 1000);
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
        vm.expectEmit(address(federation));
        emit IFederation.RoundFinalized(1, MODEL, REPORT, SECRET, uint48(claimedMs), uint48(creditedMs));
        _finalize(adjustments);
        assertEq(_view().creditedMs, creditedMs);
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    /// @dev Round 1 has an update of one second by Ada and one of two by Bob.
    function _aggregating() private {
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _endTraining();
    }

    function _finalizes() private {
        vm.prank(OWNER);
        federation.finalizeRound(1, 2, 3000, MODEL, REPORT, _none, SECRET);
        _assertPhase(1, IFederation.Phase.Finalized);
    }

    function _refuses(bytes memory error) private {
        _refuses(_none, error);
    }

    function _refuses(IFederation.Adjustment[] memory adjustments, bytes memory error) private {
        vm.expectRevert(error);
        vm.prank(OWNER);
        federation.finalizeRound(1, 2, 3000, MODEL, REPORT, adjustments, SECRET);
    }

    function _assertTimes(address client, uint32 claimedMs, uint32 creditedMs) private view {
        assertEq(_view(1, client).computeMs, claimedMs);
        assertEq(_view(1, client).creditedMs, creditedMs);
    }

    function _two(IFederation.Adjustment memory first, IFederation.Adjustment memory second)
        private
        pure
        returns (IFederation.Adjustment[] memory adjustments)
    {
        adjustments = new IFederation.Adjustment[](2);
        (adjustments[0], adjustments[1]) = (first, second);
    }

    function _wrongPhase(IFederation.Phase actual) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IFederation.WrongPhase.selector, 1, IFederation.Phase.Aggregating, actual);
    }
}
