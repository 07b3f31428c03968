// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Vm} from "forge-std/Vm.sol";

import {IFederation} from "../../contracts/interfaces/IFederation.sol";
import {Base} from "./Base.sol";

/// @title The digest of each round and the record of all: what events and artifacts say is what state commits to.
contract RecordsTest is Base {
    bytes32 private _record;

    function setUp() public override {
        super.setUp();
        _registerThree();
    }

    function test_TheDigestChainsTheUpdatesInTheirOrder() public {
        _open();
        bytes20 digest = _firstDigest(_opening());
        assertEq(_view().digest, digest);
        address[3] memory order = [CYD, ADA, BOB];
        for (uint32 i; i < order.length; ++i) {
            _submit(order[i], 1000 + i);
            digest = _nextDigest(digest, order[i], _cidOf(1, order[i]), 1000 + i);
            assertEq(_view().digest, digest);
        }
        _finalize(_adjustment(ADA, 0, 0));
        assertEq(_view().digest, digest, "it goes by what was claimed");
    }

    /// @dev Whatever an opening fixes, the digest begins with it.
    function test_NoTwoOpeningsBeginAlike() public {
        IFederation.RoundTerms memory plain = _roundTerms();
        bytes20 expected = _openedAs(plain);
        for (uint256 i; i < 9; ++i) {
            IFederation.RoundTerms memory changed = _roundTerms();
            if (i == 0) changed.planCid = _planOf(7);
            if (i == 1) changed.sealingKey = _keyOf(7);
            if (i == 2) changed.trainingPeriod += 1;
            if (i == 3) changed.aggregationPeriod += 1;
            if (i == 4) changed.maxUpdates += 1;
            if (i == 5) changed.maxComputeMs += 1;
            if (i == 6) changed.selectionRate = 1;
            if (i == 7) changed.rewardRateCap += 1;
            if (i == 8) changed.reward += 1;
            assertNotEq(_openedAs(changed), expected);
        }
        assertEq(_openedAs(plain), expected);
        vm.chainId(block.chainid + 1);
        assertNotEq(_openedAs(plain), expected);
    }

    function test_TheRecordChainsEveryRoundThatIsOver() public {
        assertEq(federation.record(), 0);
        _finalizedRound(_none(), 3000);
        _finalizedRound(_one(_adjustment(BOB, 1999, 0)), 2999);
        _abandonedRound(true);
        _abandonedRound(false);
        _finalizedRound(_two(_adjustment(ADA, 0, 0), _adjustment(BOB, 0, 0)), 0);
        _finalizedRound(_none(), 3000);
    }

    /// @dev What nobody finalized is chained by the opening that follows, with outcome 0.
    function test_TheNextOpeningRecordsAnAbandonedRound() public {
        _open();
        _submit(ADA, 1000);
        _abandon();
        assertEq(federation.record(), 0, "not yet");
        bytes32 expected = _nextRecord(0, 1, _view().digest, 1, 1000, 0);
        IFederation.RoundTerms memory roundTerms = _roundTerms();
        vm.recordLogs();
        vm.expectEmit(address(federation));
        emit IFederation.RoundAbandoned(1, expected);
        _open(roundTerms);
        assertEq(federation.record(), expected);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        (, bytes32 said,) = abi.decode(logs[logs.length - 1].data, (bytes20, bytes32, IFederation.Opening));
        assertEq(said, expected, "the opening names the record of all rounds before");
    }

    function test_AFinalizedRoundIsRecordedOnce() public {
        _finalizedRound(_none(), 3000);
        vm.recordLogs();
        _open();
        assertEq(_said(IFederation.RoundAbandoned.selector), 0);
        assertEq(federation.record(), _record);
    }

    /// @dev Whatever a finalization says, the record holds it.
    function test_NoTwoOutcomesAreRecordedAlike() public {
        _open();
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _endTraining();
        bytes32 expected = _finalizedAs(_finalization());
        for (uint256 i; i < 5; ++i) {
            IFederation.Finalization memory changed = _finalization();
            if (i == 0) changed.modelCid = _modelOf(7);
            if (i == 1) changed.reportCid = _reportOf(7);
            if (i == 2) changed.secret = _secretOf(7);
            if (i == 3) changed.adjustments = _one(_adjustment(ADA, 999, 0));
            if (i == 4) changed.adjustments = _one(_adjustment(ADA, 998, 0));
            assertNotEq(_finalizedAs(changed), expected);
        }
        assertEq(_finalizedAs(_finalization()), expected);
    }

    /// @dev Events alone tell the whole list and record, where a node has them.
    function test_EventsTellWhatTheRecordChains() public {
        vm.recordLogs();
        _open();
        _submit(BOB, 700);
        _decline(CYD);
        _submit(ADA, 300);
        _finalize(_adjustment(BOB, 5, 0));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        bytes20 digest;
        bytes32 record;
        IFederation.Adjustment[] memory adjustments;
        (uint16 count, uint48 claimedMs) = (0, 0);
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].emitter != address(federation)) continue;
            bytes32 topic = logs[i].topics[0];
            if (topic == IFederation.RoundOpened.selector) {
                IFederation.Opening memory opening;
                (digest,, opening) = abi.decode(logs[i].data, (bytes20, bytes32, IFederation.Opening));
                assertEq(digest, _firstDigest(opening));
            } else if (topic == IFederation.UpdateSubmitted.selector) {
                (bytes32 cid, uint32 computeMs) = abi.decode(logs[i].data, (bytes32, uint32));
                digest = _nextDigest(digest, address(uint160(uint256(logs[i].topics[2]))), cid, computeMs);
                (count, claimedMs) = (count + 1, claimedMs + computeMs);
            } else if (topic == IFederation.UpdatesAdjusted.selector) {
                adjustments = abi.decode(logs[i].data, (IFederation.Adjustment[]));
            } else if (topic == IFederation.RoundFinalized.selector) {
                record = _recorded(logs[i], digest, count, claimedMs, adjustments);
            }
        }
        assertEq(federation.record(), record);
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    function _recorded(
        Vm.Log memory log,
        bytes20 digest,
        uint16 count,
        uint48 claimedMs,
        IFederation.Adjustment[] memory adjustments
    ) private view returns (bytes32 said) {
        IFederation.Finalization memory finalization = _finalization(adjustments);
        uint48 saidMs;
        uint48 creditedMs;
        (said, finalization.modelCid, finalization.reportCid, finalization.secret, saidMs, creditedMs) =
            abi.decode(log.data, (bytes32, bytes32, bytes32, bytes32, uint48, uint48));
        assertEq(saidMs, claimedMs);
        uint24 round = uint24(uint256(log.topics[1]));
        assertEq(said, _nextRecord(0, round, digest, count, claimedMs, _outcomeOf(finalization, creditedMs)));
    }

    /// @dev A second by Ada, two by Bob.
    function _finalizedRound(IFederation.Adjustment[] memory adjustments, uint48 creditedMs) private {
        _open();
        assertEq(federation.record(), _record);
        _submit(ADA, 1000);
        _submit(BOB, 2000);
        _endTraining();
        IFederation.Finalization memory finalization = _finalization(adjustments);
        _finalize(adjustments);
        bytes32 outcome = _outcomeOf(finalization, creditedMs);
        _record = _nextRecord(_record, finalization.round, finalization.digest, 2, 3000, outcome);
        assertEq(federation.record(), _record);
    }

    function _abandonedRound(bool submitted) private {
        uint24 round = _open();
        assertEq(federation.record(), _record);
        if (submitted) _submit(CYD, 500);
        _abandon();
        assertEq(federation.record(), _record, "until the next opening");
        _record = _nextRecord(_record, round, _view().digest, submitted ? 1 : 0, submitted ? 500 : 0, 0);
    }

    /// @dev The digest that a round of these terms begins with; everything is as it was before.
    function _openedAs(IFederation.RoundTerms memory roundTerms) private returns (bytes20 digest) {
        uint256 state = vm.snapshotState();
        _open(roundTerms);
        digest = _view().digest;
        assertEq(digest, _firstDigest(_opening()));
        vm.revertToState(state);
    }

    function _finalizedAs(IFederation.Finalization memory finalization) private returns (bytes32 record) {
        uint256 state = vm.snapshotState();
        vm.prank(OWNER);
        federation.finalizeRound(finalization);
        record = federation.record();
        vm.revertToState(state);
    }
}
